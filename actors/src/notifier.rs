//! The actor that tells: it hands committed facts and news to those who listen, calls the app of a
//! session that nobody listens to, and has a person told.

mod calls;
mod notices;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use actix::{Actor, AsyncContext, Context, Handler, Message, SpawnHandle, WrapFuture};
use longhaul_engine::download::News;
use longhaul_engine::event::{Event, NumberedFact};
use longhaul_engine::id::{Sequence, SessionId, TaskId};

use crate::fault;
use crate::feed::{FACTS_MAX, Feed, Reader};
use crate::registry::{ReadFacts, RegistryActor};
use crate::slot::SlotRef;
use crate::world::World;

pub(crate) use calls::{CallApp, CompleteRefresh, Reschedule};
pub(crate) use notices::{FinishNotices, tell_person};

/// Who listens to which session. It outlives the actor, so that a new one finds its subscribers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscribers(Arc<Mutex<Listeners>>);

#[derive(Debug, Default)]
struct Listeners {
    sessions: HashMap<SessionId, Vec<Weak<Feed>>>,
    /// The engine has stopped: who comes now hears the end at once.
    is_over: bool,
}

impl Subscribers {
    pub(crate) fn add(&self, session: &SessionId, feed: &Arc<Feed>) {
        let mut listeners = self.lock();
        if listeners.is_over {
            return feed.end();
        }
        listeners
            .sessions
            .entry(session.clone())
            .or_default()
            .push(Arc::downgrade(feed));
    }

    /// Ends every feed: the engine has stopped.
    pub(crate) fn end(&self) {
        let mut listeners = self.lock();
        listeners.is_over = true;
        let sessions = std::mem::take(&mut listeners.sessions);
        for feed in sessions
            .into_values()
            .flatten()
            .filter_map(|feed| feed.upgrade())
        {
            feed.end();
        }
    }

    /// Ends the feeds of a session that is no more.
    pub(crate) fn end_session(&self, session: &SessionId) {
        let feeds = self.lock().sessions.remove(session);
        for feed in feeds
            .into_iter()
            .flatten()
            .filter_map(|feed| feed.upgrade())
        {
            feed.end();
        }
    }

    /// Calls `tell` with every live feed of a session and forgets the dead ones.
    fn each(&self, session: &SessionId, mut tell: impl FnMut(&Feed)) {
        let mut listeners = self.lock();
        let Some(feeds) = listeners.sessions.get_mut(session) else {
            return;
        };
        feeds.retain(|feed| match feed.upgrade() {
            Some(feed) => {
                tell(&feed);
                true
            }
            None => false,
        });
        if feeds.is_empty() {
            listeners.sessions.remove(session);
        }
    }

    /// Whether the owner of this session listens to it. Who looks on does not count.
    pub(crate) fn has_owner(&self, session: &SessionId) -> bool {
        let is_owners = |feed: Arc<Feed>| feed.reader() == Reader::Owner;
        self.lock()
            .sessions
            .get(session)
            .is_some_and(|feeds| feeds.iter().filter_map(Weak::upgrade).any(is_owners))
    }

    fn all_fall_behind(&self) {
        let listeners = self.lock();
        for feed in listeners
            .sessions
            .values()
            .flatten()
            .filter_map(Weak::upgrade)
        {
            feed.fall_behind();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Listeners> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One per engine, on the control arbiter. It keeps nothing that can not be lost: facts lie in the
/// store, and every subscriber notices a gap in their numbers.
pub(crate) struct NotifierActor {
    subscribers: Subscribers,
    registry: SlotRef<RegistryActor>,
    world: World,
    /// The timer of the first call that is due.
    call_timer: Option<SpawnHandle>,
    /// Sessions whose app may be called, and whose facts are read to know whether it must.
    looking: HashSet<SessionId>,
}

impl NotifierActor {
    pub(crate) fn new(
        subscribers: Subscribers,
        registry: SlotRef<RegistryActor>,
        world: World,
    ) -> Self {
        Self {
            subscribers,
            registry,
            world,
            call_timer: None,
            looking: HashSet::new(),
        }
    }
}

impl Actor for NotifierActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        fault::point("notifier.started");
        // What an earlier incarnation was told and did not pass on is in the store.
        self.subscribers.all_fall_behind();
        self.set_call_timer(context);
    }
}

/// These facts were committed. A hint: a lost one is noticed by its number.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Committed(pub(crate) Vec<(SessionId, NumberedFact)>);

impl Handler<Committed> for NotifierActor {
    type Result = ();

    fn handle(&mut self, Committed(facts): Committed, _: &mut Self::Context) {
        fault::point("notifier.committed");
        for (session, fact) in &facts {
            self.subscribers.each(session, |feed| feed.put_fact(fact));
        }
        fault::point("notifier.told");
    }
}

/// A task has news. A hint.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct TaskNews {
    pub(crate) session: SessionId,
    pub(crate) task: TaskId,
    pub(crate) news: News,
}

impl Handler<TaskNews> for NotifierActor {
    type Result = ();

    fn handle(&mut self, message: TaskNews, _: &mut Self::Context) {
        fault::point("notifier.news");
        let task = message.task;
        let event = match message.news {
            News::Progress(progress) => Event::Progress { task, progress },
            News::Phase(phase) => Event::PhaseChanged { task, phase },
            News::Negotiated(negotiated) => Event::Negotiated { task, negotiated },
            News::Resumed(progress) => Event::Resumed {
                task,
                held_bytes: progress.received_bytes.max(progress.acknowledged_bytes),
                total_bytes: progress.total_bytes,
            },
        };
        self.subscribers
            .each(&message.session, |feed| feed.put_news(event.clone()));
    }
}

/// A subscriber has read what it had and knows that there is more. A lost one is asked again when
/// the next incarnation starts.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Refill {
    pub(crate) session: SessionId,
    pub(crate) after: Sequence,
    pub(crate) feed: Arc<Feed>,
}

impl Handler<Refill> for NotifierActor {
    type Result = ();

    fn handle(&mut self, message: Refill, context: &mut Self::Context) {
        fault::point("notifier.refill");
        let registry = self.registry.clone();
        let read = async move {
            let Refill {
                session,
                after,
                feed,
            } = message;
            fault::point("notifier.reading");
            let ask = || ReadFacts {
                session: session.clone(),
                after,
                limit: FACTS_MAX,
            };
            let answer = registry.call(ask).await;
            fault::point("notifier.refilled");
            match answer {
                Ok(Ok(facts)) => feed.refill(&facts, facts.len() < FACTS_MAX),
                // The store is being reopened; the new notifier makes every feed ask again.
                Ok(Err(_)) | Err(_) => feed.fall_behind(),
            }
        };
        context.spawn(read.into_actor(self));
    }
}
