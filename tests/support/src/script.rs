//! Scripts: what the server answers to the first, second, third ... request for a path.

use crate::gate::Gate;
use crate::resource::Resource;

/// One answer of a script. It starts as something well-behaved and is then spoilt step by step:
///
/// ```
/// use longhaul_support::script::Reply;
///
/// let script = [Reply::normal().truncate_at(1000), Reply::status(503), Reply::normal()];
/// ```
#[derive(Clone, Debug)]
pub struct Reply {
    pub(crate) source: Source,
    pub(crate) ranges: Ranges,
    pub(crate) framing: Framing,
    pub(crate) edits: Vec<Edit>,
    pub(crate) interim: Vec<u16>,
    pub(crate) head_gate: Option<Gate>,
    /// Bytes of the request body that are read before the answer; all without it.
    pub(crate) takes: Option<u64>,
    pub(crate) cuts: Vec<(u64, Cut)>,
    pub(crate) pace: Pace,
    pub(crate) surplus: Vec<u8>,
    pub(crate) version: &'static str,
    pub(crate) closing: Closing,
}

/// How ranges are treated. Only requests whose range would be honoured by a well-behaved server
/// are spoilt; the others get what they would get anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// By RFC 9110: 206, 416, or 200 when `If-Range` does not match.
    Honour,
    /// As if there were no `If-Range`: 206 also when the resource has changed.
    IgnoreCondition,
    /// Always 200 with everything.
    Ignore,
    /// 206 that starts at this offset, and says so.
    StartAt(u64),
    /// 206 with the bytes asked for, but a `Content-Range` that starts at this offset.
    ClaimStart(u64),
    /// 206 with the bytes asked for, but this total in `Content-Range`.
    ClaimTotal(u64),
    /// 206 with `*` as the total in `Content-Range`.
    UnknownTotal,
    /// 206 without `Content-Range`.
    WithoutContentRange,
    /// 206 as `multipart/byteranges` with one part.
    Multipart,
    /// 416 with `Content-Range: bytes */TOTAL`, or without that header.
    Unsatisfiable(Option<u64>),
}

/// How the end of the body is made known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length` with the true length.
    Length,
    /// `Content-Length` with this number, whatever is sent.
    Declared(u64),
    /// Chunked; every piece written is a chunk.
    Chunked,
    /// Chunked with an extension on every chunk and a trailer section.
    ChunkedWithExtras,
    /// Neither: the body ends with the connection.
    Close,
}

/// Where the head and body of a reply come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The resource that the path serves; 404 without one.
    Path,
    /// Another resource.
    Resource(Resource),
    /// A status with a body of bytes.
    Fixed(u16, Vec<u8>),
    /// These bytes instead of a response; then FIN.
    Raw(Vec<u8>),
    /// FIN instead of a response.
    HangUp,
    /// RST instead of a response.
    Reset,
}

/// A change of the head, made after the server has written it.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// Removes every field of this name.
    Remove(String),
    /// Adds a field at the end.
    Add(String, String),
}

/// What happens when so many body bytes of the response were sent.
#[derive(Clone, Debug)]
pub(crate) enum Cut {
    /// FIN, whatever was promised.
    Fin,
    /// RST.
    Reset,
    /// Silence until the server is dropped.
    Stall,
    /// Silence until the gate opens; then on.
    Hold(Gate),
}

/// How fast the body goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As fast as the socket takes it.
    Free,
    /// So many bytes a write, each a packet of its own (`TCP_NODELAY` is set).
    Drip(usize),
    /// So many bytes a second.
    BytesPerSecond(u64),
}

/// What happens to the connection after a complete response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    /// As HTTP says: kept, unless the request, the version or the framing end it.
    ByProtocol,
    /// `Connection: close`, then FIN.
    Announced,
    /// FIN although keep-alive was promised: a pooled connection goes stale.
    Unannounced,
}

impl Reply {
    fn from_source(source: Source) -> Self {
        Self {
            source,
            ranges: Ranges::Honour,
            framing: Framing::Length,
            edits: Vec::new(),
            interim: Vec::new(),
            head_gate: None,
            takes: None,
            cuts: Vec::new(),
            pace: Pace::Free,
            surplus: Vec::new(),
            version: "HTTP/1.1",
            closing: Closing::ByProtocol,
        }
    }

    /// What a good server answers for the resource of the path.
    pub fn normal() -> Self {
        Self::from_source(Source::Path)
    }

    /// What a good server answers for `resource`, whatever the path serves otherwise.
    pub fn of(resource: Resource) -> Self {
        Self::from_source(Source::Resource(resource))
    }

