//! One download as its caller asks for it, checked field by field.

use std::path::{Path, PathBuf};

use longhaul_actors::handle::StartRequest;
use longhaul_engine::checksum::Digest;
use longhaul_engine::http::authorization::Credentials;
use longhaul_engine::limits::CONNECTIONS_MAX;
use longhaul_engine::safe_url::{HttpUrl, parse_http_url};
use longhaul_engine::task::{Collision, Desired, Destination, DownloadSpec, TaskOptions};

use crate::options::task_options;
use crate::{Error, header};

/// Digests that one file may be checked with: one of every algorithm, and some to spare.
const DIGESTS_MAX: usize = 8;

/// A download to be started: what to fetch, where to, and how.
///
/// Everything is checked when it is given, so that a started task can only fail for reasons that
/// the world has. `Debug` shows no secret.
///
/// ```
/// use longhaul::{Collision, DownloadRequest};
///
/// # fn main() -> Result<(), longhaul::Error> {
/// let request = DownloadRequest::new("https://example.com/big.iso", "big.iso")?
///     .checksum("sha-256=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")?
///     .collision(Collision::Overwrite)
///     .connections(4)?;
/// # let _ = request;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DownloadRequest {
    pub(crate) spec: DownloadSpec,
    pub(crate) adopts: bool,
}

impl DownloadRequest {
    /// Fetches `url` into the file `destination`. A relative path counts from the current
    /// directory of the process, now. A user name and password in the URL become credentials.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the URL is not `http` or `https` or the path names no file,
    /// [`Error::State`] when the current directory is gone.
    pub fn new(url: &str, destination: impl AsRef<Path>) -> Result<Self, Error> {
        let path = file_destination(destination.as_ref())?;
        Self::with_destination(url, Destination::File(path))
    }

    /// Fetches `url` into `directory`, under a safe name that the server (`Content-Disposition`) or
    /// the URL suggests.
    ///
    /// # Errors
    /// As [`DownloadRequest::new`].
    pub fn into_directory(url: &str, directory: impl AsRef<Path>) -> Result<Self, Error> {
        Self::with_destination(url, Destination::Directory(absolute(directory.as_ref())?))
    }

    fn with_destination(url: &str, destination: Destination) -> Result<Self, Error> {
        let parsed = parse_http_url(url)?;
        let spec = DownloadSpec {
            url: parsed.url,
            destination,
            collision: Collision::default(),
            headers: Vec::new(),
            credentials: parsed.credentials,
            digests: Vec::new(),
            length: None,
            connections: 1,
            allow_unvalidated_resume: false,
            allow_encoded: false,
            allow_downgrade: false,
            options: TaskOptions::default(),
            accept_error_status: false,
        };
        Ok(Self {
            spec,
            adopts: false,
        })
    }

    /// What to do when the destination exists; [`Collision::Fail`] without this.
    #[must_use]
    pub const fn collision(mut self, collision: Collision) -> Self {
        self.spec.collision = collision;
        self
    }

    /// Adds a header field, sent to the origin of the URL only, except `Accept*`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no field, is one that the engine sets itself (`Host`, `Range`,
    /// …), or when there are too many.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        header::push(&mut self.spec.headers, name, value)?;
        Ok(self)
    }

    /// Answers a challenge of the URL's origin (Basic or Digest, the stronger first).
    #[must_use]
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        let (username, password) = (user.into(), password.into());
        self.spec.credentials = Some(Credentials::Login { username, password });
        self
    }

    /// Answers a Bearer challenge of the URL's origin.
    #[must_use]
    pub fn bearer_token(mut self, token: impl Into<String>) -> Self {
        self.spec.credentials = Some(Credentials::Bearer(token.into()));
        self
    }

    /// Adds a digest that the finished bytes must have, as `sha-256=HEX`; also `sha-512`, `blake3`,
    /// `sha-1` and `md5`. With another one the task fails and leaves nothing under its final name.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the text is no digest, or there are too many.
    pub fn checksum(self, text: &str) -> Result<Self, Error> {
        let digest = text.parse()?;
        self.digest(digest)
    }

    /// As [`DownloadRequest::checksum`], with a digest that was parsed before.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are too many.
    pub fn digest(mut self, digest: Digest) -> Result<Self, Error> {
        if self.spec.digests.len() >= DIGESTS_MAX {
            return Err(Error::Invalid(format!(
                "there are more than {DIGESTS_MAX} checksums of one file; one strong one is enough"
            )));
        }
        self.spec.digests.push(digest);
        Ok(self)
    }

    /// The length that the finished file must have, in bytes.
    #[must_use]
    pub const fn expected_length(mut self, bytes: u64) -> Self {
        self.spec.length = Some(bytes);
        self
    }

    /// Spreads the file over this many connections, 1 (the default) to 16, when the server has
    /// ranges and a strong validator.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another number.
    pub fn connections(mut self, connections: u32) -> Result<Self, Error> {
        if connections == 0 || connections > CONNECTIONS_MAX {
            return Err(Error::Invalid(format!(
                "{connections} connections for one file are not possible; give a number from 1 to \
                 {CONNECTIONS_MAX}"
            )));
        }
        self.spec.connections = connections;
        Ok(self)
    }

    /// Goes on after an interruption although the server names no usable validator, when the total
    /// length is equal. Two versions of a file of one length would be spliced: off by default.
    #[must_use]
    pub const fn allow_unvalidated_resume(mut self) -> Self {
        self.spec.allow_unvalidated_resume = true;
        self
    }

    /// Keeps the bytes of a `Content-Encoding` that nobody asked for, coded as they come, instead
    /// of failing.
    #[must_use]
    pub const fn allow_encoded(mut self) -> Self {
        self.spec.allow_encoded = true;
        self
    }

    /// Follows a redirect from https to http.
    #[must_use]
    pub const fn allow_downgrade(mut self) -> Self {
        self.spec.allow_downgrade = true;
        self
    }

    /// Delivers the body of an error status (400 and above) as the file, as Foundation does, instead
    /// of failing with it; [`Finished::status`](crate::Finished::status) tells the two apart. Off by
    /// default. What is tried again, and 401 and 407, which wait for credentials, is not delivered.
    #[must_use]
    pub const fn deliver_error_body(mut self, delivers: bool) -> Self {
        self.spec.accept_error_status = delivers;
        self
    }

    /// Takes over the session's existing task of the same URL and destination, with its bytes and
    /// with the options of this request, instead of failing with [`Error::TargetInUse`]. Of one that
    /// failed a new task takes over the bytes. One that ended otherwise is the answer when its end is
    /// the one that this request would have had, its checksums verified; else a new task is made.
    #[must_use]
    pub const fn adopt_existing(mut self, adopts: bool) -> Self {
        self.adopts = adopts;
        self
    }

    /// What is to be fetched. Its `Display` shows no secret, [`HttpUrl::as_str`] does.
    #[must_use]
    pub const fn url(&self) -> &HttpUrl {
        &self.spec.url
    }

    /// Where the file goes; always absolute.
    #[must_use]
    pub const fn destination(&self) -> &Destination {
        &self.spec.destination
    }
}

