//! When the daemon is of no use to anybody.

use std::time::Duration;

use longhaul::control::Control;
use longhaul::{Engine, Launches, SessionSummary};
use tokio::time::{MissedTickBehavior, interval};

/// How often is looked, in parts of the time that is waited for.
const LOOKS: u32 = 4;

/// Looking is cheap, but not free: no more often, and no less.
const LOOK_INTERVALS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));

/// Returns when nobody was connected and nothing was to be done for this long; never without a time.
pub(super) async fn idle(engine: &Engine, control: &Control, time: Option<Duration>) {
    let Some(time) = time else {
        return std::future::pending().await;
    };
    let (shortest, longest) = LOOK_INTERVALS;
    let period = (time / LOOKS).clamp(shortest, longest);
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut idle_for = Duration::ZERO;
    loop {
        ticks.tick().await;
        let sessions = engine.sessions().await;
        let is_needed = sessions.is_ok_and(|all| all.iter().any(needs_the_engine));
        let counts = control.counts();
        if is_needed || counts.clients > 0 || counts.event_streams > 0 {
            idle_for = Duration::ZERO;
            // The next look begins to count.
            continue;
        }
        if idle_for >= time {
            return;
        }
        idle_for += period;
    }
}

/// Whether a session has something to do or somebody to call.
fn needs_the_engine(session: &SessionSummary) -> bool {
    let Launches {
        command,
        wanted,
        open_until,
        ..
    } = &session.launches;
    // An app that was called and does not complete is called again.
    let is_due = wanted.is_some() || open_until.is_some();
    session.live_tasks > 0 || (command.is_some() && is_due)
}
