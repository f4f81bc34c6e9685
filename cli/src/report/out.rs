//! Standard output that may be closed at any time: the files are what matters, so a reader who has
//! gone (`| head`) ends the writing and nothing else.

use std::io::{self, Write as _};

use serde::Serialize;

/// Standard output.
#[derive(Default)]
pub(crate) struct Out {
    is_closed: bool,
    /// What is written together with what follows.
    held: Option<Vec<u8>>,
}

impl Out {
    /// Writes one line; the line break is added.
    pub(crate) fn line(&mut self, bytes: &[u8]) {
        self.write(&[bytes, b"\n"]);
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.write(&[bytes]);
    }

    /// Writes one JSON object as a line.
    pub(crate) fn json(&mut self, line: &impl Serialize) {
        let text = serde_json::to_vec(line).expect("numbers and texts are always JSON");
        self.line(&text);
    }

    /// Whether its reader has gone.
    pub(crate) const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Holds what is written from now on, so that many lines take one call of the system.
    pub(crate) fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// What was held and is still to be written, if anything. From now on nothing is held.
    pub(crate) fn release(&mut self) -> Option<Vec<u8>> {
        self.held.take().filter(|held| !held.is_empty())
    }

    fn write(&mut self, parts: &[&[u8]]) {
        if let Some(held) = &mut self.held {
            return parts.iter().for_each(|part| held.extend_from_slice(part));
        }
        if self.is_closed {
            return;
        }
        let mut stdout = io::stdout().lock();
        let mut parts = parts.iter();
        let result = parts
            .try_for_each(|part| stdout.write_all(part))
            .and_then(|()| stdout.flush());
        self.is_closed = result.is_err();
    }
}
