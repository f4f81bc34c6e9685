//! Names of files: where a part file lies, and which free name a published file takes.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use longhaul_engine::checksum::blake3;
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::id::TaskId;

/// Bytes in the name of a part file: the shortest limit of a file system in common use (eCryptfs
/// leaves 143 of 255), so that a part fits wherever its target fits.
pub const PART_NAME_BYTES_MAX: usize = 143;

/// Bytes in a file name: `NAME_MAX` of Linux.
pub const NAME_BYTES_MAX: usize = 255;

/// How the mark of a task begins in the names of its files.
const MARK: &str = ".longhaul-";

/// How the names of tickets end.
const RESUME_SUFFIX: &str = ".resume";

/// Where the part file of one task may lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartPlace {
    directory: PathBuf,
    name: OsString,
    fallback: PathBuf,
}

impl PartPlace {
    /// The place of the part of `task`: beside `target` as `.NAME.longhaul-TASK-STORE.part`, or under
    /// the same name in `fallback`, a directory within the state directory.
    ///
    /// `STORE` is eight digits from the path of `fallback`. Task numbers are unique in one store
    /// only, and two stores may download to one directory: without it they would take each other's
    /// parts for leftovers of their own. `NAME` is cut to keep the whole within
    /// [`PART_NAME_BYTES_MAX`].
    ///
    /// # Errors
    /// `InvalidRequest` when a path is not absolute or `target` names no file.
    pub fn new(target: &Path, task: TaskId, fallback: &Path) -> Result<Self, Failure> {
        let (directory, name) = split_target(target)?;
        if !fallback.is_absolute() {
            let message = format!("the state directory's {fallback:?} is not an absolute path");
            return Err(Failure::new(FailureKind::InvalidRequest, message));
        }
        Ok(Self {
            directory: directory.to_owned(),
            name: part_name(name, task, fallback),
            fallback: fallback.to_owned(),
        })
    }

    /// The part's path beside the target.
    #[must_use]
    pub fn beside(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// The part's path in the state directory, for a target's directory that takes no new files.
    #[must_use]
    pub fn fallback(&self) -> PathBuf {
        self.fallback.join(&self.name)
    }

    pub(super) fn fallback_directory(&self) -> &Path {
        &self.fallback
    }
}

/// The directory and the name of the file that `target` names.
pub(super) fn split_target(target: &Path) -> Result<(&Path, &OsStr), Failure> {
    let parts = target
        .parent()
        .zip(target.file_name())
        .filter(|_| target.is_absolute());
    parts.ok_or_else(|| {
        let message = format!("{target:?} is not the absolute path of a file; name one");
        Failure::new(FailureKind::InvalidRequest, message)
    })
}

/// The `n`th other name for `wanted`: `name.1.ext`, `name.2.ext`. The number goes before the last
/// extension; the stem is cut when the whole would be longer than [`NAME_BYTES_MAX`].
pub(super) fn numbered(wanted: &Path, n: u32) -> PathBuf {
    let stem = wanted.file_stem().unwrap_or_default();
    let mut end = format!(".{n}").into_bytes();
    if let Some(extension) = wanted.extension() {
        end.push(b'.');
        end.extend_from_slice(extension.as_bytes());
    }
    // An "extension" that alone fills the name is no extension worth keeping whole.
    end.truncate(NAME_BYTES_MAX - 1);
    let mut name = cut(stem, NAME_BYTES_MAX - end.len()).to_vec();
    name.extend_from_slice(&end);
    wanted.with_file_name(OsString::from_vec(name))
}

/// Where the ticket of `task` lies: beside `part`, which it holds and another task may have made, as
/// `.NAME.longhaul-TASK-STORE.resume`. A task has one ticket at most, for it ends once.
#[must_use]
pub fn ticket_path(part: &Path, task: TaskId, fallback: &Path) -> PathBuf {
    let name = part.file_name().unwrap_or_default().as_bytes();
    let mark = mark_at(name);
    let end = format!("{}{RESUME_SUFFIX}", owner_mark(task, fallback));
    let stem = OsStr::from_bytes(&name[..mark.unwrap_or(name.len())]);
    let mut ticket = cut(stem, PART_NAME_BYTES_MAX - end.len()).to_vec();
    ticket.extend_from_slice(end.as_bytes());
    part.with_file_name(OsString::from_vec(ticket))
}

/// Where the ticket of an upload may lie: beside its file, or in `fallback`.
///
/// # Errors
/// `InvalidRequest` when a path is not absolute or `source` names no file.
pub fn upload_ticket_paths(
    source: &Path,
    task: TaskId,
    fallback: &Path,
) -> Result<[PathBuf; 2], Failure> {
    let place = PartPlace::new(source, task, fallback)?;
    let beside = |part: PathBuf| ticket_path(&part, task, fallback);
    Ok([place.beside(), place.fallback()].map(beside))
}

fn part_name(name: &OsStr, task: TaskId, fallback: &Path) -> OsString {
    let end = part_end(task, fallback);
    let mut part = vec![b'.'];
    part.extend_from_slice(cut(name, PART_NAME_BYTES_MAX - 1 - end.len()));
    part.extend_from_slice(end.as_bytes());
    OsString::from_vec(part)
}

/// How the names of all part files of `task` end, whatever their target.
pub(super) fn part_end(task: TaskId, fallback: &Path) -> String {
    format!("{}.part", owner_mark(task, fallback))
}

/// The end of the name of a part file that says whose it is, as [`part_end`] makes it; `None` for
/// another file.
pub(super) fn part_end_of(name: &OsStr) -> Option<&str> {
    let name = name.as_bytes();
    let end = str::from_utf8(&name[mark_at(name)?..]).ok()?;
    name.starts_with(b".").then_some(end)
}

/// The name of a part file, read.
pub(super) struct PartName<'a> {
    /// The task that made it.
    pub(super) task: TaskId,
    /// What stands before its mark.
    stem: &'a [u8],
}

