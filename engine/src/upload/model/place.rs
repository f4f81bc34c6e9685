//! What a server has of one upload.

/// The place of an upload.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The length of the whole.
    pub(super) length: u64,
    /// Bytes that it has.
    pub(super) held: u64,
    /// Which file each part of them is of, in order.
    parts: Vec<(u64, u64)>,
    pub(super) is_complete: bool,
    pub(super) is_gone: bool,
}

impl Place {
    pub(super) const fn new(length: u64) -> Self {
        Self {
            length,
            held: 0,
            parts: Vec::new(),
            is_complete: false,
            is_gone: false,
        }
    }

    /// Takes bytes of this file at its end.
    pub(super) fn take(&mut self, bytes: u64, file: u64) {
        self.held += bytes;
        self.parts.push((bytes, file));
    }

    /// The file that all of it is of; `None` when it is of several.
    pub(super) fn file(&self) -> Option<u64> {
        let mut files = self.parts.iter().filter(|(bytes, _)| *bytes > 0);
        let first = files.next().map(|(_, file)| *file)?;
        files.all(|(_, file)| *file == first).then_some(first)
    }
}
