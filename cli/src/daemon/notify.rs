//! What systemd is told of the daemon (`sd_notify(3)`). Without systemd nothing is said.

use std::time::Duration;

use longhaul::control::Control;
use longhaul::{Engine, SessionSummary};
use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

/// How often the status is told again when it has changed.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// It answers from now on.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It stops.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells the status, and that the engine answers if systemd watches that, for ever.
pub(super) async fn keep_telling(engine: &Engine, control: &Control) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return std::future::pending().await;
    }
    let watched = sd_notify::watchdog_enabled();
    // Twice in the time that systemd gives: one may come late.
    let period = watched.map_or(STATUS_INTERVAL, |within| STATUS_INTERVAL.min(within / 2));
    let mut ticks = interval(period.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = String::new();
    loop {
        ticks.tick().await;
        // When this does not answer, the watchdog is not told.
        let Ok(sessions) = engine.sessions().await else {
            continue;
        };
        if watched.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
        let status = status(&sessions, control.counts().clients);
        if status != told {
            tell(&[NotifyState::Status(&status)]);
            told = status;
        }
    }
}

fn status(sessions: &[SessionSummary], clients: usize) -> String {
    let live: u64 = sessions.iter().map(|session| session.live_tasks).sum();
    format!(
        "{live} tasks in {} sessions, {clients} clients",
        sessions.len()
    )
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
