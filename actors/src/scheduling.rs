//! What decides for a whole engine when and how fast tasks run; it outlives every actor.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longhaul_engine::conditions::ConditionSource;
use longhaul_engine::id::SessionId;
use longhaul_engine::places::Places;
use longhaul_engine::task::TaskOptions;
use tokio::sync::Notify;

use crate::conditions::Surroundings;
use crate::limiter::Limiter;

/// What decides for a whole engine when and how fast tasks run.
#[derive(Clone)]
pub(crate) struct Scheduling {
    pub(crate) surroundings: Surroundings,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) places: SharedPlaces,
    is_background: Arc<AtomicBool>,
}

impl Scheduling {
    /// At most `tasks_max` tasks at once, and the conditions that `source` tells.
    pub(crate) fn new(tasks_max: Option<u32>, source: Option<Box<dyn ConditionSource>>) -> Self {
        Self {
            surroundings: Surroundings::new(source),
            limiter: Arc::new(Limiter::new(None)),
            places: SharedPlaces::new(tasks_max),
            is_background: Arc::default(),
        }
    }

    /// The app is in the background now, or is not any more.
    pub(crate) fn set_background(&self, is_background: bool) {
        self.is_background.store(is_background, Ordering::Relaxed);
    }

    /// A task that is started in the background is discretionary, as in Apple's sessions.
    pub(crate) fn take_background(&self, options: &mut TaskOptions) {
        options.is_discretionary |= self.is_background.load(Ordering::Relaxed);
    }
}

/// The places of an engine, shared by its sessions.
#[derive(Clone)]
pub(crate) struct SharedPlaces(Arc<Mutex<Shared>>);

struct Shared {
    /// `None` without a limit.
    places: Option<Places>,
    bells: BTreeMap<SessionId, Arc<Notify>>,
}

/// A session's place in the line for places. Dropping it leaves the line.
pub(crate) struct PlaceLine {
    places: SharedPlaces,
    session: SessionId,
    bell: Arc<Notify>,
}

/// One place of an engine, free again when it is dropped.
pub(crate) struct Place(Option<SharedPlaces>);

impl SharedPlaces {
    fn new(tasks_max: Option<u32>) -> Self {
        Self(Arc::new(Mutex::new(Shared {
            places: tasks_max.map(Places::new),
            bells: BTreeMap::new(),
        })))
    }

    /// How a session takes places.
    pub(crate) fn line(&self, session: &SessionId) -> PlaceLine {
        let bell = Arc::new(Notify::new());
        self.lock().bells.insert(session.clone(), Arc::clone(&bell));
        PlaceLine {
            places: self.clone(),
            session: session.clone(),
            bell,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Rings for every session that could take a place now.
    fn ring(&self) {
        for session in self.places.iter().flat_map(Places::called) {
            if let Some(bell) = self.bells.get(session) {
                bell.notify_one();
            }
        }
    }
}

impl PlaceLine {
    /// Takes a place. When there is none, the session waits in line until its bell rings.
    pub(crate) fn take(&self) -> Option<Place> {
        match &mut self.places.lock().places {
            None => Some(Place(None)),
            Some(places) => places
                .take(&self.session)
                .then(|| Place(Some(self.places.clone()))),
        }
    }

    /// Whether sessions wait for each other's places at all.
    pub(crate) fn is_limited(&self) -> bool {
        self.places.lock().places.is_some()
    }

    /// Has no task for a place; the next one in line may take it.
    pub(crate) fn leave(&self) {
        let mut shared = self.places.lock();
        if let Some(places) = &mut shared.places {
            places.leave(&self.session);
            shared.ring();
        }
    }

    /// Whether every place of the engine is taken.
    pub(crate) fn is_full(&self) -> bool {
        let shared = self.places.lock();
        shared.places.as_ref().is_some_and(Places::is_full)
    }

    /// Rings when the session should try again.
    pub(crate) fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }
}

impl Drop for PlaceLine {
    fn drop(&mut self) {
        let is_own = self
            .places
            .lock()
            .bells
            .get(&self.session)
            .is_some_and(|bell| Arc::ptr_eq(bell, &self.bell));
        // Otherwise the session has begun anew already, and stands in line itself.
        if is_own {
            self.leave();
            self.places.lock().bells.remove(&self.session);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(places) = &self.0 {
            let mut shared = places.lock();
            if let Some(places) = &mut shared.places {
                places.release();
            }
            shared.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn line(places: &SharedPlaces, name: &str) -> PlaceLine {
        places.line(&SessionId::new(name).expect("a name"))
    }

    fn rings(line: &PlaceLine) -> bool {
        line.bell().notified().now_or_never().is_some()
    }

    #[test]
    fn a_free_place_rings_for_who_waits_longest() {
        let places = SharedPlaces::new(Some(1));
        let (a, b) = (line(&places, "a"), line(&places, "b"));
        let held = a.take();
        assert!(held.is_some() && a.take().is_none() && b.take().is_none());
        assert!(a.is_full() && !rings(&a) && !rings(&b));
        drop(held);
        assert!(rings(&a) && !rings(&b));
        assert!(b.take().is_none());
        a.leave();
        assert!(rings(&b));
        assert!(b.take().is_some());
    }

    #[test]
    fn a_session_that_ends_makes_room_in_the_line() {
        let places = SharedPlaces::new(Some(1));
        let (a, b) = (line(&places, "a"), line(&places, "b"));
        let held = a.take();
        assert!(a.take().is_none() && b.take().is_none());
        drop(a);
        drop(held);
        assert!(rings(&b));
    }

    #[test]
    fn without_a_limit_there_is_always_a_place() {
        let places = SharedPlaces::new(None);
        let line = line(&places, "a");
        let held: Vec<_> = (0..1000).map(|_| line.take()).collect();
        assert!(held.iter().all(Option::is_some) && !line.is_full());
    }
}
