//! URLs from outside: checked once on the way in, and shown without their secrets on the way out.

use std::fmt::{self, Write as _};

use thiserror::Error;
use url::Url;

use crate::http::authorization::Credentials;
use crate::http::{percent_decode, percent_encode_non_ascii};

/// Most bytes of a URL: servers take 8 to 16 KiB, and it is stored with every task.
pub const URL_BYTES_MAX: usize = 32 * 1024;

/// Most query parameters whose names are shown: enough to tell two URLs apart in a log.
const SHOWN_NAMES_MAX: usize = 16;

/// Most bytes of a query parameter's name that are shown.
const SHOWN_NAME_BYTES_MAX: usize = 64;

/// Most bytes of a path that are shown: its end names the file and is kept.
const SHOWN_PATH_BYTES_MAX: usize = 256;

/// Stands for what is not shown.
const HIDDEN: char = '…';

/// A URL that can be fetched: `http` or `https`, with a host, without fragment and without user
/// name and password, its path and query in ASCII without spaces.
///
/// `Debug` and `Display` show it as [`SafeUrl`] does; the whole text is [`HttpUrl::as_str`], which
/// may be a secret.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HttpUrl(Url);

/// What [`parse_http_url`] makes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedUrl {
    /// The URL without user name and password.
    pub url: HttpUrl,
    /// The user name and password that stood before the `@`, percent-decoded.
    pub credentials: Option<Credentials>,
}

/// A text that is no URL we can fetch. Each message says what to do and none repeats the text,
/// which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Nothing but space.
    #[error("the url is empty; give one, as in https://host/path")]
    Empty,
    /// More than [`URL_BYTES_MAX`].
    #[error("the url is longer than {URL_BYTES_MAX} bytes; give a shorter one")]
    TooLong,
    /// No scheme, or another than `http` and `https`.
    #[error(
        "the url does not begin with http:// or https://; \
         write it with one of them, as in https://host/path"
    )]
    NotHttp,
    /// Nothing between the `//` and the path, or something that names no host.
    #[error("the url names no valid host; check what stands after the //")]
    InvalidHost,
    /// A port that is no number from 1 to 65535.
    #[error("the url has an invalid port; use a number from 1 to 65535")]
    InvalidPort,
    /// A user name or password that does not decode to UTF-8.
    #[error("the user name or password in the url is not valid utf-8; give it apart from the url")]
    InvalidCredentials,
}

/// Reads a URL as people and programs write it: space around it is dropped, spaces and characters
/// outside of ASCII are percent-encoded, a fragment is dropped, user name and password are split
/// off.
///
/// # Errors
/// When it cannot be fetched; the message says what to do.
pub fn parse_http_url(text: &str) -> Result<ParsedUrl, UrlError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(UrlError::Empty);
    }
    if text.len() > URL_BYTES_MAX {
        return Err(UrlError::TooLong);
    }
    split(Url::parse(text).map_err(reason)?)
}

impl HttpUrl {
    /// Resolves a reference, as it stands in a `Location`, against this URL (RFC 3986 section 5).
    /// Bytes outside of ASCII are percent-encoded as they are.
    ///
    /// # Errors
    /// As [`parse_http_url`].
    pub fn join(&self, reference: &[u8]) -> Result<ParsedUrl, UrlError> {
        if reference.len() > URL_BYTES_MAX {
            return Err(UrlError::TooLong);
        }
        split(
            self.0
                .join(percent_encode_non_ascii(reference).trim())
                .map_err(reason)?,
        )
    }

    /// The URL as the `url` crate has it.
    #[must_use]
    pub const fn as_url(&self) -> &Url {
        &self.0
    }

    /// The whole text, which [`parse_http_url`] reads back unchanged. May be a secret.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// True for `https`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host: a name in lower case ASCII, an IPv4 address, or an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The port: the one written, else 443 for `https` and 80 for `http`.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0
            .port_or_known_default()
            .unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// What stands in the request line to an origin (RFC 9112 section 3.2.1): path and query. May
    /// be a secret.
    #[must_use]
    pub fn request_target(&self) -> &str {
        &self.0[url::Position::BeforePath..url::Position::AfterQuery]
    }

