//! An answer of a server for uploads, and how its heads are written.

use crate::reasons::reason;

/// A final answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// How a final head is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) version: &'static str,
    /// `Connection: close`.
    pub(super) is_last: bool,
    /// To a HEAD: the length of a body would not be that of any other answer.
    pub(super) is_head: bool,
}

impl Answer {
    /// A status without fields and body.
    pub(super) fn new(status: u16) -> Self {
        Self {
            status,
            fields: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A status with a word about it as text.
    pub(super) fn text(status: u16, text: &str) -> Self {
        let mut answer = Self::new(status).with("Content-Type", "text/plain");
        answer.body = format!("{text}\n").into_bytes();
        answer
    }

    /// A status with a problem document (RFC 9457) of a type that the draft registers.
    pub(super) fn problem(status: u16, kind: &str, members: &[(&str, u64)]) -> Self {
        let members: String = members
            .iter()
            .map(|(name, value)| format!(",\"{name}\":{value}"))
            .collect();
        let mut answer = Self::new(status).with("Content-Type", "application/problem+json");
        answer.body = format!(
            "{{\"type\":\"https://iana.org/assignments/http-problem-types#{kind}\",\
             \"title\":\"{kind}\"{members}}}"
        )
        .into_bytes();
        answer
    }

    /// With one more field.
    pub(super) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.fields.push((name.into(), value.to_string()));
        self
    }

    /// With one field replaced, or removed for `None`.
    pub(super) fn set(mut self, name: &str, value: Option<String>) -> Self {
        self.fields
            .retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.fields
            .extend(value.map(|value| (name.to_owned(), value)));
        self
    }

    /// Head and body as they go over the wire.
    pub(super) fn bytes(&self, style: Style) -> Vec<u8> {
        let mut fields = self.fields.clone();
        let has_body = !style.is_head && self.status != 204;
        if has_body {
            fields.push(("Content-Length".into(), self.body.len().to_string()));
        }
        if style.is_last {
            fields.push(("Connection".into(), "close".into()));
        }
        let mut bytes = head(style.version, self.status, reason(self.status), &fields);
        if has_body {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// A head as it goes over the wire.
pub(super) fn head(
    version: &str,
    status: u16,
    reason: &str,
    fields: &[(String, String)],
) -> Vec<u8> {
    let mut head = format!("{version} {status} {reason}\r\n");
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}
