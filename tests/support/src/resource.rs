//! A well-behaved resource: content with validators, served by RFC 9110 with ranges and conditions.

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::auth::Auth;
use crate::content::Content;
use crate::date::http_date;
use crate::log::Request;
use crate::script::Ranges;

/// The default `Last-Modified`: 2025-01-01T00:00:00Z, old enough beside any `Date` of today to be
/// a strong validator (RFC 9110 8.8.2.2).
pub(crate) const LAST_MODIFIED: Duration = Duration::from_secs(1_735_689_600);
/// The boundary of `multipart/byteranges` answers.
const BOUNDARY: &str = "longhaul-boundary";

/// What a path serves. By default it has a strong ETag that follows from the content, an old
/// `Last-Modified`, and takes ranges.
#[derive(Clone, Debug)]
pub struct Resource {
    content: Content,
    etag: Option<String>,
    last_modified: Option<String>,
    headers: Vec<(String, String)>,
    auth: Option<Auth>,
}

/// An answer before framing: what the server says and the body in parts.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<Part>,
}

/// A part of a body: bytes at hand, or a range of some content, computed while it is sent.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Bytes(Vec<u8>),
    Content(Content, Range<u64>),
}

impl Resource {
    /// Serves `content` with both validators.
    pub fn new(content: Content) -> Self {
        let etag = format!("\"{:x}-{:x}\"", content.seed(), content.len());
        let last_modified = http_date(UNIX_EPOCH + LAST_MODIFIED);
        Self {
            content,
            etag: Some(etag),
            last_modified: Some(last_modified),
            headers: Vec::new(),
            auth: None,
        }
    }

    /// With the strong ETag `"tag"`.
    pub fn etag(mut self, tag: &str) -> Self {
        self.etag = Some(format!("\"{tag}\""));
        self
    }

    /// With the weak ETag `W/"tag"` and no `Last-Modified`.
    pub fn weak_etag_only(mut self, tag: &str) -> Self {
        self.etag = Some(format!("W/\"{tag}\""));
        self.last_modified = None;
        self
    }

    /// With `Last-Modified: moment` and no ETag.
    pub fn last_modified_only(mut self, moment: SystemTime) -> Self {
        self.etag = None;
        self.last_modified = Some(http_date(moment));
        self
    }

    /// With neither ETag nor `Last-Modified`.
    pub fn without_validators(mut self) -> Self {
        self.etag = None;
        self.last_modified = None;
        self
    }

    /// With one more header field in every 200 and 206.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With the right `Repr-Digest` (RFC 9530, sha-256); computes the digest here and now.
    pub fn repr_digest(self) -> Self {
        let digest = self.content.sha256_base64();
        self.header("Repr-Digest", &format!("sha-256=:{digest}:"))
    }

    /// With a `Repr-Digest` (RFC 9530, sha-256) that is well formed and belongs to other content.
    pub fn wrong_repr_digest(self) -> Self {
        let digest = Content::new(!self.content.seed(), 1).sha256_base64();
        self.header("Repr-Digest", &format!("sha-256=:{digest}:"))
    }

    /// Answers 401 with a challenge to every request that does not satisfy `auth`.
    pub fn protected_by(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// What is served.
    pub fn content(&self) -> Content {
        self.content
    }

    /// The answer to `request` for `target` (as sent), with ranges treated as `ranges` says.
    pub(crate) fn answer(&self, request: &Request, target: &str, ranges: Ranges) -> Answer {
        if let Some(auth) = &self.auth
            && !auth.is_satisfied_by(request, target)
        {
            let challenge = ("WWW-Authenticate".into(), auth.challenge());
            let body = Part::Bytes(b"credentials, please\n".to_vec());
            return Answer {
                status: 401,
                headers: vec![challenge],
                body: vec![body],
            };
        }
        match (self.wanted_range(request, ranges), ranges) {
            (_, Ranges::Ignore) | (Wanted::Everything, _) => self.whole(),
            (_, Ranges::Unsatisfiable(total)) => self.unsatisfied(total),
            (Wanted::Nothing, _) => self.unsatisfied(Some(self.content.len())),
            (Wanted::Bytes(range), ranges) => self.partial(range, ranges),
        }
    }

    /// Reads `Range` and `If-Range` (RFC 9110 13.1.5, 14.2). Lists of ranges are ignored, as a
    /// server may.
    fn wanted_range(&self, request: &Request, ranges: Ranges) -> Wanted {
        let Some(set) = request
            .header("range")
            .and_then(|range| range.strip_prefix("bytes="))
        else {
            return Wanted::Everything;
        };
        if let Some(condition) = request.header("if-range")
            && ranges != Ranges::IgnoreCondition
            && !self.is_current(condition)
        {
            return Wanted::Everything;
        }
        let Some((first, last)) = set.split_once('-') else {
            return Wanted::Everything;
        };
        let len = self.content.len();
        match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last => bytes(first, last.saturating_add(1), len),
            (Ok(first), Err(_)) if last.trim().is_empty() => bytes(first, len, len),
            (Err(_), Ok(suffix)) if first.trim().is_empty() => {
                bytes(len - suffix.min(len), len, len)
            }
            (Ok(_) | Err(_), Ok(_) | Err(_)) => Wanted::Everything,
        }
    }

