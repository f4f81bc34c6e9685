//! The directory that one run's state lies in: derived from what is asked, and removed when it is
//! no longer needed.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use etcetera::base_strategy::{BaseStrategy as _, Xdg};
use longhaul::{Destination, DownloadRequest, UploadRequest};
use sha2::{Digest as _, Sha256};

use crate::again::Again;
use crate::exit::Fault;

/// The runs of one command.
#[derive(Clone, Copy, Debug)]
struct Runs {
    /// Their directory, beneath the state directory.
    directory: &'static str,
    /// Changed whenever the same arguments must no longer mean the same directory.
    scheme: &'static [u8],
}

const GET: Runs = Runs {
    directory: "get",
    scheme: b"longhaul get 1\0",
};

const PUT: Runs = Runs {
    directory: "put",
    scheme: b"longhaul put 1\0",
};

/// The file in a run's directory that says which command it is.
const AGAIN: &str = "command.json";

/// A command line has at most 2 MiB (`ARG_MAX` of Linux by default), and JSON may double it.
const AGAIN_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// What a directory is called while it is being removed, so that a kill leaves nothing behind that
/// could be taken for a run.
const REMOVED: &str = ".removed-";

/// Where the state of all runs lies.
#[derive(Clone, Debug)]
pub(crate) struct StateRoot {
    path: PathBuf,
    /// The caller named it, so it is not ours to remove.
    is_given: bool,
}

/// Where the state of one run lies.
#[derive(Clone, Debug)]
pub(crate) struct RunDirectory {
    root: StateRoot,
    runs: &'static str,
    name: String,
}

impl StateRoot {
    /// The directory that was given, or `$XDG_STATE_HOME/longhaul`.
    pub(crate) fn resolve(given: Option<&Path>) -> Result<Self, Fault> {
        if let Some(path) = given {
            let path = std::path::absolute(path).map_err(|error| {
                let path = path.display();
                Fault::File(format!(
                    "the state directory {path} can not be used: {error}"
                ))
            })?;
            return Ok(Self {
                path,
                is_given: true,
            });
        }
        let home = Xdg::new()
            .ok()
            .and_then(|xdg| xdg.state_dir())
            .ok_or_else(|| {
                Fault::Usage(
                "there is no home directory to keep the state in; name one with --state-dir DIR"
                    .to_owned(),
            )
            })?;
        Ok(Self {
            path: home.join("longhaul"),
            is_given: false,
        })
    }

    /// The state directory itself, which may not be there.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of the daemon's engine, beside those of the runs.
    pub(crate) fn of_daemon(self) -> PathBuf {
        self.path.join("daemon")
    }

    /// The directories of all runs that are there, whether they run now or not.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for runs in [GET, PUT] {
            let Ok(entries) = fs::read_dir(self.path.join(runs.directory)) else {
                continue;
            };
            let paths = entries.flatten().map(|entry| entry.path());
            let is_removed = |path: &PathBuf| {
                let name = path.file_name().unwrap_or_default();
                name.as_bytes().starts_with(REMOVED.as_bytes())
            };
            found.extend(paths.filter(|path| path.is_dir() && !is_removed(path)));
        }
        found.sort();
        found
    }

    /// The directories of all engines that are there: the daemon's, those of runs, and one whose state
    /// lies in the directory itself.
    pub(crate) fn engines(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        if self.path.join("store.redb").exists() {
            found.push(self.path.clone());
        }
        let daemon = self.clone().of_daemon();
        if daemon.is_dir() {
            found.push(daemon);
        }
        found.append(&mut self.runs());
        found
    }

    /// The directory for these downloads: the same for the same URLs into the same places, whatever
    /// the other options are.
    pub(crate) fn of_downloads(self, requests: &[DownloadRequest]) -> RunDirectory {
        let mut hash = GET.hash();
        for request in requests {
            let (kind, path): (&[u8], &Path) = match request.destination() {
                Destination::File(path) => (b"\0f\0", path),
                Destination::Directory(path) => (b"\0d\0", path),
            };
            hash.update(request.url().as_str());
            hash.update(kind);
            hash.update(path.as_os_str().as_bytes());
            hash.update(b"\0");
        }
        self.run(GET, hash)
    }

    /// The directory for this upload: the same for the same file to the same URL with the same
    /// method, and to the same upload there when something else has begun it.
    pub(crate) fn of_upload(self, method: &str, request: &UploadRequest) -> RunDirectory {
        let mut hash = PUT.hash();
        hash.update(method);
        hash.update(b"\0");
        hash.update(request.url().as_str());
        hash.update(b"\0");
        hash.update(request.source().as_os_str().as_bytes());
        if let Some(begun_at) = request.begun_at() {
            hash.update(b"\0");
            hash.update(begun_at.as_str());
        }
        self.run(PUT, hash)
    }

    fn run(self, runs: Runs, hash: Sha256) -> RunDirectory {
        let mut name = String::with_capacity(32);
        for byte in &hash.finalize()[..16] {
            write!(name, "{byte:02x}").expect("a string takes everything");
        }
        RunDirectory {
            root: self,
            runs: runs.directory,
            name,
        }
    }
}

