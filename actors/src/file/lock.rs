//! The state directory and its lock: one engine at a time, in this process or another.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use longhaul_engine::failure::Failure;
use rustix::fs::OFlags;

use super::disk::{identity_of, look};
use super::error::{failure, refused};
use super::mode::{PRIVATE_FILE, make_private_directory};

/// The name of the lock file in a state directory.
pub(super) const LOCK: &str = "lock";

/// The name of the directory for parts whose target's directory takes no new files.
pub(crate) const PARTS: &str = "parts";

/// Bytes read of a lock file: a process number has at most ten digits.
const PID_BYTES_MAX: u64 = 16;

/// Times that the lock file may vanish between opening and locking it: each time another owner has
/// removed its whole state directory in that moment.
const LOCK_TRIES_MAX: u32 = 16;

/// A state directory that this engine owns until the value is dropped, or the process ends in any
/// way: the lock is the kernel's (flock), so a crash leaves nothing to clean up.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: LockedFile,
}

/// A file that is locked (flock) until this is dropped.
#[derive(Debug)]
pub(super) struct LockedFile(File);

/// Another engine owns the state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedBy {
    /// The state directory.
    pub directory: PathBuf,
    /// The owner's process; `None` when it has not written its number yet.
    pub pid: Option<u32>,
}

/// Why a state directory could not be acquired.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcquireError {
    /// Another engine, in this process or another, owns it.
    #[error("{0}")]
    Owned(OwnedBy),
    /// It could not be made or locked.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl fmt::Display for OwnedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the state directory {:?} is in use by ", self.directory)?;
        match self.pid {
            Some(pid) if pid == std::process::id() => write!(f, "this process ({pid})")?,
            Some(pid) => write!(f, "process {pid}")?,
            None => f.write_str("another process")?,
        }
        f.write_str("; stop that one first, or choose another state directory")
    }
}

impl StateDir {
    /// Makes the directory, and missing parents, for this user only (mode 0700; one that exists keeps
    /// its mode), and locks it. Does not wait.
    ///
    /// # Errors
    /// [`AcquireError::Owned`] with the owner's process number; [`AcquireError::Failed`] when the
    /// directory cannot be made or written, or its file system knows no locks.
    pub fn acquire(path: &Path) -> Result<Self, AcquireError> {
        let absolute = std::path::absolute(path);
        let path = absolute.map_err(|error| failure("use the state directory", path, &error))?;
        for _ in 0..LOCK_TRIES_MAX {
            make_private_directory(&path)
                .map_err(|error| failure("make the state directory", &path, &error))?;
            let lock_path = path.join(LOCK);
            let mut lock = match open_lock(&lock_path) {
                Ok(lock) => lock,
                // The directory was removed by its last owner in this moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failure("open the lock", &lock_path, &error).into()),
            };
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let pid = read_pid(&mut lock);
                    return Err(AcquireError::Owned(OwnedBy {
                        directory: path,
                        pid,
                    }));
                }
                Err(TryLockError::Error(error)) => {
                    return Err(failure("lock", &lock_path, &error).into());
                }
            }
            let mut lock = LockedFile::new(lock);
            // A lock on a file that its last owner has removed keeps nobody out.
            if is_current(lock.file(), &lock_path)? {
                write_pid(lock.file())
                    .map_err(|error| failure("write the lock", &lock_path, &error))?;
                return Ok(Self { path, _lock: lock });
            }
        }
        Err(refused(
            &path,
            "is made and removed again and again; try again later",
        )
        .into())
    }

    /// Its absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory in it for parts whose target's directory takes no new files. It is made when the
    /// first such part is.
    #[must_use]
    pub fn parts(&self) -> PathBuf {
        self.path.join(PARTS)
    }

    /// Removes the directory if only its lock and an empty directory for parts are left in it, and
    /// releases it. Whatever else is there stays, and so does the directory then.
    ///
    /// # Errors
    /// `File` when the system refuses for another reason than that something is left.
    pub fn remove(self) -> Result<(), Failure> {
        remove_empty(&self.parts())?;
        let lock = self.path.join(LOCK);
        let entries = fs::read_dir(&self.path)
            .map_err(|error| failure("read the state directory", &self.path, &error))?;
        if entries.take(2).count() > 1 {
            return Ok(());
        }
        fs::remove_file(&lock).map_err(|error| failure("remove", &lock, &error))?;
        remove_empty(&self.path)
    }
}

