//! A server with several versions of one resource that answers truthfully or lies.
//!
//! It lies about ranges, lengths and its own health, never about identity: a validator that it gives
//! is the one of the bytes that follow. Nobody could tell otherwise.

use super::dice::Dice;
use super::disk::{ERROR, Version};
use crate::checksum::{Algorithm, Digest};
use crate::download::Ask;
use crate::failure::{Failure, FailureKind};
use crate::http::head::{Headers, HttpVersion, ResponseHead};

/// What the entity tags of a server are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tags {
    None,
    /// The same text for every version.
    Weak,
    Strong,
}

/// What the dates of a server are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dates {
    None,
    /// The same second for every version, and it has just passed.
    Weak,
    Strong,
}

/// How a body tells its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Length,
    Chunked,
    Close,
}

/// What a server wants to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login {
    None,
    Basic,
    Digest,
}

/// How often, of a thousand answers, each thing goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lies {
    pub(super) refused: u64,
    pub(super) busy: u64,
    pub(super) cut: u64,
    pub(super) ranges: u64,
    pub(super) final_errors: u64,
    pub(super) nonces: u64,
}

#[derive(Debug)]
pub(super) struct Server {
    /// The length of each version.
    pub(super) lengths: Vec<u64>,
    pub(super) current: usize,
    /// The length of the body of every error; not 0, because bytes tell whose they are.
    pub(super) error_length: u64,
    pub(super) tags: Tags,
    pub(super) dates: Dates,
    pub(super) ending: Ending,
    pub(super) has_ranges: bool,
    pub(super) login: Login,
    pub(super) password_ok: bool,
    pub(super) redirects: u64,
    pub(super) has_digests: bool,
    pub(super) lies: Lies,
    pub(super) nonce: u64,
}

/// A body on its way: bytes `at..end` of one version.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) version: Version,
    pub(super) at: u64,
    pub(super) end: u64,
    /// It ends as its framing promised; else the connection breaks.
    pub(super) is_clean: bool,
}

pub(super) enum Reply {
    Head(ResponseHead, Option<Body>),
    Failed(Failure),
}

/// The digest that the bytes of a version have in this model.
pub(super) fn digest_of(version: Version) -> Digest {
    let byte = u8::try_from(version % 251).expect("it is below 251");
    Digest::new(Algorithm::Sha256, vec![byte; 32]).expect("32 bytes are a SHA-256")
}

const BASE_DATE_S: u64 = 1_700_000_000;

impl Server {
    pub(super) fn version(&self) -> Version {
        Version::try_from(self.current).expect("there are few versions")
    }

    fn length(&self) -> u64 {
        self.lengths[self.current]
    }

    /// The length of a version, the body of an error included.
    pub(super) fn length_of(&self, version: Version) -> Option<u64> {
        match version {
            ERROR => Some(self.error_length),
            version => self.lengths.get(version as usize).copied(),
        }
    }

    /// The entity tag of a version, as it stands in its field.
    pub(super) fn tag(&self, version: Version) -> Option<String> {
        match self.tags {
            Tags::None => None,
            Tags::Weak => Some("W/\"same\"".to_owned()),
            Tags::Strong => Some(format!("\"v{version}\"")),
        }
    }

    /// When a version was modified, in seconds, as far as the server knows.
    pub(super) fn modified_s(&self, version: Version) -> Option<u64> {
        match self.dates {
            Dates::None => None,
            Dates::Weak => Some(BASE_DATE_S),
            Dates::Strong => Some(BASE_DATE_S + u64::from(version) * 100),
        }
    }

    pub(super) fn answer(&mut self, ask: &Ask, dice: &mut Dice) -> Reply {
        if dice.permille(self.lies.refused) {
            let kind = dice.pick(&[
                FailureKind::Connect,
                FailureKind::TimedOut,
                FailureKind::Disconnected,
                FailureKind::Resolve,
            ]);
            return Reply::Failed(Failure::new(kind, "no answer"));
        }
        if dice.permille(self.lies.busy) {
            let mut head = bare(dice.pick(&[408, 425, 429, 500, 502, 503, 504]));
            if dice.percent(50) {
                head.headers.push("retry-after", dice.below(30).to_string());
            }
            return self.error(head, dice);
        }
        if dice.permille(self.lies.final_errors) {
            return match dice.pick(&[403, 404, 410, 304, 501]) {
                304 => Reply::Head(bare(304), None),
                status => self.error(bare(status), dice),
            };
        }
        if dice.permille(self.redirects) {
            return Reply::Head(self.redirect(dice), None);
        }
        if let Some(head) = self.challenge(ask, dice) {
            return Reply::Head(head, None);
        }
        self.content(ask, dice)
    }

