//! What we show to a server that challenges us (RFC 7616, RFC 7617, RFC 6750).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::checksum::{Algorithm, Hasher, hex};
use crate::http::challenge::{Challenge, DigestAlgorithm, DigestChallenge, DigestQop};

/// What a caller can prove itself with. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Credentials {
    /// A user name and a password, for Basic and Digest.
    Login {
        /// The user name.
        username: String,
        /// The password.
        password: String,
    },
    /// A token, for Bearer.
    Bearer(String),
}

impl Credentials {
    /// A user name and a password, for Digest and Basic.
    #[must_use]
    pub fn login(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Login {
            username: username.into(),
            password: password.into(),
        }
    }

    /// A token, for Bearer.
    #[must_use]
    pub fn bearer(token: impl Into<String>) -> Self {
        Self::Bearer(token.into())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Login { .. } => "Login(<redacted>)",
            Self::Bearer(_) => "Bearer(<redacted>)",
        })
    }
}

/// What an answer is bound to.
#[derive(Clone, Copy)]
pub struct AnswerContext<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// The request target exactly as it stands in the request line.
    pub uri: &'a str,
    /// How many requests, this one included, used the challenge's nonce; starts at 1.
    pub nonce_count: u32,
    /// Text that nobody can foretell, of ASCII letters and digits, fresh for each nonce.
    pub cnonce: &'a str,
}

/// Answers the strongest challenge that `credentials` can answer: Digest with SHA-256, Digest with
/// MD5, Basic; or Bearer with a token.
///
/// Returns the value for `Authorization` (after a 401) or `Proxy-Authorization` (after a 407), or
/// `None` when no challenge fits, or the credentials hold characters that no field may carry. The
/// value is a secret.
#[must_use]
pub fn answer(
    credentials: &Credentials,
    challenges: &[Challenge],
    context: &AnswerContext<'_>,
) -> Option<String> {
    let strongest_first = |challenge: &&Challenge| std::cmp::Reverse(challenge.strength());
    let mut ordered: Vec<&Challenge> = challenges.iter().collect();
    ordered.sort_by_key(strongest_first);
    ordered
        .into_iter()
        .find_map(|challenge| match (credentials, challenge) {
            (Credentials::Login { username, password }, Challenge::Digest(challenge)) => {
                digest(Login { username, password }, challenge, context)
            }
            (Credentials::Login { .. }, Challenge::Basic { .. })
            | (Credentials::Bearer(_), Challenge::Bearer) => unasked(credentials),
            (Credentials::Login { .. }, Challenge::Bearer | Challenge::Other(_))
            | (
                Credentials::Bearer(_),
                Challenge::Digest(_) | Challenge::Basic { .. } | Challenge::Other(_),
            ) => None,
        })
}

/// The field value that may be sent before any challenge, which saves a round trip: Basic for a
/// login, Bearer for a token. A secret; `None` as in [`answer`].
#[must_use]
pub fn unasked(credentials: &Credentials) -> Option<String> {
    match credentials {
        Credentials::Login { username, password } => basic(username, password),
        Credentials::Bearer(token) => bearer(token),
    }
}

/// RFC 7617 section 2: no colon in the user name, no control characters at all; always UTF-8.
fn basic(username: &str, password: &str) -> Option<String> {
    if username.contains(':') || has_control(username) || has_control(password) {
        return None;
    }
    Some(format!(
        "Basic {}",
        STANDARD.encode(format!("{username}:{password}"))
    ))
}

/// RFC 6750 section 2.1 allows less, but servers define their tokens themselves.
fn bearer(token: &str) -> Option<String> {
    let is_sendable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    is_sendable.then(|| format!("Bearer {token}"))
}

#[derive(Clone, Copy)]
struct Login<'a> {
    username: &'a str,
    password: &'a str,
}

/// RFC 7616 section 3.4.
fn digest(
    login: Login<'_>,
    challenge: &DigestChallenge,
    context: &AnswerContext<'_>,
) -> Option<String> {
    let is_sendable = !has_control(login.username)
        && !has_control(&challenge.realm)
        && !has_control(&challenge.nonce)
        && !has_control(challenge.opaque.as_deref().unwrap_or_default())
        && context.uri.bytes().all(|byte| byte.is_ascii_graphic())
        && context.cnonce.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_sendable || challenge.qop == DigestQop::AuthIntOnly {
        return None;
    }
    let mut value = format!("Digest {}", username_parameter(login.username, challenge));
    for (name, text) in [
        ("realm", challenge.realm.as_str()),
        ("nonce", challenge.nonce.as_str()),
        ("uri", context.uri),
        ("response", &response(login, challenge, context)),
    ] {
        value.push_str(&format!(", {name}={}", quoted(text)));
    }
    value.push_str(&format!(", algorithm={}", challenge.algorithm.name()));
    let has_qop = challenge.qop == DigestQop::Auth;
    if has_qop {
        value.push_str(&format!(", qop=auth, nc={:08x}", context.nonce_count));
    }
    if has_qop || challenge.algorithm.is_session() {
        value.push_str(&format!(", cnonce={}", quoted(context.cnonce)));
    }
    if let Some(opaque) = &challenge.opaque {
        value.push_str(&format!(", opaque={}", quoted(opaque)));
    }
    if challenge.userhash {
        value.push_str(", userhash=true");
    }
    Some(value)
}

/// RFC 7616 section 3.4.1.
fn response(login: Login<'_>, challenge: &DigestChallenge, context: &AnswerContext<'_>) -> String {
    let hash = |parts: &[&str]| hash(challenge.algorithm, &parts.join(":"));
    let (nonce, cnonce) = (challenge.nonce.as_str(), context.cnonce);
    let of_login = hash(&[login.username, &challenge.realm, login.password]);
    let a1 = if challenge.algorithm.is_session() {
        hash(&[&of_login, nonce, cnonce])
    } else {
        of_login
    };
    let a2 = hash(&[context.method, context.uri]);
    match challenge.qop {
        DigestQop::Unnamed => hash(&[&a1, nonce, &a2]),
        DigestQop::Auth | DigestQop::AuthIntOnly => {
            let count = format!("{:08x}", context.nonce_count);
            hash(&[&a1, nonce, &count, cnonce, "auth", &a2])
        }
    }
}

/// RFC 7616 section 3.4.4 for the hashed name; section 3.4 for a name outside of ASCII.
fn username_parameter(username: &str, challenge: &DigestChallenge) -> String {
    if challenge.userhash {
        let hashed = hash(
            challenge.algorithm,
            &format!("{username}:{}", challenge.realm),
        );
        return format!("username={}", quoted(&hashed));
    }
    if username.is_ascii() {
        return format!("username={}", quoted(username));
    }
    let encoded: String = username
        .bytes()
        .map(|byte| match byte {
            b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    format!("username*=UTF-8''{encoded}")
}

fn hash(algorithm: DigestAlgorithm, text: &str) -> String {
    let mut hasher = Hasher::new([match algorithm {
        DigestAlgorithm::Md5 | DigestAlgorithm::Md5Sess => Algorithm::Md5,
        DigestAlgorithm::Sha256 | DigestAlgorithm::Sha256Sess => Algorithm::Sha256,
    }]);
    hasher.update(text.as_bytes());
    hasher
        .finish()
        .iter()
        .map(|digest| hex(digest.bytes()))
        .collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
