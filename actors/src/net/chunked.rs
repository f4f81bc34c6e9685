//! The chunked transfer coding (RFC 9112 section 7.1), taken off as a pure function of bytes.

use super::failure::NetFailure;

/// Most bytes of one chunk-size line with its extensions. No server needs more than a few; a longer
/// line is an attempt to keep us busy with bytes that are no body.
const SIZE_LINE_BYTES_MAX: usize = 4 * 1024;

/// Most bytes of the trailer section. It is read and dropped.
const TRAILER_BYTES_MAX: usize = 16 * 1024;

/// What one call of [`ChunkDecoder::decode`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Bytes of the input that are used up.
    pub(super) consumed: usize,
    /// Body bytes written to the output.
    pub(super) produced: usize,
}

/// Where the decoder stands between two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the digits of a chunk size; at least one must come.
    Size { value: u64, has_digits: bool },
    /// Behind the digits: spaces or an extension, skipped up to the end of the line.
    Extension { value: u64 },
    /// The CR of a size line was read.
    SizeEnd { value: u64 },
    /// In the bytes of a chunk.
    Data { remaining: u64 },
    /// Behind the bytes of a chunk, before its CR.
    DataEnd,
    /// The CR behind a chunk was read.
    DataEndLf,
    /// At the first byte of a trailer line, or of the empty line that ends everything.
    TrailerStart,
    /// Within a trailer line.
    Trailer,
    /// The CR of a trailer line was read.
    TrailerLf,
    /// The CR of the last, empty line was read.
    LastLf,
    /// The body has ended.
    Done,
}

/// Takes the chunked coding off a stream of bytes, however the stream is cut.
#[derive(Debug)]
pub(super) struct ChunkDecoder {
    state: State,
    /// Bytes of the current size line, or of the whole trailer section.
    line_bytes: usize,
}

impl ChunkDecoder {
    /// A decoder before the first byte of a body.
    pub(super) const fn new() -> Self {
        Self {
            state: State::Size {
                value: 0,
                has_digits: false,
            },
            line_bytes: 0,
        }
    }

    /// Decodes as much of `input` as `output` has room for. Stops behind the last byte of the body.
    ///
    /// # Errors
    /// [`NetFailure::Protocol`] when the bytes are no chunked body or a limit is passed.
    pub(super) fn decode(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, NetFailure> {
        let (mut consumed, mut produced) = (0, 0);
        while consumed < input.len() && !self.is_done() {
            let remaining = self.data_remaining();
            if remaining == 0 {
                self.state = self.next(input[consumed])?;
                consumed += 1;
                continue;
            }
            let count = (input.len() - consumed)
                .min(output.len() - produced)
                .min(usize::try_from(remaining).unwrap_or(usize::MAX));
            if count == 0 {
                break;
            }
            output[produced..produced + count].copy_from_slice(&input[consumed..consumed + count]);
            self.advance_data(count);
            consumed += count;
            produced += count;
        }
        Ok(Step { consumed, produced })
    }

    /// Bytes left in the current chunk; they may be read past the decoder, see
    /// [`Self::advance_data`].
    pub(super) const fn data_remaining(&self) -> u64 {
        match self.state {
            State::Data { remaining } => remaining,
            State::Size { .. }
            | State::Extension { .. }
            | State::SizeEnd { .. }
            | State::DataEnd
            | State::DataEndLf
            | State::TrailerStart
            | State::Trailer
            | State::TrailerLf
            | State::LastLf
            | State::Done => 0,
        }
    }

    /// Counts `count` bytes of the current chunk as done.
    pub(super) fn advance_data(&mut self, count: usize) {
        let left = self
            .data_remaining()
            .checked_sub(count as u64)
            .expect("no more bytes are taken than the chunk has");
        self.state = match left {
            0 => State::DataEnd,
            remaining => State::Data { remaining },
        };
    }

    /// True behind the last byte of the trailer section.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn next(&mut self, byte: u8) -> Result<State, NetFailure> {
        self.count_line_byte()?;
        match (self.state, byte) {
            (State::Size { value, has_digits }, byte) => size_byte(value, has_digits, byte),
            (State::Extension { value }, b'\r') => Ok(State::SizeEnd { value }),
            (State::Extension { .. }, b'\n') => Err(malformed("a line ends without CR")),
            (State::Extension { value }, _) => Ok(State::Extension { value }),
            (State::SizeEnd { value }, b'\n') => {
                self.line_bytes = 0;
                Ok(match value {
                    0 => State::TrailerStart,
                    remaining => State::Data { remaining },
                })
            }
            (State::DataEnd, b'\r') => Ok(State::DataEndLf),
            (State::DataEndLf, b'\n') => {
                self.line_bytes = 0;
                Ok(State::Size {
                    value: 0,
                    has_digits: false,
                })
            }
            (State::TrailerStart, b'\r') => Ok(State::LastLf),
            (State::Trailer, b'\r') => Ok(State::TrailerLf),
            (State::TrailerStart | State::Trailer, b'\n') => {
                Err(malformed("a line ends without CR"))
            }
            (State::TrailerStart | State::Trailer, _) => Ok(State::Trailer),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            (State::LastLf, b'\n') => Ok(State::Done),
            (State::DataEnd | State::DataEndLf, _) => {
                Err(malformed("a chunk is longer than its size"))
            }
            (State::SizeEnd { .. } | State::TrailerLf | State::LastLf, _) => {
                Err(malformed("CR is not followed by LF"))
            }
            (State::Data { .. } | State::Done, _) => {
                unreachable!("decode moves data itself and stops when done")
            }
        }
    }

