//! What is asked of a task.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::TaskOptions;
use crate::checksum::{Algorithm, Digest};
use crate::delayed_request::NewRequest;
use crate::http::authorization::Credentials;
use crate::safe_url::HttpUrl;
use crate::upload::UploadProtocol;

/// Everything that one download needs, as its caller gave it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct DownloadSpec {
    /// What to fetch. Each attempt asks this URL, not the one it redirected to.
    pub url: HttpUrl,
    /// Where the finished file goes.
    pub destination: Destination,
    /// What to do when a file of that name exists.
    #[serde(default)]
    pub collision: Collision,
    /// Header fields sent to the origin of `url` only, beside the session's.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Answers to a 401 of the origin of `url`.
    #[serde(default)]
    pub credentials: Option<Credentials>,
    /// Digests that the finished bytes must have; all of them.
    #[serde(default)]
    pub digests: Vec<Digest>,
    /// The length that the finished file must have.
    #[serde(default)]
    pub length: Option<u64>,
    /// Connections to spread one file over, 1 to 16.
    #[serde(default = "one_connection")]
    pub connections: u32,
    /// Go on without a validator when the total length is equal. Off by default: it may splice.
    #[serde(default)]
    pub allow_unvalidated_resume: bool,
    /// Keep the bytes of a `Content-Encoding` as they come instead of failing.
    #[serde(default)]
    pub allow_encoded: bool,
    /// Follow a redirect from https to http.
    #[serde(default)]
    pub allow_downgrade: bool,
    /// Deliver the body of an error status (400 and above) as the file, as Foundation does, instead
    /// of failing. What is tried again and what waits for credentials (401, 407) is not delivered.
    #[serde(default)]
    pub accept_error_status: bool,
    /// What any task may be given.
    #[serde(default)]
    pub options: TaskOptions,
}

impl fmt::Debug for DownloadSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadSpec")
            .field("url", &self.url)
            .field("destination", &self.destination)
            .field("collision", &self.collision)
            .field("headers", &names(&self.headers))
            .field("has_credentials", &self.credentials.is_some())
            .field("digests", &self.digests)
            .field("length", &self.length)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Everything that one upload needs, as its caller gave it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct UploadSpec {
    /// Where to send it.
    pub url: HttpUrl,
    /// The file, an absolute path. It must stay as it is until the task has ended.
    #[serde(with = "crate::serial::PathText")]
    pub source: PathBuf,
    /// The method of the request, a token in capitals. tus has methods of its own.
    #[serde(default = "post")]
    pub method: String,
    /// The protocol.
    #[serde(default)]
    pub protocol: UploadProtocol,
    /// The upload's own URL, when something else has begun it; spoken with in `protocol`, which is then
    /// one that has such URLs.
    #[serde(default)]
    pub place: Option<HttpUrl>,
    /// A request that is not idempotent may reach the server twice.
    #[serde(default)]
    pub is_repeatable: bool,
    /// What the server is told of the file, as names and values: `Upload-Metadata` of tus.
    #[serde(default)]
    pub metadata: Vec<(String, String)>,
    /// The server is to check what it gets with this digest, where its protocol can do that.
    #[serde(default)]
    pub checksum: Option<Algorithm>,
    /// Header fields sent to the origin of `url` only, beside the session's.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Answers to a 401 of the origin of `url`.
    #[serde(default)]
    pub credentials: Option<Credentials>,
    /// Follow a redirect from https to http.
    #[serde(default)]
    pub allow_downgrade: bool,
    /// Names this one request to start it: the same asked again after a crash is the same task. Zero
    /// until it is asked for.
    #[serde(default, with = "crate::serial::Hex")]
    pub request_id: u128,
    /// Whoever asks for the same file, URL, place and method so, and takes over what is there, is given
    /// this task while it is not forgotten; one at a time has them.
    #[serde(default)]
    pub is_adoptable: bool,
    /// What any task may be given.
    #[serde(default)]
    pub options: TaskOptions,
}

impl fmt::Debug for UploadSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadSpec")
            .field("url", &self.url)
            .field("source", &self.source)
            .field("method", &self.method)
            .field("protocol", &self.protocol)
            .field("has_place", &self.place.is_some())
            .field("headers", &names(&self.headers))
            .field("has_credentials", &self.credentials.is_some())
            .finish_non_exhaustive()
    }
}

/// What was asked of a task. As a document that leaves its kind out it is a download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(transform = crate::serial::schemas::usually_a_download))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Spec {
    /// Fetch a file.
    Download(DownloadSpec),
    /// Send a file.
    Upload(UploadSpec),
}

impl Spec {
    /// The URL that was given.
    #[must_use]
    pub const fn url(&self) -> &HttpUrl {
        match self {
            Self::Download(spec) => &spec.url,
            Self::Upload(spec) => &spec.url,
        }
    }

    /// Where the finished file of a download goes.
    #[must_use]
    pub const fn destination(&self) -> Option<&Destination> {
        match self {
            Self::Download(spec) => Some(&spec.destination),
            Self::Upload(_) => None,
        }
    }

    /// What any task may be given.
    #[must_use]
    pub const fn options(&self) -> &TaskOptions {
        match self {
            Self::Download(spec) => &spec.options,
            Self::Upload(spec) => &spec.options,
        }
    }
}

impl Spec {
    /// What any task may be given, to be changed.
    #[must_use]
    pub const fn options_mut(&mut self) -> &mut TaskOptions {
        match self {
            Self::Download(spec) => &mut spec.options,
            Self::Upload(spec) => &mut spec.options,
        }
    }

    /// Asks for something else, with other header fields.
    pub fn replace_request(&mut self, request: NewRequest) {
        let NewRequest { url, headers } = request;
        let (old_url, old_headers) = match self {
            Self::Download(spec) => (&mut spec.url, &mut spec.headers),
            Self::Upload(spec) => (&mut spec.url, &mut spec.headers),
        };
        *old_url = url;
        *old_headers = headers;
    }
}

impl From<DownloadSpec> for Spec {
    fn from(spec: DownloadSpec) -> Self {
        Self::Download(spec)
    }
}

impl From<UploadSpec> for Spec {
    fn from(spec: UploadSpec) -> Self {
        Self::Upload(spec)
    }
}

/// The default of [`DownloadSpec::connections`].
const fn one_connection() -> u32 {
    1
}

/// The default of [`UploadSpec::method`].
fn post() -> String {
    "POST".to_owned()
}

/// Header names without their values, which may be secrets.
fn names(headers: &[(String, String)]) -> Vec<&String> {
    headers.iter().map(|(name, _)| name).collect()
}

/// Where a finished file goes. Both paths are absolute. As a document it may be the path of a file alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(transform = crate::serial::schemas::usually_a_file))]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Destination {
    /// Exactly this path.
    File(#[serde(with = "crate::serial::PathText")] PathBuf),
    /// Into this directory, under a safe name that the server or the URL suggests.
    Directory(#[serde(with = "crate::serial::PathText")] PathBuf),
}

/// What to do when the destination exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Collision {
    /// Fail, and leave both files alone.
    #[default]
    Fail,
    /// Replace it atomically.
    Overwrite,
    /// Take the next free name: `name.1.ext`, `name.2.ext`.
    Rename,
    /// Call the task finished without fetching anything.
    Skip,
}
