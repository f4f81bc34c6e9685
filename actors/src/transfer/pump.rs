//! From the body to the file, block by block.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use actix::Addr;
use futures_util::future::{Either, select};
use longhaul_engine::checkpoint::Part;
use longhaul_engine::download::{ConnId, PartPlan};
use longhaul_engine::http::framing::Framing;
use longhaul_engine::limits::TAIL_BYTES;
use tokio::sync::Notify;

use super::disk::quick;
use super::requests::{Moved, Stop};
use super::{NetworkPlace, TransferActor};
use crate::blocks::{BLOCK_BYTES_MAX, BLOCK_BYTES_MIN, Block, Blocks};
use crate::fault;
use crate::file::discard::discard;
use crate::file::part::{PartFile, tail_of};
use crate::file::place::PartPlace;
use crate::file::publish::{TargetCheck, check_target};
use crate::limiter::{LIMITED_READ_BYTES, Limits};
use crate::net::Body;

/// How long a block waits to be filled: no longer than the shortest time between two records.
const LINGER: Duration = Duration::from_millis(100);

/// The first block of a stream; it doubles while blocks come back full.
const FIRST_BLOCK_BYTES: usize = 128 * 1024;

/// What may change while a stream runs.
#[derive(Debug)]
pub(super) struct Control {
    until: Cell<Option<u64>>,
    is_stopped: Cell<bool>,
    changed: Notify,
}

impl Control {
    pub(super) fn new(until: Option<u64>) -> Self {
        Self {
            until: Cell::new(until),
            is_stopped: Cell::new(false),
            changed: Notify::new(),
        }
    }

    /// The stream shall end here. Blocks that are being read may go beyond; the bytes are the same.
    pub(super) fn limit(&self, until: u64) {
        self.until.set(Some(until));
    }

    /// The stream shall end now.
    pub(super) fn stop(&self) {
        self.is_stopped.set(true);
        self.changed.notify_one();
    }

    async fn stopped(&self) {
        while !self.is_stopped.get() {
            self.changed.notified().await;
        }
    }
}

/// The file that a pump writes to.
#[derive(Debug)]
pub(super) enum PumpPart {
    /// It is open.
    Open(PartFile),
    /// It is made together with its first block: a small file costs one trip to the pool.
    Create(PartPlace, PartPlan),
}

/// One body on its way to the file.
pub(super) struct Pump {
    pub(super) conn: ConnId,
    pub(super) body: Body,
    pub(super) part: PumpPart,
    /// Where the next byte of the body goes.
    pub(super) position: u64,
    /// The ordered part ends where the body does: its connection can be used again.
    pub(super) ends_with_body: bool,
    /// Given back as soon as the last byte is here.
    pub(super) place: Option<Rc<NetworkPlace>>,
    pub(super) control: Rc<Control>,
    pub(super) blocks: Blocks,
    pub(super) limits: Limits,
    pub(super) report: Addr<TransferActor>,
}

/// A part file that was just made, and what a checkpoint says of it.
pub(super) type Created = (PartFile, Part);

/// How a pump ended.
pub(super) struct End {
    /// The part file that it made and has not told of.
    pub(super) created: Option<Created>,
    /// Received and written, if it has not told of them.
    pub(super) moved: Option<(u64, u64)>,
    /// The digest of the tail before this mark.
    pub(super) tail: Option<(u64, [u8; 32])>,
    pub(super) result: Result<(), Stop>,
}

/// A block on its way to the file.
struct Job {
    part: PumpPart,
    block: Block,
    length: usize,
    offset: u64,
    /// The stream began at the start of the file with this block.
    is_first_of_file: bool,
    wants_tail: bool,
}

/// What a write made of its job.
struct Done {
    part: PartFile,
    new: Option<Part>,
    written: u64,
    tail: Option<[u8; 32]>,
}

