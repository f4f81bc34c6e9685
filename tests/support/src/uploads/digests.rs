//! Digests that a client sends along, checked against what has come.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::base64;

/// How much of a file is read at once.
const STEP_BYTES: usize = 64 * 1024;

/// The digests of one body; none is always right.
#[derive(Debug, Default)]
pub(super) struct Digests {
    checks: Vec<(Hasher, String)>,
}

/// A digest under way.
#[derive(Clone, Debug)]
enum Hasher {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Digests {
    /// By `Upload-Checksum` of tus; `None` for an unknown algorithm.
    pub(super) fn of_checksum(field: Option<&str>) -> Option<Self> {
        let Some(field) = field else {
            return Some(Self::default());
        };
        let (algorithm, digest) = field.split_once(' ')?;
        let hasher = match algorithm {
            "sha1" => Hasher::Sha1(Sha1::new()),
            "sha256" => Hasher::Sha256(Sha256::new()),
            _ => return None,
        };
        let checks = vec![(hasher, digest.trim().to_owned())];
        Some(Self { checks })
    }

    /// By `Content-Digest` (RFC 9530 2); algorithms other than SHA-256 are ignored.
    pub(super) fn of_content(field: Option<&str>) -> Self {
        let wanted = field.and_then(sha256_in);
        let checks = wanted.map(|wanted| (Hasher::Sha256(Sha256::new()), wanted.to_owned()));
        Self {
            checks: checks.into_iter().collect(),
        }
    }

    /// Adds a piece of the body.
    pub(super) fn update(&mut self, piece: &[u8]) {
        for (hasher, _) in &mut self.checks {
            match hasher {
                Hasher::Sha1(hasher) => hasher.update(piece),
                Hasher::Sha256(hasher) => hasher.update(piece),
            }
        }
    }

    /// Whether the body had the digests that were sent along.
    pub(super) fn are_right(&self) -> bool {
        self.checks.iter().all(|(hasher, wanted)| {
            let found = match hasher.clone() {
                Hasher::Sha1(hasher) => base64::encode(&hasher.finalize()),
                Hasher::Sha256(hasher) => base64::encode(&hasher.finalize()),
            };
            found == *wanted
        })
    }
}

/// Whether a file has the SHA-256 of a `Repr-Digest` (RFC 9530 3), if it names one.
pub(super) fn is_represented(field: Option<&str>, path: &Path) -> io::Result<bool> {
    let mut digests = Digests::of_content(field);
    if digests.checks.is_empty() {
        return Ok(true);
    }
    let mut file = File::open(path)?;
    let mut step = vec![0; STEP_BYTES];
    loop {
        match file.read(&mut step)? {
            0 => return Ok(digests.are_right()),
            count => digests.update(&step[..count]),
        }
    }
}

/// The base64 text of the SHA-256 in a digest field.
fn sha256_in(field: &str) -> Option<&str> {
    let members = field.split(',').map(str::trim);
    let mut digests = members.filter_map(|member| member.strip_prefix("sha-256=:"));
    digests.next()?.strip_suffix(':')
}

#[cfg(test)]
mod tests {
    use super::Digests;

    /// SHA-1 and SHA-256 of `hello`.
    const SHA1: &str = "qvTGHdzF6KLavt4PO0gs2a6pQ00=";
    const SHA256: &str = "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";

    fn is_right(mut digests: Digests) -> bool {
        digests.update(b"hel");
        digests.update(b"lo");
        digests.are_right()
    }

    #[test]
    fn digests_in_fields_are_compared_with_those_of_the_body() {
        let checksum = |field: &str| Digests::of_checksum(Some(field)).map(is_right);
        assert_eq!(checksum(&format!("sha1 {SHA1}")), Some(true));
        assert_eq!(checksum(&format!("sha1 {SHA256}")), Some(false));
        assert_eq!(checksum(&format!("sha256 {SHA256}")), Some(true));
        assert_eq!(checksum("crc999 AAAA"), None);
        assert_eq!(Digests::of_checksum(None).map(is_right), Some(true));

        let content = |field: &str| is_right(Digests::of_content(Some(field)));
        assert!(content(&format!("sha-512=:AAAA:, sha-256=:{SHA256}:")));
        assert!(!content(&format!("sha-256=:{SHA1}:")));
        assert!(content("unixsum=30637"));
    }
}
