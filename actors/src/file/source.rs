//! The file of an upload: looked at, read block by block, and watched while it is read.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longhaul_engine::checksum::{Algorithm, Digest, Hasher, blake3};
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::upload::Source;
use longhaul_engine::upload::source::samples;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::disk::identity_of;
use super::error::refused;
use crate::net::Passed;

/// Bytes that are read at once for a digest.
const DIGEST_READ_BYTES: usize = 256 * 1024;

/// The open file of an upload. Clones share it. It is only read: another file that takes its name
/// later is not noticed and not sent.
#[derive(Clone, Debug)]
pub struct SourceFile {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    file: File,
    path: PathBuf,
    /// Length and time of the last modification when it was opened.
    stamp: Stamp,
}

/// What changes when somebody writes to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified_s: i64,
    modified_ns: i64,
}

impl SourceFile {
    /// Opens the file at `path`, through symbolic links, and says what it is. At most 192 KiB of it
    /// are read.
    ///
    /// # Errors
    /// `SourceMissing` when nothing is there, `File` when it is no regular file or the system
    /// refuses, `SourceChanged` when it changes meanwhile.
    pub fn inspect(path: &Path) -> Result<(Self, Source), Failure> {
        // A pipe or a device must not hold up whoever opens it; for a file the flag has no meaning.
        let no_wait = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(no_wait)
            .open(path)
            .map_err(|error| unreadable(path, &error))?;
        let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
        if !metadata.is_file() {
            return Err(refused(
                path,
                "is no regular file; only files can be uploaded",
            ));
        }
        let shared = Shared {
            file,
            path: path.to_owned(),
            stamp: Stamp::of(&metadata),
        };
        let source = Self {
            shared: Arc::new(shared),
        };
        let found = Source {
            length: metadata.len(),
            modified_s: metadata.mtime(),
            modified_ns: u32::try_from(metadata.mtime_nsec()).unwrap_or(0),
            identity: identity_of(&metadata),
            samples: source.digest_of_samples()?,
        };
        Ok((source, found))
    }

    /// Fills `buffer` with the bytes from `offset` on, and proves that the file is still what it was
    /// when it was opened, as far as its length and the time of its last modification tell.
    ///
    /// # Errors
    /// `SourceChanged` when it is not, `File` when it can not be read.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), Failure> {
        let Shared { file, path, .. } = &*self.shared;
        match file.read_exact_at(buffer, offset) {
            Ok(()) => self.check(),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(changed(path)),
            Err(error) => Err(unreadable(path, &error)),
        }
    }

    /// Lets the kernel give at most `most` bytes from `offset` on to a socket that does not block, and
    /// proves afterwards that the file is still what it was. The kernel may look at the bytes as late
    /// as when they leave the machine, so the file is looked at once more before its upload succeeds.
    ///
    /// # Errors
    /// As [`SourceFile::read_at`]. Bytes may have gone by then.
    pub fn send_at(
        &self,
        socket: BorrowedFd<'_>,
        offset: u64,
        most: usize,
    ) -> Result<Passed, Failure> {
        let Shared { file, path, .. } = &*self.shared;
        let mut position = offset;
        match rustix::fs::sendfile(socket, file, Some(&mut position), most) {
            Ok(0) => Err(changed(path)),
            Ok(count) => self.check().map(|()| Passed::Bytes(count as u64)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Passed::Full),
            // File systems and kernels that can not do it, or not now.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOMEM) => {
                Ok(Passed::Unable)
            }
            Err(error @ Errno::IO) => Err(unreadable(path, &error.into())),
            Err(_) => Ok(Passed::Broken),
        }
    }

    /// The digest of `length` bytes from `offset` on. `is_wanted` is asked now and then.
    ///
    /// # Errors
    /// As [`SourceFile::read_at`], and `File` when it is not wanted any more.
    pub fn digest(
        &self,
        (offset, length): (u64, u64),
        algorithm: Algorithm,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Digest, Failure> {
        let mut hasher = Hasher::new([algorithm]);
        let mut buffer = vec![0; DIGEST_READ_BYTES];
        let mut done = 0;
        while done < length {
            if !is_wanted() {
                return Err(unwanted(&self.shared.path));
            }
            let rest = usize::try_from(length - done).unwrap_or(usize::MAX);
            let piece = &mut buffer[..rest.min(DIGEST_READ_BYTES)];
            self.read_at(piece, offset + done)?;
            hasher.update(piece);
            done += piece.len() as u64;
        }
        self.check()?;
        let digest = hasher.finish().pop();
        Ok(digest.expect("a hasher of one algorithm gives one digest"))
    }

    /// Proves that the file is still what it was when it was opened, as far as its length and the
    /// time of its last modification tell.
    fn check(&self) -> Result<(), Failure> {
        let Shared { file, path, stamp } = &*self.shared;
        let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
        if Stamp::of(&metadata) == *stamp {
            Ok(())
        } else {
            Err(changed(path))
        }
    }

    fn digest_of_samples(&self) -> Result<[u8; 32], Failure> {
        let mut sampled = Vec::new();
        for (offset, length) in samples(self.shared.stamp.length) {
            let length = usize::try_from(length).expect("a sample is small");
            let start = sampled.len();
            sampled.resize(start + length, 0);
            self.read_at(&mut sampled[start..], offset)?;
        }
        Ok(blake3(&sampled))
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            length: metadata.len(),
            modified_s: metadata.mtime(),
            modified_ns: metadata.mtime_nsec(),
        }
    }
}

