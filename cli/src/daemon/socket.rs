//! The socket that the daemon listens on: one daemon at a time, for its user alone.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
    PermissionsExt as _,
};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use longhaul::Error;

/// The longest path of a socket: `sun_path` of unix(7) has 108 bytes, one of them the end.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A lock file holds a process id; more is none of ours.
const LOCK_BYTES_MAX: u64 = 32;

/// A Unix socket that only this process listens on.
///
/// One that [`Endpoint::bind`] made has mode 0600 in a directory of mode 0700, and a lock file beside
/// it that is held for as long as the socket: `<socket>.lock`. The lock ends with the process,
/// however it ends, and a socket that a killed daemon left behind is replaced by its successor.
#[derive(Debug)]
pub struct Endpoint {
    pub(super) listener: UnixListener,
    pub(super) holding: Holding,
}

/// What keeps other daemons away from a socket. Dropped, it gives the socket back.
#[derive(Debug)]
pub(super) struct Holding {
    path: PathBuf,
    /// Device and inode of the socket file that is ours to remove; `None` when systemd made it.
    made: Option<(u64, u64)>,
    _lock: Lock,
}

/// The file beside a socket that is locked (flock) until this is dropped.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing it is not enough: a process that is being started has a copy of it until it runs
        // its own program (fork(2), flock(2)).
        let _ = self.0.unlock();
    }
}

/// Why a daemon can not listen; the text names the next step.
#[derive(Debug)]
pub enum StartError {
    /// Another daemon listens there.
    InUse {
        /// The socket.
        socket: PathBuf,
        /// Its process, when it could be read.
        pid: Option<u32>,
    },
    /// The socket or its directory can not be used.
    Socket(String),
    /// A thread or an event loop could not be started.
    Threads(String),
    /// The engine is one of another process, which serves it.
    Engine(Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { socket, pid } => {
                let who = pid.map_or_else(
                    || "another process".to_owned(),
                    |pid| format!("process {pid}"),
                );
                let socket = socket.display();
                write!(
                    f,
                    "a daemon listens on {socket} already: {who}; use that one, stop it, or name another socket with --socket PATH"
                )
            }
            Self::Socket(text) => f.write_str(text),
            Self::Threads(text) => write!(f, "a thread could not be started: {text}"),
            Self::Engine(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl Endpoint {
    /// Listens on a socket at `path`, whose directory is made when it is missing.
    ///
    /// # Errors
    /// [`StartError::InUse`] while another daemon does; [`StartError::Socket`] when the directory belongs to
    /// somebody else or is open to others, or when something that is no abandoned socket is there.
    pub fn bind(path: &Path) -> Result<Self, StartError> {
        let path = std::path::absolute(path).map_err(|error| unusable(path, &error))?;
        if path.as_os_str().as_bytes().len() > SOCKET_PATH_BYTES_MAX {
            return Err(StartError::Socket(format!(
                "the path of the socket, {}, is longer than {SOCKET_PATH_BYTES_MAX} bytes; name a shorter one with --socket PATH",
                path.display()
            )));
        }
        let directory = path.parent().filter(|_| path.file_name().is_some());
        let directory = directory.ok_or_else(|| {
            StartError::Socket(format!(
                "{} is no path of a socket; name a file with --socket PATH",
                path.display()
            ))
        })?;
        claim_directory(directory)?;
        let lock = take_lock(&path)?;
        remove_abandoned(&path)?;
        let listen = || -> io::Result<_> {
            let listener = UnixListener::bind(&path)?;
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            let made = fs::symlink_metadata(&path)?;
            Ok((listener, (made.dev(), made.ino())))
        };
        let (listener, made) = listen().map_err(|error| unusable(&path, &error))?;
        let holding = Holding {
            path,
            made: Some(made),
            _lock: lock,
        };
        Ok(Self { listener, holding })
    }

    /// The socket that systemd listens on for this process, or `None` when it was not started so
    /// (`sd_listen_fds(3)`).
    ///
    /// # Errors
    /// [`StartError::Socket`] when what was handed over is no such socket, [`StartError::InUse`] while
    /// another daemon holds its lock.
    pub fn from_systemd() -> Result<Option<Self>, StartError> {
        let mut handed = ListenFd::from_env();
        let wrong = |text: &str| {
            StartError::Socket(format!(
                "systemd hands over {text}; give the unit one ListenStream= with a path"
            ))
        };
        match handed.len() {
            0 => return Ok(None),
            1 => {}
            _ => return Err(wrong("more than one socket")),
        }
        let listener = handed.take_unix_listener(0);
        let listener = listener.map_err(|error| wrong(&error.to_string()))?;
        let listener = listener.ok_or_else(|| wrong("no socket"))?;
        let address = listener.local_addr();
        let address = address.map_err(|error| wrong(&error.to_string()))?;
        let path = address.as_pathname();
        let path = path.ok_or_else(|| wrong("a socket without a path"))?;
        let holding = Holding {
            _lock: take_lock(path)?,
            path: path.to_path_buf(),
            made: None,
        };
        Ok(Some(Self { listener, holding }))
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.holding.path
    }
}

impl Holding {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Holding {
    /// Removes the socket if it is the one that was made; then the lock is given back.
    fn drop(&mut self) {
        let there = fs::symlink_metadata(&self.path);
        let is_ours = |there: &fs::Metadata| self.made == Some((there.dev(), there.ino()));
        if there.is_ok_and(|there| is_ours(&there))
            && let Err(error) = fs::remove_file(&self.path)
        {
            // It is in nobody's way: the next daemon takes it for an abandoned one.
            tracing::warn!(path = %self.path.display(), %error, "the socket was not removed");
        }
    }
}

/// Makes the directory, or sees that it is this user's alone: who may enter may connect.
fn claim_directory(directory: &Path) -> Result<(), StartError> {
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory);
    made.map_err(|error| unusable(directory, &error))?;
    let metadata = fs::metadata(directory).map_err(|error| unusable(directory, &error))?;
    let shown = directory.display();
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(StartError::Socket(format!(
            "the directory {shown} of the socket belongs to another user; name a socket in a directory of your own with --socket PATH"
        )));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(StartError::Socket(format!(
            "the directory {shown} of the socket is open to others (mode {mode:o}); close it with `chmod 700 {shown}`, or name a socket in another one with --socket PATH"
        )));
    }
    Ok(())
}

/// Takes the lock beside the socket, and writes down who has it.
fn take_lock(socket: &Path) -> Result<Lock, StartError> {
    let mut name = OsString::from(socket);
    name.push(".lock");
    let path = PathBuf::from(name);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let opened = options.mode(0o600).open(&path);
    let file = opened.map_err(|error| unusable(&path, &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let read = file.take(LOCK_BYTES_MAX).read_to_string(&mut text);
            let pid = read.ok().and_then(|_| text.trim().parse().ok());
            let socket = socket.to_path_buf();
            return Err(StartError::InUse { socket, pid });
        }
        Err(TryLockError::Error(error)) => return Err(unusable(&path, &error)),
    }
    let mut lock = Lock(file);
    let mut write = || {
        lock.0.set_len(0)?;
        writeln!(lock.0, "{}", std::process::id())
    };
    write().map_err(|error| unusable(&path, &error))?;
    Ok(lock)
}

/// Removes a socket that nobody listens on. The lock is held, so none of ours is about to.
fn remove_abandoned(path: &Path) -> Result<(), StartError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(path, &error)),
    };
    let shown = path.display();
    if !metadata.file_type().is_socket() {
        return Err(StartError::Socket(format!(
            "{shown} is no socket; move it away, or name another place with --socket PATH"
        )));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| unusable(path, &error))
        }
        Err(error) => Err(unusable(path, &error)),
        Ok(_) => Err(StartError::Socket(format!(
            "another program listens on {shown}, maybe systemd (`systemctl --user status longhaul.socket`); stop it, or name another socket with --socket PATH"
        ))),
    }
}

