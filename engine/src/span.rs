//! The watermarks of a download: what was received, written and synced of each part of the file.

use crate::limits::SPANS_MAX;

/// Names a span for its life; never used twice in one download.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(u32);

/// One part of the file that is fetched in order.
///
/// `start <= synced <= written <= received <= end`, asserted after every change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    id: SpanId,
    start: u64,
    end: Option<u64>,
    synced: u64,
    written: u64,
    received: u64,
}

impl Span {
    /// Its name.
    #[must_use]
    pub const fn id(&self) -> SpanId {
        self.id
    }

    /// Its first byte.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// One past its last byte; `None` while the length of the whole is unknown.
    #[must_use]
    pub const fn end(&self) -> Option<u64> {
        self.end
    }

    /// One past the last byte that reached the device.
    #[must_use]
    pub const fn synced(&self) -> u64 {
        self.synced
    }

    /// One past the last byte that reached the file.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// One past the last byte that came from the network.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Whether every byte of it is in the file.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.end == Some(self.written)
    }

    /// Bytes that have not come yet; `None` while the end is unknown.
    #[must_use]
    pub fn missing(&self) -> Option<u64> {
        self.end.map(|end| end - self.received)
    }

    fn check(&self) {
        assert!(
            self.start <= self.synced,
            "a sync mark lies before its span: {self:?}"
        );
        assert!(
            self.synced <= self.written,
            "synced more than was written: {self:?}"
        );
        assert!(
            self.written <= self.received,
            "wrote more than was received: {self:?}"
        );
        assert!(
            self.end.is_none_or(|end| self.received <= end),
            "received past the end of the span: {self:?}"
        );
    }
}

/// The whole file as spans: contiguous from 0, without gap or overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    spans: Vec<Span>,
    next_id: u32,
}

/// A span as recovery found it: `start <= synced <= written <= end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its first byte.
    pub start: u64,
    /// One past its last byte.
    pub end: Option<u64>,
    /// One past the last byte on the device.
    pub synced: u64,
    /// One past the last byte in the file.
    pub written: u64,
}

impl Spans {
    /// A file of this length of which nothing is held.
    #[must_use]
    pub fn empty(total: Option<u64>) -> Self {
        let mut spans = Self::default();
        spans.push(Held {
            start: 0,
            end: total,
            synced: 0,
            written: 0,
        });
        spans
    }

    /// The spans that recovery found; `None` when they do not cover one file from 0 in order, which
    /// only a damaged record can claim.
    #[must_use]
    pub fn from_held(held: &[Held], total: Option<u64>) -> Option<Self> {
        if held.len() > SPANS_MAX {
            return None;
        }
        let mut spans = Self::default();
        let mut expected_start = Some(0);
        for part in held {
            let ordered = part.start <= part.synced && part.synced <= part.written;
            let bounded = part.end.is_none_or(|end| part.written <= end);
            if expected_start != Some(part.start) || !ordered || !bounded {
                return None;
            }
            expected_start = part.end;
            spans.push(*part);
        }
        let covers = !held.is_empty() && expected_start == total;
        covers.then_some(spans)
    }

    fn push(&mut self, held: Held) -> SpanId {
        assert!(
            self.spans.len() < SPANS_MAX,
            "more spans than a checkpoint may hold"
        );
        let id = SpanId(self.next_id);
        self.next_id += 1;
        let Held {
            start,
            end,
            synced,
            written,
        } = held;
        self.spans.push(Span {
            id,
            start,
            end,
            synced,
            written,
            received: written,
        });
        id
    }

    /// Notes that bytes up to `to` came from the network for this span.
    pub fn receive(&mut self, id: SpanId, to: u64) {
        self.change(id, |span| span.received = span.received.max(to));
    }

    /// Notes that bytes up to `to` reached the file.
    pub fn write(&mut self, id: SpanId, to: u64) {
        self.change(id, |span| span.written = span.written.max(to));
    }

    /// Notes that bytes up to `to` reached the device.
    pub fn sync(&mut self, id: SpanId, to: u64) {
        self.change(id, |span| span.synced = span.synced.max(to));
    }

