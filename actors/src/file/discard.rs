//! Removing a part file, and never a file that is not ours.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;

use longhaul_engine::checkpoint::FileIdentity;
use longhaul_engine::failure::Failure;
use longhaul_engine::id::TaskId;
use longhaul_engine::task::Destination;

use super::disk::{identity_of, look};
use super::error::failure;
use super::place::{PartPlace, part_end, part_end_of};

/// What was found when a part was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discarded {
    /// The part was there and is gone now.
    Removed,
    /// Nothing had its name.
    Gone,
    /// Another file has its name and was left alone.
    NotOurs,
}

/// Removes the part at `path` if it still is the file with this identity. It frees the space when
/// the last [`PartFile`](super::part::PartFile) that has it open is dropped.
///
/// Record first that the task has no part any more: otherwise a crash between leaves a record of a
/// file that is gone, and a later file may get its inode number.
///
/// # Errors
/// `File` when the system refuses.
pub fn discard(path: &Path, identity: FileIdentity) -> Result<Discarded, Failure> {
    let Some(found) = look(path)? else {
        return Ok(Discarded::Gone);
    };
    if identity_of(&found) != identity {
        return Ok(Discarded::NotOurs);
    }
    match fs::remove_file(path) {
        Ok(()) => {
            sync_removal(path);
            Ok(Discarded::Removed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Discarded::Gone),
        Err(error) => Err(failure("remove the part file", path, &error)),
    }
}

/// Removes what a crash left of these tasks between the making of a part file and its record:
/// whatever has the name of a part of such a task, beside its target or in `fallback`. Only for tasks
/// that end and keep nothing. A directory as the destination is searched, once for all of them, for
/// the targets' names may not be known.
///
/// # Errors
/// `File` when the system refuses; the others are removed all the same.
pub fn discard_unrecorded(tasks: &[(TaskId, Destination)], fallback: &Path) -> Result<(), Failure> {
    let mut result = Ok(());
    let mut directories: BTreeMap<&Path, HashSet<String>> = BTreeMap::new();
    for (task, destination) in tasks {
        match destination {
            Destination::File(target) => {
                let removed = PartPlace::new(target, *task, fallback).and_then(|place| {
                    remove(&place.beside())?;
                    remove(&place.fallback())
                });
                result = result.and(removed);
            }
            Destination::Directory(directory) => {
                for directory in [directory.as_path(), fallback] {
                    let ends = directories.entry(directory).or_default();
                    ends.insert(part_end(*task, fallback));
                }
            }
        }
    }
    for (directory, ends) in directories {
        result = result.and(remove_ending(directory, &ends));
    }
    result
}

/// Removes the part files of a directory whose names end like one of these.
fn remove_ending(directory: &Path, ends: &HashSet<String>) -> Result<(), Failure> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failure("look into", directory, &error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| failure("look into", directory, &error))?;
        if part_end_of(&entry.file_name()).is_some_and(|end| ends.contains(end)) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Ok(()) => {
            sync_removal(path);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failure("remove the part file", path, &error)),
    }
}

/// Makes the removal durable: a file that comes back after a power cut may carry a final name. Where
/// the directory can not be synced the removal stands all the same.
fn sync_removal(path: &Path) {
    let directory = path
        .parent()
        .and_then(|directory| fs::File::open(directory).ok());
    if let Some(Err(error)) = directory.map(|directory| directory.sync_all()) {
        tracing::debug!(%error, "a directory could not be synced");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_no_record_names_is_found_by_the_name_of_its_task() {
        let directory = tempfile::tempdir().unwrap();
        let (files, parts) = (
            directory.path().join("files"),
            directory.path().join("parts"),
        );
        let (ours, theirs) = (TaskId::new(7), TaskId::new(77));
        for destination in [
            Destination::File(files.join("a")),
            Destination::Directory(files.clone()),
        ] {
            let paths = |task| {
                let place = PartPlace::new(&files.join("a"), task, &parts).unwrap();
                [place.beside(), place.fallback()]
            };
            fs::create_dir_all(&files).unwrap();
            fs::create_dir_all(&parts).unwrap();
            for path in paths(ours)
                .iter()
                .chain(&paths(theirs))
                .chain([&files.join("a")])
            {
                fs::write(path, "x").unwrap();
            }
            let left = [(ours, destination)];
            discard_unrecorded(&left, &parts).unwrap();
            assert!(paths(ours).iter().all(|path| !path.exists()));
            assert!(paths(theirs).iter().all(|path| path.exists()) && files.join("a").exists());
            fs::remove_dir_all(&parts).unwrap();
            discard_unrecorded(&left, &parts).unwrap();
        }
    }

    #[test]
    fn only_the_very_file_of_the_record_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("part");
        fs::write(&path, "ours").unwrap();
        let identity = identity_of(&fs::symlink_metadata(&path).unwrap());

        // Another file by the name: both exist at one moment, so their inodes differ.
        let other = directory.path().join("other");
        fs::write(&other, "theirs").unwrap();
        let kept = directory.path().join("kept");
        fs::rename(&path, &kept).unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(discard(&path, identity).unwrap(), Discarded::NotOurs);
        assert_eq!(fs::read(&path).unwrap(), b"theirs");

        // A link by the name that leads to our file is not our file.
        fs::remove_file(&path).unwrap();
        symlink(&kept, &path).unwrap();
        assert_eq!(discard(&path, identity).unwrap(), Discarded::NotOurs);
        assert!(kept.exists());

        assert_eq!(discard(&kept, identity).unwrap(), Discarded::Removed);
        assert_eq!(discard(&kept, identity).unwrap(), Discarded::Gone);
        assert_eq!(
            discard(&directory.path().join("no/part"), identity).unwrap(),
            Discarded::Gone
        );
        fs::write(&kept, "").unwrap();
        assert_eq!(
            discard(&kept.join("part"), identity).unwrap(),
            Discarded::Gone
        );
    }
}
