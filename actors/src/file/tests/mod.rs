//! Tests of the file edge on real directories, and what they share.

mod part;
mod publish;
mod recover;
mod ticket;

use std::fs;
use std::path::{Path, PathBuf};

use longhaul_engine::id::TaskId;
use longhaul_engine::session::Durability;
use longhaul_engine::task::Collision;
use tempfile::TempDir;

use super::part::PartFile;
use super::place::PartPlace;
use super::publish::Publication;

/// A directory that takes no new files of anybody, root included.
const CLOSED_DIRECTORY: &str = "/sys";

const COLLISIONS: [Collision; 4] = [
    Collision::Fail,
    Collision::Overwrite,
    Collision::Rename,
    Collision::Skip,
];

/// A target's directory and a state directory.
struct Bench {
    directory: TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("out")).unwrap();
        Self { directory }
    }

    fn target(&self) -> PathBuf {
        self.out().join("a.iso")
    }

    fn out(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    fn fallback(&self) -> PathBuf {
        self.directory.path().join("state/parts")
    }

    fn place(&self, target: &Path) -> PartPlace {
        PartPlace::new(target, TaskId::new(7), &self.fallback()).unwrap()
    }

    fn create(&self) -> PartFile {
        PartFile::create(&self.place(&self.target()), None).unwrap()
    }

    /// A part with these bytes.
    fn part_with(&self, bytes: &[u8]) -> PartFile {
        let part = self.create();
        part.write_at(bytes, 0).unwrap();
        part
    }

    /// The names in the target's directory.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.out()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn order(target: &Path, length: u64, collision: Collision) -> Publication<'_> {
    Publication {
        target,
        length,
        collision,
        durability: Durability::Power,
    }
}
