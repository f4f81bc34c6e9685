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
        let seen_at = self.clock.now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let origin = origin(url);
        if known.len() >= CAPABILITIES_MAX && !known.contains_key(&origin) {
            known.retain(|_, known| is_fresh(known, seen_at));
            let oldest = known.iter().min_by_key(|(_, known)| known.seen_at);
            if let Some(oldest) = oldest.map(|(origin, _)| origin.clone())
                && known.len() >= CAPABILITIES_MAX
            {
                known.remove(&oldest);
            }
        }
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

#[cfg(test)]
mod tests {
    use longhaul_engine::safe_url::parse_http_url;
    use tokio::time::Instant;

    use super::*;
    use crate::tests::bench::virtual_time;
    use crate::time::Shift;

    fn url(text: &str) -> HttpUrl {
        parse_http_url(text).expect("a url").url
    }

    fn capabilities() -> (Capabilities, &'static Shift) {
        let shift: &'static Shift = Box::leak(Box::default());
        let clock = Clock::Runtime {
            base: Timestamp::from_unix_ms(1_800_000_000_000),
            origin: Instant::now(),
            shift,
        };
        (Capabilities::new(clock), shift)
    }

    fn lifetime_ms() -> i64 {
        i64::try_from(CAPABILITY_LIFETIME.as_millis()).expect("a day")
    }

    const IETF: Capability = Capability::IetfInterim { interop: 6 };

    #[test]
    fn what_an_origin_supports_is_known_for_every_url_of_it_and_for_no_other() {
        virtual_time(async {
            let (capabilities, _) = capabilities();
            capabilities.remember(&url("http://a.test/files?x=1"), IETF);
            let table = [
                ("http://a.test/", true),
                ("http://a.test:80/other", true),
                ("http://A.TEST/", true),
                ("https://a.test/", false),
                ("http://a.test:8080/", false),
                ("http://b.test/", false),
                ("http://sub.a.test/", false),
            ];
            for (text, is_known) in table {
                let found = capabilities.clone().of(&url(text));
                assert_eq!(found, is_known.then_some(IETF), "{text}");
            }
            capabilities.remember(&url("http://a.test/"), Capability::Plain);
            let newest = capabilities.of(&url("http://a.test/files"));
            assert_eq!(newest, Some(Capability::Plain), "the newest word counts");
        });
    }

    #[test]
    fn what_was_seen_a_day_ago_is_not_believed() {
        virtual_time(async {
            let (capabilities, clock) = capabilities();
            let here = url("http://a.test/");
            capabilities.remember(&here, IETF);
            clock.set(lifetime_ms() - 1);
            assert_eq!(capabilities.of(&here), Some(IETF));
            clock.set(1);
            assert_eq!(capabilities.of(&here), None);
            capabilities.remember(&here, IETF);
            assert_eq!(capabilities.of(&here), Some(IETF));
        });
    }

    #[test]
    fn the_origin_that_was_seen_longest_ago_makes_room() {
        virtual_time(async {
            let (capabilities, clock) = capabilities();
            let numbered = |number: usize| url(&format!("http://h{number}.test/"));
            for number in 0..CAPABILITIES_MAX {
                capabilities.remember(&numbered(number), IETF);
                clock.set(1000);
            }
            capabilities.remember(&numbered(0), IETF);
            clock.set(1000);
            capabilities.remember(&numbered(CAPABILITIES_MAX), IETF);
            let is_known = |number| capabilities.of(&numbered(number)).is_some();
            assert!(!is_known(1), "the oldest");
            assert!((2..=CAPABILITIES_MAX).all(is_known) && is_known(0));
            // All that is too old makes room at once.
            clock.set(lifetime_ms());
            capabilities.remember(&numbered(7), IETF);
            capabilities.remember(&numbered(CAPABILITIES_MAX + 1), IETF);
            let known = capabilities.known.lock().expect("no panic");
            assert_eq!(known.len(), 2);
        });
    }
}
