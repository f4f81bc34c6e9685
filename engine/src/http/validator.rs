//! What proves that two responses carry the same representation (RFC 9110 section 8.8).

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::http::head::ResponseHead;

/// Most bytes of an entity tag that is used: it is stored with every checkpoint, and known servers
/// send less than a hundred.
pub const ENTITY_TAG_BYTES_MAX: usize = 1024;

/// How long before `Date` a `Last-Modified` must lie to be strong. RFC 9110 section 8.8.2.2 asks
/// for a second and for enough more to make two clocks that disagree unlikely; RFC 7232 said a
/// minute.
const STRONG_DATE_AGE_S: u64 = 60;

/// The last second of the year 9999; an HTTP date has four digits for the year.
const HTTP_DATE_S_MAX: u64 = 253_402_300_799;

/// An entity tag (RFC 9110 section 8.8.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntityTag {
    weak: bool,
    tag: String,
}

impl EntityTag {
    /// Reads the value of an `ETag` field: `"tag"` or `W/"tag"`.
    ///
    /// Returns `None` for every other shape, for tags over [`ENTITY_TAG_BYTES_MAX`] and for tags
    /// outside of ASCII, which not every peer would give back unchanged.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (weak, quoted) = match value.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, value),
        };
        let tag = quoted.strip_prefix('"')?.strip_suffix('"')?;
        let is_etagc = |byte: u8| byte == 0x21 || (0x23..=0x7e).contains(&byte);
        let usable = tag.len() <= ENTITY_TAG_BYTES_MAX && tag.bytes().all(is_etagc);
        usable.then(|| Self {
            weak,
            tag: tag.to_owned(),
        })
    }

    /// True when equal tags do not promise equal bytes.
    #[must_use]
    pub const fn is_weak(&self) -> bool {
        self.weak
    }

    /// The text between the quotes.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Strong comparison (RFC 9110 section 8.8.3.2): both are strong and their texts are equal.
    #[must_use]
    pub fn same_bytes_as(&self, other: &Self) -> bool {
        !self.weak && !other.weak && self.tag == other.tag
    }
}

/// As it stands in a field; [`EntityTag::parse`] reads it back.
impl fmt::Display for EntityTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.weak { "W/" } else { "" };
        write!(formatter, "{prefix}\"{}\"", self.tag)
    }
}

/// What a response gave to recognise its representation by.
///
/// Every variant is made of plain values, so a store can keep it: a tag as its `Display` text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Validator {
    /// The response had an entity tag. A weak one is no use for ranges, and it forbids to use the
    /// date in its place (RFC 9110 section 13.1.5).
    Tag(EntityTag),
    /// The response had no entity tag, but a date of last modification.
    Date {
        /// `Last-Modified` in whole seconds of Unix time.
        last_modified_s: u64,
        /// True when no change could have happened within that second unseen (RFC 9110
        /// section 8.8.2.2): the same response's `Date` was at least a minute later.
        strong: bool,
    },
    /// The response had neither.
    #[default]
    None,
}

impl Validator {
    /// Reads the validator of a response. A malformed `ETag` counts as none, and two that differ
    /// prove nothing, so they make [`Validator::None`] whatever the dates say.
    #[must_use]
    pub fn from_head(head: &ResponseHead) -> Self {
        let mut tags = head.headers.get_all("etag");
        if let Some(first) = tags.next() {
            if tags.any(|other| other != first) {
                return Self::None;
            }
            if let Some(tag) = std::str::from_utf8(first).ok().and_then(EntityTag::parse) {
                return Self::Tag(tag);
            }
        }
        let Some(last_modified_s) = sole_date(head, "last-modified") else {
            return Self::None;
        };
        let strong_from_s = last_modified_s.saturating_add(STRONG_DATE_AGE_S);
        let strong = sole_date(head, "date").is_some_and(|date_s| date_s >= strong_from_s);
        Self::Date {
            last_modified_s,
            strong,
        }
    }

    /// The value of `If-Range` that makes a server send a part only of the same bytes; `None` when
    /// this validator cannot promise that, and then no `Range` may be sent with trust in it.
    #[must_use]
    pub fn if_range(&self) -> Option<String> {
        match self {
            Self::Tag(tag) => (!tag.weak).then(|| tag.to_string()),
            Self::Date {
                last_modified_s,
                strong,
            } => {
                if *strong {
                    http_date(*last_modified_s)
                } else {
                    None
                }
            }
            Self::None => None,
        }
    }

    /// True when both are strong and equal: the bytes behind them are the same.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tag(mine), Self::Tag(theirs)) => mine.same_bytes_as(theirs),
            (
                Self::Date {
                    last_modified_s: mine,
                    strong: true,
                },
                Self::Date {
                    last_modified_s: theirs,
                    strong: true,
                },
            ) => mine == theirs,
            (Self::Tag(_) | Self::Date { .. } | Self::None, _) => false,
        }
    }

    /// True when `answer`, from a 206 to our `If-Range`, shows that the representation is another.
    ///
    /// Weaker than the opposite of [`same_as`](Self::same_as): a server may leave `Last-Modified`
    /// out of such an answer (RFC 9110 section 15.3.7), and silence contradicts nothing.
    #[must_use]
    pub fn is_contradicted_by(&self, answer: &Self) -> bool {
        match (self, answer) {
            (Self::Tag(mine), Self::Tag(theirs)) => mine != theirs,
            (
                Self::Date {
                    last_modified_s: mine,
                    ..
                },
                Self::Date {
                    last_modified_s: theirs,
                    ..
                },
            ) => mine != theirs,
            (Self::Tag(_), Self::Date { .. } | Self::None)
            | (Self::Date { .. }, Self::Tag(_) | Self::None)
            | (Self::None, _) => false,
        }
    }
}

/// Unix seconds of an HTTP date in any of its three forms (RFC 9110 section 5.6.7).
pub(crate) fn parse_http_date(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    let time = httpdate::parse_http_date(text).ok()?;
    time.duration_since(UNIX_EPOCH)
        .ok()
        .map(|since| since.as_secs())
}

/// The date in the field `name`, if there is exactly one such field or all are equal.
fn sole_date(head: &ResponseHead, name: &str) -> Option<u64> {
    let mut values = head.headers.get_all(name);
    let first = values.next()?;
    if values.any(|other| other != first) {
        return None;
    }
    parse_http_date(first)
}

fn http_date(unix_s: u64) -> Option<String> {
    let time: Option<SystemTime> = UNIX_EPOCH.checked_add(Duration::from_secs(unix_s));
    (unix_s <= HTTP_DATE_S_MAX)
        .then_some(time?)
        .map(httpdate::fmt_http_date)
}

#[cfg(test)]
mod tests;
