//! What every actor of one engine shares: places, clock, edges.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::attachment::Attachments;
use crate::blocks::Blocks;
use crate::capabilities::Capabilities;
use crate::child::Place;
use crate::desktop::Desktop;
use crate::intake::Intake;
use crate::net::Dial;
use crate::refresh::Refresh;
use crate::scheduling::Scheduling;
use crate::time::Clock;

/// Makes the way to the network for the arbiter that calls it.
pub(crate) type MakeDial = Arc<dyn Fn() -> Rc<dyn Dial> + Send + Sync>;

/// What every actor of one engine shares.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    /// The directory that the engine owns.
    pub(crate) state_dir: Arc<Path>,
    /// The store's file.
    pub(crate) store_path: Arc<Path>,
    /// For part files whose target's directory takes none.
    pub(crate) parts_dir: Arc<Path>,
    pub(crate) registry_place: Place,
    worker_places: Arc<[Place]>,
    next_worker: Arc<AtomicUsize>,
    pub(crate) make_dial: MakeDial,
    pub(crate) blocks: Blocks,
    pub(crate) intake: Intake,
    pub(crate) attachments: Attachments,
    pub(crate) refresh: Refresh,
    pub(crate) desktop: Desktop,
    /// A damaged store is put aside and made anew when the engine starts.
    pub(crate) recreates_store: bool,
    /// Every session goes on when the engine starts, opened or not.
    pub(crate) resumes_sessions: bool,
    pub(crate) scheduling: Scheduling,
    /// What the servers of uploads were seen to support.
    pub(crate) capabilities: Capabilities,
}

/// A worker, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worker(pub(crate) usize);

/// What a world is made of.
pub(crate) struct WorldParts {
    pub(crate) clock: Clock,
    pub(crate) state_dir: PathBuf,
    pub(crate) store_path: PathBuf,
    pub(crate) parts_dir: PathBuf,
    pub(crate) registry_place: Place,
    pub(crate) worker_places: Vec<Place>,
    pub(crate) make_dial: MakeDial,
}

impl World {
    pub(crate) fn new(parts: WorldParts) -> Self {
        assert!(
            !parts.worker_places.is_empty(),
            "somebody must move the bytes"
        );
        Self {
            clock: parts.clock,
            state_dir: parts.state_dir.into(),
            store_path: parts.store_path.into(),
            parts_dir: parts.parts_dir.into(),
            registry_place: parts.registry_place,
            worker_places: parts.worker_places.into(),
            next_worker: Arc::default(),
            make_dial: parts.make_dial,
            blocks: Blocks::default(),
            intake: Intake::default(),
            attachments: Attachments::default(),
            refresh: Refresh::default(),
            desktop: Desktop::default(),
            recreates_store: false,
            resumes_sessions: false,
            scheduling: Scheduling::new(None, None),
            capabilities: Capabilities::new(parts.clock),
        }
    }

    /// The same with other limits and another source of conditions.
    pub(crate) fn with_scheduling(self, scheduling: Scheduling) -> Self {
        Self { scheduling, ..self }
    }

    /// Where the next transfer runs: the workers in turn.
    pub(crate) fn next_worker(&self) -> Worker {
        let turn = self.next_worker.fetch_add(1, Ordering::Relaxed);
        Worker(turn % self.worker_places.len())
    }

    /// The place of a worker.
    pub(crate) fn place_of(&self, Worker(number): Worker) -> &Place {
        &self.worker_places[number]
    }
}