    fn count_line_byte(&mut self) -> Result<(), NetFailure> {
        let most = match self.state {
            State::TrailerStart | State::Trailer | State::TrailerLf | State::LastLf => {
                TRAILER_BYTES_MAX
            }
            State::Size { .. }
            | State::Extension { .. }
            | State::SizeEnd { .. }
            | State::Data { .. }
            | State::DataEnd
            | State::DataEndLf
            | State::Done => SIZE_LINE_BYTES_MAX,
        };
        self.line_bytes += 1;
        if self.line_bytes > most {
            return Err(malformed("a chunk line or the trailer is too long"));
        }
        Ok(())
    }
}

fn size_byte(value: u64, has_digits: bool, byte: u8) -> Result<State, NetFailure> {
    if let Some(digit) = char::from(byte).to_digit(16) {
        let value = value
            .checked_mul(16)
            .and_then(|shifted| shifted.checked_add(u64::from(digit)))
            .ok_or_else(|| malformed("a chunk size needs more than 64 bits"))?;
        return Ok(State::Size {
            value,
            has_digits: true,
        });
    }
    match byte {
        b'\r' if has_digits => Ok(State::SizeEnd { value }),
        b';' | b' ' | b'\t' if has_digits => Ok(State::Extension { value }),
        _ => Err(malformed("a chunk size is not a number")),
    }
}

fn malformed(what: &str) -> NetFailure {
    NetFailure::protocol(&format!("malformed chunked body: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `wire`, given in pieces of `piece` bytes, through an output of `room` bytes: the
    /// body, the bytes left over and whether the end was seen.
    fn decode(
        wire: &[u8],
        piece: usize,
        room: usize,
    ) -> Result<(Vec<u8>, usize, bool), NetFailure> {
        let mut decoder = ChunkDecoder::new();
        let (mut body, mut used) = (Vec::new(), 0);
        while used < wire.len() && !decoder.is_done() {
            let end = wire.len().min(used + piece);
            let mut output = vec![0; room];
            let step = decoder.decode(&wire[used..end], &mut output)?;
            body.extend_from_slice(&output[..step.produced]);
            used += step.consumed;
        }
        Ok((body, wire.len() - used, decoder.is_done()))
    }

    #[test]
    fn a_body_is_the_same_however_the_stream_is_cut() {
        let table: [(&[u8], &[u8]); 5] = [
            (b"0\r\n\r\n", b""),
            (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
            (b"00005;a=\"b\"\r\nhello\r\n1 \r\n!\r\n0\r\n\r\n", b"hello!"),
            (
                b"A\r\n0\r\n\r\n0\r\n\r\n\r\n000\r\nDigest: x\r\nB: y\r\n\r\n",
                b"0\r\n\r\n0\r\n\r\n",
            ),
            (b"b\r\nhello world\r\n0;last\r\n\r\n", b"hello world"),
        ];
        for (wire, expected) in table {
            for piece in 1..=wire.len() {
                for room in [1, 3, 64] {
                    let (body, left, done) = decode(wire, piece, room).expect("well formed");
                    assert_eq!(
                        (&body[..], left, done),
                        (expected, 0, true),
                        "{piece} {room}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_decoder_stops_behind_the_last_byte() {
        let found = decode(b"1\r\nx\r\n0\r\n\r\nHTTP/1.1 200", 64, 64);
        assert_eq!(found, Ok((b"x".to_vec(), 12, true)));
    }

    #[test]
    fn a_cut_body_is_never_done() {
        let wire = b"5\r\nhello\r\n0\r\nA: b\r\n\r\n";
        for cut in 0..wire.len() {
            let (_, _, done) = decode(&wire[..cut], 64, 64).expect("well formed so far");
            assert!(!done, "{cut}");
        }
    }

    #[test]
    fn what_is_not_chunked_is_refused() {
        let table: [&[u8]; 11] = [
            b"\r\n",
            b"x\r\n",
            b";a\r\n",
            b"-1\r\n",
            b"0x5\r\nhello",
            b"5\nhello\r\n",
            b"5;a\nhello",
            b"5\r\nhelloo\r\n",
            b"5\r\nhello\n0\r\n",
            b"0\r\nA: b\n\r\n",
            b"10000000000000000\r\n",
        ];
        for wire in table {
            let found = decode(wire, 64, 64);
            assert!(
                matches!(found, Err(NetFailure::Protocol(_))),
                "{wire:?} {found:?}"
            );
        }
    }

    #[test]
    fn lines_and_trailers_have_a_limit_and_the_largest_size_has_none() {
        let extension = format!("5;{}\r\n", "a".repeat(SIZE_LINE_BYTES_MAX));
        assert!(decode(extension.as_bytes(), 999, 64).is_err());
        let trailer = format!("0\r\n{}\r\n", "A: b\r\n".repeat(TRAILER_BYTES_MAX / 6 + 1));
        assert!(decode(trailer.as_bytes(), 999, 64).is_err());
        let mut decoder = ChunkDecoder::new();
        let step = decoder.decode(b"ffffffffffffffff\r\nab", &mut [0; 8]);
        assert_eq!(
            step,
            Ok(Step {
                consumed: 20,
                produced: 2
            })
        );
        assert_eq!(decoder.data_remaining(), u64::MAX - 2);
    }
}
