//! What the servers of uploads were seen to support, remembered for their origins.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use longhaul_engine::limits::{CAPABILITIES_MAX, CAPABILITY_LIFETIME};
use longhaul_engine::safe_url::HttpUrl;
use longhaul_engine::time::Timestamp;
use longhaul_engine::upload::Capability;

use crate::time::Clock;

/// Scheme, host and port of a URL.
type Origin = (bool, String, u16);

/// Shared by all sessions of one engine, for as long as it lives: what is forgotten costs a request.
#[derive(Clone)]
pub(crate) struct Capabilities {
    clock: Clock,
    known: Arc<Mutex<HashMap<Origin, Known>>>,
}

struct Known {
    capability: Capability,
    seen_at: Timestamp,
}

impl Capabilities {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            known: Arc::default(),
        }
    }

    /// What the origin of `url` was seen to support lately.
    pub(crate) fn of(&self, url: &HttpUrl) -> Option<Capability> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.get(&origin(url))?;
        is_fresh(found, self.clock.now()).then(|| found.capability.clone())
    }

    /// Remembers what the origin of `url` supports; the origin that was seen longest ago makes room.
    pub(crate) fn remember(&self, url: &HttpUrl, capability: Capability) {
        let now = self.clock.now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = origin(url);
        if known.len() >= CAPABILITIES_MAX && !known.contains_key(&origin) {
            known.retain(|_, known| is_fresh(known, now));
            let oldest = known.iter().min_by_key(|(_, known)| known.seen_at);
            if let Some(oldest) = oldest.map(|(origin, _)| origin.clone())
                && known.len() >= CAPABILITIES_MAX
            {
                known.remove(&oldest);
            }
        }
        let seen_at = now;
        known.insert(
            origin,
            Known {
                capability,
                seen_at,
            },
        );
    }
}

fn origin(url: &HttpUrl) -> Origin {
    (url.is_https(), url.host().to_owned(), url.port())
}

fn is_fresh(known: &Known, now: Timestamp) -> bool {
    now.since(known.seen_at) < CAPABILITY_LIFETIME
}
