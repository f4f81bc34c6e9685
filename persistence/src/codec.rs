//! How a record becomes bytes and comes back: the only file that knows the encoding.
//!
//! `[kind u8][version u8][crc32 u32 LE][payload]`; the checksum covers kind, version and payload.
//! The version of a kind fixes the layout and the encoding of its payload, so another encoding is a
//! new version of each kind and nothing else.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 6;

/// What the decoder may claim for one record. It counts an integer by its width in memory, up to
/// eight times its stored byte, so this is eight times the largest kind. Without any limit a
/// few damaged bytes ask for more memory than there is, and the process is aborted.
const CLAIM_BYTES_MAX: usize = 8 * 1024 * 1024;

const CONFIG: Configuration<LittleEndian, Varint, Limit<CLAIM_BYTES_MAX>> =
    bincode::config::standard().with_limit::<CLAIM_BYTES_MAX>();

/// A kind of stored value.
pub(crate) trait Record: Serialize + Sized {
    /// Its first byte, so that no record is taken for one of another kind.
    const KIND: u8;
    /// The version that is written.
    const VERSION: u8;
    /// The largest payload in bytes; each kind says why.
    const BYTES_MAX: usize;

    /// Reads the payload of `version`, which is 1 to [`Record::VERSION`].
    ///
    /// # Errors
    /// When the payload is not one of that version.
    fn read(version: u8, payload: &[u8]) -> Result<Self, CodecError>;
}

/// A payload is larger than its kind allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of {bytes} bytes is larger than the {bytes_max} allowed")]
pub(crate) struct TooLarge {
    /// Bytes of the payload.
    pub(crate) bytes: usize,
    /// The limit of its kind.
    pub(crate) bytes_max: usize,
}

/// Why bytes are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodecError {
    /// The checksum does not fit, or the bytes end before the payload.
    #[error("the bytes are damaged: the checksum does not fit")]
    Torn,
    /// The payload is larger than its kind allows.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// A later version of this program wrote it.
    #[error("a record of version {found}, while version {known} is the newest one known")]
    Newer {
        /// The version in the record.
        found: u8,
        /// The version that this program writes.
        known: u8,
    },
    /// Bytes follow the end of the record.
    #[error("{0} bytes follow the end of the record")]
    Trailing(usize),
    /// The checksum fits and the payload is still none of this kind.
    #[error("the record is malformed: {0}")]
    Malformed(String),
}

/// The bytes of `record`.
///
/// # Errors
/// When its kind does not allow so many.
pub(crate) fn encode<T: Record>(record: &T) -> Result<Vec<u8>, TooLarge> {
    let mut bytes = vec![T::KIND, T::VERSION, 0, 0, 0, 0];
    bincode::serde::encode_into_std_write(record, &mut bytes, CONFIG)
        .expect("memory takes all bytes, and every part of a record has a length");
    check_size::<T>(bytes.len() - HEADER_BYTES)?;
    let crc = checksum(&bytes);
    bytes[2..HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
    Ok(bytes)
}

/// The record in `bytes`.
///
/// # Errors
/// When the bytes are not exactly one undamaged record of this kind and of a known version.
pub(crate) fn decode<T: Record>(bytes: &[u8]) -> Result<T, CodecError> {
    let Some((header, payload)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(CodecError::Torn);
    };
    let [kind, version, crc @ ..] = *header;
    check_size::<T>(payload.len())?;
    if u32::from_le_bytes(crc) != checksum(bytes) {
        return Err(CodecError::Torn);
    }
    if kind != T::KIND {
        return Err(CodecError::Malformed(format!(
            "its kind is {kind:#04x}, not {:#04x}",
            T::KIND
        )));
    }
    if version > T::VERSION {
        return Err(CodecError::Newer {
            found: version,
            known: T::VERSION,
        });
    }
    T::read(version, payload)
}

/// The value of which `payload` is the encoding, with nothing after it. For [`Record::read`].
///
/// # Errors
/// When it is no such value, or bytes follow it.
pub(crate) fn payload<T: DeserializeOwned>(payload: &[u8]) -> Result<T, CodecError> {
    let (value, used) = bincode::serde::decode_from_slice(payload, CONFIG)
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    match payload.len() - used {
        0 => Ok(value),
        left => Err(CodecError::Trailing(left)),
    }
}

/// The answer of [`Record::read`] to a version that it does not list.
pub(crate) fn unknown_version<T>(version: u8) -> Result<T, CodecError> {
    Err(CodecError::Malformed(format!(
        "there never was a version {version} of this kind"
    )))
}

const fn check_size<T: Record>(bytes: usize) -> Result<(), TooLarge> {
    if bytes > T::BYTES_MAX {
        return Err(TooLarge {
            bytes,
            bytes_max: T::BYTES_MAX,
        });
    }
    Ok(())
}

/// The checksum of an envelope: everything but the four bytes that hold it.
fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..2]);
    hasher.update(&bytes[HEADER_BYTES..]);
    hasher.finalize()
}