    /// An error with its body, which has a validator of its own.
    fn error(&self, mut head: ResponseHead, dice: &mut Dice) -> Reply {
        self.describe(ERROR, &mut head.headers);
        self.frame(ERROR, &mut head, dice)
    }

    fn redirect(&self, dice: &mut Dice) -> ResponseHead {
        let mut head = bare(dice.pick(&[301, 302, 303, 307, 308]));
        // One that wants a login stays at home: the credentials would not come along.
        let places: &[&str] = match self.login {
            Login::None => &["/moved", "https://mirror.example/f", "//origin.example/f"],
            Login::Basic | Login::Digest => &["/moved", "other"],
        };
        head.headers.push("location", dice.pick(places));
        head
    }

    fn challenge(&mut self, ask: &Ask, dice: &mut Dice) -> Option<ResponseHead> {
        let shown = field(ask, "authorization");
        let is_right = match (self.login, shown) {
            (Login::None, _) => return None,
            (Login::Basic, Some(value)) => value.starts_with("Basic ") && self.password_ok,
            (Login::Digest, Some(value)) => {
                if dice.permille(self.lies.nonces) {
                    self.nonce += 1;
                }
                let nonce = format!("nonce=\"n{}\"", self.nonce);
                value.starts_with("Digest ") && value.contains(&nonce) && self.password_ok
            }
            (Login::Basic | Login::Digest, None) => false,
        };
        if is_right {
            return None;
        }
        let mut head = bare(401);
        let stale = shown.is_some() && self.password_ok;
        let value = match self.login {
            Login::Digest => format!(
                "Digest realm=\"r\", nonce=\"n{}\", qop=\"auth\", stale={stale}",
                self.nonce
            ),
            Login::None | Login::Basic => "Basic realm=\"r\"".to_owned(),
        };
        head.headers.push("www-authenticate", value);
        Some(head)
    }

    fn content(&self, ask: &Ask, dice: &mut Dice) -> Reply {
        let Some((from, until)) = field(ask, "range").and_then(parse_range) else {
            return self.whole(dice);
        };
        if self.has_ranges && dice.permille(self.lies.ranges) {
            return self.odd_part(from, until, dice);
        }
        let is_current = field(ask, "if-range").is_none_or(|held| {
            self.tag(self.version())
                .is_some_and(|tag| tag == held && !tag.starts_with("W/"))
                || (self.tags == Tags::None && self.date_text().as_deref() == Some(held))
        });
        if !self.has_ranges || !is_current {
            return self.whole(dice);
        }
        if from >= self.length() {
            let mut head = bare(416);
            head.headers
                .push("content-range", format!("bytes */{}", self.length()));
            return Reply::Head(head, None);
        }
        self.part(
            from,
            until.unwrap_or(self.length()).min(self.length()),
            dice,
        )
    }

    fn whole(&self, dice: &mut Dice) -> Reply {
        let mut head = bare(200);
        self.describe(self.version(), &mut head.headers);
        if self.has_digests {
            let digest = digest_of(self.version());
            let encoded = base64(digest.bytes());
            head.headers
                .push("repr-digest", format!("sha-256=:{encoded}:"));
        }
        self.frame(self.version(), &mut head, dice)
    }

    /// The whole of a version behind this head.
    fn frame(&self, version: Version, head: &mut ResponseHead, dice: &mut Dice) -> Reply {
        let ending = match dice.permille(self.lies.ranges) {
            true => dice.pick(&[Ending::Length, Ending::Chunked]),
            false => self.ending,
        };
        let length = self.length_of(version).expect("a version that is served");
        match ending {
            Ending::Length => head.headers.push("content-length", length.to_string()),
            Ending::Chunked => head.headers.push("transfer-encoding", "chunked"),
            Ending::Close => {}
        }
        let mut body = self.body(version, 0, length, dice);
        // Nobody can tell such a cut from the end.
        body.is_clean |= ending == Ending::Close;
        Reply::Head(head.clone(), Some(body))
    }

