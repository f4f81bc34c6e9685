//! The place that a server has made for an upload.

use std::fmt;

use serde::{Deserialize, Serialize};

use longhaul_engine::checksum::Algorithm;
use longhaul_engine::time::Timestamp;
use longhaul_engine::upload::protocol::UploadLimits;
use longhaul_engine::upload::{Protocol, Remote, Unheard, UploadProtocol};

use super::{AlgorithmV1, Unusable, url_from_record};

/// Its `Debug` does not show the URL: whoever knows that may write there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RemoteV1 {
    protocol: ProtocolV1,
    url: String,
    acknowledged: u64,
    limits: LimitsV1,
    expires_at_ms: Option<u64>,
    can_terminate: bool,
    checksum: Option<AlgorithmV1>,
    piece_max: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ProtocolV1 {
    Plain,
    Tus,
    Ietf(u16),
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct LimitsV1 {
    size_max: Option<u64>,
    append_max: Option<u64>,
    append_min: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum UnheardV1 {
    Nothing,
    Creation,
    Completion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum UploadProtocolV1 {
    Auto,
    Plain,
    Tus,
    Ietf(u16),
}

impl fmt::Debug for RemoteV1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteV1")
            .field("protocol", &self.protocol)
            .field("acknowledged", &self.acknowledged)
            .finish_non_exhaustive()
    }
}

impl From<&Remote> for RemoteV1 {
    fn from(remote: &Remote) -> Self {
        Self {
            protocol: match remote.protocol {
                Protocol::Plain => ProtocolV1::Plain,
                Protocol::Tus => ProtocolV1::Tus,
                Protocol::Ietf { interop } => ProtocolV1::Ietf(interop),
            },
            url: remote.url.as_str().to_owned(),
            acknowledged: remote.acknowledged,
            limits: LimitsV1 {
                size_max: remote.limits.size_max,
                append_max: remote.limits.append_max,
                append_min: remote.limits.append_min,
            },
            expires_at_ms: remote.expires_at.map(Timestamp::as_unix_ms),
            can_terminate: remote.can_terminate,
            checksum: remote.checksum.map(AlgorithmV1::from),
            piece_max: remote.piece_max,
        }
    }
}

impl TryFrom<RemoteV1> for Remote {
    type Error = Unusable;

    fn try_from(record: RemoteV1) -> Result<Self, Unusable> {
        Ok(Self {
            protocol: match record.protocol {
                ProtocolV1::Plain => Protocol::Plain,
                ProtocolV1::Tus => Protocol::Tus,
                ProtocolV1::Ietf(interop) => Protocol::Ietf { interop },
            },
            url: url_from_record(&record.url)?,
            acknowledged: record.acknowledged,
            limits: UploadLimits {
                size_max: record.limits.size_max,
                append_max: record.limits.append_max,
                append_min: record.limits.append_min,
            },
            expires_at: record.expires_at_ms.map(Timestamp::from_unix_ms),
            can_terminate: record.can_terminate,
            checksum: record.checksum.map(Algorithm::from),
            piece_max: record.piece_max,
        })
    }
}

impl From<Unheard> for UnheardV1 {
    fn from(unheard: Unheard) -> Self {
        match unheard {
            Unheard::Nothing => Self::Nothing,
            Unheard::Creation => Self::Creation,
            Unheard::Completion => Self::Completion,
        }
    }
}

impl From<UnheardV1> for Unheard {
    fn from(record: UnheardV1) -> Self {
        match record {
            UnheardV1::Nothing => Self::Nothing,
            UnheardV1::Creation => Self::Creation,
            UnheardV1::Completion => Self::Completion,
        }
    }
}

impl From<UploadProtocol> for UploadProtocolV1 {
    fn from(protocol: UploadProtocol) -> Self {
        match protocol {
            UploadProtocol::Auto => Self::Auto,
            UploadProtocol::Plain => Self::Plain,
            UploadProtocol::Tus => Self::Tus,
            UploadProtocol::Ietf { interop } => Self::Ietf(interop),
        }
    }
}

impl From<UploadProtocolV1> for UploadProtocol {
    fn from(record: UploadProtocolV1) -> Self {
        match record {
            UploadProtocolV1::Auto => Self::Auto,
            UploadProtocolV1::Plain => Self::Plain,
            UploadProtocolV1::Tus => Self::Tus,
            UploadProtocolV1::Ietf(interop) => Self::Ietf { interop },
        }
    }
}
