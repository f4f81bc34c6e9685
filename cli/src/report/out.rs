//! Standard output that may be closed at any time: the files are what matters, so a reader who has
//! gone (`| head`) ends the writing and nothing else.

use std::io::{self, Write as _};

use serde::Serialize;

/// Standard output.
#[derive(Default)]
pub(crate) struct Out {
    is_closed: bool,
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

    fn write(&mut self, parts: &[&[u8]]) {
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