impl From<DownloadRequest> for StartRequest {
    fn from(request: DownloadRequest) -> Self {
        let DownloadRequest { spec, adopts } = request;
        Self {
            spec: spec.into(),
            adopts,
            desired: Desired::Running,
        }
    }
}

/// The absolute path of a file.
pub(crate) fn file_destination(path: &Path) -> Result<PathBuf, Error> {
    if path.file_name().is_none() {
        return Err(Error::Invalid(format!(
            "the destination {} names no file; give a path that ends in a name, or a directory with \
             DownloadRequest::into_directory",
            path.display()
        )));
    }
    absolute(path)
}

task_options!(DownloadRequest, "Download finished", "Download failed");

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(Error::Invalid(
            "the destination holds a NUL byte, which no path can; give another one".to_owned(),
        ));
    }
    if path.as_os_str().is_empty() {
        return Err(Error::Invalid(
            "the destination is empty; give the path of a file or a directory".to_owned(),
        ));
    }
    from_here(path)
}

/// What a path means in the current directory.
pub(crate) fn from_here(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|error| {
        Error::State(format!(
            "the current directory can not be read: {error}; give absolute paths"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://example.com/a";

    #[test]
    fn a_relative_destination_is_made_absolute_now() {
        let here = std::env::current_dir().unwrap();
        let file = DownloadRequest::new(URL, "x/a").unwrap();
        assert_eq!(*file.destination(), Destination::File(here.join("x/a")));
        let directory = DownloadRequest::into_directory(URL, ".").unwrap();
        assert_eq!(*directory.destination(), Destination::Directory(here));
        let fixed = DownloadRequest::new(URL, "/x/a").unwrap();
        assert_eq!(
            *fixed.destination(),
            Destination::File(PathBuf::from("/x/a"))
        );
    }

    #[test]
    fn what_can_not_be_started_is_refused_with_the_next_step() {
        let request = || DownloadRequest::new(URL, "a").unwrap();
        let table = [
            DownloadRequest::new("example.com/a", "a"),
            DownloadRequest::new("", "a"),
            DownloadRequest::new(URL, ""),
            DownloadRequest::new(URL, "/"),
            DownloadRequest::new(URL, ".."),
            DownloadRequest::new(URL, "a\0b"),
            DownloadRequest::into_directory(URL, ""),
            request().connections(0),
            request().connections(17),
            request().checksum("sha-256=00"),
            request().checksum("crc=00"),
            request().header("Range", "bytes=0-"),
        ];
        for (index, result) in table.into_iter().enumerate() {
            let error = result.map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(';'), "{index}: {error} names no next step");
        }
    }

    #[test]
    fn userinfo_becomes_credentials_and_leaves_the_url() {
        let request = DownloadRequest::new("https://u:hush@example.com/a", "a").unwrap();
        assert_eq!(request.url().as_str(), "https://example.com/a");
        assert!(request.spec.credentials.is_some());
        let request = request
            .header("Authorization", "hush")
            .unwrap()
            .bearer_token("hush");
        assert!(!format!("{request:?}").contains("hush"));
    }
}