    /// Whether an `If-Range` value names what we have: by strong comparison for ETags, by equality
    /// for dates.
    fn is_current(&self, condition: &str) -> bool {
        let is_strong_match = self.etag.as_deref() == Some(condition) && condition.starts_with('"');
        is_strong_match || self.last_modified.as_deref() == Some(condition)
    }

    fn whole(&self) -> Answer {
        let body = Part::Content(self.content, 0..self.content.len());
        Answer {
            status: 200,
            headers: self.entity_headers(),
            body: vec![body],
        }
    }

    fn partial(&self, range: Range<u64>, ranges: Ranges) -> Answer {
        let total = self.content.len();
        let (sent, claimed) = match ranges {
            Ranges::Multipart => return self.multipart(range),
            Ranges::StartAt(start) => {
                let start = start.min(total.saturating_sub(1));
                let end = range.end.max(start + 1);
                (start..end, Some(content_range(&(start..end), total)))
            }
            Ranges::ClaimStart(start) => {
                let claimed = start..start + (range.end - range.start);
                (range, Some(content_range(&claimed, total.max(claimed.end))))
            }
            Ranges::ClaimTotal(claimed) => {
                let header = content_range(&range, claimed);
                (range, Some(header))
            }
            Ranges::UnknownTotal => {
                let header = format!("bytes {}-{}/*", range.start, range.end - 1);
                (range, Some(header))
            }
            Ranges::WithoutContentRange => (range, None),
            Ranges::Honour
            | Ranges::IgnoreCondition
            | Ranges::Ignore
            | Ranges::Unsatisfiable(_) => {
                let header = content_range(&range, total);
                (range, Some(header))
            }
        };
        let mut headers = self.entity_headers();
        headers.extend(claimed.map(|value| ("Content-Range".into(), value)));
        Answer {
            status: 206,
            headers,
            body: vec![Part::Content(self.content, sent)],
        }
    }

    /// RFC 9110 15.3.7.2: the range as the only part of a multipart body.
    fn multipart(&self, range: Range<u64>) -> Answer {
        let mut headers = self.entity_headers();
        headers.retain(|(name, _)| name != "Content-Type");
        let kind = format!("multipart/byteranges; boundary={BOUNDARY}");
        headers.push(("Content-Type".into(), kind));
        let claimed = content_range(&range, self.content.len());
        let head = format!(
            "--{BOUNDARY}\r\nContent-Type: application/octet-stream\r\n\
             Content-Range: {claimed}\r\n\r\n"
        );
        let body = vec![
            Part::Bytes(head.into_bytes()),
            Part::Content(self.content, range),
            Part::Bytes(format!("\r\n--{BOUNDARY}--\r\n").into_bytes()),
        ];
        Answer {
            status: 206,
            headers,
            body,
        }
    }

    /// 416, with `Content-Range: bytes */total` if a total is given.
    fn unsatisfied(&self, total: Option<u64>) -> Answer {
        let range = total.map(|total| ("Content-Range".into(), format!("bytes */{total}")));
        let body = Part::Bytes(b"no such range\n".to_vec());
        Answer {
            status: 416,
            headers: range.into_iter().collect(),
            body: vec![body],
        }
    }

    fn entity_headers(&self) -> Vec<(String, String)> {
        let mut headers = vec![
            ("Content-Type".into(), "application/octet-stream".into()),
            ("Accept-Ranges".into(), "bytes".into()),
        ];
        headers.extend(self.etag.iter().map(|value| ("ETag".into(), value.clone())));
        let modified = self.last_modified.iter();
        headers.extend(modified.map(|value| ("Last-Modified".into(), value.clone())));
        headers.extend(self.headers.iter().cloned());
        headers
    }
}

impl Answer {
    /// The length of the body in bytes, before any framing.
    pub(crate) fn body_len(&self) -> u64 {
        self.body.iter().map(Part::len).sum()
    }
}

impl Part {
    /// The number of bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Content(_, range) => range.end - range.start,
        }
    }

    /// Fills `buffer` with the bytes from `offset` of this part.
    pub(crate) fn fill(&self, offset: u64, buffer: &mut [u8]) {
        match self {
            Self::Bytes(bytes) => {
                let start = offset as usize;
                buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
            }
            Self::Content(content, range) => content.fill(range.start + offset, buffer),
        }
    }
}

/// What a request asks for.
enum Wanted {
    /// No (usable) range: the whole content.
    Everything,
    /// These bytes, at least one.
    Bytes(Range<u64>),
    /// A range that holds no byte of the content.
    Nothing,
}

fn bytes(first: u64, end: u64, len: u64) -> Wanted {
    if first < end.min(len) {
        Wanted::Bytes(first..end.min(len))
    } else {
        Wanted::Nothing
    }
}

fn content_range(range: &Range<u64>, total: u64) -> String {
    format!("bytes {}-{}/{total}", range.start, range.end - 1)
}
