//! Digests of whole files: what was promised, what was found, and whether they agree.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use sha2::Digest as _;
use thiserror::Error;

/// A digest algorithm that a file can be checked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
    /// SHA-1, 20 bytes. Finds accidents, not attackers.
    Sha1,
    /// MD5, 16 bytes. Finds accidents, not attackers.
    Md5,
    /// BLAKE3, 32 bytes.
    Blake3,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [
        Self::Sha256,
        Self::Sha512,
        Self::Sha1,
        Self::Md5,
        Self::Blake3,
    ];

    /// Finds an algorithm by its name, in any case, with or without hyphen: `sha-256`, `SHA256`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let plain = |name: &str| name.replace('-', "").to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|algorithm| plain(algorithm.name()) == plain(name))
    }

    /// The name as it is printed: `sha-256`, `sha-512`, `sha-1`, `md5`, `blake3`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha512 => "sha-512",
            Self::Sha1 => "sha-1",
            Self::Md5 => "md5",
            Self::Blake3 => "blake3",
        }
    }

    /// The length of a digest in bytes.
    #[must_use]
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha256 | Self::Blake3 => 32,
            Self::Sha512 => 64,
            Self::Sha1 => 20,
            Self::Md5 => 16,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A digest with its algorithm; its length is always the algorithm's.
///
/// Reads from `sha-256=HEX` and `sha256:HEX` in any case, and prints as `sha-256=hex`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    bytes: Vec<u8>,
}

/// A digest that was not understood. Each message says what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DigestError {
    /// There is no `=` and no `:`.
    #[error("the checksum names no algorithm; write it as sha-256=HEX")]
    MissingAlgorithm,
    /// The algorithm before the `=` or `:` is none of ours.
    #[error("the checksum algorithm is unknown; use sha-256, sha-512, sha-1, md5 or blake3")]
    UnknownAlgorithm,
    /// A character other than 0-9, a-f and A-F stands where the digest should.
    #[error("the {algorithm} checksum is not hexadecimal; copy it again, without spaces")]
    NotHexadecimal {
        /// The algorithm that was named.
        algorithm: Algorithm,
    },
    /// The digest is too short or too long for its algorithm.
    #[error(
        "the {algorithm} checksum has {found} hexadecimal digits and needs {needed}; \
         copy it whole or name another algorithm"
    )]
    WrongLength {
        /// The algorithm that was named.
        algorithm: Algorithm,
        /// How many digits it needs.
        needed: usize,
        /// How many digits there are.
        found: usize,
    },
}

impl Digest {
    /// Puts a digest together; `None` when `bytes` has not the length that `algorithm` needs.
    #[must_use]
    pub fn new(algorithm: Algorithm, bytes: impl Into<Vec<u8>>) -> Option<Self> {
        let bytes = bytes.into();
        (bytes.len() == algorithm.digest_bytes()).then_some(Self { algorithm, bytes })
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The digest itself.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (name, hex) = text
            .trim()
            .split_once(['=', ':'])
            .ok_or(DigestError::MissingAlgorithm)?;
        let algorithm = Algorithm::from_name(name.trim()).ok_or(DigestError::UnknownAlgorithm)?;
        let hex = hex.trim();
        if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(DigestError::NotHexadecimal { algorithm });
        }
        let (needed, found) = (algorithm.digest_bytes() * 2, hex.len());
        if needed != found {
            return Err(DigestError::WrongLength {
                algorithm,
                needed,
                found,
            });
        }
        let nibbles: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
        let byte = |pair: &[u32]| u8::try_from(pair[0] * 16 + pair[1]).ok();
        let bytes = nibbles.chunks_exact(2).filter_map(byte).collect();
        Ok(Self { algorithm, bytes })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.algorithm, hex(&self.bytes))
    }
}

/// `bytes` in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            text
        })
}

/// Digests one stream of bytes with several algorithms at once.
#[derive(Clone)]
pub struct Hasher {
    states: Vec<State>,
}

impl Hasher {
    /// Starts over no bytes; an algorithm named twice is computed once.
    #[must_use]
    pub fn new(algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        let mut wanted: Vec<Algorithm> = algorithms.into_iter().collect();
        wanted.sort_unstable();
        wanted.dedup();
        Self {
            states: wanted.into_iter().map(State::new).collect(),
        }
    }

    /// Takes the next bytes of the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        for state in &mut self.states {
            state.update(bytes);
        }
    }

    /// True when no algorithm was asked for, so that there is no need to read anything.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The digests of all bytes taken, one for each algorithm.
    #[must_use]
    pub fn finish(self) -> Vec<Digest> {
        self.states.into_iter().map(State::finish).collect()
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.states.iter().map(State::algorithm))
            .finish()
    }
}

/// A file that is not what was promised. Nothing of it may be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What was promised.
    pub expected: Digest,
    /// What was found; `None` when nobody computed this algorithm, which proves nothing.
    pub actual: Option<Digest>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.actual {
            Some(actual) => {
                let expected = &self.expected;
                write!(
                    formatter,
                    "checksum mismatch: expected {expected}, found {actual}"
                )
            }
            None => write!(formatter, "the checksum {} was not computed", self.expected),
        }
    }
}

impl std::error::Error for Mismatch {}

/// Compares every promised digest with the one found for its algorithm.
///
/// # Errors
/// The first promise that does not hold, or that nothing was computed for.
pub fn verify(expected: &[Digest], actual: &[Digest]) -> Result<(), Mismatch> {
    for promise in expected {
        let found = actual
            .iter()
            .find(|digest| digest.algorithm == promise.algorithm);
        if found != Some(promise) {
            return Err(Mismatch {
                expected: promise.clone(),
                actual: found.cloned(),
            });
        }
    }
    Ok(())
}

/// BLAKE3 of `bytes`, for what has them all at hand.
#[must_use]
pub fn blake3(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

#[derive(Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(Box<sha2::Sha512>),
    Sha1(sha1::Sha1),
    Md5(md5::Md5),
    Blake3(Box<blake3::Hasher>),
}

impl State {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Box::default()),
            Algorithm::Sha1 => Self::Sha1(sha1::Sha1::new()),
            Algorithm::Md5 => Self::Md5(md5::Md5::new()),
            Algorithm::Blake3 => Self::Blake3(Box::default()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(state) => state.update(bytes),
            Self::Sha512(state) => state.update(bytes),
            Self::Sha1(state) => state.update(bytes),
            Self::Md5(state) => state.update(bytes),
            Self::Blake3(state) => {
                state.update(bytes);
            }
        }
    }

    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
            Self::Sha1(_) => Algorithm::Sha1,
            Self::Md5(_) => Algorithm::Md5,
            Self::Blake3(_) => Algorithm::Blake3,
        }
    }

    fn finish(self) -> Digest {
        let algorithm = self.algorithm();
        let bytes = match self {
            Self::Sha256(state) => state.finalize().to_vec(),
            Self::Sha512(state) => state.finalize().to_vec(),
            Self::Sha1(state) => state.finalize().to_vec(),
            Self::Md5(state) => state.finalize().to_vec(),
            Self::Blake3(state) => state.finalize().as_bytes().to_vec(),
        };
        Digest { algorithm, bytes }
    }
}

#[cfg(test)]
mod tests;
