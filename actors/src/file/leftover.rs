//! What lies about: part files that no task has any more, modes that let others read, and who has a
//! state directory.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use longhaul_engine::failure::Failure;
use longhaul_engine::id::TaskId;

use super::disk::{identity_of, look};
use super::error::failure;
use super::lock::{LOCK, PARTS, read_pid};
use super::mode::{PRIVATE_DIRECTORY, PRIVATE_FILE};
use super::place::{PartName, is_ticket_of};

/// The process that owns a state directory now; `None` when nobody does. Nothing is locked or written
/// for it: the owner is the process that the lock names, if it has that very file open. One that runs
/// where its processes can not be seen from here, in another container, is not found.
#[must_use]
pub fn owner_of(state_dir: &Path) -> Option<u32> {
    let path = state_dir.join(LOCK);
    let ours = identity_of(&look(&path).ok()??);
    let pid = read_pid(&mut File::open(&path).ok()?)?;
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let has_it = open.flatten().any(|entry| {
        let found = fs::metadata(entry.path());
        found.is_ok_and(|found| identity_of(&found) == ours)
    });
    has_it.then_some(pid)
}

/// What others may read of a state directory with these files in it: each with its mode, and the one
/// it should have.
///
/// # Errors
/// `File` when the system refuses to look.
pub fn open_to_others(
    state_dir: &Path,
    files: &[&str],
) -> Result<Vec<(PathBuf, u32, u32)>, Failure> {
    let directories = [state_dir.to_owned(), state_dir.join(PARTS)];
    let directories = directories
        .into_iter()
        .map(|path| (path, PRIVATE_DIRECTORY));
    let files = files.iter().chain(&[LOCK]).map(|name| state_dir.join(name));
    let mut found = Vec::new();
    for (path, wanted) in directories.chain(files.map(|path| (path, PRIVATE_FILE))) {
        // A link is followed: the mode of what it leads to counts.
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failure("look at", &path, &error)),
        };
        let mode = metadata.mode() & 0o777;
        if mode & !wanted != 0 {
            found.push((path, mode, wanted));
        }
    }
    Ok(found)
}

/// Gives a file or a directory this mode.
///
/// # Errors
/// `File` when the system refuses.
pub fn close_to_others(path: &Path, mode: u32) -> Result<(), Failure> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|error| failure("change the mode of", path, &error))
}

/// The part files of a directory that are named for tasks of the store with these `parts`, and that
/// `is_known` does not know, with their lengths. One that waits to be gone on with, because a ticket
/// lies beside it, is none.
///
/// # Errors
/// `File` when the system refuses to look.
pub fn leftovers(
    directory: &Path,
    parts: &Path,
    is_known: impl Fn(TaskId, &Path) -> bool,
) -> Result<Vec<(PathBuf, u64)>, Failure> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(failure("look into", directory, &error)),
    };
    let (mut found, mut names) = (Vec::new(), Vec::new());
    for entry in entries {
        let entry = entry.map_err(|error| failure("look into", directory, &error))?;
        names.push(entry.file_name());
    }
    for name in &names {
        let path = directory.join(name);
        let Some(part) = PartName::of(name, parts) else {
            continue;
        };
        if is_known(part.task, &path) || names.iter().any(|name| is_ticket_of(name, &part)) {
            continue;
        }
        if let Some(metadata) = look(&path)? {
            found.push((path, metadata.len()));
        }
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::file::lock::StateDir;
    use crate::file::place::PartPlace;

    #[test]
    fn the_owner_is_the_process_that_has_the_lock_open() {
        let parent = tempfile::tempdir().unwrap();
        assert_eq!(owner_of(parent.path()), None, "there is no lock");
        let state = StateDir::acquire(parent.path()).unwrap();
        assert_eq!(owner_of(parent.path()), Some(std::process::id()));
        drop(state);
        assert_eq!(
            owner_of(parent.path()),
            None,
            "its number is left in the lock"
        );
        fs::write(parent.path().join(LOCK), "no number").unwrap();
        assert_eq!(owner_of(parent.path()), None);
    }

    #[test]
    fn what_others_may_read_is_found_and_closed() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        drop(StateDir::acquire(&path).unwrap());
        fs::write(path.join("store"), "").unwrap();
        close_to_others(&path.join("store"), 0o640).unwrap();
        close_to_others(&path, 0o755).unwrap();
        let found = open_to_others(&path, &["store", "missing"]).unwrap();
        let expected = [
            (path.clone(), 0o755, 0o700),
            (path.join("store"), 0o640, 0o600),
        ];
        assert_eq!(found, expected);
        for (path, _, wanted) in found {
            close_to_others(&path, wanted).unwrap();
        }
        assert_eq!(open_to_others(&path, &["store"]).unwrap(), []);
    }

    #[test]
    fn only_parts_of_this_store_whose_task_is_gone_and_without_a_ticket_are_left_over() {
        let parent = tempfile::tempdir().unwrap();
        let (ours, others) = (parent.path().join("a/parts"), parent.path().join("b/parts"));
        let files = parent.path().join("files");
        fs::create_dir(&files).unwrap();
        let part = |name: &str, task, store: &Path| {
            let place = PartPlace::new(&files.join(name), TaskId::new(task), store);
            let path = place.unwrap().beside();
            fs::write(&path, "12345").unwrap();
            path
        };
        let gone = part("gone", 1, &ours);
        let known = part("known", 2, &ours);
        part("others", 1, &others);
        let kept = part("kept", 3, &ours);
        let ticket = crate::file::place::ticket_path(&kept, TaskId::new(9), &others);
        fs::write(ticket, "").unwrap();
        fs::write(files.join("gone.part"), "").unwrap();
        let found = leftovers(&files, &ours, |task, path| {
            assert_eq!(path.parent(), Some(files.as_path()));
            task == TaskId::new(2) || path == known
        });
        assert_eq!(found.unwrap(), [(gone, 5)]);
        assert_eq!(
            leftovers(&files.join("missing"), &ours, |_, _| false).unwrap(),
            []
        );
    }
}
