//! The short words for what tasks and sessions are: the same in tables and in `--json`.

use longhaul::{Constraint, LaunchReason, Outcome, Phase, QueueReason, SessionState, TaskState};

/// A state in Foundation's words.
pub(crate) const fn state(state: TaskState) -> &'static str {
    match state {
        TaskState::Running => "running",
        TaskState::Suspended => "suspended",
        TaskState::Canceling => "canceling",
        TaskState::Completed => "completed",
    }
}

/// What a task does.
pub(crate) const fn phase(phase: &Phase) -> &'static str {
    match phase {
        Phase::Queued(_) => "queued",
        Phase::Connecting => "connecting",
        Phase::Transferring => "transferring",
        Phase::WaitingToRetry { .. } => "waiting_to_retry",
        Phase::AwaitingAuthorization => "awaiting_authorization",
        Phase::AwaitingBegin => "awaiting_begin",
        Phase::Finishing => "finishing",
        Phase::Suspended => "suspended",
        Phase::Completed => "completed",
        // The phases may grow.
        _ => "other",
    }
}

/// What a task does or how it ended, for a column of a table.
pub(crate) const fn doing(phase: &Phase, outcome: Option<&Outcome>) -> &'static str {
    match outcome {
        Some(outcome) => ended(outcome),
        None => match phase {
            Phase::Queued(_) => "queued",
            Phase::Connecting => "connecting",
            Phase::Transferring => "running",
            Phase::WaitingToRetry { .. } => "waiting to retry",
            Phase::AwaitingAuthorization => "needs credentials",
            Phase::AwaitingBegin => "asks to begin",
            Phase::Finishing => "finishing",
            Phase::Suspended => "paused",
            Phase::Completed => "ended",
            _ => "other",
        },
    }
}

/// How a task ended.
pub(crate) const fn ended(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Finished(_) | Outcome::Uploaded(_) => "finished",
        Outcome::Skipped(_) => "skipped",
        Outcome::Failed(_) => "failed",
        Outcome::Cancelled | Outcome::CancelledResumable(_) => "cancelled",
    }
}

/// What a queued task waits for.
pub(crate) const fn queue_reason(reason: QueueReason) -> &'static str {
    match reason {
        QueueReason::SessionLimit => "session_limit",
        QueueReason::HostLimit => "host_limit",
        QueueReason::EngineLimit => "engine_limit",
        QueueReason::NotBefore(_) => "not_before",
        QueueReason::Unmet(Constraint::Network) => "network",
        QueueReason::Unmet(Constraint::Unmetered) => "unmetered_network",
        QueueReason::Unmet(Constraint::Unconstrained) => "unconstrained_network",
        QueueReason::Unmet(Constraint::Power) => "power",
        // The reasons may grow.
        _ => "other",
    }
}

/// Where a session is in its life.
pub(crate) const fn session(state: SessionState) -> &'static str {
    match state {
        SessionState::Open => "open",
        SessionState::Finishing => "finishing",
        SessionState::Invalid => "invalid",
    }
}

/// Why an app is called.
pub(crate) const fn launch_reason(reason: LaunchReason) -> &'static str {
    match reason {
        LaunchReason::Drained => "drained",
        LaunchReason::AuthorizationRequired => "authorization_required",
    }
}