    /// Forgets what was received and not written: its connection is gone.
    pub fn forget_unwritten(&mut self, id: SpanId) {
        self.change(id, |span| span.received = span.written);
    }

    /// Ends the last span here, now that the length of the whole is known.
    pub fn set_total(&mut self, total: u64) {
        let last = self.spans.last_mut().expect("there is always a span");
        assert!(
            last.end.is_none_or(|end| end == total),
            "the length of a file changed"
        );
        last.end = Some(total);
        last.check();
    }

    /// Cuts a span at `at`, which lies beyond what it received; the rest is a span of its own.
    /// `None` when there are as many spans as may be.
    pub fn split(&mut self, id: SpanId, at: u64) -> Option<SpanId> {
        if self.spans.len() >= SPANS_MAX {
            return None;
        }
        let index = self.index(id)?;
        let end = self.spans[index].end;
        assert!(
            self.spans[index].received < at,
            "cut through received bytes"
        );
        assert!(end.is_none_or(|end| at < end), "cut behind the end");
        let rest = self.push(Held {
            start: at,
            end,
            synced: at,
            written: at,
        });
        self.spans[index].end = Some(at);
        self.spans[index].check();
        let rest_span = self.spans.pop().expect("it was pushed two lines above");
        self.spans.insert(index + 1, rest_span);
        Some(rest)
    }

    /// Gives a span those following it of which nothing was received, up to the first that was
    /// begun. The answer is its new end; `None` when it is the old one.
    pub fn absorb_following(&mut self, id: SpanId) -> Option<u64> {
        let index = self.index(id)?;
        let end = self.spans[index].end;
        while self
            .spans
            .get(index + 1)
            .is_some_and(|next| next.received == next.start)
        {
            let next = self.spans.remove(index + 1);
            self.spans[index].end = next.end;
        }
        self.spans[index].end.filter(|new| end != Some(*new))
    }

    /// Joins each complete and synced span with the one after it, so that a checkpoint stays small.
    /// One that is not synced stays by itself: a later sync mark of its neighbour says nothing of
    /// the bytes that it got after that sync began.
    pub fn join_complete(&mut self) {
        let mut index = 0;
        while index + 1 < self.spans.len() {
            let span = &self.spans[index];
            if span.is_complete() && span.synced == span.written {
                let done = self.spans.remove(index);
                let next = &mut self.spans[index];
                next.start = done.start;
                next.check();
            } else {
                index += 1;
            }
        }
    }

    /// The spans in order.
    pub fn iter(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter()
    }

    /// One span; `None` when it was joined with another.
    #[must_use]
    pub fn get(&self, id: SpanId) -> Option<&Span> {
        self.spans.iter().find(|span| span.id == id)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none, which is so only before the first answer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Bytes in the file.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.spans
            .iter()
            .map(|span| span.written - span.start)
            .sum()
    }

    /// Bytes on the device.
    #[must_use]
    pub fn synced_bytes(&self) -> u64 {
        self.spans.iter().map(|span| span.synced - span.start).sum()
    }

