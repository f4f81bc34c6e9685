//! The part file: made, found again, written, synced and digested while a download runs.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, io};

use longhaul_engine::checkpoint::{FileIdentity, Part, SpanRecord};
use longhaul_engine::checksum::{Algorithm, Digest, Hasher, blake3};
use longhaul_engine::failure::Failure;
use longhaul_engine::limits::TAIL_BYTES;
use rustix::io::Errno;

use super::disk::{Flow, create_file, each_block, open_nofollow, reserve, sync_directory_of};
use super::error::{errno_of, failure, is_denied, refused};
use super::mode::make_private_directory;
use super::place::PartPlace;
use super::token::{look_at, token};

/// Parts shorter than this are not preallocated: one write allocates them at once.
pub const PREALLOCATE_BYTES_MIN: u64 = 1024 * 1024;

/// An open part file. Clones share it, so that it can be synced while it is written.
///
/// It lives under its hidden name with mode 0600 until it is published or discarded; dropping it
/// closes it and leaves it where it is, for the next start.
#[derive(Clone)]
pub struct PartFile {
    shared: Arc<Shared>,
}

struct Shared {
    file: File,
    path: PathBuf,
    identity: FileIdentity,
    /// The mount that it was opened through.
    mount: u64,
    /// The directory entry is known to have reached the device.
    entry_synced: AtomicBool,
    /// A sync failed: the kernel may have dropped what it could not write, and a later sync that
    /// succeeds proves nothing about it.
    sync_failed: AtomicBool,
}

impl fmt::Debug for PartFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { path, identity, .. } = &*self.shared;
        f.debug_struct("PartFile")
            .field("path", path)
            .field("identity", identity)
            .finish()
    }
}

impl PartFile {
    /// Makes an empty part file beside its target, or in the state directory when the target's
    /// directory takes no new files of this user (EACCES, EPERM, EROFS).
    ///
    /// Whatever has the part's name, a leftover or a symbolic link, is replaced by a new file that
    /// never has the leftover's inode number, so no old record fits it. With `preallocate` the space
    /// is reserved, where the file system can, so that a full device is noticed now; the length of
    /// the file is no measure of its bytes from then on. Check the target first
    /// ([`check_target`](super::publish::check_target)).
    ///
    /// # Errors
    /// `NoSpace` when `preallocate` bytes do not fit: nothing is left behind. `File` when the target's
    /// directory is missing, or neither place can be written.
    pub fn create(place: &PartPlace, preallocate: Option<u64>) -> Result<Self, Failure> {
        let beside = place.beside();
        let part = match create_file(&beside) {
            Ok(file) => Self::made(file, beside)?,
            Err(error) if is_denied(&error) => {
                let directory = place.fallback_directory();
                make_private_directory(directory)
                    .map_err(|error| failure("make the directory", directory, &error))?;
                Self::create_at(place.fallback())?
            }
            Err(error) => return Err(failure("create the part file", &beside, &error)),
        };
        if let Some(bytes) = preallocate.filter(|bytes| *bytes >= PREALLOCATE_BYTES_MIN)
            && let Err(error) = reserve(&part.shared.file, bytes)
        {
            let failure = failure(
                &format!("reserve {bytes} bytes for"),
                &part.shared.path,
                &error,
            );
            // The failure that matters is the first one; an empty file that stays can be replaced.
            drop(fs::remove_file(&part.shared.path));
            return Err(failure);
        }
        Ok(part)
    }

    /// An empty part file at exactly this path, in place of whatever has the name.
    pub(super) fn create_at(path: PathBuf) -> Result<Self, Failure> {
        match create_file(&path) {
            Ok(file) => Self::made(file, path),
            Err(error) => Err(failure("create the part file", &path, &error)),
        }
    }

