//! What a daemon that an app has started says on its standard error: a file beside its socket, because
//! the app may be gone before it says anything.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use longhaul_engine::control::LOG_NAME;

/// A file that is longer is begun anew with the next daemon: nobody else cares for its size.
const BYTES_MAX: u64 = 1024 * 1024;

/// What is shown of it when a daemon did not start.
const SHOWN_BYTES_MAX: u64 = 4096;

/// The lines of that which are shown.
const SHOWN_LINES_MAX: usize = 5;

/// Where one daemon writes.
#[derive(Debug)]
pub(crate) struct DaemonLog {
    path: PathBuf,
    /// What earlier ones have written.
    begins_at: u64,
}

impl DaemonLog {
    /// Opens the file beside `socket`; their directory is made with mode 0700 when it is missing.
    ///
    /// # Errors
    /// When the directory or the file can not be made.
    pub(crate) fn open(socket: &Path) -> io::Result<(Self, File)> {
        let directory = socket.parent().unwrap_or(Path::new("."));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let path = directory.join(LOG_NAME);
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        let file = options.open(&path)?;
        if file.metadata()?.len() > BYTES_MAX {
            file.set_len(0)?;
        }
        let begins_at = file.metadata()?.len();
        Ok((Self { path, begins_at }, file))
    }

    /// The last lines that were written since, without what could move a terminal's cursor; what can
    /// not be read is not shown.
    pub(crate) fn last_lines(&self) -> String {
        let text = self.tail().unwrap_or_default();
        let lines: Vec<_> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let first = lines.len().saturating_sub(SHOWN_LINES_MAX);
        let shown = lines[first..].join("; ");
        shown
            .chars()
            .filter(|letter| !letter.is_control())
            .collect()
    }

    fn tail(&self) -> io::Result<String> {
        let mut file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        let from = length.saturating_sub(SHOWN_BYTES_MAX).max(self.begins_at);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(SHOWN_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_last_lines_of_this_daemon_are_shown_and_none_of_an_earlier_one() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("run/control.sock");
        let (_, mut file) = DaemonLog::open(&socket).unwrap();
        writeln!(file, "the words of an earlier one").unwrap();
        let (log, mut file) = DaemonLog::open(&socket).unwrap();
        assert_eq!(log.last_lines(), "");
        for number in 1..=7 {
            writeln!(file, "line {number}\u{1b}[1m").unwrap();
        }
        let shown = log.last_lines();
        assert_eq!(
            shown,
            "line 3[1m; line 4[1m; line 5[1m; line 6[1m; line 7[1m"
        );
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&log.path), 0o600);
        assert_eq!(mode(log.path.parent().unwrap()), 0o700);
    }

    #[test]
    fn a_file_that_grew_long_is_begun_anew_by_the_next_daemon() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("control.sock");
        let (log, file) = DaemonLog::open(&socket).unwrap();
        file.set_len(BYTES_MAX + 1).unwrap();
        assert!(log.last_lines().len() <= 4096, "no more than that is read");
        let (log, _) = DaemonLog::open(&socket).unwrap();
        assert_eq!(log.begins_at, 0);
    }
}
