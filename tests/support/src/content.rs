//! Content that every part of a test can know without holding it: bytes computed from a seed.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::base64;
use crate::seed::mix;

/// Content is computed block by block; each block starts with a stamp of its own.
const BLOCK_BYTES: u64 = 4096;
/// Blocks are copied out of a table of this many random bytes, at a place that the seed and the
/// block's number choose. Copying keeps unoptimised test builds fast enough for several GiB.
const TABLE_BYTES: usize = 1 << 20;
/// How much is read or written at once when a whole content is walked through.
const STEP_BYTES: usize = 256 * 1024;

/// `len` pseudo-random bytes that follow from `seed`. Any range is computed on its own in time
/// proportional to the range, so that bodies of many GiB need no memory.
///
/// Blocks of 4 KiB differ from each other, within one content and across seeds, so a body that was
/// shifted, repeated, or spliced from two contents does not compare equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    seed: u64,
    len_bytes: u64,
}

/// How a file differs from the content it should hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// The file could not be read; the text is the system's.
    Unreadable(String),
    /// Every byte that both have is equal, but the lengths differ.
    Length {
        /// The length of the content in bytes.
        expected: u64,
        /// The length of the file in bytes.
        found: u64,
    },
    /// The first byte that differs.
    Byte {
        /// Where it stands, from the start of the file.
        offset: u64,
        /// What the content has there.
        expected: u8,
        /// What the file has there.
        found: u8,
    },
}

impl Content {
    /// The content of `len_bytes` bytes for `seed`.
    pub const fn new(seed: u64, len_bytes: u64) -> Self {
        Self { seed, len_bytes }
    }

    /// The number of bytes.
    pub const fn len(&self) -> u64 {
        self.len_bytes
    }

    /// Whether there is not a single byte.
    pub const fn is_empty(&self) -> bool {
        self.len_bytes == 0
    }

    /// The seed the bytes follow from.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Fills `buffer` with the bytes that start at `offset`.
    ///
    /// # Panics
    /// When the buffer reaches beyond the end of the content.
    pub fn fill(&self, offset: u64, buffer: &mut [u8]) {
        let end = offset.checked_add(buffer.len() as u64);
        assert!(
            end.is_some_and(|end| end <= self.len_bytes),
            "{} bytes at {offset} reach beyond the content's {} bytes",
            buffer.len(),
            self.len_bytes,
        );
        let (mut at, mut rest) = (offset, buffer);
        while !rest.is_empty() {
            let within = (at % BLOCK_BYTES) as usize;
            let count = rest.len().min(BLOCK_BYTES as usize - within);
            let (piece, tail) = rest.split_at_mut(count);
            self.fill_in_block(at / BLOCK_BYTES, within, piece);
            at += count as u64;
            rest = tail;
        }
    }

    /// The bytes of `range` as a vector.
    ///
    /// # Panics
    /// When the range is not within the content.
    pub fn bytes(&self, range: Range<u64>) -> Vec<u8> {
        assert!(range.start <= range.end, "{range:?} runs backwards");
        let mut buffer = vec![0; (range.end - range.start) as usize];
        self.fill(range.start, &mut buffer);
        buffer
    }

    /// The SHA-256 of the whole content; takes time proportional to its length.
    pub fn sha256(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        let walked = self.walk(|_, piece| {
            hasher.update(piece);
            Ok(())
        });
        walked.expect("hashing cannot fail");
        hasher.finalize().into()
    }

    /// [`Content::sha256`] in lower-case hexadecimal digits.
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256())
    }

    /// [`Content::sha256`] in base64, as RFC 9530 carries it between its colons.
    pub fn sha256_base64(&self) -> String {
        base64::encode(&self.sha256())
    }

    /// Writes the whole content to the file `path`, which is created or replaced.
    pub fn write_file(&self, path: &Path) -> io::Result<()> {
        let mut file = File::create(path)?;
        self.walk(|_, piece| file.write_all(piece))
    }

    /// Checks that the file `path` holds this content and nothing else, reading it in pieces.
    pub fn verify_file(&self, path: &Path) -> Result<(), Mismatch> {
        let unreadable = |error: io::Error| Mismatch::Unreadable(error.to_string());
        let mut file = File::open(path).map_err(unreadable)?;
        let found_len = file.metadata().map_err(unreadable)?.len();
        let common = Self::new(self.seed, self.len_bytes.min(found_len));
        let mut buffer = vec![0; STEP_BYTES];
        let mut difference = None;
        let walked = common.walk(|offset, expected| {
            let found = &mut buffer[..expected.len()];
            file.read_exact(found)?;
            if difference.is_none() && found != expected {
                difference = first_difference(offset, expected, found);
            }
            Ok(())
        });
        walked.map_err(unreadable)?;
        match difference {
            Some(mismatch) => Err(mismatch),
            None if found_len != self.len_bytes => Err(Mismatch::Length {
                expected: self.len_bytes,
                found: found_len,
            }),
            None => Ok(()),
        }
    }

    /// Hands the content to `visit` piece by piece, with the offset of each piece.
    fn walk(&self, mut visit: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut buffer = vec![0; STEP_BYTES];
        let mut offset = 0;
        while offset < self.len_bytes {
            let count = (self.len_bytes - offset).min(STEP_BYTES as u64) as usize;
            self.fill(offset, &mut buffer[..count]);
            visit(offset, &buffer[..count])?;
            offset += count as u64;
        }
        Ok(())
    }

    /// Fills `piece` with the bytes of block `index` that start `within` bytes into it: a slice of
    /// the table, its first eight bytes replaced by the block's stamp.
    fn fill_in_block(&self, index: u64, within: usize, piece: &mut [u8]) {
        let stamp = mix(mix(self.seed) ^ index);
        let start = mix(stamp) as usize % TABLE_BYTES + within;
        piece.copy_from_slice(&table()[start..start + piece.len()]);
        let stamp = stamp.to_le_bytes();
        if within < stamp.len() {
            let count = (stamp.len() - within).min(piece.len());
            piece[..count].copy_from_slice(&stamp[within..within + count]);
        }
    }
}