impl Pump {
    /// Moves bytes until the body ends, the limit is reached, it is told to stop, or something
    /// fails. Every byte that it took is in the file when it answers.
    pub(super) async fn run(mut self) -> End {
        let mut state = Moving {
            received: self.position,
            ..Moving::default()
        };
        let start = self.position;
        let mut size = FIRST_BLOCK_BYTES;
        fault::point("pump.started");
        let result = loop {
            let room = self.room();
            if room == Some(0) {
                break Ok(());
            }
            let wanted = self.block_size(size, room);
            let mut block = self.blocks.take(wanted).await;
            let take = block.len().min(wanted).max(1);
            let filled = match self.fill(&mut block[..take]).await {
                Ok(0) => break Ok(()),
                Ok(filled) => filled,
                Err(stop) => break Err(stop),
            };
            size = next_size(take, filled);
            let offset = self.position;
            self.position += u64::try_from(filled).expect("a block is small");
            state.received = self.position;
            let part = self.take_part(&state);
            let wants_tail = self.room() == Some(0);
            let mut given_back = Ok(());
            if wants_tail
                && self.is_seen_to_end()
                && let Some(place) = self.place.take()
            {
                // The next transfer asks, on this connection, while this one writes.
                given_back = self.give_connection_back().await;
                place.release();
            }
            let is_first_of_file = start == 0 && offset == 0;
            let length = filled;
            let job = Job {
                part,
                block,
                length,
                offset,
                is_first_of_file,
                wants_tail,
            };
            fault::point("pump.block");
            let done = quick(move || job.run()).await;
            fault::point("pump.written");
            if let Err(stop) = done.map(|done| state.take_in(done)).and(given_back) {
                break Err(stop);
            }
            // The last bytes are told of with the end, when that is seen with them.
            if self.room() != Some(0) || !self.is_seen_to_end() {
                self.tell(&mut state).await;
            }
        };
        self.end(result, state).await
    }

    async fn end(mut self, mut result: Result<(), Stop>, mut state: Moving) -> End {
        if result.is_ok()
            && state.part.is_none()
            && let PumpPart::Create(place, plan) = &self.part
        {
            // An empty body makes an empty file.
            let (place, plan) = (place.clone(), plan.clone());
            match quick(move || create(&place, &plan)).await {
                Ok(created) => state.created = Some(created),
                Err(stop) => result = Err(stop),
            }
        }
        if result.is_ok() {
            result = self.give_connection_back().await;
        }
        fault::point("pump.ending");
        let moved = state.untold.then_some((state.received, state.written));
        End {
            created: state.created,
            moved,
            tail: state.tail,
            result,
        }
    }

    /// The body knows only when it is asked once more that nothing follows, and then it gives its
    /// connection back. Who is told to stop meanwhile does without: the bytes are there.
    async fn give_connection_back(&mut self) -> Result<(), Stop> {
        if std::mem::take(&mut self.ends_with_body) {
            let mut nothing = [0; 1];
            let end = std::pin::pin!(self.body.fill(&mut nothing, Duration::ZERO));
            let stopped = std::pin::pin!(self.control.stopped());
            if let Either::Left((end, _)) = select(end, stopped).await {
                end.map_err(Stop::Net)?;
            }
        }
        Ok(())
    }

    /// Whether the last byte of the body is known to be the last when it is here, without waiting for
    /// what follows it.
    fn is_seen_to_end(&self) -> bool {
        matches!(self.body.framing(), Framing::Length(_))
    }

    fn room(&self) -> Option<u64> {
        self.control
            .until
            .get()
            .map(|until| until.saturating_sub(self.position))
    }

    fn block_size(&self, size: usize, room: Option<u64>) -> usize {
        let size = match self.limits.is_limited() {
            true => size.min(LIMITED_READ_BYTES),
            false => size,
        };
        let room = room.map_or(usize::MAX, |room| {
            usize::try_from(room).unwrap_or(usize::MAX)
        });
        size.min(room)
    }

