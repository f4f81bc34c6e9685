//! A disk with two faces: what a process sees, and what a power cut leaves.
//!
//! Bytes are symbols: a run of them is "these positions of version 3", so files of any size cost
//! nothing, and two versions never share a byte.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::dice::Dice;

/// Whose bytes they are.
pub(super) type Version = u32;

/// The bytes of somebody else's file.
pub(super) const FOREIGN: Version = u32::MAX;

/// The bytes that come with an error status.
pub(super) const ERROR: Version = 1_000_000;

/// Consecutive bytes of one version, at their own positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) version: Version,
}

/// The contents of a file; what no run covers is zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) length: u64,
    runs: Vec<Run>,
}

impl Image {
    pub(super) fn write(&mut self, start: u64, end: u64, version: Version) {
        if start >= end {
            return;
        }
        let mut runs = self.without(start, end);
        runs.push(Run {
            start,
            end,
            version,
        });
        runs.sort_by_key(|run| run.start);
        runs.dedup_by(|next, run| {
            let is_one = run.end == next.start && run.version == next.version;
            if is_one {
                run.end = next.end;
            }
            is_one
        });
        self.runs = runs;
        self.length = self.length.max(end);
    }

    fn without(&self, start: u64, end: u64) -> Vec<Run> {
        let mut kept = Vec::new();
        for run in &self.runs {
            for (from, to) in [
                (run.start, run.end.min(start)),
                (run.start.max(end), run.end),
            ] {
                if from < to {
                    kept.push(Run {
                        start: from,
                        end: to,
                        ..*run
                    });
                }
            }
        }
        kept
    }

    pub(super) fn set_length(&mut self, length: u64) {
        self.runs = self.without(length, u64::MAX);
        self.length = length;
    }

    /// The runs within `start..end`.
    pub(super) fn slice(&self, start: u64, end: u64) -> Vec<Run> {
        let cut = |run: &Run| Run {
            start: run.start.max(start),
            end: run.end.min(end),
            ..*run
        };
        self.runs
            .iter()
            .map(cut)
            .filter(|run| run.start < run.end)
            .collect()
    }

    /// Whether `start..end` are bytes of this version and nothing else.
    pub(super) fn is_pure(&self, start: u64, end: u64, version: Version) -> bool {
        start >= end
            || self.slice(start, end)
                == [Run {
                    start,
                    end,
                    version,
                }]
    }

    pub(super) fn version_at(&self, at: u64) -> Option<Version> {
        self.runs
            .iter()
            .find(|run| run.start <= at && at < run.end)
            .map(|run| run.version)
    }
}

#[derive(Clone, Debug, Default)]
struct File {
    live: Image,
    durable: Image,
}

#[derive(Clone, Debug)]
enum NameChange {
    Link(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
}

/// The file system. Names reach the device in the order of their changes, as in a journal; data
/// does so in any order.
#[derive(Debug, Default)]
pub(super) struct Disk {
    files: BTreeMap<u64, File>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    journal: Vec<NameChange>,
}

impl Disk {
    /// Makes an empty file under `path`. As in ext4 it gets the lowest inode number that is free: a
    /// file of the same name that is replaced is still there, one that was removed is not.
    pub(super) fn create(&mut self, path: &Path, length: u64, held: &BTreeSet<u64>) -> u64 {
        let is_free =
            |inode: &u64| !held.contains(inode) && !self.names.values().any(|named| named == inode);
        let inode = (1..).find(is_free).expect("there are enough numbers");
        if self.files.contains_key(&inode) {
            // A journal frees no inode before the removal of its name is on the device.
            self.flush_names();
        }
        let live = Image {
            length,
            runs: Vec::new(),
        };
        self.files.insert(
            inode,
            File {
                live,
                durable: Image::default(),
            },
        );
        self.change(NameChange::Link(path.to_owned(), inode));
        inode
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        self.change(NameChange::Rename(from.to_owned(), to.to_owned()));
    }

    pub(super) fn unlink(&mut self, path: &Path) {
        self.change(NameChange::Unlink(path.to_owned()));
    }

    fn change(&mut self, change: NameChange) {
        apply(&mut self.names, &change);
        self.journal.push(change);
    }

    pub(super) fn flush_names(&mut self) {
        self.durable_names.clone_from(&self.names);
        self.journal.clear();
    }

    pub(super) fn named(&self, path: &Path) -> Option<u64> {
        self.names.get(path).copied()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = (&PathBuf, u64)> {
        self.names.iter().map(|(path, inode)| (path, *inode))
    }

    pub(super) fn live(&self, inode: u64) -> &Image {
        &self.files[&inode].live
    }

    pub(super) fn durable(&self, inode: u64) -> &Image {
        &self.files[&inode].durable
    }

    /// The file that a power cut would certainly leave under `path`.
    pub(super) fn durably_named(&self, path: &Path) -> Option<u64> {
        self.durable_names.get(path).copied()
    }

    pub(super) fn write(&mut self, inode: u64, run: Run) {
        self.file(inode).live.write(run.start, run.end, run.version);
    }

    pub(super) fn set_length(&mut self, inode: u64, length: u64) {
        self.file(inode).live.set_length(length);
    }

    /// What a sync that began when the file was `image` makes durable.
    pub(super) fn sync(&mut self, inode: u64, image: &Image) {
        let durable = &mut self.file(inode).durable;
        for run in &image.runs {
            durable.write(run.start, run.end, run.version);
        }
        durable.length = durable.length.max(image.length);
    }

    pub(super) fn sync_whole(&mut self, inode: u64) {
        let file = self.file(inode);
        file.durable = file.live.clone();
    }

    fn file(&mut self, inode: u64) -> &mut File {
        self.files.get_mut(&inode).expect("an open file exists")
    }

    /// The power goes and comes back: some of what was not synced is there, some is not.
    pub(super) fn cut_power(&mut self, dice: &mut Dice) {
        let survived = dice.index(self.journal.len() + 1);
        for change in self.journal.drain(..).take(survived) {
            apply(&mut self.durable_names, &change);
        }
        self.names.clone_from(&self.durable_names);
        let named: BTreeSet<u64> = self.names.values().copied().collect();
        self.files.retain(|inode, _| named.contains(inode));
        for file in self.files.values_mut() {
            let mut left = file.durable.clone();
            if dice.percent(50) {
                left.length = left.length.max(file.live.length);
            }
            for run in &file.live.runs {
                let middle = run.start + dice.below(run.end - run.start + 1);
                for (start, end) in [(run.start, middle), (middle, run.end)] {
                    if dice.percent(50) {
                        left.write(start, end, run.version);
                    }
                }
            }
            *file = File {
                live: left.clone(),
                durable: left,
            };
        }
    }
}

fn apply(names: &mut BTreeMap<PathBuf, u64>, change: &NameChange) {
    match change {
        NameChange::Link(path, inode) => {
            names.insert(path.clone(), *inode);
        }
        NameChange::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
        NameChange::Unlink(path) => {
            names.remove(path);
        }
    }
}
