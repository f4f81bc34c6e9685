//! What was asked of a task.

use serde::{Deserialize, Serialize};

use longhaul_engine::checksum::Algorithm;
use longhaul_engine::http::authorization::Credentials;
use longhaul_engine::limits::{
    DESCRIPTION_BYTES_MAX, NOTIFICATION_TITLE_BYTES_MAX, REQUEST_HEADER_BYTES_MAX,
    UPLOAD_METADATA_BYTES_MAX, URL_BYTES_MAX,
};
use longhaul_engine::task::{Collision, Destination, DownloadSpec, Spec, UploadSpec};

use super::options::OptionsV1;
use super::remote::UploadProtocolV1;

use super::{
    AlgorithmV1, DigestV1, PathV1, Unusable, digests_from_record, first_version, path_from_record,
    path_to_record, target_key, url_from_record,
};

/// What was asked of a task. It has no `Debug`: headers, credentials and the URL are secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TaskV1 {
    Download(DownloadV1),
    Upload(UploadV1),
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UploadV1 {
    url: String,
    source: PathV1,
    method: String,
    headers: Vec<(String, String)>,
    credentials: Option<CredentialsV1>,
    allow_downgrade: bool,
    request_id: u128,
    options: OptionsV1,
    protocol: UploadProtocolV1,
    is_repeatable: bool,
    metadata: Vec<(String, String)>,
    checksum: Option<AlgorithmV1>,
    is_adoptable: bool,
    place: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DownloadV1 {
    url: String,
    destination: DestinationV1,
    collision: CollisionV1,
    headers: Vec<(String, String)>,
    credentials: Option<CredentialsV1>,
    digests: Vec<DigestV1>,
    length: Option<u64>,
    connections: u32,
    allow_unvalidated_resume: bool,
    allow_encoded: bool,
    allow_downgrade: bool,
    options: OptionsV1,
    accept_error_status: bool,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
enum DestinationV1 {
    File(PathV1),
    Directory(PathV1),
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum CollisionV1 {
    Fail,
    Overwrite,
    Rename,
    Skip,
}

/// It has no `Debug`: it is a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum CredentialsV1 {
    Login { username: String, password: String },
    Bearer(String),
}

/// The headers and both URLs at their limits, a path of 4 KiB, digests, and a bearer token that is
/// larger than any server takes in a header.
pub(super) const TASK_BYTES_MAX: usize = REQUEST_HEADER_BYTES_MAX
    + 2 * URL_BYTES_MAX
    + DESCRIPTION_BYTES_MAX
    + UPLOAD_METADATA_BYTES_MAX
    + 2 * NOTIFICATION_TITLE_BYTES_MAX
    + 83 * 1024;

first_version!(TaskV1, kind: b'T', bytes_max: TASK_BYTES_MAX);

impl TaskV1 {
    /// The URL, which is a secret: it may be signed.
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Download(download) => &download.url,
            Self::Upload(upload) => &upload.url,
        }
    }

    /// The same as a request that `earlier` was made for: servers know it by that one's name.
    pub(crate) fn named_as(&self, earlier: &Self) -> Self {
        let mut named = self.clone();
        if let (Self::Upload(upload), Self::Upload(earlier)) = (&mut named, earlier) {
            upload.request_id = earlier.request_id;
        }
        named
    }

    /// The key of what it claims for itself: a download its destination; an upload the one request
    /// that asked for it or, when it may be adopted, its file, URL, place and method. The file alone it
    /// shares with whoever reads it.
    pub(crate) fn claim(&self) -> Option<Vec<u8>> {
        match self {
            Self::Download(download) => {
                let destination = download.destination.clone().into();
                Some(target_key(&destination, &download.url))
            }
            // No path begins with a zero byte, and none of these parts holds one.
            Self::Upload(upload) if upload.is_adoptable => {
                let (method, url) = (upload.method.as_bytes(), upload.url.as_bytes());
                let place = upload.place.as_deref().unwrap_or_default().as_bytes();
                Some([b"\0uploads".as_slice(), method, url, place, &upload.source].join(&0))
            }
            // An upload that nobody named claims nothing.
            Self::Upload(upload) if upload.request_id == 0 => None,
            Self::Upload(upload) => {
                Some([b"\0upload/", upload.request_id.to_be_bytes().as_slice()].concat())
            }
        }
    }
}

impl From<&Spec> for TaskV1 {
    fn from(spec: &Spec) -> Self {
        match spec {
            Spec::Download(spec) => Self::Download(spec.into()),
            Spec::Upload(spec) => Self::Upload(spec.into()),
        }
    }
}

impl TryFrom<TaskV1> for Spec {
    type Error = Unusable;

    fn try_from(record: TaskV1) -> Result<Self, Unusable> {
        Ok(match record {
            TaskV1::Download(record) => Self::Download(record.try_into()?),
            TaskV1::Upload(record) => Self::Upload(record.try_into()?),
        })
    }
}