    /// Opens the part file of a record again. `None`: it is gone, or another file has its name; its
    /// bytes are lost.
    ///
    /// The file is compared by device and inode after it was opened without following a symbolic
    /// link. That it is the same file says nothing about its bytes: ask [`Self::holds`].
    ///
    /// # Errors
    /// `File` when the system refuses to open it: the bytes may be there for a later try.
    pub fn reopen(part: &Part) -> Result<Option<Self>, Failure> {
        let file = match open_nofollow(&part.path) {
            Ok(file) => file,
            Err(error) if stands_for_nothing(&error) => return Ok(None),
            Err(error) => return Err(failure("open the part file", &part.path, &error)),
        };
        let found = Self::made(file, part.path.clone())?;
        Ok((found.identity() == part.identity).then_some(found))
    }

    fn made(file: File, path: PathBuf) -> Result<Self, Failure> {
        let (identity, mount) = look_at(&file, &path)?;
        let shared = Shared {
            identity,
            mount,
            file,
            path,
            entry_synced: AtomicBool::new(false),
            sync_failed: AtomicBool::new(false),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Which file it is.
    #[must_use]
    pub fn identity(&self) -> FileIdentity {
        self.shared.identity
    }

    pub(super) fn file(&self) -> &File {
        &self.shared.file
    }

    /// What a checkpoint keeps of it, with the token of this boot and mount.
    ///
    /// # Errors
    /// `File` when the token can not be read.
    pub fn record(&self) -> Result<Part, Failure> {
        Ok(Part {
            path: self.shared.path.clone(),
            identity: self.shared.identity,
            token: token(self.shared.mount)?,
        })
    }

    /// Writes all of `bytes` at `offset`. Interrupted and short writes are continued.
    ///
    /// # Errors
    /// `NoSpace` or `File`; some of the bytes may have been written then.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), Failure> {
        // Where a server's word leads beyond what any file can hold, the system speaks of an invalid
        // argument; said plainly, the file is too large.
        let end = offset
            .checked_add(bytes.len() as u64)
            .and_then(|end| i64::try_from(end).ok());
        let written = match end {
            Some(_) => self.shared.file.write_all_at(bytes, offset),
            None => Err(Errno::FBIG.into()),
        };
        written.map_err(|error| failure("write", &self.shared.path, &error))
    }

    /// Makes everything written before the call durable: the data (fdatasync), and at the first
    /// call the directory that names the file.
    ///
    /// # Errors
    /// `File` or `NoSpace` (space allotted late). After one failure every later call fails too.
    pub fn sync(&self) -> Result<(), Failure> {
        self.synced(File::sync_data)?;
        if !self.shared.entry_synced.load(Ordering::Acquire) {
            sync_directory_of(&self.shared.path, &self.shared.file)?;
            self.shared.entry_synced.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Makes the data and the mode durable, for a publication.
    pub(super) fn sync_whole(&self) -> Result<(), Failure> {
        self.synced(File::sync_all)
    }

    fn synced(&self, sync: fn(&File) -> io::Result<()>) -> Result<(), Failure> {
        if self.shared.sync_failed.load(Ordering::Acquire) {
            let reason = "could not be synced before, so what it holds is not known; start again";
            return Err(refused(&self.shared.path, reason));
        }
        sync(&self.shared.file).map_err(|error| {
            self.shared.sync_failed.store(true, Ordering::Release);
            failure("sync", &self.shared.path, &error)
        })
    }

    /// BLAKE3 of at most the last [`TAIL_BYTES`] before `written`, none before `start`: what a
    /// checkpoint keeps to know the bytes of a span again.
    ///
    /// # Errors
    /// `File` when the bytes cannot be read or the file ends before `written`.
    pub fn tail(&self, start: u64, written: u64) -> Result<[u8; 32], Failure> {
        self.read_tail(start, written)
            .map_err(|error| failure("read", &self.shared.path, &error))
    }

    /// Whether the bytes before `span.written` are the ones that its record was made of. A file that
    /// is too short does not hold them; a span without bytes is always held.
    ///
    /// # Errors
    /// `File` when the device does not answer.
    pub fn holds(&self, span: &SpanRecord) -> Result<bool, Failure> {
        if span.written <= span.start {
            return Ok(true);
        }
        match self.read_tail(span.start, span.written) {
            Ok(tail) => Ok(tail == span.tail),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(failure("read", &self.shared.path, &error)),
        }
    }

    fn read_tail(&self, start: u64, written: u64) -> io::Result<[u8; 32]> {
        let length = written.saturating_sub(start).min(TAIL_BYTES);
        let mut bytes = vec![0; usize::try_from(length).expect("TAIL_BYTES fits in memory")];
        self.shared
            .file
            .read_exact_at(&mut bytes, written.saturating_sub(length))?;
        Ok(blake3(&bytes))
    }

    /// The digests of the first `length` bytes, read in blocks of 1 MiB. `None` when `cancel` became
    /// true; it is looked at after each block.
    ///
    /// # Errors
    /// `File` when the bytes cannot be read or the file is shorter than `length`.
    pub fn digest(
        &self,
        length: u64,
        algorithms: &[Algorithm],
        cancel: &AtomicBool,
    ) -> Result<Option<Vec<Digest>>, Failure> {
        let mut hasher = Hasher::new(algorithms.iter().copied());
        if hasher.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let read = each_block(&self.shared.file, length, |block| {
            hasher.update(block);
            if cancel.load(Ordering::Relaxed) {
                Flow::Stop
            } else {
                Flow::GoOn
            }
        });
        match read {
            Ok(Flow::GoOn) => Ok(Some(hasher.finish())),
            Ok(Flow::Stop) => Ok(None),
            Err(error) => Err(failure("read", &self.shared.path, &error)),
        }
    }

    /// Makes the file exactly this long: longer with zeros, shorter by cutting.
    ///
    /// # Errors
    /// `File` or `NoSpace`.
    pub fn set_len(&self, length: u64) -> Result<(), Failure> {
        let set = self.shared.file.set_len(length);
        set.map_err(|error| failure("set the length of", &self.shared.path, &error))
    }
}

/// What [`PartFile::tail`] gives for a span that ends with these bytes, of which there are at most
/// [`TAIL_BYTES`]: for a writer that still has them.
#[must_use]
pub fn tail_of(bytes: &[u8]) -> [u8; 32] {
    blake3(bytes)
}

/// Whether the part is gone: nothing has its name, or a link, a directory or a socket does.
fn stands_for_nothing(error: &io::Error) -> bool {
    let gone = [
        Errno::NOENT,
        Errno::NOTDIR,
        Errno::LOOP,
        Errno::ISDIR,
        Errno::NXIO,
    ];
    errno_of(error).is_some_and(|errno| gone.contains(&errno))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn after_one_failed_sync_no_later_sync_succeeds() {
        let directory = tempfile::tempdir().unwrap();
        let part = PartFile::create_at(directory.path().join("part")).unwrap();
        part.sync().unwrap();
        let failed = part.synced(|_| Err(Errno::IO.into())).unwrap_err();
        assert!(failed.message().contains("device failed"), "{failed}");
        assert!(part.sync().unwrap_err().message().contains("start again"));
        assert!(part.clone().sync_whole().is_err());
    }

    #[test]
    fn only_errors_that_mean_that_the_part_is_gone_lose_it() {
        for errno in [
            Errno::NOENT,
            Errno::NOTDIR,
            Errno::LOOP,
            Errno::ISDIR,
            Errno::NXIO,
        ] {
            assert!(stands_for_nothing(&errno.into()), "{errno:?}");
        }
        for errno in [Errno::ACCESS, Errno::MFILE, Errno::IO, Errno::STALE] {
            assert!(!stands_for_nothing(&errno.into()), "{errno:?}");
        }
    }
}
