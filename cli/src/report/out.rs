//! Standard output that may be closed at any time: the files are what matters, so a reader who has
//! gone (`| head`) ends the writing and nothing else.

use std::io::{self, Write as _};

/// Standard output.
#[derive(Default)]
pub(super) struct Out {
    is_closed: bool,
}

impl Out {
    /// Writes one line; the line break is added.
    pub(super) fn line(&mut self, bytes: &[u8]) {
        if self.is_closed {
            return;
        }
        let mut stdout = io::stdout().lock();
        let result = stdout
            .write_all(bytes)
            .and_then(|()| stdout.write_all(b"\n"));
        self.is_closed = result.is_err();
    }
}
