//! Giving a finished part its final name, by the collision policy and never over a stranger.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::session::Durability;
use longhaul_engine::task::Collision;
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::disk::{Flow, identity_of, look, reserve, sync_directory_of, try_each_block};
use super::error::{errno_of, failure, refused};
use super::mode::make_public;
use super::part::PartFile;
use super::place::{numbered, split_target};

/// Other names tried for one file under [`Collision::Rename`]: each costs a look at the directory,
/// and a directory with so many files of one name asks for another name.
pub const RENAME_TRIES_MAX: u32 = 10_000;

/// What [`check_target`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetCheck {
    /// The policy lets the download go on.
    Free,
    /// Something has the name, and the policy is to fail or to skip.
    Taken,
}

/// Where and how to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publication<'a> {
    /// The final path, as it was recorded before.
    pub target: &'a Path,
    /// The length of the finished file in bytes.
    pub length: u64,
    /// Only `Overwrite` replaces what has the name; all others leave it alone.
    pub collision: Collision,
    /// With `Power`, everything has reached the device when [`publish`] answers.
    pub durability: Durability,
}

/// How a part got its final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It was renamed: nothing is left.
    Renamed,
    /// It lay on another device and was copied. The part is still there: discard it after the
    /// terminal fact is committed, for until then it proves whose file the target is.
    Copied,
}

/// Looks at the target before anything is fetched: whether the policy lets the download go on. A
/// symbolic link counts as a file, wherever it leads. A missing directory is found when the part is
/// made beside the target.
///
/// # Errors
/// `TargetExists` when the policy is to overwrite and what has the name is no file; `InvalidRequest`
/// when `target` is no absolute path of a file.
pub fn check_target(target: &Path, collision: Collision) -> Result<TargetCheck, Failure> {
    split_target(target)?;
    match (look(target)?, collision) {
        (None, Collision::Fail | Collision::Overwrite | Collision::Rename | Collision::Skip)
        | (Some(_), Collision::Rename) => Ok(TargetCheck::Free),
        (Some(_), Collision::Fail | Collision::Skip) => Ok(TargetCheck::Taken),
        (Some(found), Collision::Overwrite) => {
            replaceable(target, &found).map(|()| TargetCheck::Free)
        }
    }
}

/// Looks whether the directory of `target` exists: for a part that lies elsewhere already, with which
/// nothing else would find out before every byte is there.
///
/// # Errors
/// `File` when it is missing or no directory; `InvalidRequest` when `target` is no absolute path of a
/// file.
pub fn check_directory(target: &Path) -> Result<(), Failure> {
    let (directory, _) = split_target(target)?;
    match fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(refused(directory, "is no directory; choose another place")),
        Err(error) => Err(failure("use the directory", directory, &error)),
    }
}

/// The first free name of `wanted`, `name.1.ext`, `name.2.ext` and so on. It is free now; only
/// [`publish`] can tell whether it still is then.
///
/// # Errors
/// `TargetExists` when [`RENAME_TRIES_MAX`] names are taken; `File` when the system refuses to look.
pub fn choose_name(wanted: &Path) -> Result<PathBuf, Failure> {
    check_target(wanted, Collision::Rename)?;
    first_free(wanted, |path| look(path).map(|found| found.is_none()))
}

fn first_free(
    wanted: &Path,
    mut is_free: impl FnMut(&Path) -> Result<bool, Failure>,
) -> Result<PathBuf, Failure> {
    if is_free(wanted)? {
        return Ok(wanted.to_owned());
    }
    for n in 1..=RENAME_TRIES_MAX {
        let path = numbered(wanted, n);
        if is_free(&path)? {
            return Ok(path);
        }
    }
    let message =
        format!("{wanted:?} and {RENAME_TRIES_MAX} more names like it are taken; choose another");
    Err(Failure::new(FailureKind::TargetExists, message))
}

/// Gives `part` its final name: cuts it to its length, gives it the mode of an ordinary new file,
/// syncs it if that is asked for, renames it, and syncs the directory. A symbolic link that is
/// overwritten is replaced itself; what it leads to is not touched.
///
/// Record the target before the call: after a crash in it either name may exist, and
/// [`recover`](super::recover::recover) finds out which. Calling it again after it was done changes
/// nothing.
///
/// # Errors
/// `TargetExists` when something has the name, found in the same step that would have taken it: all
/// is as it was, and another name can be tried. `File` when the directory is missing or not
/// writable, or when the part is shorter than its length, or is not under its name any more.
/// `NoSpace` when a copy does not fit.
pub fn publish(part: &PartFile, order: &Publication<'_>) -> Result<Published, Failure> {
    let Some(found) = named(part, part.path())? else {
        if named(part, order.target)?.is_some() {
            return settle(part, order).map(|()| Published::Renamed);
        }
        return Err(refused(
            part.path(),
            "was moved or replaced by another program; start again",
        ));
    };
    let may_replace = order.collision == Collision::Overwrite;
    if may_replace && let Some(found) = look(order.target)? {
        replaceable(order.target, &found)?;
    }
    complete(part, found.len(), order)?;
    let published = match rename(part.path(), order.target, may_replace) {
        Ok(()) => Published::Renamed,
        Err(error) if errno_of(&error) == Some(Errno::XDEV) => {
            publish_copy(part, order, may_replace)?;
            Published::Copied
        }
        // An earlier transfer of this very part, whose end nobody waited for, was quicker.
        Err(_) if named(part, order.target)?.is_some() => Published::Renamed,
        Err(error) => return Err(not_published(order.target, &error)),
    };
    settle(part, order)?;
    Ok(published)
}

