//! File modes: private while a file is a part, as the umask says once it is published.

use std::fs::{DirBuilder, File, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::OnceLock;
use std::{fs, io};

/// The mode of directories that this program makes.
pub(super) const PRIVATE_DIRECTORY: u32 = 0o700;

/// The mode of files that only this program reads.
pub(super) const PRIVATE_FILE: u32 = 0o600;

/// Makes `path` and its missing parents, each for this user only. What exists keeps its mode: a
/// caller may have named a directory that others share.
pub(super) fn make_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE_DIRECTORY)
        .create(path)
}

/// Gives `file` the mode that a file made by any other program of this user would have.
pub(super) fn make_public(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o666 & !umask()))
}

/// The umask of this process, as it was at the first call.
///
/// `umask(2)` can only be read by setting it, which another thread could notice; the kernel shows it
/// in `/proc` as well. It is read once, for a file of `/proc` costs more than publishing a small
/// file. Where `/proc` is missing, files stay private.
fn umask() -> u32 {
    static UMASK: OnceLock<u32> = OnceLock::new();
    *UMASK.get_or_init(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        parse_umask(&status).unwrap_or(0o077)
    })
}

/// The `Umask:` line of `/proc/self/status` (proc_pid_status(5), since Linux 4.7).
fn parse_umask(status: &str) -> Option<u32> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(value.trim(), 8)
        .ok()
        .filter(|mask| *mask <= 0o777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_umask_is_read_from_the_status_of_the_process() {
        for (status, mask) in [
            ("Name:\tx\nUmask:\t0022\nState:\tR\n", Some(0o022)),
            ("Umask:\t0077\n", Some(0o077)),
            ("Umask:\t0000", Some(0)),
            ("Umask:\t7777\n", None),
            ("Umask:\tx\n", None),
            ("Name:\tx\n", None),
            ("", None),
        ] {
            assert_eq!(parse_umask(status), mask, "{status:?}");
        }
    }
}