impl LockedFile {
    /// Takes over a file that is locked.
    pub(super) const fn new(locked: File) -> Self {
        Self(locked)
    }

    pub(super) const fn file(&mut self) -> &mut File {
        &mut self.0
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // Closing it is not enough: a process that is being started has a copy of it until it runs
        // its own program (fork(2), flock(2)).
        let _ = self.0.unlock();
    }
}

fn remove_empty(directory: &Path) -> Result<(), Failure> {
    match fs::remove_dir(directory) {
        Ok(()) => Ok(()),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(failure("remove the directory", directory, &error)),
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    let nofollow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(PRIVATE_FILE)
        .custom_flags(nofollow)
        .open(path)
}

fn is_current(lock: &File, path: &Path) -> Result<bool, Failure> {
    let ours = lock
        .metadata()
        .map_err(|error| failure("look at", path, &error))?;
    Ok(look(path)?.is_some_and(|found| identity_of(&found) == identity_of(&ours)))
}

fn write_pid(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

pub(super) fn read_pid(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use longhaul_engine::failure::FailureKind;

    use super::*;

    #[test]
    fn a_second_owner_is_told_who_the_first_one_is() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = StateDir::acquire(&path).unwrap();
        let error = StateDir::acquire(&path).unwrap_err();
        let pid = std::process::id();
        let owned = OwnedBy {
            directory: path.clone(),
            pid: Some(pid),
        };
        assert_eq!(error, AcquireError::Owned(owned));
        let text = error.to_string();
        assert!(
            text.contains(&pid.to_string()) && text.contains("a/b"),
            "{text}"
        );
        drop(first);
        StateDir::acquire(&path).unwrap();
    }

    #[test]
    fn a_process_that_was_forked_meanwhile_does_not_keep_it_locked() {
        let parent = tempfile::tempdir().unwrap();
        let state = StateDir::acquire(parent.path()).unwrap();
        let inherited = state._lock.0.try_clone().unwrap();
        drop(state);
        StateDir::acquire(parent.path()).unwrap();
        drop(inherited);
    }

    #[test]
    fn the_directories_and_files_that_are_made_are_for_this_user_only() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let state = StateDir::acquire(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&parent.path().join("a")), 0o700);
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(LOCK)), 0o600);
        assert_eq!(state.path(), path);
        assert_eq!(state.parts(), path.join("parts"));
    }

    #[test]
    fn what_a_dead_owner_left_in_the_lock_does_not_matter() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(
            parent.path().join(LOCK),
            "4000000000 and more that is no number",
        )
        .unwrap();
        let state = StateDir::acquire(parent.path()).unwrap();
        let text = fs::read_to_string(parent.path().join(LOCK)).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
        // An owner that has not written its number yet.
        fs::write(parent.path().join(LOCK), "").unwrap();
        let error = StateDir::acquire(parent.path()).unwrap_err();
        assert!(error.to_string().contains("another process"), "{error}");
        drop(state);
    }

    #[test]
    fn a_lock_whose_file_was_removed_keeps_nobody_out_and_is_not_taken() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join(LOCK);
        let stale = open_lock(&path).unwrap();
        assert!(is_current(&stale, &path).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!is_current(&stale, &path).unwrap());
        let _newer = open_lock(&path).unwrap();
        assert!(!is_current(&stale, &path).unwrap());
    }

    #[test]
    fn removing_leaves_nothing_or_what_is_not_ours() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        let state = StateDir::acquire(&path).unwrap();
        make_private_directory(&state.parts()).unwrap();
        fs::write(path.join("store"), "a").unwrap();
        state.remove().unwrap();
        assert!(path.join("store").exists() && path.join(LOCK).exists());

        let state = StateDir::acquire(&path).unwrap();
        fs::remove_file(path.join("store")).unwrap();
        make_private_directory(&state.parts()).unwrap();
        state.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_place_that_can_not_be_a_directory_is_a_clear_failure() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("file"), "").unwrap();
        let below = parent.path().join("file/state");
        let AcquireError::Failed(failure) = StateDir::acquire(&below).unwrap_err() else {
            panic!("nobody owns it");
        };
        assert_eq!(failure.kind(), FailureKind::File);
        assert!(failure.message().contains("file/state"), "{failure}");

        symlink("/nowhere", parent.path().join(LOCK)).unwrap();
        assert!(matches!(
            StateDir::acquire(parent.path()),
            Err(AcquireError::Failed(_))
        ));
    }
}
