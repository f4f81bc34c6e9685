//! Which bytes of which path a server has sent, as sets of ranges.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use longhaul_support::content::Content;
use longhaul_support::log::Request;

/// What is looked at in one piece; content of this length differs wherever it stands.
const BLOCK_BYTES: u64 = 4096;

/// Bytes by path; ranges are sorted, disjoint and not empty.
#[derive(Clone, Debug, Default)]
pub(super) struct Coverage {
    ranges: BTreeMap<String, Vec<Range<u64>>>,
}

impl Coverage {
    /// The bytes that were sent for these requests.
    pub(super) fn of(requests: &[Request]) -> Self {
        let mut coverage = Self::default();
        for request in requests {
            let start = match request.status {
                Some(206) => request.range().map_or(0, |(first, _)| first),
                Some(200) => 0,
                Some(_) | None => continue,
            };
            coverage.insert(&request.path, start..start + request.body_sent);
        }
        coverage
    }

    /// Those bytes of `path` that stand in `file`. Reserved space reads as zeros, which no content
    /// has.
    pub(super) fn within(&self, path: &str, content: Content, file: &File) -> Self {
        let mut found = Self::default();
        for range in self.ranges.get(path).into_iter().flatten() {
            let mut start = range.start;
            while start < range.end {
                let end = (start - start % BLOCK_BYTES + BLOCK_BYTES).min(range.end);
                let mut block = vec![0; (end - start) as usize];
                let is_read = file.read_exact_at(&mut block, start).is_ok();
                if is_read && block == content.bytes(start..end) {
                    found.insert(path, start..end);
                }
                start = end;
            }
        }
        found
    }

    /// How many bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.ranges
            .values()
            .flatten()
            .map(|range| range.end - range.start)
            .sum()
    }

    /// How many bytes are in both.
    pub(super) fn overlap(&self, other: &Self) -> u64 {
        let mut common = 0;
        for (path, theirs) in &other.ranges {
            let ours = self.ranges.get(path).map_or(&[][..], Vec::as_slice);
            for (one, other) in ours
                .iter()
                .flat_map(|one| theirs.iter().map(move |r| (one, r)))
            {
                let (start, end) = (one.start.max(other.start), one.end.min(other.end));
                common += end.saturating_sub(start);
            }
        }
        common
    }

    /// Takes in all bytes of the other one.
    pub(super) fn add(&mut self, other: &Self) {
        for (path, ranges) in &other.ranges {
            for range in ranges {
                self.insert(path, range.clone());
            }
        }
    }

    fn insert(&mut self, path: &str, new: Range<u64>) {
        if new.is_empty() {
            return;
        }
        let ranges = self.ranges.entry(path.to_owned()).or_default();
        let (mut start, mut end) = (new.start, new.end);
        ranges.retain(|old| {
            let touches = old.start <= end && start <= old.end;
            if touches {
                (start, end) = (start.min(old.start), end.max(old.end));
            }
            !touches
        });
        ranges.push(start..end);
        ranges.sort_by_key(|range| range.start);
    }
}

#[test]
fn bytes_that_come_again_are_counted_once_each() {
    let set = |ranges: &[Range<u64>]| {
        let mut coverage = Coverage::default();
        ranges
            .iter()
            .for_each(|range| coverage.insert("/a", range.clone()));
        coverage
    };
    let mut held = set(&[10..20, 0..5, 18..30, 5..10]);
    assert_eq!(held.bytes(), 30);
    assert_eq!(held.overlap(&set(&[0..0, 25..40])), 5);
    assert_eq!(held.overlap(&set(&[2..4, 28..29, 50..60])), 3);
    assert_eq!(held.overlap(&Coverage::default()), 0);
    held.add(&set(&[25..30, 30..40]));
    assert_eq!(held.bytes(), 40);
}