    /// This URL without its secrets.
    #[must_use]
    pub const fn safe(&self) -> SafeUrl<'_> {
        SafeUrl(&self.0)
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.safe(), formatter)
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.safe(), formatter)
    }
}

/// Shows a URL without user name, password, fragment and the values of its query, which sign URLs.
/// The names in the query are kept up to a limit, as is the end of the path.
#[derive(Clone, Copy)]
pub struct SafeUrl<'a>(pub &'a Url);

impl fmt::Display for SafeUrl<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.0;
        write!(formatter, "{}:", url.scheme())?;
        let Some(host) = url.host_str() else {
            return formatter.write_char(HIDDEN);
        };
        write!(formatter, "//{host}")?;
        if let Some(port) = url.port() {
            write!(formatter, ":{port}")?;
        }
        let (path, is_cut) = last_bytes(url.path(), SHOWN_PATH_BYTES_MAX);
        if is_cut {
            write!(formatter, "/{HIDDEN}")?;
        }
        formatter.write_str(path)?;
        url.query()
            .map_or(Ok(()), |query| write_names(formatter, query))
    }
}

impl fmt::Debug for SafeUrl<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

fn split(mut url: Url) -> Result<ParsedUrl, UrlError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlError::NotHttp);
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(UrlError::InvalidHost);
    }
    if url.port() == Some(0) {
        return Err(UrlError::InvalidPort);
    }
    // Encoding may have made three bytes out of one.
    if url.as_str().len() > URL_BYTES_MAX {
        return Err(UrlError::TooLong);
    }
    let credentials = credentials(&url)?;
    url.set_username("").map_err(|()| UrlError::InvalidHost)?;
    url.set_password(None).map_err(|()| UrlError::InvalidHost)?;
    url.set_fragment(None);
    Ok(ParsedUrl {
        url: HttpUrl(url),
        credentials,
    })
}

fn credentials(url: &Url) -> Result<Option<Credentials>, UrlError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decode = |text: &str| {
        String::from_utf8(percent_decode(text.as_bytes())).map_err(|_| UrlError::InvalidCredentials)
    };
    Ok(Some(Credentials::Login {
        username: decode(url.username())?,
        password: decode(url.password().unwrap_or_default())?,
    }))
}

fn reason(error: url::ParseError) -> UrlError {
    match error {
        url::ParseError::RelativeUrlWithoutBase
        | url::ParseError::RelativeUrlWithCannotBeABaseBase => UrlError::NotHttp,
        url::ParseError::InvalidPort => UrlError::InvalidPort,
        url::ParseError::Overflow => UrlError::TooLong,
        _ => UrlError::InvalidHost,
    }
}

fn write_names(formatter: &mut fmt::Formatter<'_>, query: &str) -> fmt::Result {
    let mut separator = '?';
    for (index, parameter) in query.split('&').enumerate() {
        formatter.write_char(separator)?;
        separator = '&';
        if index == SHOWN_NAMES_MAX {
            return formatter.write_char(HIDDEN);
        }
        match parameter.split_once('=') {
            Some((name, _)) if name.len() <= SHOWN_NAME_BYTES_MAX => {
                write!(formatter, "{name}={HIDDEN}")?;
            }
            // A parameter without a value, or with a huge name, may itself be the secret.
            Some(_) | None => formatter.write_char(HIDDEN)?,
        }
    }
    Ok(())
}

/// The end of `text`, at most `bytes_max` of it, and whether anything is missing.
fn last_bytes(text: &str, bytes_max: usize) -> (&str, bool) {
    let start = text.len().saturating_sub(bytes_max);
    let start = (start..=text.len())
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(text.len());
    (&text[start..], start > 0)
}

#[cfg(test)]
mod tests;