impl Mismatch {
    /// The offset of the first byte that is wrong, missing or too many; `None` when the file could
    /// not be read.
    pub fn offset(&self) -> Option<u64> {
        match *self {
            Self::Unreadable(_) => None,
            Self::Length { expected, found } => Some(expected.min(found)),
            Self::Byte { offset, .. } => Some(offset),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(reason) => write!(formatter, "cannot be read: {reason}"),
            Self::Length { expected, found } => {
                write!(
                    formatter,
                    "has {found} bytes instead of {expected}, all equal so far"
                )
            }
            Self::Byte {
                offset,
                expected,
                found,
            } => {
                write!(
                    formatter,
                    "byte {offset} is {found:#04x} instead of {expected:#04x}"
                )
            }
        }
    }
}

impl std::error::Error for Mismatch {}

/// `bytes` in lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn first_difference(start: u64, expected: &[u8], found: &[u8]) -> Option<Mismatch> {
    let index = expected
        .iter()
        .zip(found)
        .position(|(expected, found)| expected != found)?;
    let offset = start + index as u64;
    Some(Mismatch::Byte {
        offset,
        expected: expected[index],
        found: found[index],
    })
}

fn table() -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let words = (TABLE_BYTES as u64 + BLOCK_BYTES) / 8;
        (0..words)
            .flat_map(|word| mix(word).to_le_bytes())
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;

    use super::{BLOCK_BYTES, Content, Mismatch};

    #[test]
    fn any_range_equals_the_same_range_of_the_whole() {
        let content = Content::new(3, 3 * BLOCK_BYTES + 77);
        let whole = content.bytes(0..content.len());
        for start in [0, 1, 7, 8, 4095, 4096, 4100, 8191, 12_364] {
            for len in [0, 1, 3, 8, 4096, 5000] {
                let end = (start + len).min(content.len());
                let range = start as usize..end as usize;
                assert_eq!(content.bytes(start..end), whole[range], "{start}..{end}");
            }
        }
    }

    #[test]
    fn no_two_blocks_are_equal_within_or_across_seeds() {
        let mut seen = HashSet::new();
        for seed in 0..4 {
            let content = Content::new(seed, 1 << 20);
            for start in (0..content.len()).step_by(BLOCK_BYTES as usize) {
                assert!(seen.insert(content.bytes(start..start + BLOCK_BYTES)));
            }
        }
    }

    #[test]
    fn the_far_end_of_a_huge_content_is_computed_at_once() {
        let content = Content::new(1, 1 << 40);
        assert_eq!(content.bytes(content.len() - 9..content.len()).len(), 9);
    }

    #[test]
    fn a_file_is_verified_byte_by_byte() {
        // Every way a file can differ is named with the first wrong offset.
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("file");
        let content = Content::new(9, 600_000);
        let unreadable = content.verify_file(&path).expect_err("no file yet");
        assert_eq!(unreadable.offset(), None);

        content.write_file(&path).expect("the file is written");
        assert_eq!(content.verify_file(&path), Ok(()));

        let mut bytes = fs::read(&path).expect("the file is read");
        bytes[500_001] ^= 1;
        fs::write(&path, &bytes).expect("the file is written");
        let mismatch = content.verify_file(&path).expect_err("one bit is wrong");
        assert_eq!(mismatch.offset(), Some(500_001));

        content.write_file(&path).expect("the file is written");
        let file = fs::File::options()
            .write(true)
            .open(&path)
            .expect("the file is opened");
        for len in [599_999, 600_001] {
            file.set_len(len).expect("the length is set");
            let length = Mismatch::Length {
                expected: 600_000,
                found: len,
            };
            if len < 600_000 {
                assert_eq!(content.verify_file(&path), Err(length));
            } else {
                assert!(
                    content.verify_file(&path).is_err(),
                    "a hole stands where a byte was"
                );
            }
        }
    }

    #[test]
    fn the_digest_is_that_of_the_bytes() {
        assert_eq!(
            Content::new(5, 0).sha256_hex(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_ne!(Content::new(5, 10).sha256(), Content::new(6, 10).sha256());
    }
}
