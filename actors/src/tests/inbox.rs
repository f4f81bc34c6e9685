//! The uploading half of the server in memory: it takes bodies, as it is told to, and keeps them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Bytes of a body between two pauses.
const CHUNK_BYTES: usize = 64 * 1024;

/// How the server meets one request with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// It takes all of it and answers with this status.
    Takes(u16),
    /// It takes so many bytes, answers with this status, and reads no more.
    Early(usize, u16),
    /// It takes so many bytes, then the connection ends.
    Drops(usize),
    /// It takes so many bytes, and then neither takes nor says anything.
    Stalls(usize),
    /// It takes all of it, keeps it, and loses the answer.
    Forgets,
    /// It takes all of it and points elsewhere with this status.
    Points(u16, &'static str),
    /// It takes all of it and has no time, for so many seconds.
    Later(u64),
    /// It takes all of it and wants a password.
    Challenges,
    /// It takes all of it and wants this.
    Wants(&'static str),
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Its method.
    pub(super) method: String,
    /// The length that it declared.
    pub(super) declared: usize,
    /// What came of its body.
    pub(super) bytes: Vec<u8>,
    /// What was answered, if anything was.
    pub(super) status: Option<u16>,
    /// Its `Authorization`.
    pub(super) authorization: Option<String>,
}

#[derive(Default)]
struct Place {
    script: VecDeque<Meeting>,
    pause: Duration,
    arrivals: Vec<Arrival>,
    token: Option<String>,
}

/// Every place that takes uploads; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Inbox(Arc<Mutex<BTreeMap<String, Place>>>);

impl Inbox {
    /// Takes uploads at `http://AT`: as the script says, then all of them with 201. It rests for
    /// `pause` after each chunk.
    pub(super) fn open(&self, at: &str, pause: Duration, script: &[Meeting]) {
        let place = Place {
            script: script.iter().cloned().collect(),
            pause,
            arrivals: Vec::new(),
            token: None,
        };
        self.lock().insert(at.to_owned(), place);
    }

    /// Meets the next requests at this place as this script says, and all after it with 201.
    pub(super) fn script(&self, at: &str, script: &[Meeting]) {
        self.with(at, |place| place.script = script.iter().cloned().collect());
    }

    /// From now on a request at this place must show this token; one that does not is taken whole and
    /// asked for it.
    pub(super) fn protect(&self, at: &str, token: &str) {
        self.with(at, |place| place.token = Some(format!("Bearer {token}")));
    }

    /// Every request that came, in order.
    pub(super) fn arrivals(&self, at: &str) -> Vec<Arrival> {
        self.with(at, |place| place.arrivals.clone())
    }

    /// Whether uploads are taken at this place.
    pub(super) fn is_open(&self, at: &str) -> bool {
        self.lock().contains_key(at)
    }

    fn with<T>(&self, at: &str, look: impl FnOnce(&mut Place) -> T) -> T {
        let mut places = self.lock();
        look(
            places
                .get_mut(at)
                .unwrap_or_else(|| panic!("no inbox at {at}")),
        )
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Meets one request whose head has come; `false` when the connection is not to be used again.
    pub(super) async fn meet(&self, stream: &mut DuplexStream, at: &str, arrival: Arrival) -> bool {
        let declared = arrival.declared;
        let (meeting, pause, number) = self.with(at, |place| {
            let is_known = place.token.is_none() || place.token == arrival.authorization;
            let meeting = match is_known {
                true => place.script.pop_front().unwrap_or(Meeting::Takes(201)),
                false => Meeting::Wants("Bearer"),
            };
            place.arrivals.push(arrival);
            (meeting, place.pause, place.arrivals.len() - 1)
        });
        let most = match &meeting {
            Meeting::Early(most, _) | Meeting::Drops(most) | Meeting::Stalls(most) => *most,
            Meeting::Takes(_)
            | Meeting::Forgets
            | Meeting::Points(..)
            | Meeting::Later(_)
            | Meeting::Challenges
            | Meeting::Wants(_) => declared,
        };
        if !self
            .take(stream, at, number, most.min(declared), pause)
            .await
        {
            return false;
        }
        let (status, field) = match meeting {
            Meeting::Takes(status) | Meeting::Early(_, status) => (status, String::new()),
            Meeting::Drops(_) | Meeting::Forgets => return false,
            Meeting::Stalls(_) => {
                // Until whoever sends gives up.
                std::future::pending().await
            }
            Meeting::Points(status, to) => (status, format!("Location: {to}\r\n")),
            Meeting::Later(seconds) => (503, format!("Retry-After: {seconds}\r\n")),
            Meeting::Challenges => (401, "WWW-Authenticate: Basic realm=\"r\"\r\n".to_owned()),
            Meeting::Wants(offer) => (401, format!("WWW-Authenticate: {offer}\r\n")),
        };
        self.with(at, |place| place.arrivals[number].status = Some(status));
        let answer = format!("HTTP/1.1 {status} Met\r\n{field}Content-Length: 4\r\n\r\ngot!");
        let is_told = stream.write_all(answer.as_bytes()).await.is_ok();
        let is_whole = self.with(at, |place| place.arrivals[number].bytes.len() == declared);
        if is_told && !is_whole {
            // It lingers, so that the answer is read before the connection is reset.
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        is_told && is_whole
    }

    async fn take(
        &self,
        stream: &mut DuplexStream,
        at: &str,
        number: usize,
        most: usize,
        pause: Duration,
    ) -> bool {
        let mut taken = 0;
        let mut chunk = vec![0; CHUNK_BYTES];
        while taken < most {
            let wanted = chunk.len().min(most - taken);
            let Ok(count @ 1..) = stream.read(&mut chunk[..wanted]).await else {
                return false;
            };
            taken += count;
            self.with(at, |place| {
                place.arrivals[number]
                    .bytes
                    .extend_from_slice(&chunk[..count]);
            });
            if taken % CHUNK_BYTES < count {
                tokio::time::sleep(pause).await;
            }
        }
        true
    }
}
