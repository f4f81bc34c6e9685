//! What every actor of one engine shares: places, clock, edges.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::attachment::Attachments;
use crate::blocks::Blocks;
use crate::child::Place;
use crate::net::Dial;
use crate::scheduling::Scheduling;
use crate::time::Clock;

/// Makes the way to the network for the arbiter that calls it.
pub(crate) type MakeDial = Arc<dyn Fn() -> Rc<dyn Dial> + Send + Sync>;

/// What every actor of one engine shares.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    /// The store's file.
    pub(crate) store_path: PathBuf,
    /// For part files whose target's directory takes none.
    pub(crate) parts_dir: PathBuf,
    pub(crate) registry_place: Place,
    worker_places: Arc<[Place]>,
    next_worker: Arc<AtomicUsize>,
    pub(crate) make_dial: MakeDial,
    pub(crate) blocks: Blocks,
    pub(crate) attachments: Attachments,
    pub(crate) scheduling: Scheduling,
}

/// What a world is made of.
pub(crate) struct WorldParts {
    pub(crate) clock: Clock,
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
            store_path: parts.store_path,
            parts_dir: parts.parts_dir,
            registry_place: parts.registry_place,
            worker_places: parts.worker_places.into(),
            next_worker: Arc::default(),
            make_dial: parts.make_dial,
            blocks: Blocks::default(),
            attachments: Attachments::default(),
            scheduling: Scheduling::new(None, None),
        }
    }

    /// The same with other limits and another source of conditions.
    pub(crate) fn with_scheduling(self, scheduling: Scheduling) -> Self {
        Self { scheduling, ..self }
    }

    /// The place of the next transfer: the workers in turn.
    pub(crate) fn next_worker(&self) -> &Place {
        let turn = self.next_worker.fetch_add(1, Ordering::Relaxed);
        &self.worker_places[turn % self.worker_places.len()]
    }
}
