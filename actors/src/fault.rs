//! Named fault points: places where a test may crash an actor, or the process, at will.
//!
//! They are compiled in by the feature `fault-points` and for this crate's own tests only. A run
//! counts its points; the next runs crash at each in turn.

/// Marks a boundary between two steps that a crash may fall between.
#[cfg(not(any(test, feature = "fault-points")))]
#[inline(always)]
pub(crate) fn point(_name: &'static str) {}

#[cfg(any(test, feature = "fault-points"))]
pub(crate) use armed::point;
#[cfg(any(test, feature = "fault-points"))]
pub use armed::{Plan, arm, disarm, hits};

#[cfg(any(test, feature = "fault-points"))]
mod armed {
    use std::cell::RefCell;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// The environment variable that makes the process kill itself (SIGKILL) at its n-th point.
    const KILL_VARIABLE: &str = "LONGHAUL_FAULT_KILL";

    /// What shall happen on this thread.
    #[derive(Clone, Debug, Default)]
    pub struct Plan {
        /// Panic at these hits, counted from 1; a panic does not stop the counting.
        pub panic_at: Vec<u64>,
        /// Panic at every hit of the points of these names.
        pub panic_always: Vec<&'static str>,
        /// Panic at the first hit of each of these points: for runs whose order is not fixed.
        pub panic_once: Vec<&'static str>,
    }

    #[derive(Default)]
    struct State {
        plan: Plan,
        hits: Vec<&'static str>,
        is_counting: bool,
    }

    thread_local! {
        static STATE: RefCell<State> = RefCell::default();
    }

    static PROCESS_HITS: AtomicU64 = AtomicU64::new(0);
    static KILL_AT: OnceLock<Option<u64>> = OnceLock::new();

    /// Starts counting on this thread, with this plan.
    pub fn arm(plan: Plan) {
        STATE.with_borrow_mut(|state| {
            *state = State {
                plan,
                hits: Vec::new(),
                is_counting: true,
            }
        });
    }

    /// Ends counting on this thread.
    pub fn disarm() {
        STATE.with_borrow_mut(|state| state.is_counting = false);
    }

    /// The names of the points that were hit on this thread since [`arm`], in order.
    #[must_use]
    pub fn hits() -> Vec<&'static str> {
        STATE.with_borrow(|state| state.hits.clone())
    }

    pub(crate) fn point(name: &'static str) {
        kill_if_planned();
        let is_due = STATE.with_borrow_mut(|state| {
            if !state.is_counting || std::thread::panicking() {
                return false;
            }
            state.hits.push(name);
            let is_first = |hits: &[&str]| !hits[..hits.len() - 1].contains(&name);
            let hit = u64::try_from(state.hits.len()).unwrap_or(u64::MAX);
            state.plan.panic_at.contains(&hit)
                || state.plan.panic_always.contains(&name)
                || (state.plan.panic_once.contains(&name) && is_first(&state.hits))
        });
        assert!(!is_due, "fault point {name}");
    }

    fn kill_if_planned() {
        let kill_at = KILL_AT.get_or_init(|| std::env::var(KILL_VARIABLE).ok()?.parse().ok());
        if let Some(kill_at) = kill_at
            && PROCESS_HITS.fetch_add(1, Ordering::Relaxed) + 1 == *kill_at
        {
            let own = rustix::process::getpid();
            // Nothing runs after it; an error would mean that we may not signal ourselves.
            let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        }
    }
}
