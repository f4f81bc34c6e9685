//! The life of a task as its session sees it: one match over state and event.

use std::time::Duration;

use crate::schedule::Hold;
use crate::task::Desired;
use crate::time::Timestamp;

/// Where a task is, in the eyes of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for a place.
    Queued,
    /// A transfer runs for it; its owner wants it to.
    Running,
    /// A transfer runs that was told to stop and has not yet.
    Stopping,
    /// A transfer runs that was told to end it, with resume data or without, and has not yet.
    Cancelling,
    /// It waits for this time, then queues again.
    Waiting(Timestamp),
    /// Its time has not come, or a condition that it asks for does not hold; nothing runs.
    Held(Hold),
    /// Its time has come; its owner was asked whether it shall begin.
    AwaitingBegin,
    /// The server wants credentials; it waits for its owner.
    AwaitingAuthorization,
    /// Its owner suspended it; nothing runs.
    Suspended,
    /// It has ended.
    Ended,
}

impl State {
    /// The state to show of a task whose record says that it has ended, or that its owner is asked.
    /// A fact is told with its commit, and the session hears of it a moment later, when the transfer
    /// is gone: who was told and looks in between must not see it running.
    #[must_use]
    pub const fn as_recorded(self, has_ended: bool, is_asked: bool) -> Self {
        match self {
            _ if has_ended => Self::Ended,
            Self::Running | Self::Queued if is_asked => Self::AwaitingAuthorization,
            state => state,
        }
    }
}

/// What happens to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its owner sets what is wanted of it.
    Want(Desired),
    /// The run queue gives it a place.
    PlaceFree,
    /// The time it waited for has come.
    TimerDue,
    /// The wall clock was set back by so much: what waits for a delay waits for a time that is this
    /// much too late.
    ClockSetBack(Duration),
    /// It may not have a place now.
    Held(Hold),
    /// Network or power are not what they were.
    ConditionsChanged,
    /// Its time has come, and its owner is asked whether it shall begin.
    AskOwner,
    /// Its owner lets it begin, or is gone.
    Begin,
    /// Its transfer ended because it had been told to stop.
    ChildStopped,
    /// Its transfer ended; the task is to be tried again at this time.
    ChildRetries(Timestamp),
    /// Its transfer ended for want of credentials.
    ChildNeedsAuthorization,
    /// Its transfer ended and the terminal fact is committed.
    ChildEnded,
    /// Its transfer crashed, and the restart budget allows another one.
    ChildCrashed,
    /// Its transfer crashed once too often.
    BudgetSpent,
}

/// What the session must do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Nothing.
    None,
    /// Put it into the run queue.
    Enqueue,
    /// Take it out of the run queue.
    Dequeue,
    /// Take it out of the run queue and start a transfer that ends it, as its owner wants.
    DequeueAndDiscard,
    /// Start its transfer.
    Launch,
    /// Start a transfer that closes the task as cancelled, as its owner wants: only what is on record
    /// says whether its bytes become resume data or go.
    Discard,
    /// Tell the running transfer what is wanted.
    Tell(Desired),
    /// Wake it at this time.
    WakeAt(Timestamp),
    /// Close it as crashed.
    CloseAsCrashed,
}

