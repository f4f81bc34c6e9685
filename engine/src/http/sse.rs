//! Server-sent events as they come off the wire, in pieces of any size (WHATWG HTML section 9.2.6).

/// A byte order mark, which may stand before the first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event of a stream. Its name and its retry time are not kept: what they tell stands in the data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerSentEvent {
    /// The last `id` that the stream told, empty without one.
    pub id: String,
    /// The `data` lines, with a line feed between two.
    pub data: String,
}

/// Why a stream can not be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// An event, or one line of it, is longer than the reader allows.
    #[error("an event of the stream is longer than {bytes_max} bytes")]
    TooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// A line is not UTF-8.
    #[error("the stream is not UTF-8")]
    NotText,
}

/// Reads a stream of events that comes in pieces. An event whose empty line has not come is none: a
/// stream that ends within one has not told it.
#[derive(Debug)]
pub struct SseParser {
    bytes_max: usize,
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed after it ends no line of its own.
    had_return: bool,
    had_first_line: bool,
    id: String,
    data: Option<String>,
}

impl SseParser {
    /// A reader at the beginning of a stream, that keeps at most `bytes_max` of one event.
    #[must_use]
    pub const fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            line: Vec::new(),
            had_return: false,
            had_first_line: false,
            id: String::new(),
            data: None,
        }
    }

    /// Takes the next piece and appends the events that it completes to `events`.
    ///
    /// # Errors
    /// When an event is too long or no text; nothing after it can be read.
    pub fn push(
        &mut self,
        piece: &[u8],
        events: &mut Vec<ServerSentEvent>,
    ) -> Result<(), SseError> {
        let mut rest = piece;
        while let Some((&first, after)) = rest.split_first() {
            if std::mem::take(&mut self.had_return) && first == b'\n' {
                rest = after;
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (text, ending) = rest.split_at(end.unwrap_or(rest.len()));
            self.keep(text)?;
            let Some((&ending, after)) = ending.split_first() else {
                break;
            };
            self.had_return = ending == b'\r';
            events.extend(self.end_line()?);
            rest = after;
        }
        Ok(())
    }

    fn keep(&mut self, text: &[u8]) -> Result<(), SseError> {
        let held = self.line.len() + self.data.as_ref().map_or(0, String::len);
        if held + text.len() > self.bytes_max {
            let bytes_max = self.bytes_max;
            return Err(SseError::TooLong { bytes_max });
        }
        self.line.extend_from_slice(text);
        Ok(())
    }

    /// What the line that has just ended completes.
    fn end_line(&mut self) -> Result<Option<ServerSentEvent>, SseError> {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if !std::mem::replace(&mut self.had_first_line, true) {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        if line.is_empty() {
            let id = self.id.clone();
            let data = self.data.take();
            return Ok(data.map(|data| ServerSentEvent { id, data }));
        }
        let line = std::str::from_utf8(line).map_err(|_| SseError::NotText)?;
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            // A comment, a name, a retry time, or what nobody knows: section 9.2.6 has it ignored.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ENOUGH: usize = 1024;

    fn event(id: &str, data: &str) -> ServerSentEvent {
        ServerSentEvent {
            id: id.to_owned(),
            data: data.to_owned(),
        }
    }

    fn read(stream: &[u8]) -> Vec<ServerSentEvent> {
        let mut events = Vec::new();
        let read = SseParser::new(ENOUGH).push(stream, &mut events);
        read.map(|()| events).expect("it is text")
    }

    #[test]
    fn a_stream_is_read_as_the_standard_says() {
        let cases: [(&str, Vec<ServerSentEvent>); 14] = [
            ("", vec![]),
            ("data: a\n\n", vec![event("", "a")]),
            ("data:a\n\n", vec![event("", "a")]),
            ("data:  a\n\n", vec![event("", " a")]),
            ("data\n\n", vec![event("", "")]),
            ("data: a\ndata: b\n\n", vec![event("", "a\nb")]),
            ("data: a\r\n\r\n", vec![event("", "a")]),
            (
                "data: a\r\rdata: b\r\r",
                vec![event("", "a"), event("", "b")],
            ),
            (": nothing\n\n\n", vec![]),
            ("\u{feff}data: a\n\n", vec![event("", "a")]),
            (
                "id: 7\ndata: a\n\ndata: b\n\n",
                vec![event("7", "a"), event("7", "b")],
            ),
            ("id: 7\n\ndata: b\n\n", vec![event("7", "b")]),
            (
                "event: x\nretry: 5\nwhat: y\ndata: a\n\n",
                vec![event("", "a")],
            ),
            ("data: told\n\ndata: cut off\n", vec![event("", "told")]),
        ];
        for (stream, expected) in cases {
            assert_eq!(read(stream.as_bytes()), expected, "{stream:?}");
        }
    }

    #[test]
    fn an_event_that_is_too_long_is_refused_before_it_is_kept() {
        for stream in ["data: 12345678", "data: 1234\ndata: 5678", ": 3456789abc"] {
            let mut events = Vec::new();
            let refused = SseParser::new(10).push(stream.as_bytes(), &mut events);
            assert_eq!(
                refused,
                Err(SseError::TooLong { bytes_max: 10 }),
                "{stream:?}"
            );
            assert!(events.is_empty());
        }
        let mut events = Vec::new();
        let many = "data: 1234\n\n".repeat(100);
        let read = SseParser::new(10).push(many.as_bytes(), &mut events);
        assert_eq!(
            (read, events.len()),
            (Ok(()), 100),
            "the limit is of one event"
        );
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let refused = SseParser::new(ENOUGH).push(b"data: \xff\n", &mut Vec::new());
        assert_eq!(refused, Err(SseError::NotText));
    }

    proptest! {
        #[test]
        fn the_pieces_that_a_stream_comes_in_change_nothing(
            lines in prop::collection::vec("(data: ?|id: |: |)[a-z\u{e4}\u{20ac}]{0,8}(\n|\r|\r\n|\n\n)", 0..20),
            cuts in prop::collection::vec(0_usize..400, 0..40),
        ) {
            let stream = lines.concat().into_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let (mut parser, mut events) = (SseParser::new(ENOUGH), Vec::new());
            for pair in cuts.windows(2) {
                parser.push(&stream[pair[0]..pair[1]], &mut events).expect("it is text");
            }
            prop_assert_eq!(events, read(&stream));
        }

        #[test]
        fn no_bytes_make_the_reader_panic_or_keep_more_than_its_limit(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
        ) {
            let (mut parser, mut events) = (SseParser::new(64), Vec::new());
            for piece in pieces {
                if parser.push(&piece, &mut events).is_err() {
                    break;
                }
            }
            prop_assert!(parser.line.len() + parser.data.map_or(0, |data| data.len()) <= 64 + 20);
        }
    }
}
