//! What a process holds in memory for its task, and loses when it is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::disk::Image;
use super::pump::Pump;
use super::server::Body;
use crate::checkpoint::{Checkpoint, Part};
use crate::download::{Ask, ConnId, Download, Exit, Input, VerifyOrder};
use crate::task::{Collision, Outcome};
use crate::time::Timestamp;

/// Work that was ordered and has not had its effect yet.
#[derive(Clone, Debug)]
pub(super) enum Job {
    Recover(Box<Checkpoint>),
    Record(Box<Checkpoint>),
    Sync {
        inode: u64,
        image: Image,
    },
    Verify {
        inode: u64,
        order: VerifyOrder,
    },
    Name(PathBuf),
    Publish {
        inode: u64,
        target: PathBuf,
        length: u64,
        collision: Collision,
    },
    /// The directory of a published file is synced before the answer.
    SyncNames,
    Discard(Part),
    Seal,
    Close(Outcome),
}

/// One machine with its caller.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) machine: Download,
    pub(super) asking: Vec<Ask>,
    pub(super) bodies: BTreeMap<ConnId, Body>,
    pub(super) pumps: Vec<Pump>,
    pub(super) jobs: Vec<Job>,
    /// Answers that the machine has not heard yet.
    pub(super) replies: Vec<Input>,
    /// The part file that is open.
    pub(super) part: Option<u64>,
    pub(super) exit: Option<Exit>,
    /// The records in flight: at most one.
    pub(super) records: u32,
    pub(super) syncs: u32,
    /// Connections that have sent their first request.
    pub(super) known: BTreeSet<ConnId>,
    /// Connections whose last request went to another origin.
    pub(super) away: BTreeSet<ConnId>,
    /// What the first request of this life must begin with, when it must go on.
    pub(super) goes_on_at: Option<Vec<u64>>,
    pub(super) told_at: Option<Timestamp>,
    /// Its owner has said something since it began: what it waits for may be there.
    pub(super) is_outdated: bool,
}

impl Life {
    pub(super) const fn new(machine: Download) -> Self {
        Self {
            machine,
            asking: Vec::new(),
            bodies: BTreeMap::new(),
            pumps: Vec::new(),
            jobs: Vec::new(),
            replies: Vec::new(),
            part: None,
            exit: None,
            records: 0,
            syncs: 0,
            known: BTreeSet::new(),
            away: BTreeSet::new(),
            goes_on_at: None,
            told_at: None,
            is_outdated: false,
        }
    }

    /// Every file that is open: its inode number is not given to another.
    pub(super) fn held(&self) -> BTreeSet<u64> {
        let of_jobs = self.jobs.iter().filter_map(|job| match job {
            Job::Sync { inode, .. } | Job::Verify { inode, .. } | Job::Publish { inode, .. } => {
                Some(*inode)
            }
            Job::Recover(_)
            | Job::Record(_)
            | Job::Name(_)
            | Job::SyncNames
            | Job::Discard(_)
            | Job::Seal
            | Job::Close(_) => None,
        });
        let of_pumps = self.pumps.iter().filter_map(|pump| pump.inode);
        self.part
            .into_iter()
            .chain(of_jobs)
            .chain(of_pumps)
            .collect()
    }
}