impl<'a> PartName<'a> {
    /// The name of a part that a task of the store with this `fallback` has made; `None` for another
    /// file.
    pub(super) fn of(name: &'a OsStr, fallback: &Path) -> Option<Self> {
        let end = part_end_of(name)?;
        let store = format!("-{}.part", store_digits(fallback));
        let number = end.strip_prefix(MARK)?.strip_suffix(&store)?;
        let stem = &name.as_bytes()[..name.len() - end.len()];
        let task = TaskId::new(number.parse().ok()?);
        Some(Self { task, stem })
    }
}

/// Whether a file is the ticket that holds this part, of whatever task and store: its stem may have
/// been cut to make room for a longer number.
pub(super) fn is_ticket_of(name: &OsStr, part: &PartName<'_>) -> bool {
    let name = name.as_bytes();
    name.ends_with(RESUME_SUFFIX.as_bytes())
        && mark_at(name).is_some_and(|mark| part.stem.starts_with(&name[..mark]))
}

/// Where the last mark in a name begins: the target's own name may hold one.
fn mark_at(name: &[u8]) -> Option<usize> {
    name.windows(MARK.len())
        .rposition(|window| window == MARK.as_bytes())
}

/// What the names of all files of `task` have in common.
fn owner_mark(task: TaskId, fallback: &Path) -> String {
    format!("{MARK}{task}-{}", store_digits(fallback))
}

