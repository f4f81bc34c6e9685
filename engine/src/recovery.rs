//! Which bytes of a part file survive a restart (design: watermarks and durability).

use crate::checkpoint::{Checkpoint, SpanRecord, ValidityToken};
use crate::span::{Held, Spans};

/// What is found of the part file that a checkpoint names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// No file is there, or another one than the checkpoint means.
    Nothing,
    /// The very file.
    Part(FoundPart),
    /// The very file, under its final name already; the token of now. Its directory was synced after
    /// it was found: a crash may have come before that, and then the name alone proves nothing.
    Published(ValidityToken),
}

/// The part file as it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPart {
    /// The validity token of now.
    pub token: ValidityToken,
    /// The length of the file: never an offset, but nothing beyond it can be held.
    pub length: u64,
    /// For each span of the checkpoint, in order: whether the bytes before `written` have the
    /// recorded digest.
    pub tails_match: Vec<bool>,
}

/// The spans whose bytes may be believed. `None` is "start from zero".
///
/// In the same boot and mount the page cache is intact, so `written` holds when the tail's digest
/// agrees. In another one only `synced` does. What lies beyond the end of the file was never there.
#[must_use]
pub fn survivors(checkpoint: &Checkpoint, found: &Found) -> Option<Spans> {
    let Found::Part(found) = found else {
        return None;
    };
    let part = checkpoint.part.as_ref()?;
    let is_same_life = part.token == found.token;
    let held: Vec<Held> = checkpoint
        .spans
        .iter()
        .zip(found.tails_match.iter().chain(std::iter::repeat(&false)))
        .map(|(span, tail_matches)| believe(span, is_same_life && *tail_matches, found.length))
        .collect();
    Spans::from_held(&held, checkpoint.total)
}

fn believe(span: &SpanRecord, is_written_valid: bool, length: u64) -> Held {
    let claimed = if is_written_valid {
        span.written
    } else {
        span.synced
    };
    let written = if claimed <= length {
        claimed
    } else {
        span.start
    };
    let synced = span.synced.min(written);
    Held {
        start: span.start,
        end: span.end,
        synced,
        written,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::checkpoint::{FileIdentity, Part};

    fn token(boot: u8) -> ValidityToken {
        ValidityToken {
            boot: [boot; 16],
            mount: 1,
        }
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            total: Some(1000),
            part: Some(Part {
                path: PathBuf::from("/x/.f.part"),
                identity: FileIdentity {
                    device: 1,
                    inode: 2,
                },
                token: token(1),
            }),
            spans: vec![
                SpanRecord {
                    start: 0,
                    end: Some(600),
                    written: 500,
                    synced: 300,
                    tail: [0; 32],
                },
                SpanRecord {
                    start: 600,
                    end: Some(1000),
                    written: 700,
                    synced: 600,
                    tail: [0; 32],
                },
            ],
            ..Checkpoint::default()
        }
    }

    fn written_after(found: &Found) -> Option<Vec<u64>> {
        survivors(&checkpoint(), found).map(|spans| spans.iter().map(|s| s.written()).collect())
    }

    fn part(boot: u8, length: u64, tails_match: &[bool]) -> Found {
        Found::Part(FoundPart {
            token: token(boot),
            length,
            tails_match: tails_match.to_vec(),
        })
    }

    #[test]
    fn what_survives_depends_on_the_boot_the_tail_and_the_length() {
        let table = [
            (
                "same boot",
                part(1, 1000, &[true, true]),
                Some(vec![500, 700]),
            ),
            (
                "same boot, one tail changed",
                part(1, 1000, &[false, true]),
                Some(vec![300, 700]),
            ),
            (
                "another boot",
                part(2, 1000, &[true, true]),
                Some(vec![300, 600]),
            ),
            (
                "a file cut short",
                part(1, 600, &[true, true]),
                Some(vec![500, 600]),
            ),
            (
                "a file cut to nothing",
                part(1, 0, &[true, true]),
                Some(vec![0, 600]),
            ),
            (
                "tails not looked at",
                part(1, 1000, &[]),
                Some(vec![300, 600]),
            ),
            ("no file", Found::Nothing, None),
        ];
        for (name, found, expected) in table {
            assert_eq!(written_after(&found), expected, "{name}");
        }
    }

    #[test]
    fn a_checkpoint_without_a_part_holds_nothing() {
        let bare = Checkpoint {
            part: None,
            ..checkpoint()
        };
        assert_eq!(survivors(&bare, &part(1, 1000, &[true, true])), None);
    }
}
