//! A real server that takes uploads: tus over npm and PyPI, PUT with nginx and Apache.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::dav;
use super::installed::find;
use crate::content::hex;
use crate::real::{Ports, RealServer, find_daemon, write};

/// How much of a file is read at once.
const STEP_BYTES: usize = 256 * 1024;
/// Where uploads lie in a server's directory.
const UPLOADS: &str = "uploads";
/// How long `resumable-upload` waits for a lock that another request holds, when nothing is said.
/// Less than the second of the others, so that a test that has not cut cleanly says so with a 423.
const LOCK_WAIT: Duration = Duration::from_millis(500);
/// `resumable-upload` looks for expired uploads with the first request after so many seconds.
const CLEANUP_SECONDS: &str = "3600";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `@tus/server` of npm: tus 1.0.0, keeps what came of a cut append, absolute `Location`.
    TusServer,
    /// `resumable-upload` of PyPI: every extension of tus 1.0.0, keeps what came of a cut append
    /// (but nothing of the one in which it dies), relative `Location`.
    ResumableUpload,
    /// `tussi` of PyPI: tus 1.0.0 with creation, drops a cut append, forgets finished uploads.
    Tussi,
    /// Apache with `mod_dav`: PUT, also with `Content-Range`.
    ApacheDav,
    /// nginx with its DAV module: PUT.
    NginxDav,
}

/// Every kind, for tables.
pub const KINDS: [Kind; 5] = [
    Kind::TusServer,
    Kind::ResumableUpload,
    Kind::Tussi,
    Kind::ApacheDav,
    Kind::NginxDav,
];

/// What can be asked of a server; the default asks for nothing. A kind that can not do what is
/// asked for does not start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Longer uploads are refused; all but [`Kind::Tussi`]. For [`Kind::ApacheDav`] and
    /// [`Kind::NginxDav`] it is the limit of one request's body.
    pub size_max_bytes: Option<u64>,
    /// Uploads expire after so long: [`Kind::TusServer`], and in whole seconds
    /// [`Kind::ResumableUpload`].
    pub expiry: Option<Duration>,
    /// How long a request waits for the one before it: [`Kind::ResumableUpload`].
    pub lock_wait: Option<Duration>,
}

/// A running server with a directory of its own. Dropping it kills it and removes its files.
#[derive(Debug)]
pub struct Peer {
    kind: Kind,
    server: RealServer,
}

impl Kind {
    /// Whether it speaks tus 1.0.0.
    pub const fn is_tus(self) -> bool {
        match self {
            Self::TusServer | Self::ResumableUpload | Self::Tussi => true,
            Self::ApacheDav | Self::NginxDav => false,
        }
    }

    /// Whether it keeps what came of an append whose connection was cut.
    pub const fn keeps_cut_appends(self) -> bool {
        match self {
            Self::TusServer | Self::ResumableUpload => true,
            Self::Tussi | Self::ApacheDav | Self::NginxDav => false,
        }
    }
}

impl Peer {
    /// Starts a server. The error says what it said, or how to install it.
    pub fn start(kind: Kind) -> Result<Self, String> {
        Self::start_with(kind, Settings::default())
    }

    /// Starts a server with these settings.
    pub fn start_with(kind: Kind, settings: Settings) -> Result<Self, String> {
        refuse_unknown(kind, settings)?;
        let program = match kind {
            Kind::TusServer => find("node")?,
            Kind::ResumableUpload | Kind::Tussi => find("venv/bin/python")?,
            Kind::ApacheDav => find_daemon("apache2", "apache2")?,
            Kind::NginxDav => find_daemon("nginx", "nginx-light")?,
        };
        let prepare = |dir: &Path, ports: Ports| {
            create(&dir.join(UPLOADS))?;
            match kind {
                Kind::TusServer => tus_server(dir, ports, settings),
                Kind::ResumableUpload => Ok(resumable_upload(dir, ports, settings)),
                Kind::Tussi => Ok(tussi(dir, ports)),
                Kind::ApacheDav => dav::apache(dir, ports, settings.size_max_bytes),
                Kind::NginxDav => dav::nginx(dir, ports, settings.size_max_bytes),
            }
        };
        let server = RealServer::start(&program, prepare)?;
        Ok(Self { kind, server })
    }

    /// Which server it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its root, with a slash at the end.
    pub fn root(&self) -> String {
        self.server.url("/")
    }

    /// Where an upload named `name` goes: for tus servers the one URL that creates uploads, for the
    /// others the URL of the file.
    pub fn target(&self, name: &str) -> String {
        match self.kind {
            Kind::TusServer | Kind::ResumableUpload => self.server.url("/files"),
            // Without the slash it answers 307.
            Kind::Tussi => self.server.url("/files/"),
            Kind::ApacheDav | Kind::NginxDav => self.server.url(&format!("/{name}")),
        }
    }