impl From<&UploadSpec> for UploadV1 {
    fn from(spec: &UploadSpec) -> Self {
        Self {
            url: spec.url.as_str().to_owned(),
            source: path_to_record(&spec.source),
            method: spec.method.clone(),
            headers: spec.headers.clone(),
            credentials: spec.credentials.as_ref().map(CredentialsV1::from),
            allow_downgrade: spec.allow_downgrade,
            request_id: spec.request_id,
            options: (&spec.options).into(),
            protocol: spec.protocol.into(),
            is_repeatable: spec.is_repeatable,
            metadata: spec.metadata.clone(),
            checksum: spec.checksum.map(AlgorithmV1::from),
            is_adoptable: spec.is_adoptable,
            place: spec.place.as_ref().map(|place| place.as_str().to_owned()),
        }
    }
}

impl TryFrom<UploadV1> for UploadSpec {
    type Error = Unusable;

    fn try_from(record: UploadV1) -> Result<Self, Unusable> {
        Ok(Self {
            url: url_from_record(&record.url)?,
            source: path_from_record(record.source),
            method: record.method,
            headers: record.headers,
            credentials: record.credentials.map(Credentials::from),
            allow_downgrade: record.allow_downgrade,
            request_id: record.request_id,
            options: record.options.into(),
            protocol: record.protocol.into(),
            is_repeatable: record.is_repeatable,
            metadata: record.metadata,
            checksum: record.checksum.map(Algorithm::from),
            is_adoptable: record.is_adoptable,
            place: record.place.as_deref().map(url_from_record).transpose()?,
        })
    }
}

impl From<&DownloadSpec> for DownloadV1 {
    fn from(spec: &DownloadSpec) -> Self {
        Self {
            url: spec.url.as_str().to_owned(),
            destination: (&spec.destination).into(),
            collision: spec.collision.into(),
            headers: spec.headers.clone(),
            credentials: spec.credentials.as_ref().map(CredentialsV1::from),
            digests: spec.digests.iter().map(DigestV1::from).collect(),
            length: spec.length,
            connections: spec.connections,
            allow_unvalidated_resume: spec.allow_unvalidated_resume,
            allow_encoded: spec.allow_encoded,
            allow_downgrade: spec.allow_downgrade,
            options: (&spec.options).into(),
            accept_error_status: spec.accept_error_status,
        }
    }
}

impl TryFrom<DownloadV1> for DownloadSpec {
    type Error = Unusable;

    fn try_from(record: DownloadV1) -> Result<Self, Unusable> {
        Ok(Self {
            url: url_from_record(&record.url)?,
            destination: record.destination.into(),
            collision: record.collision.into(),
            headers: record.headers,
            credentials: record.credentials.map(Credentials::from),
            digests: digests_from_record(record.digests)?,
            length: record.length,
            connections: record.connections,
            allow_unvalidated_resume: record.allow_unvalidated_resume,
            allow_encoded: record.allow_encoded,
            allow_downgrade: record.allow_downgrade,
            options: record.options.into(),
            accept_error_status: record.accept_error_status,
        })
    }
}

impl From<&Destination> for DestinationV1 {
    fn from(destination: &Destination) -> Self {
        match destination {
            Destination::File(path) => Self::File(path_to_record(path)),
            Destination::Directory(path) => Self::Directory(path_to_record(path)),
        }
    }
}

impl From<DestinationV1> for Destination {
    fn from(record: DestinationV1) -> Self {
        match record {
            DestinationV1::File(path) => Self::File(path_from_record(path)),
            DestinationV1::Directory(path) => Self::Directory(path_from_record(path)),
        }
    }
}

impl From<Collision> for CollisionV1 {
    fn from(collision: Collision) -> Self {
        match collision {
            Collision::Fail => Self::Fail,
            Collision::Overwrite => Self::Overwrite,
            Collision::Rename => Self::Rename,
            Collision::Skip => Self::Skip,
        }
    }
}

impl From<CollisionV1> for Collision {
    fn from(record: CollisionV1) -> Self {
        match record {
            CollisionV1::Fail => Self::Fail,
            CollisionV1::Overwrite => Self::Overwrite,
            CollisionV1::Rename => Self::Rename,
            CollisionV1::Skip => Self::Skip,
        }
    }
}

impl From<&Credentials> for CredentialsV1 {
    fn from(credentials: &Credentials) -> Self {
        match credentials {
            Credentials::Login { username, password } => Self::Login {
                username: username.clone(),
                password: password.clone(),
            },
            Credentials::Bearer(token) => Self::Bearer(token.clone()),
        }
    }
}

impl From<CredentialsV1> for Credentials {
    fn from(record: CredentialsV1) -> Self {
        match record {
            CredentialsV1::Login { username, password } => Self::Login { username, password },
            CredentialsV1::Bearer(token) => Self::Bearer(token),
        }
    }
}
