//! Processes to run, wait for with a deadline, and kill at any moment.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A process whose output goes to files, so that nothing of it is lost when it is killed. Dropping
/// it kills it.
///
/// Its standard input is one end of a socket pair. The other end reads the end of the file the
/// moment the process has ended, which gives a wait with a deadline without polling. A grandchild
/// that inherits standard input would keep the pair open; ours get `/dev/null`.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lifeline: UnixStream,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command` with empty standard input; its output goes to new files in `dir`.
    pub fn start(command: Command, dir: &Path) -> io::Result<Self> {
        Self::start_with_input(command, dir, b"")
    }

    /// Starts `command` with `input` as its standard input, which must fit into a socket buffer
    /// (some 100 KiB); its output goes to new files in `dir`.
    pub fn start_with_input(mut command: Command, dir: &Path, input: &[u8]) -> io::Result<Self> {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let stdout = dir.join(format!("process-{number}.stdout"));
        let stderr = dir.join(format!("process-{number}.stderr"));
        let (mut lifeline, theirs) = UnixStream::pair()?;
        lifeline.write_all(input)?;
        lifeline.shutdown(Shutdown::Write)?;
        let child = command
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?)
            .spawn()?;
        // `command` holds the other end for further children; dropped, only the child holds it.
        drop(command);
        Ok(Self {
            child,
            lifeline,
            stdout,
            stderr,
        })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Blocks until the process has ended or `patience` has passed; `None` when it still runs.
    pub fn wait(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self.child.try_wait();
            }
            self.lifeline.set_read_timeout(Some(left))?;
            match self.lifeline.read(&mut [0; 64]) {
                Ok(0) => return self.child.wait().map(Some),
                // It wrote into its standard input, which is nobody's business.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    // It ended without having read its input.
                    return self.child.wait().map(Some);
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends the process with SIGKILL and waits for its end. A process that has ended keeps its own
    /// status.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    /// Sends another signal by its name, such as `INT` or `TERM`, without waiting.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        // The standard library can send SIGKILL only. The id cannot belong to another process,
        // since ours is not reaped while `self` is borrowed.
        let script = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &script]).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("`{script}` ended with {status}")))
        }
    }

    /// What it has written to standard output so far; other bytes than UTF-8 are replaced.
    pub fn stdout(&self) -> io::Result<String> {
        read_lossy(&self.stdout)
    }

    /// What it has written to standard error so far; other bytes than UTF-8 are replaced.
    pub fn stderr(&self) -> io::Result<String> {
        read_lossy(&self.stderr)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a process that is gone already.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn read_lossy(path: &Path) -> io::Result<String> {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;
    use std::time::Duration;

    use super::Process;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn shell(script: &str, input: &[u8]) -> (Process, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let process = Process::start_with_input(command, dir.path(), input).expect("sh starts");
        (process, dir)
    }

    #[test]
    fn output_and_status_of_a_process_are_kept() {
        let (mut process, _dir) = shell("cat; echo err >&2; exit 7", b"input\n");
        let status = process
            .wait(PATIENCE)
            .expect("waiting works")
            .expect("it ends");
        assert_eq!(status.code(), Some(7));
        assert_eq!(process.stdout().expect("stdout is kept"), "input\n");
        assert_eq!(process.stderr().expect("stderr is kept"), "err\n");
    }

    #[test]
    fn a_process_that_ignores_its_input_is_seen_to_end() {
        let (mut process, _dir) = shell("exit 3", b"never read");
        let status = process
            .wait(PATIENCE)
            .expect("waiting works")
            .expect("it ends");
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn a_deadline_passes_while_the_process_runs_and_a_kill_ends_it() {
        let (mut process, _dir) = shell("exec tail -f /dev/null", b"");
        assert_eq!(
            process
                .wait(Duration::from_millis(20))
                .expect("waiting works"),
            None
        );
        assert_eq!(process.kill().expect("it is killed").signal(), Some(9));
        let status = process
            .wait(PATIENCE)
            .expect("waiting works")
            .expect("it has ended");
        assert_eq!(status.signal(), Some(9));
    }

    #[test]
    fn another_signal_can_be_sent() {
        let (mut process, _dir) = shell("exec tail -f /dev/null", b"");
        process.signal("TERM").expect("the signal is sent");
        let status = process
            .wait(PATIENCE)
            .expect("waiting works")
            .expect("it ends");
        assert_eq!(status.signal(), Some(15));
    }
}