    /// Ends the server with SIGKILL, whatever it was doing.
    ///
    /// # Errors
    /// Of the system, when the process can not be killed.
    pub fn kill(&mut self) -> io::Result<()> {
        self.server.kill()
    }

    /// Starts it again on the same port, with the same data, and returns when it answers.
    pub fn restart(&mut self) -> Result<(), String> {
        self.server.restart()
    }

    /// The file of a finished upload, by its URL: for tus servers the one that they gave. It need
    /// not exist.
    pub fn file(&self, url: &str) -> PathBuf {
        let name = url.rsplit('/').next().unwrap_or_default();
        let directory = match self.kind {
            Kind::Tussi => "completed",
            Kind::TusServer | Kind::ResumableUpload | Kind::ApacheDav | Kind::NginxDav => UPLOADS,
        };
        self.server.path(directory).join(name)
    }

    /// The SHA-256 of that file in lower-case hexadecimal digits.
    pub fn sha256_hex(&self, url: &str) -> io::Result<String> {
        let mut file = fs::File::open(self.file(url))?;
        let mut hasher = Sha256::new();
        let mut step = vec![0; STEP_BYTES];
        loop {
            let count = file.read(&mut step)?;
            if count == 0 {
                return Ok(hex(&hasher.finalize()));
            }
            hasher.update(&step[..count]);
        }
    }
}

/// A setting that has no effect would make a test pass that proves nothing.
fn refuse_unknown(kind: Kind, settings: Settings) -> Result<(), String> {
    let has_size = kind != Kind::Tussi;
    let has_expiry = matches!(kind, Kind::TusServer | Kind::ResumableUpload);
    let has_lock_wait = kind == Kind::ResumableUpload;
    let is_unknown = (settings.size_max_bytes.is_some() && !has_size)
        || (settings.expiry.is_some() && !has_expiry)
        || (settings.lock_wait.is_some() && !has_lock_wait);
    if is_unknown {
        return Err(format!("{kind:?} can not do {settings:?}"));
    }
    Ok(())
}

/// Its script is written beside a link to the installed modules: that is where node looks.
fn tus_server(dir: &Path, ports: Ports, settings: Settings) -> Result<Vec<String>, String> {
    let script = script(dir, "tus-server.mjs", TUS_SERVER)?;
    let expiry = settings.expiry.unwrap_or_default();
    Ok(vec![
        script,
        ports.plain.to_string(),
        path(dir, UPLOADS),
        settings.size_max_bytes.unwrap_or_default().to_string(),
        expiry.as_millis().to_string(),
    ])
}

const TUS_SERVER: &str = include_str!("../../../peers/tus-server.mjs");

/// Writes a script of node into `dir`, with the modules it imports, and returns its path.
pub(super) fn script(dir: &Path, name: &str, content: &str) -> Result<String, String> {
    let modules = find("node_modules")?;
    symlink(&modules, dir.join("node_modules"))
        .map_err(|error| format!("{}: {error}", modules.display()))?;
    write(dir, name, content)
}

fn resumable_upload(dir: &Path, ports: Ports, settings: Settings) -> Vec<String> {
    let lock_wait = settings.lock_wait.unwrap_or(LOCK_WAIT);
    let mut arguments = words(&["-m", "resumable_upload", "serve", "--host", "127.0.0.1"]);
    let options = [
        ("--port", ports.plain.to_string()),
        ("--upload-dir", path(dir, UPLOADS)),
        ("--db-path", path(dir, "uploads.sqlite")),
        ("--lock-backend", "memory".into()),
        ("--lock-wait", lock_wait.as_secs_f64().to_string()),
        ("--cleanup-interval", CLEANUP_SECONDS.into()),
    ];
    arguments.extend(
        options
            .into_iter()
            .flat_map(|(name, value)| [name.into(), value]),
    );
    if let Some(expiry) = settings.expiry {
        arguments.extend(["--upload-expiry".into(), expiry.as_secs().to_string()]);
    }
    if let Some(bytes) = settings.size_max_bytes {
        arguments.extend(["--max-size".into(), bytes.to_string()]);
    }
    arguments
}

/// Without workers nobody moves finished uploads on to the name that the client has given.
fn tussi(dir: &Path, ports: Ports) -> Vec<String> {
    let mut arguments = words(&["-m", "tussi", "--host", "127.0.0.1", "--workers", "0"]);
    let options = [
        ("--port", ports.plain.to_string()),
        ("--upload-dir", path(dir, UPLOADS)),
        ("--completed-dir", path(dir, "completed")),
        ("--dest-dir", path(dir, "claimed")),
    ];
    arguments.extend(
        options
            .into_iter()
            .flat_map(|(name, value)| [name.into(), value]),
    );
    arguments
}

fn create(dir: &Path) -> Result<(), String> {
    fs::create_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
