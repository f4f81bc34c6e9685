//! What a server wants to be shown (RFC 9110 section 11.6.1): challenges, read from their fields.

use crate::http::head::{Headers, ResponseHead};

/// Most challenges of one response that are kept: known servers send up to four.
const CHALLENGES_MAX: usize = 16;

/// Most parameters of one challenge that are kept: Digest, the richest scheme, has nine.
const PARAMETERS_MAX: usize = 32;

/// Most bytes of one parameter: it is hashed and sent back with every request, and servers refuse
/// fields over 8 KiB.
const PARAMETER_BYTES_MAX: usize = 4096;

/// One way to authenticate that a server offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A password, sent as it is (RFC 7617).
    Basic {
        /// The name of the protected space; empty when the server named none.
        realm: String,
    },
    /// A password, sent as a hash over the request (RFC 7616).
    Digest(DigestChallenge),
    /// A token (RFC 6750).
    Bearer,
    /// A scheme that we do not speak, or one of ours in a shape that cannot be answered; its name
    /// in lower case.
    Other(String),
}

impl Challenge {
    /// The scheme in its registered spelling; in lower case when we do not speak it.
    #[must_use]
    pub fn scheme(&self) -> &str {
        match self {
            Self::Basic { .. } => "Basic",
            Self::Digest(_) => "Digest",
            Self::Bearer => "Bearer",
            Self::Other(name) => name,
        }
    }

    /// The name of the protected space, when the server named one that we read.
    #[must_use]
    pub fn realm(&self) -> Option<&str> {
        match self {
            Self::Basic { realm } => Some(realm.as_str()),
            Self::Digest(digest) => Some(digest.realm.as_str()),
            Self::Bearer | Self::Other(_) => None,
        }
        .filter(|realm| !realm.is_empty())
    }

    /// How well it protects a secret; more is better, 0 is what we do not speak.
    pub(crate) const fn strength(&self) -> u8 {
        match self {
            Self::Digest(digest) => match digest.algorithm {
                DigestAlgorithm::Sha256 | DigestAlgorithm::Sha256Sess => 4,
                DigestAlgorithm::Md5 | DigestAlgorithm::Md5Sess => 3,
            },
            Self::Bearer => 2,
            Self::Basic { .. } => 1,
            Self::Other(_) => 0,
        }
    }
}

/// The parameters of a Digest challenge (RFC 7616 section 3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestChallenge {
    /// The name of the protected space.
    pub realm: String,
    /// The server's number used once, which the answer is bound to.
    pub nonce: String,
    /// To be given back unchanged.
    pub opaque: Option<String>,
    /// How to hash; MD5 when the server named none.
    pub algorithm: DigestAlgorithm,
    /// What the answer may protect.
    pub qop: DigestQop,
    /// True when only the nonce was too old: the same password is worth another try.
    pub stale: bool,
    /// True when the server wants the user name hashed.
    pub userhash: bool,
}

/// A hash of the Digest scheme, with the session variants that hash the password once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigestAlgorithm {
    /// MD5.
    Md5,
    /// MD5, its first part bound to the first nonces.
    Md5Sess,
    /// SHA-256.
    Sha256,
    /// SHA-256, its first part bound to the first nonces.
    Sha256Sess,
}

impl DigestAlgorithm {
    const ALL: [Self; 4] = [Self::Md5, Self::Md5Sess, Self::Sha256, Self::Sha256Sess];

    /// The name as it stands in a field.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
        }
    }

    /// True for the variants whose first part is bound to the first nonces.
    #[must_use]
    pub const fn is_session(self) -> bool {
        match self {
            Self::Md5Sess | Self::Sha256Sess => true,
            Self::Md5 | Self::Sha256 => false,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }
}

/// What the hash of an answer may cover (`qop`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DigestQop {
    /// The server named none: the older form of RFC 2069, without client nonce and count.
    Unnamed,
    /// The request line is enough (`auth`).
    Auth,
    /// Only the whole body would do (`auth-int`), which a stream cannot give in advance.
    AuthIntOnly,
}

/// The challenges of a 401, from every `WWW-Authenticate` field.
#[must_use]
pub fn of_server(head: &ResponseHead) -> Vec<Challenge> {
    from_fields(&head.headers, "www-authenticate")
}

/// The challenges of a 407, from every `Proxy-Authenticate` field.
#[must_use]
pub fn of_proxy(head: &ResponseHead) -> Vec<Challenge> {
    from_fields(&head.headers, "proxy-authenticate")
}

/// Reads the challenges of one field value, in its order. Never fails: what cannot be read is
/// stepped over up to the next comma.
#[must_use]
pub fn parse(value: &[u8]) -> Vec<Challenge> {
    // Every byte is one character here. The bytes of UTF-8 are put together again in `text`.
    let mut scanner = Scanner { rest: value };
    let mut found: Vec<Raw> = Vec::new();
    while let Some(token) = scanner.next_token() {
        if scanner.skip_equals() {
            let value = scanner.value();
            if let Some(current) = found.last_mut() {
                current.add(token, value);
            }
        } else if found.len() == CHALLENGES_MAX {
            break;
        } else {
            found.push(Raw {
                scheme: text(token).to_ascii_lowercase(),
                parameters: Vec::new(),
            });
            scanner.skip_token68();
        }
    }
    found.into_iter().map(Raw::into_challenge).collect()
}