/// What follows: the next state and what to do.
#[must_use]
pub const fn step(state: State, event: Event) -> (State, Command) {
    use Command as C;
    use Event as E;
    use State as S;
    match (state, event) {
        // What is over stays over: a late or repeated event changes nothing.
        (S::Ended, _) => (S::Ended, C::None),
        (_, E::ChildEnded) => (S::Ended, C::None),
        (_, E::BudgetSpent) => (S::Ended, C::CloseAsCrashed),

        (S::Queued, E::Want(Desired::Running)) => (S::Queued, C::None),
        (S::Queued, E::Want(Desired::Suspended)) => (S::Suspended, C::Dequeue),
        (S::Queued, E::Want(Desired::Cancelled | Desired::CancelledResumable)) => {
            (S::Cancelling, C::DequeueAndDiscard)
        }
        (S::Queued, E::PlaceFree) => (S::Running, C::Launch),

        (S::Running, E::Want(Desired::Running)) => (S::Running, C::None),
        (S::Running, E::Want(Desired::Suspended)) => (S::Stopping, C::Tell(Desired::Suspended)),
        (S::Running, E::Want(desired @ (Desired::Cancelled | Desired::CancelledResumable))) => {
            (S::Cancelling, C::Tell(desired))
        }
        (S::Running, E::ChildRetries(at)) => (S::Waiting(at), C::WakeAt(at)),
        (S::Running, E::ChildNeedsAuthorization) => (S::AwaitingAuthorization, C::None),
        (S::Running, E::ChildCrashed | E::ChildStopped) => (S::Queued, C::Enqueue),

        // Told to stop and wanted again before it had: the child either goes on or ends, and is
        // then queued again, because the state is Running by then.
        (S::Stopping, E::Want(Desired::Running)) => (S::Running, C::Tell(Desired::Running)),
        (S::Stopping, E::Want(Desired::Suspended)) => (S::Stopping, C::None),
        (S::Stopping, E::Want(desired @ (Desired::Cancelled | Desired::CancelledResumable))) => {
            (S::Cancelling, C::Tell(desired))
        }
        (
            S::Stopping,
            E::ChildStopped | E::ChildRetries(_) | E::ChildNeedsAuthorization | E::ChildCrashed,
        ) => (S::Suspended, C::None),

        // A cancelled task can not be resumed (Foundation), so other wishes come too late.
        (S::Cancelling, E::Want(_)) => (S::Cancelling, C::None),
        (
            S::Cancelling,
            E::ChildStopped | E::ChildRetries(_) | E::ChildNeedsAuthorization | E::ChildCrashed,
        ) => (S::Cancelling, C::Discard),

        // `resume` of a task that waits tries again at once, as a person who calls it expects.
        (S::Waiting(_), E::Want(Desired::Running) | E::TimerDue) => (S::Queued, C::Enqueue),
        (S::Waiting(_), E::Want(Desired::Suspended)) => (S::Suspended, C::None),
        (S::Waiting(_), E::Want(Desired::Cancelled | Desired::CancelledResumable)) => {
            (S::Cancelling, C::Discard)
        }

        (S::Waiting(at), E::ClockSetBack(by)) => {
            let at = at.before(by);
            (S::Waiting(at), C::WakeAt(at))
        }

        (S::Queued, E::Held(hold)) => (S::Held(hold), C::Dequeue),
        (S::Queued, E::AskOwner) => (S::AwaitingBegin, C::Dequeue),
        // It records its progress and stops; nobody wants it suspended, so it is queued then, and
        // held. No attempt is counted.
        (S::Running, E::Held(_)) => (S::Running, C::Tell(Desired::Suspended)),

        (S::Held(_), E::Want(Desired::Running)) => (state, C::None),
        (S::Held(_), E::TimerDue | E::ConditionsChanged) => (S::Queued, C::Enqueue),
        (S::AwaitingBegin, E::Want(Desired::Running)) => (state, C::None),
        (S::AwaitingBegin, E::Begin) => (S::Queued, C::Enqueue),
        (S::Held(_) | S::AwaitingBegin, E::Want(Desired::Suspended)) => (S::Suspended, C::None),
        (
            S::Held(_) | S::AwaitingBegin,
            E::Want(Desired::Cancelled | Desired::CancelledResumable),
        ) => (S::Cancelling, C::Discard),

        (S::AwaitingAuthorization, E::Want(Desired::Running)) => (S::Queued, C::Enqueue),
        (S::AwaitingAuthorization, E::Want(Desired::Suspended)) => (S::Suspended, C::None),
        (S::AwaitingAuthorization, E::Want(Desired::Cancelled | Desired::CancelledResumable)) => {
            (S::Cancelling, C::Discard)
        }

        (S::Suspended, E::Want(Desired::Running)) => (S::Queued, C::Enqueue),
        (S::Suspended, E::Want(Desired::Suspended)) => (S::Suspended, C::None),
        (S::Suspended, E::Want(Desired::Cancelled | Desired::CancelledResumable)) => {
            (S::Cancelling, C::Discard)
        }

        // Timers and places that were given out before the state changed.
        (
            S::Queued
            | S::Running
            | S::Stopping
            | S::Cancelling
            | S::AwaitingAuthorization
            | S::AwaitingBegin
            | S::Suspended,
            E::TimerDue,
        ) => (state, C::None),
        (
            S::Running
            | S::Stopping
            | S::Cancelling
            | S::Waiting(_)
            | S::Held(_)
            | S::AwaitingAuthorization
            | S::AwaitingBegin
            | S::Suspended,
            E::PlaceFree,
        ) => (state, C::None),
        // What does not wait for a delay, a condition or a word is not moved by them.
        (
            S::Queued
            | S::Running
            | S::Stopping
            | S::Cancelling
            | S::Held(_)
            | S::AwaitingAuthorization
            | S::AwaitingBegin
            | S::Suspended,
            E::ClockSetBack(_),
        )
        | (
            S::Stopping
            | S::Cancelling
            | S::Waiting(_)
            | S::Held(_)
            | S::AwaitingAuthorization
            | S::AwaitingBegin
            | S::Suspended,
            E::Held(_),
        )
        | (
            S::Queued
            | S::Running
            | S::Stopping
            | S::Cancelling
            | S::Waiting(_)
            | S::AwaitingAuthorization
            | S::AwaitingBegin
            | S::Suspended,
            E::ConditionsChanged,
        )
        | (
            S::Running
            | S::Stopping
            | S::Cancelling
            | S::Waiting(_)
            | S::Held(_)
            | S::AwaitingAuthorization
            | S::AwaitingBegin
            | S::Suspended,
            E::AskOwner,
        )
        | (
            S::Queued
            | S::Running
            | S::Stopping
            | S::Cancelling
            | S::Waiting(_)
            | S::Held(_)
            | S::AwaitingAuthorization
            | S::Suspended,
            E::Begin,
        ) => (state, C::None),
        // A report of a child that nobody has: its session has fenced it off already.
        (
            S::Queued
            | S::Waiting(_)
            | S::Held(_)
            | S::AwaitingAuthorization
            | S::AwaitingBegin
            | S::Suspended,
            E::ChildStopped | E::ChildRetries(_) | E::ChildNeedsAuthorization | E::ChildCrashed,
        ) => (state, C::None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Constraint;

    const AT: Timestamp = Timestamp::from_unix_ms(5);
    const BY: Duration = Duration::from_millis(2);
    const UNMET: Hold = Hold::Unmet(Constraint::Power);
    const STATES: [State; 11] = [
        State::Queued,
        State::Running,
        State::Stopping,
        State::Cancelling,
        State::Waiting(AT),
        State::Held(Hold::NotBefore(AT)),
        State::Held(UNMET),
        State::AwaitingBegin,
        State::AwaitingAuthorization,
        State::Suspended,
        State::Ended,
    ];
    const EVENTS: [Event; 17] = [
        Event::Want(Desired::Running),
        Event::Want(Desired::Suspended),
        Event::Want(Desired::Cancelled),
        Event::Want(Desired::CancelledResumable),
        Event::PlaceFree,
        Event::TimerDue,
        Event::ClockSetBack(BY),
        Event::Held(UNMET),
        Event::ConditionsChanged,
        Event::AskOwner,
        Event::Begin,
        Event::ChildStopped,
        Event::ChildRetries(AT),
        Event::ChildNeedsAuthorization,
        Event::ChildEnded,
        Event::ChildCrashed,
        Event::BudgetSpent,
    ];

    const fn has_child(state: State) -> bool {
        matches!(state, State::Running | State::Stopping | State::Cancelling)
    }

    #[test]
    fn what_the_record_says_is_shown_before_the_transfer_is_gone() {
        for state in STATES {
            assert_eq!(state.as_recorded(false, false), state);
            assert_eq!(state.as_recorded(true, false), State::Ended);
            let asked = match state {
                State::Running | State::Queued => State::AwaitingAuthorization,
                // Its owner has said something since.
                state => state,
            };
            assert_eq!(state.as_recorded(false, true), asked);
        }
    }

    #[test]
    fn a_wish_set_twice_does_nothing_the_second_time() {
        for state in STATES {
            for wish in [
                Desired::Running,
                Desired::Suspended,
                Desired::Cancelled,
                Desired::CancelledResumable,
            ] {
                let (once, _) = step(state, Event::Want(wish));
                assert_eq!(
                    step(once, Event::Want(wish)),
                    (once, Command::None),
                    "{state:?} {wish:?}"
                );
            }
        }
    }

    #[test]
    fn a_child_is_started_only_where_none_runs() {
        for state in STATES {
            for event in EVENTS {
                let (next, command) = step(state, event);
                let child_gone = matches!(
                    event,
                    Event::ChildStopped
                        | Event::ChildRetries(_)
                        | Event::ChildNeedsAuthorization
                        | Event::ChildCrashed
                );
                let starts = matches!(
                    command,
                    Command::Launch | Command::Discard | Command::DequeueAndDiscard
                );
                if starts {
                    assert!(
                        !has_child(state) || child_gone,
                        "{state:?} {event:?} starts a second"
                    );
                    assert!(has_child(next), "{state:?} {event:?}");
                }
            }
        }
    }

    #[test]
    fn a_running_transfer_is_told_how_it_is_cancelled() {
        for state in [State::Running, State::Stopping] {
            for wish in [Desired::Cancelled, Desired::CancelledResumable] {
                let (next, command) = step(state, Event::Want(wish));
                assert_eq!((next, command), (State::Cancelling, Command::Tell(wish)));
            }
        }
    }

    #[test]
    fn what_has_ended_never_moves_again() {
        for event in EVENTS {
            assert_eq!(step(State::Ended, event), (State::Ended, Command::None));
        }
    }

    #[test]
    fn a_cancelled_task_ends_whatever_its_child_does() {
        for event in EVENTS {
            let (next, _) = step(State::Cancelling, event);
            assert!(
                matches!(next, State::Cancelling | State::Ended),
                "{event:?}"
            );
        }
    }

    #[test]
    fn stop_then_run_again_before_the_child_stopped_leads_back_to_running() {
        let (state, command) = step(State::Stopping, Event::Want(Desired::Running));
        assert_eq!(
            (state, command),
            (State::Running, Command::Tell(Desired::Running))
        );
        assert_eq!(
            step(state, Event::ChildStopped),
            (State::Queued, Command::Enqueue)
        );
    }

    #[test]
    fn a_held_task_queues_when_its_wait_may_be_over_and_not_before() {
        for held in [Hold::NotBefore(AT), UNMET] {
            let state = State::Held(held);
            assert_eq!(
                step(State::Queued, Event::Held(held)),
                (state, Command::Dequeue)
            );
            for event in EVENTS {
                let may_be_over = matches!(event, Event::TimerDue | Event::ConditionsChanged);
                let (next, _) = step(state, event);
                assert_eq!(next == State::Queued, may_be_over, "{event:?}");
            }
        }
    }

    #[test]
    fn a_running_task_whose_condition_breaks_stops_and_is_queued_to_be_held() {
        let (state, command) = step(State::Running, Event::Held(UNMET));
        assert_eq!(
            (state, command),
            (State::Running, Command::Tell(Desired::Suspended))
        );
        assert_eq!(
            step(state, Event::ChildStopped),
            (State::Queued, Command::Enqueue)
        );
    }

    #[test]
    fn only_its_owner_lets_an_awaited_task_begin() {
        for event in EVENTS {
            let (next, _) = step(State::AwaitingBegin, event);
            assert_eq!(next == State::Queued, event == Event::Begin, "{event:?}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_moves_delays_and_nothing_else() {
        for state in STATES {
            let (next, _) = step(state, Event::ClockSetBack(BY));
            match state {
                State::Waiting(at) => assert_eq!(next, State::Waiting(at.before(BY))),
                State::Queued
                | State::Running
                | State::Stopping
                | State::Cancelling
                | State::Held(_)
                | State::AwaitingBegin
                | State::AwaitingAuthorization
                | State::Suspended
                | State::Ended => assert_eq!(next, state),
            }
        }
    }
}