    /// A final status with a short text body.
    pub fn status(status: u16) -> Self {
        Self::from_source(Source::Fixed(
            status,
            format!("status {status}\n").into_bytes(),
        ))
    }

    /// A redirect (301, 302, 303, 307 or 308) to `location`, absolute or relative.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("Location", location)
    }

    /// These bytes instead of a response, then FIN. They need not be HTTP.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::from_source(Source::Raw(bytes.into()))
    }

    /// FIN instead of a response, without a byte.
    pub fn hang_up() -> Self {
        Self::from_source(Source::HangUp)
    }

    /// RST instead of a response, without a byte.
    pub fn reset() -> Self {
        Self::from_source(Source::Reset)
    }

    /// Answers when `bytes` of the request body have come, reads no more of it and ends the
    /// connection.
    pub fn taking(mut self, bytes: u64) -> Self {
        self.takes = Some(bytes);
        self
    }

    /// With this body instead of the one of [`Reply::status`]; other replies keep theirs.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        if let Source::Fixed(_, body) = &mut self.source {
            *body = bytes.into();
        }
        self
    }

    /// With ranges treated as `ranges` says.
    pub fn ranges(mut self, ranges: Ranges) -> Self {
        self.ranges = ranges;
        self
    }

    /// With the body framed as `framing` says.
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// With this header field in place of all fields of that name.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.without_header(name).add_header(name, value)
    }

    /// With one more header field, also if there is one of that name.
    pub fn add_header(mut self, name: &str, value: &str) -> Self {
        self.edits.push(Edit::Add(name.into(), value.into()));
        self
    }

    /// Without the fields of that name.
    pub fn without_header(mut self, name: &str) -> Self {
        self.edits.push(Edit::Remove(name.into()));
        self
    }

    /// After `count` interim heads with this 1xx status.
    pub fn interim(mut self, status: u16, count: usize) -> Self {
        self.interim.extend(std::iter::repeat_n(status, count));
        self
    }

    /// As `HTTP/1.0`, which also closes the connection after the body.
    pub fn http10(mut self) -> Self {
        self.version = "HTTP/1.0";
        self
    }

    /// FIN after `offset` body bytes of this response.
    pub fn truncate_at(self, offset: u64) -> Self {
        self.cut(offset, Cut::Fin)
    }

    /// RST after `offset` body bytes. Bytes that the client's kernel has not yet taken are lost
    /// with it, so the client gets at most `offset` bytes.
    pub fn reset_at(self, offset: u64) -> Self {
        self.cut(offset, Cut::Reset)
    }

    /// Silence after `offset` body bytes, until the server is dropped.
    pub fn stall_at(self, offset: u64) -> Self {
        self.cut(offset, Cut::Stall)
    }

    /// Silence after `offset` body bytes until `gate` opens.
    pub fn hold_at(self, offset: u64, gate: &Gate) -> Self {
        self.cut(offset, Cut::Hold(gate.clone()))
    }

    /// Silence until `gate` opens, before the first byte of the answer (interim heads too).
    pub fn hold_head(mut self, gate: &Gate) -> Self {
        self.head_gate = Some(gate.clone());
        self
    }

    /// With the body in writes of `bytes` bytes, each a packet of its own.
    pub fn drip(mut self, bytes: usize) -> Self {
        self.pace = Pace::Drip(bytes.max(1));
        self
    }

    /// With at most so many body bytes a second.
    pub fn bytes_per_second(mut self, rate: u64) -> Self {
        self.pace = Pace::BytesPerSecond(rate.max(1));
        self
    }

    /// With these bytes after the end of the body: more than was declared.
    pub fn surplus(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.surplus = bytes.into();
        self
    }

    /// Says `Connection: close` and closes after the response.
    pub fn close(mut self) -> Self {
        self.closing = Closing::Announced;
        self
    }

    /// Promises keep-alive and closes after the response all the same.
    pub fn close_unannounced(mut self) -> Self {
        self.closing = Closing::Unannounced;
        self
    }

    /// The gates at which this reply may wait.
    pub(crate) fn gates(&self) -> impl Iterator<Item = &Gate> {
        let held = self.cuts.iter().filter_map(|(_, cut)| match cut {
            Cut::Hold(gate) => Some(gate),
            Cut::Fin | Cut::Reset | Cut::Stall => None,
        });
        self.head_gate.iter().chain(held)
    }

    fn cut(mut self, offset: u64, cut: Cut) -> Self {
        self.cuts.push((offset, cut));
        self.cuts.sort_by_key(|(offset, _)| *offset);
        self
    }
}
