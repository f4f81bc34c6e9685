//! The bytes that were read from a connection and not used yet.

/// Bytes asked of the connection at once while a head is read: most heads fit. What comes of the body
/// with them is copied once more than what is read straight into a block, so they are few.
pub(super) const HEAD_READ_BYTES: usize = 2 * 1024;

/// A byte queue over one allocation. The connection writes behind, the parsers take in front.
#[derive(Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    /// What is there.
    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// True when nothing is there.
    pub(super) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Drops the first `count` bytes.
    pub(super) fn consume(&mut self, count: usize) {
        assert!(count <= self.end - self.start, "more consumed than read");
        self.start += count;
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Moves as many bytes as fit into `buffer`, at most `most`; says how many.
    pub(super) fn take(&mut self, buffer: &mut [u8], most: u64) -> usize {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let count = self.unread().len().min(buffer.len()).min(most);
        buffer[..count].copy_from_slice(&self.unread()[..count]);
        self.consume(count);
        count
    }

    /// Free space of at least `bytes` bytes; what was written there counts after [`Self::filled`].
    pub(super) fn space(&mut self, bytes: usize) -> &mut [u8] {
        if self.bytes.len() < self.end + bytes && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.bytes.len() < self.end + bytes {
            self.bytes.resize(self.end + bytes, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// Counts `count` bytes that were written into [`Self::space`].
    pub(super) fn filled(&mut self, count: usize) {
        self.end += count;
        assert!(self.end <= self.bytes.len(), "more filled than space");
    }

    /// Gives the memory back when nothing is there, so that an idle connection holds none.
    pub(super) fn release(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(inbox: &mut Inbox, bytes: &[u8]) {
        inbox.space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        inbox.filled(bytes.len());
    }

    #[test]
    fn bytes_come_out_in_the_order_they_went_in() {
        let mut inbox = Inbox::default();
        write(&mut inbox, b"abcdef");
        inbox.consume(2);
        write(&mut inbox, b"gh");
        let mut buffer = [0; 4];
        assert_eq!((inbox.take(&mut buffer, 3), &buffer[..3]), (3, &b"cde"[..]));
        assert_eq!(inbox.unread(), b"fgh");
    }

    #[test]
    fn space_is_reused_before_memory_grows() {
        let mut inbox = Inbox::default();
        write(&mut inbox, &[1; 64]);
        inbox.consume(60);
        write(&mut inbox, &[2; 60]);
        assert_eq!(inbox.bytes.len(), 64);
        assert_eq!(inbox.unread().len(), 64);
        inbox.consume(64);
        inbox.release();
        assert_eq!(inbox.bytes.capacity(), 0);
    }
}
