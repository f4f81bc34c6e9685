//! A request to a server for uploads: which protocol it speaks, and which step of it.

use super::behaviour::Behaviour;
use crate::wire::{Coming, Received, split_target};

/// What a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// An ordinary request.
    Plain,
    /// The IETF draft in this interop version.
    Ietf(u16),
    /// tus 1.0.0.
    Tus,
}

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To know what the server can: OPTIONS.
    Discover,
    /// A new upload.
    Create,
    /// To add bytes to an upload.
    Append,
    /// To know how far an upload is: HEAD.
    Status,
    /// To end an upload: DELETE.
    Cancel,
    /// Anything else: an ordinary request.
    Whole,
}

/// A request, its body still to come.
#[derive(Debug)]
pub(super) struct Asked {
    /// As sent.
    pub(super) method: String,
    /// What it means: `X-HTTP-Method-Override` may say so.
    pub(super) meant: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) fields: Vec<(String, String)>,
    pub(super) coming: Coming,
    /// HTTP/1.0: answers are, too.
    pub(super) is_http10: bool,
    /// The client wants no further request on its connection.
    pub(super) is_last: bool,
    pub(super) protocol: Protocol,
    /// `Upload-Draft-Interop-Version` as sent, whoever understands it.
    pub(super) interop: Option<u16>,
}

impl Asked {
    /// What `received` means to a server of this `behaviour`.
    pub(super) fn new(received: Received, behaviour: &Behaviour) -> Self {
        let (path, query) = split_target(&received.target);
        let coming = match (received.is_chunked, received.body_length) {
            (true, _) => Coming::Chunk(0),
            (false, 0) => Coming::Nothing,
            (false, bytes) => Coming::Bytes(bytes),
        };
        let mut asked = Self {
            meant: received.method.clone(),
            method: received.method,
            path,
            query,
            fields: received.headers,
            coming,
            is_http10: received.is_http10,
            is_last: received.is_http10,
            protocol: Protocol::Plain,
            interop: None,
        };
        asked.is_last |= asked
            .field("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        asked.interop = asked
            .field("upload-draft-interop-version")
            .and_then(|version| version.parse().ok());
        let known = |version: &u16| behaviour.interops.contains(version);
        if behaviour.tus.is_some() && asked.field("tus-resumable") == Some("1.0.0") {
            asked.protocol = Protocol::Tus;
        } else if let Some(version) = asked.interop.filter(known) {
            asked.protocol = Protocol::Ietf(version);
        }
        if asked.protocol == Protocol::Tus
            && behaviour.has_method_override
            && let Some(meant) = asked.field("x-http-method-override")
        {
            asked.meant = meant.to_owned();
        }
        asked
    }

    /// Which step it is; `is_upload` says whether its path is that of an upload, now or once.
    pub(super) fn step(&self, is_upload: bool) -> Step {
        match (self.protocol, self.meant.as_str()) {
            (_, "OPTIONS") => Step::Discover,
            (Protocol::Tus, "POST") => Step::Create,
            (Protocol::Tus | Protocol::Ietf(_), "HEAD") => Step::Status,
            (Protocol::Tus, "PATCH") => Step::Append,
            (Protocol::Tus | Protocol::Ietf(_), "DELETE") => Step::Cancel,
            (Protocol::Ietf(version), method) if self.completeness(version).is_some() => {
                match (is_upload, method) {
                    (false, _) => Step::Create,
                    (true, "PATCH") => Step::Append,
                    (true, _) => Step::Whole,
                }
            }
            (Protocol::Tus | Protocol::Ietf(_) | Protocol::Plain, _) => Step::Whole,
        }
    }

    /// The first value of the field `name`, compared without regard to case.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let field = fields.find(|(key, _)| key.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }

    /// [`Asked::field`] as a number; `None` also when it is none.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }

    /// Whether the body reaches the end of the upload, as the draft says it: `Upload-Complete`, and
    /// up to version 3 the inverted `Upload-Incomplete`, which may be left out for a yes. `None`
    /// for a request that does not say.
    pub(super) fn completeness(&self, interop: u16) -> Option<bool> {
        let (name, complete) = completeness_field(interop);
        match self.field(name) {
            None if interop <= 3 => Some(true),
            Some(value) if value == complete => Some(true),
            Some("?0" | "?1") => Some(false),
            Some(_) | None => None,
        }
    }

    /// The last segment of the path: what uploads are found by.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// The field that tells whether an upload is complete, and its value for yes.
pub(super) fn completeness_field(interop: u16) -> (&'static str, &'static str) {
    if interop <= 3 {
        ("Upload-Incomplete", "?0")
    } else {
        ("Upload-Complete", "?1")
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, Protocol, Step};
    use crate::uploads::Behaviour;
    use crate::wire::Received;

    fn asked(behaviour: &Behaviour, method: &str, fields: &[(&str, &str)]) -> Asked {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let received = Received {
            method: method.into(),
            target: "/uploads/a?b".into(),
            is_http10: false,
            headers: fields.iter().map(owned).collect(),
            body_length: 0,
            is_chunked: false,
        };
        Asked::new(received, behaviour)
    }

    #[test]
    fn a_request_is_known_by_its_fields_and_method() {
        const TUS: (&str, &str) = ("Tus-Resumable", "1.0.0");
        const SIX: (&str, &str) = ("upload-draft-interop-version", "6");
        const WHOLE: (&str, &str) = ("Upload-Complete", "?1");
        const OVERRIDE: (&str, &str) = ("X-HTTP-Method-Override", "PATCH");
        let (tusd, six, plain) = (Behaviour::tusd(), Behaviour::ietf(6), Behaviour::plain());
        for (behaviour, method, fields, protocol, step) in [
            (&tusd, "POST", &[TUS][..], Protocol::Tus, Step::Create),
            (&tusd, "POST", &[TUS, OVERRIDE], Protocol::Tus, Step::Append),
            (
                &six,
                "PATCH",
                &[SIX, WHOLE],
                Protocol::Ietf(6),
                Step::Append,
            ),
            (&six, "HEAD", &[SIX], Protocol::Ietf(6), Step::Status),
            (&six, "DELETE", &[SIX], Protocol::Ietf(6), Step::Cancel),
            (&six, "POST", &[SIX], Protocol::Ietf(6), Step::Whole),
            (&six, "POST", &[SIX, WHOLE], Protocol::Ietf(6), Step::Whole),
            (&six, "POST", &[TUS], Protocol::Plain, Step::Whole),
            (&plain, "PUT", &[SIX, WHOLE], Protocol::Plain, Step::Whole),
            (&plain, "OPTIONS", &[SIX], Protocol::Plain, Step::Discover),
        ] {
            let asked = asked(behaviour, method, fields);
            let found = (asked.protocol, asked.step(true));
            assert_eq!(found, (protocol, step), "{method} {fields:?}");
        }
        // What is an append to an upload's path is a create anywhere else.
        let elsewhere = asked(&tusd, "PATCH", &[SIX, WHOLE]);
        assert_eq!(elsewhere.step(false), Step::Create);
    }

    #[test]
    fn version_3_says_the_contrary_of_the_others() {
        let three = Behaviour::ietf(3);
        for (value, is_complete) in [("?0", Some(true)), ("?1", Some(false)), ("yes", None)] {
            let asked = asked(&three, "POST", &[("Upload-Incomplete", value)]);
            assert_eq!(asked.completeness(3), is_complete);
            assert_eq!(asked.completeness(6), None);
        }
        assert_eq!(asked(&three, "PATCH", &[]).completeness(3), Some(true));
    }
}