fn unwanted(path: &Path) -> Failure {
    let message = format!("the digest of {path:?} is not wanted any more");
    Failure::new(FailureKind::File, message)
}

fn changed(path: &Path) -> Failure {
    Failure::new(
        FailureKind::SourceChanged,
        format!("{path:?} changed while it was uploaded; start the upload again when it is whole"),
    )
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let (kind, next) = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => (
            FailureKind::SourceMissing,
            "put the file there and start the upload again",
        ),
        io::ErrorKind::PermissionDenied => (FailureKind::File, "allow this user to read it"),
        _ => (FailureKind::File, "look at the file system there"),
    };
    Failure::new(kind, format!("cannot read {path:?}: {error}; {next}"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn kind<T>(result: Result<T, Failure>) -> FailureKind {
        result.map(|_| ()).expect_err("a failure").kind()
    }

    #[test]
    fn a_file_is_known_again_by_what_it_is_and_by_what_is_in_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("f");
        let long = vec![7; 1 << 20];
        fs::write(&path, &long).expect("written");
        let (_, first) = SourceFile::inspect(&path).expect("a file");
        assert_eq!(first.length, 1 << 20);
        let (_, again) = SourceFile::inspect(&path).expect("a file");
        assert_eq!(first, again);

        // The same length and time, other bytes at the start, in the middle and at the end.
        let modified = fs::metadata(&path)
            .and_then(|it| it.modified())
            .expect("a time");
        for place in [0, 1 << 19, (1 << 20) - 1] {
            let mut other = long.clone();
            other[place] = 8;
            fs::write(&path, &other).expect("written");
            File::options()
                .write(true)
                .open(&path)
                .and_then(|file| file.set_modified(modified))
                .expect("a time set back");
            let (_, found) = SourceFile::inspect(&path).expect("a file");
            assert!(!found.is_same(&first), "{place}");
            assert_eq!(found.length, first.length);
        }
    }

    #[test]
    fn what_is_no_file_is_no_source() {
        let directory = tempfile::tempdir().expect("a directory");
        let missing = directory.path().join("none");
        assert_eq!(
            kind(SourceFile::inspect(&missing)),
            FailureKind::SourceMissing
        );
        assert_eq!(
            kind(SourceFile::inspect(directory.path())),
            FailureKind::File
        );
        assert_eq!(
            kind(SourceFile::inspect(Path::new("/dev/null"))),
            FailureKind::File
        );
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo runs").success());
        assert_eq!(kind(SourceFile::inspect(&pipe)), FailureKind::File);
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_noticed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("f");
        for change in ["longer", "shorter", "touched"] {
            fs::write(&path, [5; 1000]).expect("written");
            let (source, _) = SourceFile::inspect(&path).expect("a file");
            let mut buffer = [0; 100];
            source.read_at(&mut buffer, 900).expect("unchanged");
            assert_eq!(buffer, [5; 100]);
            let file = File::options().write(true).open(&path).expect("opens");
            match change {
                "longer" => file.set_len(1001),
                "shorter" => file.set_len(950),
                _ => file.set_modified(SystemTime::now() + Duration::from_secs(9)),
            }
            .expect("changed");
            let read = source.read_at(&mut buffer, 900);
            assert_eq!(kind(read), FailureKind::SourceChanged, "{change}");
        }
    }

    #[test]
    fn a_file_that_loses_its_name_is_still_read_and_an_empty_one_has_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("f");
        fs::write(&path, b"bytes").expect("written");
        let (source, _) = SourceFile::inspect(&path).expect("a file");
        fs::remove_file(&path).expect("removed");
        let mut buffer = [0; 5];
        source.read_at(&mut buffer, 0).expect("it is open");
        assert_eq!(&buffer, b"bytes");
        fs::write(&path, b"").expect("written");
        let (_, empty) = SourceFile::inspect(&path).expect("a file");
        assert_eq!(empty.length, 0);
    }

    #[test]
    fn the_digest_of_a_part_is_that_of_its_bytes_in_the_file_that_was_opened() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("f");
        let bytes: Vec<u8> = (0..700_000u32).flat_map(u32::to_le_bytes).collect();
        fs::write(&path, &bytes).expect("written");
        let (file, _) = SourceFile::inspect(&path).expect("a file");
        let length = bytes.len();
        let parts = [(0, length), (0, 0), (length, 0), (5, 1), (300_001, 600_000)];
        for (offset, length) in parts {
            for algorithm in Algorithm::ALL {
                let mut expected = Hasher::new([algorithm]);
                expected.update(&bytes[offset..offset + length]);
                let part = (offset as u64, length as u64);
                let found = file.digest(part, algorithm, &|| true);
                assert_eq!(found.ok(), expected.finish().pop(), "{part:?} {algorithm}");
            }
        }
        let sha1 = Algorithm::Sha1;
        let whole = (0, length as u64);
        let unwanted = file.digest(whole, sha1, &|| false);
        assert_eq!(kind(unwanted), FailureKind::File);
        // Another file under that name is not read; another content of this one is refused.
        let other = directory.path().join("g");
        fs::write(&other, vec![0; length]).expect("written");
        fs::rename(&other, &path).expect("renamed");
        assert!(file.digest(whole, sha1, &|| true).is_ok());
        let (file, _) = SourceFile::inspect(&path).expect("a file");
        fs::write(&path, vec![1; length - 1]).expect("written");
        for part in [whole, (0, 1), (0, 0)] {
            let found = file.digest(part, sha1, &|| true);
            assert_eq!(kind(found), FailureKind::SourceChanged, "{part:?}");
        }
    }
}