/// Eight hexadecimal digits that tell stores apart; the same for one path in every version.
fn store_digits(fallback: &Path) -> String {
    let digest = blake3(fallback.as_os_str().as_bytes());
    digest[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The first `length` bytes of `name`, or fewer so as not to cut a character of a UTF-8 name.
fn cut(name: &OsStr, length: usize) -> &[u8] {
    let bytes = name.as_bytes();
    if bytes.len() <= length {
        return bytes;
    }
    let end = match name.to_str() {
        Some(text) => (0..=length)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0),
        None => length,
    };
    &bytes[..end]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn part_of(target: &Path) -> PathBuf {
        PartPlace::new(target, TaskId::new(7), Path::new("/state/parts"))
            .unwrap()
            .beside()
    }

    #[test]
    fn a_part_is_hidden_beside_its_target_and_names_its_task_and_store() {
        let place = PartPlace::new(Path::new("/d/a.iso"), TaskId::new(7), Path::new("/s")).unwrap();
        let name = place.name.to_str().unwrap().to_owned();
        assert!(name.starts_with(".a.iso.longhaul-7-"), "{name}");
        assert!(name.ends_with(".part"), "{name}");
        assert_eq!(place.beside(), Path::new("/d").join(&name));
        assert_eq!(place.fallback(), Path::new("/s").join(&name));
        let other = PartPlace::new(Path::new("/d/a.iso"), TaskId::new(7), Path::new("/t")).unwrap();
        assert_ne!(place.beside(), other.beside());
    }

    #[test]
    fn the_name_of_a_part_is_the_same_in_every_version() {
        // A crash may leave a part that no record names; the next version must find it again.
        assert_eq!(
            part_of(Path::new("/d/x")),
            Path::new("/d/.x.longhaul-7-0f45b403.part")
        );
    }

    #[test]
    fn long_names_are_cut_at_a_character_and_keep_the_suffix() {
        let latin = "a".repeat(255);
        let accents = "é".repeat(127);
        for name in [latin.as_str(), accents.as_str()] {
            let part = part_of(&Path::new("/d").join(name));
            let part = part.file_name().unwrap().to_str().unwrap();
            assert!(part.len() <= PART_NAME_BYTES_MAX, "{part}");
            assert!(part.len() > PART_NAME_BYTES_MAX - 3, "{part}");
            assert!(part.ends_with(".part"), "{part}");
        }
    }

    #[test]
    fn a_name_that_is_no_text_keeps_its_bytes() {
        let target = Path::new("/d").join(OsStr::from_bytes(b"\xff\xfe.bin"));
        let part = part_of(&target);
        assert!(
            part.file_name()
                .unwrap()
                .as_bytes()
                .starts_with(b".\xff\xfe.bin.longhaul-7-")
        );
        let long = Path::new("/d").join(OsStr::from_bytes(&[0xff; 255]));
        assert_eq!(
            part_of(&long).file_name().unwrap().len(),
            PART_NAME_BYTES_MAX
        );
    }

    #[test]
    fn a_ticket_lies_beside_its_part_and_is_named_by_its_own_task() {
        let state = Path::new("/state/parts");
        for (part, ticket) in [
            (
                part_of(Path::new("/d/x")),
                "/d/.x.longhaul-9-0f45b403.resume",
            ),
            (
                PathBuf::from("/e/.a.longhaul-1-2.b.longhaul-3-00000000.part"),
                "/e/.a.longhaul-1-2.b.longhaul-9-0f45b403.resume",
            ),
        ] {
            assert_eq!(ticket_path(&part, TaskId::new(9), state), Path::new(ticket));
        }
        let long = part_of(&Path::new("/d").join("a".repeat(255)));
        let ticket = ticket_path(&long, TaskId::new(1_000_000), state);
        assert!(ticket.file_name().unwrap().len() <= PART_NAME_BYTES_MAX);
    }

    #[test]
    fn only_the_absolute_path_of_a_file_is_a_target() {
        for target in ["a", "./a", "/", "/a/..", ""] {
            let place = PartPlace::new(Path::new(target), TaskId::new(1), Path::new("/s"));
            assert_eq!(
                place.unwrap_err().kind(),
                FailureKind::InvalidRequest,
                "{target:?}"
            );
        }
        let place = PartPlace::new(Path::new("/a"), TaskId::new(1), Path::new("s"));
        assert_eq!(place.unwrap_err().kind(), FailureKind::InvalidRequest);
    }

    #[test]
    fn the_number_of_another_name_stands_before_the_last_extension() {
        for (wanted, n, expected) in [
            ("/d/a.iso", 1, "/d/a.1.iso"),
            ("/d/a.iso", 12, "/d/a.12.iso"),
            ("/d/a.tar.gz", 1, "/d/a.tar.1.gz"),
            ("/d/a", 1, "/d/a.1"),
            ("/d/.bashrc", 1, "/d/.bashrc.1"),
            ("/d/a.", 1, "/d/a.1."),
            ("/d.d/a", 2, "/d.d/a.2"),
        ] {
            assert_eq!(
                numbered(Path::new(wanted), n),
                Path::new(expected),
                "{wanted}"
            );
        }
    }

    #[test]
    fn another_name_is_never_longer_than_a_name_may_be() {
        let stem = format!("/d/{}.iso", "é".repeat(125));
        let extension = format!("/d/a.{}", "e".repeat(253));
        for (wanted, end) in [(stem.as_str(), ".10000.iso"), (extension.as_str(), "e")] {
            let name = numbered(Path::new(wanted), 10_000);
            let name = name.file_name().unwrap().to_str().unwrap();
            assert!(name.len() <= NAME_BYTES_MAX, "{name}");
            assert!(name.ends_with(end), "{name}");
        }
        let bytes = numbered(&Path::new("/d").join(OsStr::from_bytes(&[0xff; 255])), 1);
        assert_eq!(bytes.file_name().unwrap().len(), NAME_BYTES_MAX);
    }
}
