//! Connections that wait for another request to the same origin.

use std::{cell::RefCell, collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::{
    request::Origin,
    wire::{Glance, Wire},
};

/// Longest time a connection waits. Servers close idle ones after 15 to 75 s; a request on one that
/// is being closed is lost.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(15);

/// Most connections that wait per origin: as many as jobs run against one host at once.
pub(super) const IDLE_PER_ORIGIN_MAX: usize = 16;

/// Most connections that wait altogether: each is an open file.
pub(super) const IDLE_TOTAL_MAX: usize = 64;

struct Idle {
    wire: Wire,
    since: Instant,
}

/// The waiting connections of one client. Nothing watches them: the time and their state are
/// checked when one is wanted or one comes back.
#[derive(Default)]
pub(super) struct Pool {
    idle: RefCell<HashMap<Origin, Vec<Idle>>>,
}

impl Pool {
    /// Takes out the connection to `origin` that waits for the shortest time and is still usable.
    pub(super) fn take(&self, origin: &Origin) -> Option<Wire> {
        let mut idle = self.idle.borrow_mut();
        forget_old(&mut idle);
        let waiting = idle.get_mut(origin)?;
        let usable = std::iter::from_fn(|| waiting.pop())
            .map(|found| found.wire)
            .find_map(|mut wire| (wire.glance() == Glance::Silence).then_some(wire));
        if waiting.is_empty() {
            idle.remove(origin);
        }
        usable
    }

    /// Keeps a connection whose last response was read to its end.
    pub(super) fn put(&self, origin: Origin, mut wire: Wire) {
        wire.inbox.release();
        let mut idle = self.idle.borrow_mut();
        forget_old(&mut idle);
        let total: usize = idle.values().map(Vec::len).sum();
        let waiting = idle.entry(origin).or_default();
        if total < IDLE_TOTAL_MAX && waiting.len() < IDLE_PER_ORIGIN_MAX {
            let since = Instant::now();
            waiting.push(Idle { wire, since });
        }
    }

    /// How many connections wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.idle.borrow().values().map(Vec::len).sum()
    }
}

fn forget_old(idle: &mut HashMap<Origin, Vec<Idle>>) {
    let now = Instant::now();
    idle.retain(|_, waiting| {
        waiting.retain(|found| now.duration_since(found.since) <= IDLE_MAX);
        !waiting.is_empty()
    });
}
