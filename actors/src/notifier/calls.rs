//! Calling the app of a session that nobody listens to, within its budget.

use std::time::Duration;

use actix::{
    ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseActFuture, WrapFuture,
};
use longhaul_engine::id::{Sequence, SessionId};
use longhaul_engine::launch::LaunchReason;
use longhaul_engine::time::Timestamp;
use longhaul_persistence::Change;

use super::NotifierActor;
use crate::fault;
use crate::local::CallError;
use crate::refresh::{Call, Calls};
use crate::registry::{Apply, ReadFacts, ReadLaunches, RegistryActor};
use crate::slot::SlotRef;

/// Time that an app which has just opened its session gets to attach its delegate.
const GRACE: Duration = Duration::from_secs(1);

/// A session has drained or wants authorization. Harmless to repeat: wishes are coalesced.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct CallApp {
    pub(crate) session: SessionId,
    pub(crate) reason: LaunchReason,
}

impl Handler<CallApp> for NotifierActor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(
        &mut self,
        CallApp { session, reason }: CallApp,
        _: &mut Self::Context,
    ) -> Self::Result {
        fault::point("notifier.call_app");
        let registry = self.registry.clone();
        let is_known = self.world.refresh.lock().logs.contains_key(&session);
        let read = async move {
            if is_known {
                return (session, None);
            }
            fault::point("notifier.reading_launches");
            let log = registry.call(|| ReadLaunches(session.clone())).await;
            // A budget that can not be read is a fresh one: better called than forgotten.
            (session, log.ok().and_then(Result::ok))
        };
        Box::pin(
            read.into_actor(self)
                .map(move |(session, log), actor, context| {
                    {
                        let mut state = actor.world.refresh.lock();
                        let calls = state.logs.entry(session).or_insert_with(|| Calls {
                            log: log.unwrap_or_default(),
                            ..Calls::default()
                        });
                        calls.log.want(reason);
                        calls.not_before = actor.world.clock.now().after(GRACE);
                    }
                    actor.set_call_timer(context);
                }),
        )
    }
}

/// The app has handled the events of a session.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), CallError>")]
pub(crate) struct CompleteRefresh {
    pub(crate) session: SessionId,
    pub(crate) number: u64,
}

impl Handler<CompleteRefresh> for NotifierActor {
    type Result = ResponseActFuture<Self, Result<(), CallError>>;

    fn handle(&mut self, message: CompleteRefresh, context: &mut Self::Context) -> Self::Result {
        fault::point("notifier.complete_refresh");
        let CompleteRefresh { session, number } = message;
        let change = {
            let mut state = self.world.refresh.lock();
            let calls = state.logs.entry(session.clone()).or_default();
            let is_repeated = calls.completed == number;
            if !is_repeated && (calls.number != number || !calls.log.complete()) {
                return Box::pin(
                    std::future::ready(Err(CallError::RefreshExpired)).into_actor(self),
                );
            }
            calls.completed = number;
            put_launches(&session, calls)
        };
        self.set_call_timer(context);
        let registry = self.registry.clone();
        let store = async move {
            fault::point("notifier.completing");
            let stored = registry.call(|| Apply(vec![change.clone()])).await;
            let has_facts = has_facts(&registry, &session).await == Some(true);
            (session, has_facts, stored.map(drop))
        };
        Box::pin(store.into_actor(self).map(|(session, has_facts, stored), actor, context| {
            if has_facts && !actor.is_somebody_there(&session) {
                tracing::warn!(%session, "a refresh task was completed, and events are not handled");
                let mut state = actor.world.refresh.lock();
                if let Some(calls) = state.logs.get_mut(&session) {
                    calls.log.want(LaunchReason::Drained);
                }
                drop(state);
                actor.set_call_timer(context);
            }
            stored.map_err(|_| CallError::Stopped { reason: None })
        }))
    }
}

/// Somebody waits for refresh tasks now, or the app came to the foreground: look again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Reschedule;

impl Handler<Reschedule> for NotifierActor {
    type Result = ();

    fn handle(&mut self, _: Reschedule, context: &mut Self::Context) {
        fault::point("notifier.reschedule");
        self.set_call_timer(context);
    }
}

impl NotifierActor {
    /// Whether an app listens to its session, as a delegate or to its events.
    fn is_somebody_there(&self, session: &SessionId) -> bool {
        self.world.attachments.is_attached(session) || self.subscribers.has_owner(session)
    }

    /// Sets the timer for the first thing that is due. Without anybody who takes refresh tasks the
    /// calls wait.
    pub(super) fn set_call_timer(&mut self, context: &mut Context<Self>) {
        if let Some(timer) = self.call_timer.take() {
            context.cancel_future(timer);
        }
        let listeners = self.world.refresh.listeners();
        let due = |(at, caller): (Timestamp, Option<SessionId>)| match caller {
            Some(session) => listeners.take(&session).then_some(at),
            None => Some(at),
        };
        let due = self.dues().into_iter().filter_map(due).min();
        let Some(due) = due else { return };
        let clock = self.world.clock;
        let is_due = async move { clock.wait(due).await };
        let call = is_due.into_actor(self).map(|(), actor, context| {
            actor.call_apps(context);
        });
        self.call_timer = Some(context.spawn(call));
    }