    async fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Stop> {
        let count = Cell::new(0);
        let filled = {
            let fill = std::pin::pin!(self.body.fill_counting(buffer, LINGER, &count));
            let stopped = std::pin::pin!(self.control.stopped());
            match select(stopped, fill).await {
                // What came before is kept; the next call says that it was stopped.
                Either::Left(((), _)) if count.get() > 0 => count.get(),
                Either::Left(((), _)) => return Err(Stop::Stopped),
                Either::Right((filled, _)) => filled.map_err(Stop::Net)?,
            }
        };
        self.limits.pay(filled).await;
        Ok(filled)
    }

    fn take_part(&self, state: &Moving) -> PumpPart {
        match (&state.part, &self.part) {
            (Some(part), _) | (None, PumpPart::Open(part)) => PumpPart::Open(part.clone()),
            (None, PumpPart::Create(place, plan)) => PumpPart::Create(place.clone(), plan.clone()),
        }
    }

    async fn tell(&self, state: &mut Moving) {
        let created = state.created.take();
        let (received, written) = (state.received, state.written);
        state.untold = false;
        self.report.do_send(Moved {
            conn: self.conn,
            created,
            received,
            written,
        });
        // The actor takes its messages before it polls this pump again: so what was told comes before
        // the end, which is no message. And a stream that always has bytes must not keep the others
        // waiting.
        tokio::task::yield_now().await;
    }
}

/// What a pump knows of its own progress.
#[derive(Default)]
struct Moving {
    part: Option<PartFile>,
    created: Option<Created>,
    received: u64,
    written: u64,
    untold: bool,
    tail: Option<(u64, [u8; 32])>,
}

impl Moving {
    fn take_in(&mut self, done: Done) {
        self.written = done.written;
        self.untold = true;
        if let Some(tail) = done.tail {
            self.tail = Some((done.written, tail));
        }
        if let Some(record) = done.new {
            self.created = Some((done.part.clone(), record));
        }
        self.part = Some(done.part);
    }
}

impl Job {
    fn run(self) -> Result<Done, Stop> {
        let (part, new) = match self.part {
            PumpPart::Open(part) => (part, None),
            PumpPart::Create(place, plan) => {
                let (part, record) = create(&place, &plan)?;
                (part, Some(record))
            }
        };
        let bytes = &self.block[..self.length];
        part.write_at(bytes, self.offset).map_err(Stop::File)?;
        let written = self.offset + u64::try_from(self.length).expect("a block is small");
        let tail_bytes = usize::try_from(TAIL_BYTES).expect("a tail is small");
        let knows_tail = self.wants_tail && (self.length >= tail_bytes || self.is_first_of_file);
        let tail = knows_tail.then(|| tail_of(&bytes[self.length.saturating_sub(tail_bytes)..]));
        Ok(Done {
            part,
            new,
            written,
            tail,
        })
    }
}

fn create(place: &PartPlace, plan: &PartPlan) -> Result<Created, Stop> {
    match check_target(&plan.target, plan.collision).map_err(Stop::File)? {
        TargetCheck::Taken => Err(Stop::TargetTaken(PathBuf::clone(&plan.target))),
        TargetCheck::Free => {
            let part = PartFile::create(place, plan.length).map_err(Stop::File)?;
            let record = part.record().map_err(Stop::File)?;
            // One of the same name was replaced; one that was resumed elsewhere has another.
            if let Some(old) = plan.replaces.as_ref().filter(|old| old.path != record.path)
                && let Err(error) = discard(&old.path, old.identity)
            {
                tracing::warn!(%error, "a part file was left behind");
            }
            Ok((part, record))
        }
    }
}

/// Blocks grow while they come back full and shrink when they stay half empty, so that many slow
/// streams hold little memory.
fn next_size(asked: usize, filled: usize) -> usize {
    if filled == asked {
        (asked * 2).min(BLOCK_BYTES_MAX)
    } else if filled < asked / 2 {
        (asked / 2).max(BLOCK_BYTES_MIN)
    } else {
        asked
    }
}
