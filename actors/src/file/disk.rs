//! Steps on a file system that the standard library lacks: exclusive files, reserved space, synced
//! directories, reading in blocks.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use longhaul_engine::checkpoint::FileIdentity;
use longhaul_engine::failure::Failure;
use rustix::fs::{FallocateFlags, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::error::failure;
use super::mode::PRIVATE_FILE;

/// Bytes read at once to digest, copy or compare a file: measured, larger reads gain nothing.
const READ_BYTES: usize = 1024 * 1024;

/// Whether reading goes on after a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    GoOn,
    Stop,
}

/// A new, empty, private file at `path` in place of whatever has that name.
///
/// A leftover is replaced by renaming the new file over it, not by removing it first: so both exist
/// at one moment, and the new one cannot get the inode number that an old record knows. A symbolic
/// link is replaced itself and never followed.
pub(super) fn create_file(path: &Path) -> io::Result<File> {
    match create_exclusive(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => replace_file(path),
        created => created,
    }
}

fn replace_file(path: &Path) -> io::Result<File> {
    let aside = aside(path);
    match fs::remove_file(&aside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = create_exclusive(&aside)?;
    fs::rename(&aside, path).inspect_err(|_| {
        // The failure that matters is the first one; the next try removes what stays.
        drop(fs::remove_file(&aside));
    })?;
    Ok(file)
}

fn aside(path: &Path) -> PathBuf {
    let mut aside = OsString::from(path);
    aside.push("~");
    PathBuf::from(aside)
}

fn create_exclusive(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(PRIVATE_FILE);
    Ok(File::from(retry_on_intr(|| {
        rustix::fs::open(path, flags, mode)
    })?))
}

/// Opens an existing file for reading and writing; a symbolic link is refused, and a pipe that took
/// its place can not hold us up.
pub(super) fn open_nofollow(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(File::from(retry_on_intr(|| {
        rustix::fs::open(path, flags, Mode::empty())
    })?))
}

/// Reserves `bytes` of space and makes the file that long (`fallocate`, mode 0: as measured, and a
/// block that is claimed but was never written reads as zeros). File systems that can not reserve
/// are left alone.
pub(super) fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    if i64::try_from(bytes).is_err() {
        return Err(Errno::FBIG.into());
    }
    // Asked first, for some file systems fill themselves up before they find that it is too much.
    // Those that do not know their size say that they have no blocks.
    let space = rustix::fs::fstatvfs(file)?;
    if space.f_blocks > 0 && bytes > space.f_bfree.saturating_mul(space.f_frsize) {
        return Err(Errno::NOSPC.into());
    }
    match retry_on_intr(|| rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes)) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Makes the directory entry of `file` at `path` durable.
pub(super) fn sync_directory_of(path: &Path, file: &File) -> Result<(), Failure> {
    let directory = path.parent().unwrap_or(path);
    let synced = match File::open(directory) {
        Ok(opened) => opened.sync_all(),
        Err(error) => Err(error),
    };
    match synced {
        Ok(()) => Ok(()),
        // A directory that may be written but not read, or one that its file system cannot sync:
        // the whole file system is synced instead.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput
            ) =>
        {
            let synced = rustix::fs::syncfs(file);
            synced.map_err(|error| failure("sync the directory", directory, &error.into()))
        }
        Err(error) => Err(failure("sync the directory", directory, &error)),
    }
}

/// Which file it is.
pub(super) fn identity_of(metadata: &Metadata) -> FileIdentity {
    FileIdentity {
        device: metadata.dev(),
        inode: metadata.ino(),
    }
}

/// What has the name `path`, not followed when it is a symbolic link; `None` when nothing has.
pub(super) fn look(path: &Path) -> Result<Option<Metadata>, Failure> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(failure("look at", path, &error)),
    }
}

/// Hands the first `length` bytes of `file` to `take`, block by block, until it says stop. Ends with
/// what `take` said last.
pub(super) fn each_block(
    file: &File,
    length: u64,
    mut take: impl FnMut(&[u8]) -> Flow,
) -> io::Result<Flow> {
    try_each_block(file, length, |block, _| Ok(take(block)))
}

/// As [`each_block`], for a `take` that can fail; it is given the offset of each block too.
pub(super) fn try_each_block(
    file: &File,
    length: u64,
    mut take: impl FnMut(&[u8], u64) -> io::Result<Flow>,
) -> io::Result<Flow> {
    let whole = usize::try_from(length)
        .unwrap_or(READ_BYTES)
        .min(READ_BYTES);
    let mut buffer = vec![0; whole];
    let mut offset = 0;
    while offset < length {
        let left = usize::try_from(length - offset).unwrap_or(READ_BYTES);
        let block = &mut buffer[..left.min(READ_BYTES)];
        file.read_exact_at(block, offset)?;
        if take(block, offset)? == Flow::Stop {
            return Ok(Flow::Stop);
        }
        offset += block.len() as u64;
    }
    Ok(Flow::GoOn)
}