fn unusable(path: &Path, error: &io::Error) -> StartError {
    StartError::Socket(format!(
        "{} can not be used for the socket: {error}; name another one with --socket PATH",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path) -> String {
        Endpoint::bind(path).unwrap_err().to_string()
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    /// A directory that nobody else may enter.
    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), Permissions::from_mode(0o700)).unwrap();
        home
    }

    #[test]
    fn what_is_made_is_for_its_user_alone() {
        let home = home();
        let path = home.path().join("run/longhaul/control.sock");
        let endpoint = Endpoint::bind(&path).unwrap();
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&path.with_extension("sock.lock")), 0o600);
        drop(endpoint);
        assert!(!path.exists());
    }

    #[test]
    fn a_second_one_is_refused_with_the_process_of_the_first_and_the_socket_lives() {
        let home = home();
        let path = home.path().join("s");
        let first = Endpoint::bind(&path).unwrap();
        let text = refused(&path);
        let process = format!("process {};", std::process::id());
        assert!(text.contains(&process), "{text}");
        UnixStream::connect(&path).unwrap();
        drop(first);
        Endpoint::bind(&path).unwrap();
    }

    #[test]
    fn an_abandoned_socket_is_replaced() {
        let home = home();
        let path = home.path().join("s");
        drop(UnixListener::bind(&path).unwrap());
        let endpoint = Endpoint::bind(&path).unwrap();
        UnixStream::connect(&path).unwrap();
        drop(endpoint);
    }

    #[test]
    fn what_others_listen_on_and_what_is_no_socket_stays() {
        let home = home();
        let path = home.path().join("s");
        let other = UnixListener::bind(&path).unwrap();
        assert!(refused(&path).contains("another program listens"));
        UnixStream::connect(&path).unwrap();
        drop(other);
        let file = home.path().join("f");
        fs::write(&file, "kept").unwrap();
        assert!(refused(&file).contains("is no socket"));
        assert_eq!(fs::read(&file).unwrap(), b"kept");
    }

    #[test]
    fn a_socket_that_somebody_else_made_meanwhile_is_not_removed() {
        let home = home();
        let path = home.path().join("s");
        let endpoint = Endpoint::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(endpoint);
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn directories_that_are_open_to_others_and_impossible_paths_are_refused() {
        let home = home();
        fs::set_permissions(home.path(), Permissions::from_mode(0o750)).unwrap();
        let text = refused(&home.path().join("s"));
        assert!(
            text.contains("mode 750") && text.contains("chmod 700"),
            "{text}"
        );
        fs::set_permissions(home.path(), Permissions::from_mode(0o700)).unwrap();
        assert!(refused(&home.path().join("x".repeat(120))).contains("107 bytes"));
        assert!(refused(Path::new("/")).contains("--socket"));
        let file = home.path().join("f");
        fs::write(&file, "").unwrap();
        assert!(refused(&file.join("s")).contains("--socket"));
    }
}