    /// Whether every byte is in the file.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.spans.is_empty() && self.spans.iter().all(Span::is_complete)
    }

    fn index(&self, id: SpanId) -> Option<usize> {
        self.spans.iter().position(|span| span.id == id)
    }

    fn change(&mut self, id: SpanId, change: impl FnOnce(&mut Span)) {
        if let Some(span) = self.spans.iter_mut().find(|span| span.id == id) {
            change(span);
            span.check();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn first(spans: &Spans) -> SpanId {
        spans.iter().next().expect("a span").id()
    }

    #[test]
    fn a_split_keeps_the_file_covered_and_a_join_restores_it() {
        let mut spans = Spans::empty(Some(100));
        let head = first(&spans);
        spans.receive(head, 10);
        let rest = spans.split(head, 60).expect("room");
        spans.receive(head, 60);
        spans.write(head, 60);
        spans.sync(head, 50);
        spans.receive(rest, 80);
        spans.write(rest, 80);
        spans.sync(rest, 80);
        spans.join_complete();
        assert_eq!(
            spans.len(),
            2,
            "a join may not claim a sync that was not made"
        );
        spans.sync(head, 60);
        spans.join_complete();
        let joined = spans.iter().next().expect("a span");
        assert_eq!(
            (spans.len(), joined.start(), joined.end()),
            (1, 0, Some(100))
        );
        assert_eq!((joined.synced(), joined.written()), (80, 80));
    }

    #[test]
    fn a_span_takes_back_what_nobody_began() {
        let mut spans = Spans::empty(Some(90));
        let a = first(&spans);
        let b = spans.split(a, 30).expect("room");
        let _c = spans.split(b, 60).expect("room");
        assert_eq!(spans.absorb_following(a), Some(90));
        assert_eq!(spans.len(), 1);
    }

    #[test]
    fn a_begun_span_is_not_taken_back() {
        let mut spans = Spans::empty(Some(90));
        let a = first(&spans);
        let b = spans.split(a, 30).expect("room");
        spans.receive(b, 31);
        assert_eq!(spans.absorb_following(a), None);
        assert_eq!(spans.len(), 2);
    }

    #[test]
    fn a_span_takes_back_what_lies_before_the_first_that_was_begun() {
        let mut spans = Spans::empty(Some(90));
        let a = first(&spans);
        let b = spans.split(a, 30).expect("room");
        let c = spans.split(b, 60).expect("room");
        spans.receive(c, 61);
        assert_eq!(spans.absorb_following(a), Some(60));
        assert_eq!(spans.len(), 2);
    }

    #[test]
    fn a_record_of_more_spans_than_may_be_is_refused() {
        let held = |at| Held {
            start: at,
            end: Some(at + 1),
            synced: at,
            written: at,
        };
        let most = u64::try_from(SPANS_MAX).expect("it is small");
        for (count, is_taken) in [(most, true), (most + 1, false)] {
            let all: Vec<Held> = (0..count).map(held).collect();
            assert_eq!(Spans::from_held(&all, Some(count)).is_some(), is_taken);
        }
    }

    #[test]
    fn records_that_do_not_cover_one_file_are_refused() {
        let held = |start, end, synced, written| Held {
            start,
            end,
            synced,
            written,
        };
        let table: [(&str, Vec<Held>, Option<u64>, bool); 7] = [
            ("whole", vec![held(0, Some(9), 1, 2)], Some(9), true),
            ("open end", vec![held(0, None, 1, 2)], None, true),
            ("none", vec![], Some(9), false),
            (
                "gap",
                vec![held(0, Some(3), 0, 0), held(4, Some(9), 4, 4)],
                Some(9),
                false,
            ),
            ("short", vec![held(0, Some(3), 0, 0)], Some(9), false),
            ("order", vec![held(0, Some(9), 3, 2)], Some(9), false),
            (
                "past the end",
                vec![held(0, Some(9), 3, 10)],
                Some(9),
                false,
            ),
        ];
        for (name, held, total, accepted) in table {
            assert_eq!(Spans::from_held(&held, total).is_some(), accepted, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_order_of_work_keeps_the_marks_in_order(steps in proptest::collection::vec((0u8..6, 0u64..1000), 0..200)) {
            let mut spans = Spans::empty(Some(1000));
            for (kind, at) in steps {
                let ids: Vec<SpanId> = spans.iter().map(Span::id).collect();
                let id = ids[usize::try_from(at).expect("small") % ids.len()];
                let span = spans.get(id).expect("it exists").clone();
                let end = span.end().expect("known");
                match kind {
                    0 => spans.receive(id, at.clamp(span.received(), end)),
                    1 => spans.write(id, at.clamp(span.written(), span.received())),
                    2 => spans.sync(id, at.clamp(span.synced(), span.written())),
                    3 => spans.forget_unwritten(id),
                    4 if span.received() + 1 < end => {
                        let _ = spans.split(id, at.clamp(span.received() + 1, end - 1));
                    }
                    _ => spans.join_complete(),
                }
                let mut expected = 0;
                for span in spans.iter() {
                    prop_assert_eq!(span.start(), expected);
                    expected = span.end().expect("known");
                }
                prop_assert_eq!(expected, 1000);
                prop_assert!(spans.synced_bytes() <= spans.written_bytes());
            }
        }
    }
}