/// Which command the run in this directory is; `None` when that was not written, or can not be read.
pub(crate) fn remembered(run: &Path) -> Option<Again> {
    let file = fs::File::open(run.join(AGAIN)).ok()?;
    let mut text = Vec::new();
    file.take(AGAIN_BYTES_MAX).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

impl Runs {
    fn hash(self) -> Sha256 {
        Sha256::new().chain_update(self.scheme)
    }
}

impl RunDirectory {
    /// Its path.
    pub(crate) fn path(&self) -> PathBuf {
        self.runs().join(&self.name)
    }

    fn runs(&self) -> PathBuf {
        self.root.path.join(self.runs)
    }

    /// Remembers which command this run is, for those who look for it when it was interrupted. Without
    /// that they only know that there was one, so a disk that takes no more does not end the run.
    pub(crate) fn remember(&self, again: &Again) {
        let write = || -> io::Result<()> {
            let path = self.path().join(AGAIN);
            let new = path.with_extension("new");
            let text = serde_json::to_vec(again)?;
            let mut options = fs::OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).mode(0o600);
            file.open(&new)?.write_all(&text)?;
            fs::rename(new, path)
        };
        let _ = write();
    }

    /// Removes it, and the directories above it that are ours and empty. The engine in it must have
    /// stopped.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let runs = self.runs();
        let removed = runs.join(format!("{REMOVED}{}-{}", self.name, std::process::id()));
        match fs::rename(self.path(), &removed) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
        fs::remove_dir_all(&removed)?;
        self.sweep(&runs);
        // Fails when another run has its state in it, which is as it should be.
        if fs::remove_dir(&runs).is_ok() && !self.root.is_given {
            let _ = fs::remove_dir(&self.root.path);
        }
        Ok(())
    }

    /// Removes what a run that was killed in [`RunDirectory::remove`] has left.
    fn sweep(&self, runs: &Path) {
        let Ok(entries) = fs::read_dir(runs) else {
            return;
        };
        for entry in entries.flatten() {
            if entry.file_name().as_bytes().starts_with(REMOVED.as_bytes()) {
                // Its own run may be removing it at this moment; it is gone either way.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(path: &Path) -> StateRoot {
        StateRoot {
            path: path.to_path_buf(),
            is_given: true,
        }
    }

    fn name(requests: &[DownloadRequest]) -> String {
        root(Path::new("/s")).of_downloads(requests).name
    }

    fn file(url: &str, path: &str) -> DownloadRequest {
        DownloadRequest::new(url, path).unwrap()
    }

    #[test]
    fn the_same_downloads_have_the_same_directory_whatever_the_options() {
        let plain = || file("http://h/a", "/d/a");
        let asked = file("http://u:p@h:80/a#x", "/d/a")
            .header("A", "b")
            .unwrap();
        let asked = asked.connections(4).unwrap();
        assert_eq!(name(&[plain()]), name(&[asked]));
        assert_eq!(name(&[plain()]).len(), 32);
        assert!(
            name(&[plain()])
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit())
        );
    }

    #[test]
    fn other_downloads_have_other_directories() {
        let directory = DownloadRequest::into_directory("http://h/a", "/d/a").unwrap();
        let lists = [
            vec![file("http://h/a", "/d/a")],
            vec![file("http://h/a?", "/d/a")],
            vec![file("http://h/a", "/d/b")],
            vec![directory],
            vec![file("http://h/a", "/d/a"), file("http://h/b", "/d/b")],
            vec![file("http://h/b", "/d/b"), file("http://h/a", "/d/a")],
            Vec::new(),
        ];
        let names: std::collections::HashSet<_> = lists.iter().map(|list| name(list)).collect();
        assert_eq!(names.len(), lists.len());
    }

    #[test]
    fn an_upload_is_known_by_its_file_its_url_and_its_method() {
        let name = |method, url: &str, path: &str| {
            let request = UploadRequest::new(url, path).unwrap();
            root(Path::new("/s")).of_upload(method, &request).path()
        };
        let plain = name("PUT", "http://h/a", "/d/a");
        assert_eq!(name("PUT", "http://u:p@h:80/a#x", "/d/a"), plain);
        assert!(plain.starts_with("/s/put"));
        let others = [
            name("POST", "http://h/a", "/d/a"),
            name("PUT", "http://h/b", "/d/a"),
            name("PUT", "http://h/a", "/d/b"),
        ];
        assert!(!others.contains(&plain));
    }

    #[test]
    fn removing_leaves_nothing_but_what_is_others() {
        let home = tempfile::tempdir().unwrap();
        let ours = StateRoot {
            path: home.path().join("longhaul"),
            is_given: false,
        };
        let run = ours.of_downloads(&[file("http://h/a", "/d/a")]);
        fs::create_dir_all(run.path().join("x")).unwrap();
        fs::create_dir_all(run.runs().join(".removed-old-1")).unwrap();
        let other = run.runs().join("other");
        fs::create_dir(&other).unwrap();
        run.remove().unwrap();
        let left: Vec<_> = fs::read_dir(run.runs())
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        assert_eq!(left, [other.as_path()]);
        fs::remove_dir(other).unwrap();
        fs::create_dir_all(run.path()).unwrap();
        run.remove().unwrap();
        run.remove().unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_run_is_found_with_its_command_until_it_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let run = root(home.path()).of_downloads(&[]);
        fs::create_dir_all(run.path()).unwrap();
        assert_eq!(remembered(&run.path()), None);
        let again = Again {
            directory: "/d".to_owned(),
            command: vec!["longhaul".to_owned(), "get".to_owned()],
            given_again: Vec::new(),
        };
        run.remember(&again);
        assert_eq!(remembered(&run.path()), Some(again));
        fs::create_dir(run.runs().join(".removed-x-1")).unwrap();
        let found = root(home.path());
        assert_eq!(found.runs(), [run.path()]);
        fs::create_dir(home.path().join("daemon")).unwrap();
        assert_eq!(found.engines(), [home.path().join("daemon"), run.path()]);
        run.remove().unwrap();
        assert!(found.runs().is_empty());
    }

    #[test]
    fn a_state_directory_that_was_given_is_not_removed() {
        let home = tempfile::tempdir().unwrap();
        let run = root(home.path()).of_downloads(&[]);
        fs::create_dir_all(run.path()).unwrap();
        run.remove().unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        assert!(home.path().is_dir());
    }

    #[test]
    fn the_state_directory_is_the_given_one_or_the_homes() {
        let given = StateRoot::resolve(Some(Path::new("/x/y"))).unwrap();
        assert_eq!((given.path, given.is_given), (PathBuf::from("/x/y"), true));
        if let Ok(own) = StateRoot::resolve(None) {
            assert!(own.path.ends_with("longhaul") && !own.is_given);
        }
    }
}
