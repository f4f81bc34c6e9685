//! Removing a part file, and never a file that is not ours.

use std::fs;
use std::io;
use std::path::Path;

use longhaul_engine::checkpoint::FileIdentity;
use longhaul_engine::failure::Failure;

use super::disk::{identity_of, look};
use super::error::failure;

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

/// Makes the removal durable: a file that comes back after a power cut may carry a final name. Where
/// the directory can not be synced the removal stands all the same.
fn sync_removal(path: &Path) {
    let directory = path.parent().and_then(|directory| fs::File::open(directory).ok());
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
