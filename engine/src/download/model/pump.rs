//! One body on its way to the file, a block at a time.

use super::disk::Run;
use super::server::Body;
use crate::download::{ConnId, PartPlan};

/// A block: what a stream may take before it writes what it took before.
const BLOCK_BYTES: u64 = 1024 * 1024;

/// What a stream may have written and not told.
const UNTOLD_BYTES_MAX: u64 = 2 * BLOCK_BYTES;

#[derive(Clone, Debug)]
pub(super) struct Pump {
    pub(super) conn: ConnId,
    pub(super) body: Body,
    /// The file it writes to, once it is there.
    pub(super) inode: Option<u64>,
    pub(super) plan: Option<PartPlan>,
    pub(super) until: Option<u64>,
    pub(super) is_stopped: bool,
    /// One past the last byte taken from the body.
    pub(super) received: u64,
    pub(super) written: u64,
    pub(super) told: u64,
}

/// What a pump can do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Create,
    Write(Run),
    Receive,
    Tell,
    End(bool),
}

impl Pump {
    pub(super) fn new(conn: ConnId, body: Body, until: Option<u64>) -> Self {
        let at = body.at;
        Self {
            conn,
            body,
            inode: None,
            plan: None,
            until,
            is_stopped: false,
            received: at,
            written: at,
            told: at,
        }
    }

    /// What comes next; `wants_to_tell` where it has the choice.
    pub(super) fn next(&self, wants_to_tell: bool) -> Move {
        let is_over = self.is_stopped || self.room() == 0;
        if is_over || self.received > self.written {
            let is_clean_end = is_over && !self.is_stopped && self.ends_well();
            if self.inode.is_none() && (self.received > self.written || is_clean_end) {
                return Move::Create;
            }
            if self.received > self.written && (is_over || !wants_to_tell) {
                return Move::Write(self.held());
            }
        }
        let untold = self.written - self.told;
        if untold > 0 && (is_over || wants_to_tell || untold >= UNTOLD_BYTES_MAX) {
            return Move::Tell;
        }
        if is_over {
            return Move::End(!self.is_stopped && self.ends_well());
        }
        Move::Receive
    }

    pub(super) fn receive(&mut self, most: u64) {
        self.received += self.room().min(most.clamp(1, BLOCK_BYTES));
    }

    fn held(&self) -> Run {
        Run {
            start: self.written,
            end: self.received,
            version: self.body.version,
        }
    }

    /// Bytes that may still be taken.
    fn room(&self) -> u64 {
        self.until
            .unwrap_or(u64::MAX)
            .min(self.body.end)
            .saturating_sub(self.received)
    }

    fn ends_well(&self) -> bool {
        self.body.is_clean || self.until.is_some_and(|until| until <= self.received)
    }
}
