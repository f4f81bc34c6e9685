//! How values that JSON has no form for are written down, and read with their checks.
//!
//! The types here are never made. Each stands in `#[serde(with = ...)]` of a field, and its schema,
//! where schemas are wanted, describes that field.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, Deserializer};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::checksum::{Algorithm, Digest};
use crate::failure::Failure;
use crate::id::SessionId;
use crate::resume_data::ResumeData;
use crate::safe_url::{HttpUrl, parse_http_url};
use crate::task::Priority;

/// A [`Duration`] as whole milliseconds. A part of one counts as one: what is not zero stays so.
pub(crate) enum Millis {}

impl Millis {
    pub(crate) fn serialize<S: Serializer>(of: &Duration, to: S) -> Result<S::Ok, S::Error> {
        let ms = of.as_nanos().div_ceil(1_000_000);
        to.serialize_u64(u64::try_from(ms).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// Bytes as base64 with padding (RFC 4648 section 4).
pub(crate) enum Base64 {}

impl Base64 {
    pub(crate) fn serialize<S: Serializer>(of: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(of))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = STANDARD.decode(text);
        bytes.map_err(|_| de::Error::custom("these bytes are no base64 with padding"))
    }
}

/// Bytes that may be missing, as [`Base64`].
pub(crate) enum OptionalBase64 {}

impl OptionalBase64 {
    pub(crate) fn serialize<S: Serializer>(of: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
        of.as_ref()
            .map(|bytes| STANDARD.encode(bytes))
            .serialize(to)
    }

    pub(crate) fn deserialize<'de, D>(from: D) -> Result<Option<Vec<u8>>, D::Error>
    where
        D: Deserializer<'de>,
    {
        #[derive(Deserialize)]
        struct Bytes(#[serde(with = "Base64")] Vec<u8>);
        Ok(Option::<Bytes>::deserialize(from)?.map(|Bytes(bytes)| bytes))
    }
}

/// 128 bits as hexadecimal text.
pub(crate) enum Hex {}

impl Hex {
    pub(crate) fn serialize<S: Serializer>(of: &u128, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{of:032x}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        let text = String::deserialize(from)?;
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_hex.then(|| u128::from_str_radix(&text, 16).ok());
        number.flatten().ok_or_else(|| {
            de::Error::custom("a request's identifier has 1 to 32 hexadecimal digits")
        })
    }
}

/// A path: as text where it is UTF-8, else its bytes as `{"base64": "..."}`. Unix takes any bytes.
pub(crate) enum PathText {}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "Path"))]
#[serde(untagged)]
enum PathForm {
    /// A path that is UTF-8.
    Text(String),
    /// Any other.
    Bytes {
        /// Its bytes.
        #[serde(with = "Base64")]
        base64: Vec<u8>,
    },
}

impl PathText {
    pub(crate) fn serialize<S: Serializer>(of: &Path, to: S) -> Result<S::Ok, S::Error> {
        match of.to_str() {
            Some(text) => to.serialize_str(text),
            None => PathForm::Bytes {
                base64: bytes_of(of),
            }
            .serialize(to),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        match PathForm::deserialize(from)? {
            PathForm::Text(text) => Ok(PathBuf::from(text)),
            PathForm::Bytes { base64 } => path_of(base64).map_err(de::Error::custom),
        }
    }
}

#[cfg(unix)]
fn bytes_of(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;

    path.as_os_str().as_bytes().to_vec()
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> Result<PathBuf, &'static str> {
    use std::os::unix::ffi::OsStringExt;

    Ok(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

#[cfg(not(unix))]
fn bytes_of(path: &Path) -> Vec<u8> {
    path.as_os_str().as_encoded_bytes().to_vec()
}

#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> Result<PathBuf, &'static str> {
    let text = String::from_utf8(bytes);
    text.map(PathBuf::from).map_err(|_| "paths are text here")
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(from)?).map_err(de::Error::custom)
    }
}

impl Serialize for HttpUrl {
    /// The whole text, which may be a secret.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for HttpUrl {
    /// Reads as [`parse_http_url`] does. A user name and password are refused here rather than
    /// dropped: every document has a place of its own for them.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let parsed = parse_http_url(&String::deserialize(from)?).map_err(de::Error::custom)?;
        match parsed.credentials {
            None => Ok(parsed.url),
            Some(_) => Err(de::Error::custom(
                "the url holds a user name or password; give them as credentials, apart from it",
            )),
        }
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let unknown = crate::checksum::DigestError::UnknownAlgorithm;
        Self::from_name(&String::deserialize(from)?).ok_or_else(|| de::Error::custom(unknown))
    }
}

impl Serialize for Priority {
    /// In thousandths.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u16(self.thousandths())
    }
}

impl<'de> Deserialize<'de> for Priority {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u16::deserialize(from)? {
            thousandths @ 0..=1000 => Ok(Self::from_thousandths(thousandths)),
            more => Err(de::Error::custom(format!(
                "a priority of {more} thousandths is more than 1; give 0 to 1000"
            ))),
        }
    }
}

impl Serialize for ResumeData {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Base64::serialize(self.as_bytes(), to)
    }
}

impl<'de> Deserialize<'de> for ResumeData {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::from_bytes(Base64::deserialize(from)?).map_err(de::Error::custom)
    }
}

/// The text of a [`Failure`], within its limit.
pub(crate) fn bounded_text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    String::deserialize(from).map(Failure::bounded)
}

mod given;
#[cfg(feature = "openapi")]
pub(crate) mod schemas;
#[cfg(test)]
mod tests;
