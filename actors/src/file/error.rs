//! Failures of the file edge: which kind an error of the system is, and what a person can do.

use std::io;
use std::path::Path;

use longhaul_engine::failure::{Failure, FailureKind};
use rustix::io::Errno;

/// The failure of `step` ("write the part file") at `path`. The text names the path, what the
/// system said, and the next step.
pub(super) fn failure(step: &str, path: &Path, error: &io::Error) -> Failure {
    let errno = errno_of(error);
    let message = format!("cannot {step} {path:?}: {error}; {}", next_step(errno));
    Failure::new(kind_of(errno), message)
}

/// A failure that no error of the system stands behind.
pub(super) fn refused(path: &Path, reason: &str) -> Failure {
    Failure::new(FailureKind::File, format!("{path:?} {reason}"))
}

/// The error number that the system gave, if it was the system that spoke.
pub(super) fn errno_of(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw_os_error)
}

/// Whether `error` says that this user may not write in a directory, now or ever.
pub(super) fn is_denied(error: &io::Error) -> bool {
    matches!(
        errno_of(error),
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS)
    )
}

/// The kind of a failure with this error number: out of space in any form, or a file error.
fn kind_of(errno: Option<Errno>) -> FailureKind {
    match errno {
        Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => FailureKind::NoSpace,
        _ => FailureKind::File,
    }
}

/// What a person can do about it.
fn next_step(errno: Option<Errno>) -> &'static str {
    match errno {
        Some(Errno::NOSPC) => "free some space there and start again",
        Some(Errno::DQUOT) => "free some of your quota there and start again",
        Some(Errno::FBIG) => {
            "neither this file system nor `ulimit -f` allows so large a file; choose another place"
        }
        Some(Errno::ACCESS | Errno::PERM) => {
            "allow this user to write there or choose another place"
        }
        Some(Errno::ROFS) => "the file system is read-only; choose another place",
        Some(Errno::NOENT | Errno::NOTDIR) => "create the directory first",
        Some(Errno::NAMETOOLONG) => "choose a shorter name",
        Some(Errno::ISDIR) => "a directory has that name; choose another name",
        Some(Errno::LOOP) => "a symbolic link stands there; remove it or choose another name",
        Some(Errno::MFILE | Errno::NFILE) => "allow more open files (`ulimit -n`)",
        Some(Errno::IO) => "the device failed; look at the kernel's log",
        _ => "look at the file system there",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_no_space_is_no_space_and_the_rest_is_a_file_error() {
        for (errno, kind, hint) in [
            (Errno::NOSPC, FailureKind::NoSpace, "free some space"),
            (Errno::DQUOT, FailureKind::NoSpace, "quota"),
            (Errno::FBIG, FailureKind::NoSpace, "choose another place"),
            (Errno::ACCESS, FailureKind::File, "allow this user"),
            (Errno::PERM, FailureKind::File, "allow this user"),
            (Errno::ROFS, FailureKind::File, "read-only"),
            (Errno::NOENT, FailureKind::File, "create the directory"),
            (Errno::NOTDIR, FailureKind::File, "create the directory"),
            (Errno::NAMETOOLONG, FailureKind::File, "shorter name"),
            (Errno::ISDIR, FailureKind::File, "another name"),
            (Errno::LOOP, FailureKind::File, "symbolic link"),
            (Errno::MFILE, FailureKind::File, "open files"),
            (Errno::IO, FailureKind::File, "device failed"),
            (Errno::STALE, FailureKind::File, "file system"),
        ] {
            let found = failure("write", Path::new("/a/b"), &io::Error::from(errno));
            assert_eq!(found.kind(), kind, "{errno:?}");
            assert!(found.message().contains(hint), "{}", found.message());
            assert!(
                found.message().starts_with("cannot write \"/a/b\": "),
                "{}",
                found.message()
            );
        }
    }

    #[test]
    fn an_error_without_a_number_is_a_file_error() {
        let error = io::Error::new(io::ErrorKind::WriteZero, "nothing was taken");
        assert_eq!(
            failure("write", Path::new("/a"), &error).kind(),
            FailureKind::File
        );
    }

    #[test]
    fn only_a_directory_that_refuses_this_user_is_denied() {
        for errno in [Errno::ACCESS, Errno::PERM, Errno::ROFS] {
            assert!(is_denied(&io::Error::from(errno)), "{errno:?}");
        }
        for errno in [Errno::NOENT, Errno::NOSPC, Errno::NAMETOOLONG, Errno::IO] {
            assert!(!is_denied(&io::Error::from(errno)), "{errno:?}");
        }
    }

    #[test]
    fn a_path_with_control_characters_cannot_reach_a_terminal_raw() {
        let found = failure(
            "open",
            Path::new("/a\u{1b}[2J"),
            &io::Error::from(Errno::IO),
        );
        assert!(!found.message().contains('\u{1b}'), "{}", found.message());
    }
}