/// Cuts the file of `length` bytes to the length that it shall have, and makes it what its readers
/// shall see.
fn complete(part: &PartFile, length: u64, order: &Publication<'_>) -> Result<(), Failure> {
    if length < order.length {
        let reason = "is shorter than what was written to it: another program cut it; start again";
        return Err(refused(part.path(), reason));
    }
    if length > order.length {
        part.set_len(order.length)?;
    }
    make_public(part.file()).map_err(|error| failure("set the mode of", part.path(), &error))?;
    match order.durability {
        Durability::Power => part.sync_whole(),
        Durability::Process => Ok(()),
    }
}

fn settle(part: &PartFile, order: &Publication<'_>) -> Result<(), Failure> {
    match order.durability {
        Durability::Power => sync_directory_of(order.target, part.file()),
        Durability::Process => Ok(()),
    }
}

/// Copies a part from another device to a part beside the target, and renames that one.
fn publish_copy(
    part: &PartFile,
    order: &Publication<'_>,
    may_replace: bool,
) -> Result<(), Failure> {
    let (directory, _) = split_target(order.target)?;
    let (_, name) = split_target(part.path())?;
    let copy = PartFile::create_at(directory.join(name))?;
    let done = copy_bytes(part, &copy, order.length)
        .and_then(|()| complete(&copy, order.length, order))
        .and_then(|()| {
            rename(copy.path(), order.target, may_replace)
                .map_err(|error| not_published(order.target, &error))
        });
    if done.is_err() {
        // The failure that matters is the first one; a later copy replaces what stays.
        drop(fs::remove_file(copy.path()));
    }
    done
}

fn copy_bytes(from: &PartFile, to: &PartFile, length: u64) -> Result<(), Failure> {
    reserve(to.file(), length)
        .and_then(|()| {
            try_each_block(from.file(), length, |block, offset| {
                to.file().write_all_at(block, offset)?;
                Ok(Flow::GoOn)
            })
        })
        .map(|_| ())
        .map_err(|error| failure("copy the part file to", to.path(), &error))
}

/// Renames; unless `may_replace`, fails with `AlreadyExists` when something has the name.
fn rename(from: &Path, to: &Path, may_replace: bool) -> io::Result<()> {
    if may_replace {
        return fs::rename(from, to);
    }
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // The file system or the kernel does not know the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => link_and_unlink(from, to),
        Err(error) => Err(error.into()),
    }
}

/// The way of file systems without `RENAME_NOREPLACE` (NFS): a link is never made over a file. A
/// crash between the two steps leaves both names, which recovery knows.
fn link_and_unlink(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::MLINK) => {
            rename_if_free(from, to)
        }
        Err(error) => Err(error.into()),
    }
}

/// The way of file systems that can not link either: another program could take the name between
/// the look and the rename, which nothing there can prevent.
fn rename_if_free(from: &Path, to: &Path) -> io::Result<()> {
    match fs::symlink_metadata(to) {
        Ok(_) => Err(Errno::EXIST.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
        Err(error) => Err(error),
    }
}

fn not_published(target: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::AlreadyExists {
        let message =
            format!("{target:?} exists; remove it, or choose to overwrite, rename or skip");
        return Failure::new(FailureKind::TargetExists, message);
    }
    failure("give the finished file the name", target, error)
}

/// Only files and symbolic links are ever replaced: not a directory, and never a device such as
/// `/dev/null`.
fn replaceable(target: &Path, found: &Metadata) -> Result<(), Failure> {
    if found.is_file() || found.is_symlink() {
        return Ok(());
    }
    let message = format!("{target:?} is not a file and is not replaced; choose another name");
    Err(Failure::new(FailureKind::TargetExists, message))
}

/// What has the name `path`, if it is the part itself.
fn named(part: &PartFile, path: &Path) -> Result<Option<Metadata>, Failure> {
    Ok(look(path)?.filter(|found| identity_of(found) == part.identity()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    type Rename = fn(&Path, &Path) -> io::Result<()>;

    const WAYS: [(&str, Rename); 3] = [
        ("the flag", |from, to| rename(from, to, false)),
        ("a link", link_and_unlink),
        ("a look", rename_if_free),
    ];

    #[test]
    fn every_way_of_renaming_leaves_an_existing_file_alone() {
        for (name, way) in WAYS {
            let directory = tempfile::tempdir().unwrap();
            let [from, to] = ["from", "to"].map(|name| directory.path().join(name));
            fs::write(&from, "new").unwrap();
            fs::write(&to, "old").unwrap();
            let error = way(&from, &to).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{name}");
            assert_eq!(fs::read(&to).unwrap(), b"old", "{name}");

            fs::remove_file(&to).unwrap();
            way(&from, &to).unwrap();
            assert_eq!(fs::read(&to).unwrap(), b"new", "{name}");
            assert!(!from.exists(), "{name}");
        }
    }

    #[test]
    fn names_are_tried_in_order_and_not_for_ever() {
        let wanted = Path::new("/d/a.iso");
        for (taken, expected) in [(0, "/d/a.iso"), (1, "/d/a.1.iso"), (4, "/d/a.4.iso")] {
            let mut looked = 0;
            let found = first_free(wanted, |_| {
                looked += 1;
                Ok(looked > taken)
            });
            assert_eq!(found.unwrap(), Path::new(expected), "{taken}");
        }
        let mut looked = 0;
        let failure = first_free(wanted, |_| {
            looked += 1;
            Ok(false)
        });
        assert_eq!(failure.unwrap_err().kind(), FailureKind::TargetExists);
        assert_eq!(looked, RENAME_TRIES_MAX + 1);
    }
}