    fn part(&self, from: u64, until: u64, dice: &mut Dice) -> Reply {
        let mut head = bare(206);
        self.describe(self.version(), &mut head.headers);
        let total = match self.ending {
            Ending::Length => self.length().to_string(),
            // Who does not know the length of the whole does not know it here either.
            Ending::Chunked | Ending::Close => {
                if self.lies.ranges > 0 {
                    "*".to_owned()
                } else {
                    self.length().to_string()
                }
            }
        };
        head.headers.push(
            "content-range",
            format!("bytes {from}-{}/{total}", until - 1),
        );
        if dice.percent(80) {
            head.headers
                .push("content-length", (until - from).to_string());
        } else {
            head.headers.push("transfer-encoding", "chunked");
        }
        Reply::Head(head, Some(self.body(self.version(), from, until, dice)))
    }

    /// A partial answer that is not the one that was asked for.
    fn odd_part(&self, from: u64, until: Option<u64>, dice: &mut Dice) -> Reply {
        let (length, last) = (
            self.length(),
            until.unwrap_or(self.length()).min(self.length()),
        );
        let mut head = bare(206);
        self.describe(self.version(), &mut head.headers);
        let range = match dice.below(8) {
            // The range is ignored.
            0 => return self.whole(dice),
            // `If-Range` is ignored: these are the bytes asked for, of the version that is there.
            1 if from < last => return self.part(from, last, dice),
            // Fewer bytes than asked for, as RFC 9110 15.3.7 allows.
            2 if from + 1 < last => {
                return self.part(from, from + 1 + dice.below(last - from - 1), dice);
            }
            // Other bytes than asked for.
            3 if length > 0 => {
                let start = dice.below(length);
                return self.part(start, length, dice);
            }
            4 => {
                head = bare(416);
                let values = [
                    "bytes */7".to_owned(),
                    format!("bytes */{length}"),
                    String::new(),
                ];
                let value = dice.pick(&values);
                if !value.is_empty() {
                    head.headers.push("content-range", value);
                }
                self.describe(self.version(), &mut head.headers);
                return Reply::Head(head, None);
            }
            5 => None,
            6 => Some(format!("bytes {from}-{}/{}", from + 9, from + 1000)),
            _ => Some(format!("bytes {from}-{from}/*")),
        };
        match range {
            Some(range) => head.headers.push("content-range", range),
            None => head
                .headers
                .push("content-type", "multipart/byteranges; boundary=b"),
        }
        let version = self.version();
        let end = (from + 1).min(length).max(from);
        Reply::Head(
            head,
            Some(Body {
                version,
                at: from,
                end,
                is_clean: end > from,
            }),
        )
    }

    fn body(&self, version: Version, at: u64, end: u64, dice: &mut Dice) -> Body {
        if at < end && dice.permille(self.lies.cut) {
            let end = at + dice.below(end - at);
            return Body {
                version,
                at,
                end,
                is_clean: false,
            };
        }
        Body {
            version,
            at,
            end,
            is_clean: true,
        }
    }

    fn describe(&self, version: Version, headers: &mut Headers) {
        if let Some(tag) = self.tag(version) {
            headers.push("etag", tag);
        }
        if let Some(modified_s) = self.modified_s(version) {
            headers.push("last-modified", date(modified_s));
            let age_s = if self.dates == Dates::Strong { 3600 } else { 1 };
            headers.push("date", date(modified_s + age_s));
        }
    }

    fn date_text(&self) -> Option<String> {
        self.modified_s(self.version()).map(date)
    }
}

fn bare(status: u16) -> ResponseHead {
    ResponseHead {
        version: HttpVersion::Http11,
        status,
        headers: Headers::new(),
    }
}

/// The value of a field of a request.
pub(super) fn field<'a>(ask: &'a Ask, name: &str) -> Option<&'a str> {
    ask.headers
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

/// The first byte and one past the last of `bytes=first-last`.
pub(super) fn parse_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    let last = (!last.is_empty()).then(|| last.parse::<u64>().expect("a number of ours"));
    Some((
        first.parse().expect("a number of ours"),
        last.map(|last| last + 1),
    ))
}

fn date(unix_s: u64) -> String {
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_secs(unix_s))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
