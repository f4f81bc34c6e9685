//! The file of an upload: looked at, read block by block, and watched while it is read.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longhaul_engine::checksum::blake3;
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::upload::Source;
use longhaul_engine::upload::source::samples;
use rustix::fs::OFlags;

use super::disk::identity_of;
use super::error::refused;

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
        let Shared { file, path, stamp } = &*self.shared;
        match file.read_exact_at(buffer, offset) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(changed(path));
            }
            Err(error) => return Err(unreadable(path, &error)),
        }
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
}
