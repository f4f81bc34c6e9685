//! When the app of a session that is away should be called.

use actix::{Handler, Message};
use longhaul_engine::launch::LaunchReason;
use longhaul_engine::lifecycle::State;

use super::SessionActor;
use crate::fault;
use crate::notifier::CallApp;

/// The app of the session has gone: it is called if it has left something. A hint: the next
/// incarnation begins with the past.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct AppHasGone;

impl Handler<AppHasGone> for SessionActor {
    type Result = ();

    fn handle(&mut self, _: AppHasGone, _: &mut Self::Context) {
        self.call_app_for_the_past();
    }
}

impl SessionActor {
    /// A task went from one state to another: its app may have to know.
    pub(super) fn may_call_app(&mut self, from: State, to: State) {
        match (from, to) {
            (State::Ended, _) => {}
            (_, State::Ended) => {
                self.live -= 1;
                if self.live == 0 {
                    self.call_app(LaunchReason::Drained);
                }
            }
            (State::AwaitingAuthorization, _) => {}
            (_, State::AwaitingAuthorization) => {
                self.call_app(LaunchReason::AuthorizationRequired);
            }
            _ => {}
        }
    }

    /// What an earlier process did not come to tell, or one that has gone did not take care of.
    pub(super) fn call_app_for_the_past(&self) {
        let awaits = |entry: &super::Entry| entry.state == State::AwaitingAuthorization;
        if self.tasks.values().any(awaits) {
            self.call_app(LaunchReason::AuthorizationRequired);
        } else if self.live == 0 && !self.tasks.is_empty() {
            self.call_app(LaunchReason::Drained);
        }
    }

    /// Asks the notifier, which knows whether anybody is there and what the budget allows.
    fn call_app(&self, reason: LaunchReason) {
        if !self.parts.rules.session_sends_launch_events {
            return;
        }
        fault::point("session.call_app");
        let notifier = self.parts.notifier.clone();
        let session = self.parts.id.clone();
        actix_rt::spawn(async move {
            let make = || CallApp {
                session: session.clone(),
                reason,
            };
            // Without a notifier the engine has stopped; the next one begins with the past.
            let _ = notifier.call(make).await;
        });
    }
}