    /// When something is to be done about each session; with its name when that is a call.
    fn dues(&self) -> Vec<(Timestamp, Option<SessionId>)> {
        let state = self.world.refresh.lock();
        let due = |(session, calls): (&SessionId, &Calls)| match calls.log.due(&state.rules) {
            Some(expiry) if calls.log.is_open() => Some((expiry, None)),
            Some(_) if self.looking.contains(session) => None,
            Some(due) => Some((due.max(calls.not_before), Some(session.clone()))),
            None => None,
        };
        state.logs.iter().filter_map(due).collect()
    }

    /// Sees to every app whose time has come, and takes back what has expired.
    fn call_apps(&mut self, context: &mut Context<Self>) {
        fault::point("notifier.call_apps");
        self.call_timer = None;
        let now = self.world.clock.now();
        let listeners = self.world.refresh.listeners();
        let sessions: Vec<SessionId> = self.world.refresh.lock().logs.keys().cloned().collect();
        for session in sessions {
            let is_there = self.is_somebody_there(&session);
            let (has_expired, is_due) = {
                let mut state = self.world.refresh.lock();
                let rules = state.rules;
                let Some(calls) = state.logs.get_mut(&session) else {
                    continue;
                };
                let has_expired = calls.log.expire(now);
                if has_expired {
                    tracing::warn!(%session, "a refresh task expired; its app is called again");
                }
                if is_there {
                    calls.log.unwant();
                }
                let is_allowed = calls.log.due(&rules).is_some_and(|due| due <= now);
                let is_due = is_allowed && !calls.log.is_open() && calls.not_before <= now;
                (has_expired, is_due)
            };
            if has_expired {
                self.world.refresh.withdraw(&session);
            }
            if is_due && listeners.take(&session) {
                self.look(session, context);
            }
        }
        self.set_call_timer(context);
    }

    /// Calls an app if there is something to call it for: it may have heard everything meanwhile.
    fn look(&mut self, session: SessionId, context: &mut Context<Self>) {
        if !self.looking.insert(session.clone()) {
            return;
        }
        let registry = self.registry.clone();
        let read = async move {
            fault::point("notifier.looking");
            // What can not be read is better called for than forgotten.
            let has_facts = has_facts(&registry, &session).await != Some(false);
            (session, has_facts)
        };
        let launch = read
            .into_actor(self)
            .map(|(session, has_facts), actor, context| {
                actor.looking.remove(&session);
                actor.launch(&session, has_facts, context);
                actor.set_call_timer(context);
            });
        context.spawn(launch);
    }

    fn launch(&self, session: &SessionId, has_facts: bool, context: &mut Context<Self>) {
        let is_there = self.is_somebody_there(session);
        let now = self.world.clock.now();
        let mut state = self.world.refresh.lock();
        let rules = state.rules;
        let number = state.next_number();
        let Some(calls) = state.logs.get_mut(session) else {
            return;
        };
        if is_there {
            calls.log.unwant();
        } else if !has_facts {
            calls.log.unwant_drained();
        }
        let Some(reason) = calls.log.launch(now, &rules) else {
            return;
        };
        calls.number = number;
        let call = Call {
            session: session.clone(),
            reason,
            number,
            expires_at: now.after(rules.expiry),
        };
        let change = put_launches(session, calls);
        drop(state);
        self.hand_out(call, change, context);
    }

    /// Records the call, then hands it to the app: a budget that a crash forgets is none.
    fn hand_out(&self, call: Call, change: Change, context: &mut Context<Self>) {
        let registry = self.registry.clone();
        let refresh = self.world.refresh.clone();
        let store = async move {
            fault::point("notifier.handing_out");
            // A session that is gone by now refuses it; the app finds that out when it opens it.
            let _ = registry.call(|| Apply(vec![change.clone()])).await;
            refresh.put(call);
        };
        context.spawn(store.into_actor(self));
    }
}

/// Whether facts of the session wait to be acknowledged; `None` when that can not be read.
async fn has_facts(registry: &SlotRef<RegistryActor>, session: &SessionId) -> Option<bool> {
    let ask = || ReadFacts {
        session: session.clone(),
        after: Sequence::default(),
        limit: 1,
    };
    let facts = registry.call(ask).await.ok()?.ok()?;
    Some(!facts.is_empty())
}

fn put_launches(session: &SessionId, calls: &Calls) -> Change {
    Change::PutLaunches {
        session: session.clone(),
        log: Box::new(calls.log.clone()),
    }
}