fn from_fields(headers: &Headers, name: &str) -> Vec<Challenge> {
    headers
        .get_all(name)
        .flat_map(parse)
        .take(CHALLENGES_MAX)
        .collect()
}

/// A scheme with its parameters, the names in lower case.
struct Raw {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Raw {
    fn add(&mut self, name: &[u8], value: Vec<u8>) {
        if self.parameters.len() < PARAMETERS_MAX && value.len() <= PARAMETER_BYTES_MAX {
            self.parameters
                .push((text(name).to_ascii_lowercase(), text(&value)));
        }
    }

    fn into_challenge(self) -> Challenge {
        match self.scheme.as_str() {
            "basic" => Challenge::Basic {
                realm: self.parameter("realm").unwrap_or_default().to_owned(),
            },
            "bearer" => Challenge::Bearer,
            "digest" => self
                .digest()
                .map_or(Challenge::Other(self.scheme), Challenge::Digest),
            _ => Challenge::Other(self.scheme),
        }
    }

    /// `None` without realm or nonce, and for a hash we do not know, which RFC 7616 section 3.3
    /// tells to ignore.
    fn digest(&self) -> Option<DigestChallenge> {
        let is_true = |value: &str| value.eq_ignore_ascii_case("true");
        Some(DigestChallenge {
            realm: self.parameter("realm")?.to_owned(),
            nonce: self.parameter("nonce")?.to_owned(),
            opaque: self.parameter("opaque").map(str::to_owned),
            algorithm: DigestAlgorithm::from_name(self.parameter("algorithm").unwrap_or("MD5"))?,
            qop: self.qop()?,
            stale: self.parameter("stale").is_some_and(is_true),
            userhash: self.parameter("userhash").is_some_and(is_true),
        })
    }

    /// `None` when the server insists on something that nobody has defined.
    fn qop(&self) -> Option<DigestQop> {
        let Some(offered) = self.parameter("qop") else {
            return Some(DigestQop::Unnamed);
        };
        let offers = |name: &str| {
            offered
                .split(',')
                .any(|option| option.trim().eq_ignore_ascii_case(name))
        };
        if offers("auth") {
            Some(DigestQop::Auth)
        } else {
            offers("auth-int").then_some(DigestQop::AuthIntOnly)
        }
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    /// The next token, after whatever does not begin one.
    fn next_token(&mut self) -> Option<&'a [u8]> {
        loop {
            self.skip_while(|byte| matches!(byte, b',' | b' ' | b'\t'));
            let token = self.take_while(is_token);
            if !token.is_empty() {
                return Some(token);
            }
            if self.rest.is_empty() {
                return None;
            }
            self.value();
            self.skip_while(|byte| byte != b',');
        }
    }

    /// Steps over an `=` with the space around it, and says whether there was one.
    fn skip_equals(&mut self) -> bool {
        self.skip_space();
        let Some(after) = self.rest.strip_prefix(b"=") else {
            return false;
        };
        self.rest = after;
        self.skip_space();
        true
    }

    /// A quoted string without quotes and escapes, or a bare value up to a comma or a space.
    fn value(&mut self) -> Vec<u8> {
        let Some(quoted) = self.rest.strip_prefix(b"\"") else {
            return self
                .take_while(|byte| !matches!(byte, b',' | b' ' | b'\t'))
                .to_vec();
        };
        self.rest = quoted;
        let mut value = Vec::new();
        while let Some((&byte, after)) = self.rest.split_first() {
            self.rest = after;
            match byte {
                b'"' => break,
                b'\\' => {
                    if let Some((&escaped, after)) = self.rest.split_first() {
                        value.push(escaped);
                        self.rest = after;
                    }
                }
                _ => value.push(byte),
            }
        }
        value
    }

    /// Steps over the credentials-like text that may follow a scheme in the place of parameters.
    fn skip_token68(&mut self) {
        let before = self.rest;
        self.skip_while(|byte| is_token(byte) || byte == b'/');
        self.skip_while(|byte| byte == b'=');
        self.skip_space();
        if !matches!(self.rest.first(), None | Some(b',')) {
            self.rest = before;
        }
    }

    fn skip_space(&mut self) {
        self.skip_while(|byte| matches!(byte, b' ' | b'\t'));
    }

    fn skip_while(&mut self, is_wanted: impl Fn(u8) -> bool) {
        let _ = self.take_while(is_wanted);
    }

    fn take_while(&mut self, is_wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self
            .rest
            .iter()
            .position(|&byte| !is_wanted(byte))
            .unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

/// RFC 9110 section 5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
