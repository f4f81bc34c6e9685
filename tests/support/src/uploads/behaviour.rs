//! What a server for uploads is like: its protocols, its limits, and the habits of its kind.

use std::time::Duration;

/// How a server treats every request, until it is told otherwise. It starts as one that follows the
/// book and is then changed step by step.
#[derive(Clone, Debug)]
pub struct Behaviour {
    pub(super) interops: Vec<u16>,
    /// Offered extensions of tus; `None` without tus.
    pub(super) tus: Option<Vec<Extension>>,
    pub(super) has_method_override: bool,
    pub(super) interim: Interim,
    pub(super) interim_version: InterimVersion,
    pub(super) is_interim_split: bool,
    pub(super) location: Location,
    pub(super) conflict: Option<Conflict>,
    pub(super) discovery: Option<Discovery>,
    pub(super) tells_completion: Option<bool>,
    pub(super) tells_offset: bool,
    pub(super) completes_at_length: Option<bool>,
    pub(super) cut_appends: CutAppends,
    pub(super) after_end: AfterEnd,
    pub(super) forgets_finished: Option<u16>,
    pub(super) rejection: Rejection,
    pub(super) concurrency: Concurrency,
    pub(super) limits: Limits,
    pub(super) expires_in: Option<Duration>,
    pub(super) outcome: Outcome,
}

/// When a server says 104 (Upload Resumption Supported) to a create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interim {
    /// Never, as a server behind a gateway that can not.
    Never,
    /// Before it has read a byte of the body.
    BeforeBody,
    /// Before the body, and again with an `Upload-Offset` whenever so many more bytes have come; in
    /// appends too.
    Progress {
        /// How many bytes lie between two of them.
        every_bytes: u64,
    },
    /// When the whole body has come: as Apache passes it on.
    AfterBody,
    /// When the whole body has come, and the final answer then as HTTP/1.0 that ends with its
    /// connection: as nginx passes it on.
    Nginx,
}

/// Which `Upload-Draft-Interop-Version` a 104 carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterimVersion {
    /// That of the request, as it must.
    Echoed,
    /// This one: a client must ignore the 104.
    Other(u16),
    /// None: a client must ignore the 104.
    Missing,
}

/// How a server shows in its answer to OPTIONS that it speaks the draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// `Upload-Limit`, with `min-size=0` for no limits.
    Limit,
    /// `Accept-Patch: application/partial-upload`, and `Upload-Limit` if there are limits.
    AcceptPatch,
    /// `Accept-Patch` and always `Upload-Limit`.
    Both,
    /// Not at all: 405.
    Nothing,
}

/// How a server writes the URL of a new upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// `http://HOST:PORT/...`.
    Absolute,
    /// `/...`.
    Path,
    /// `//HOST:PORT/...`.
    Network,
    /// The path under this prefix, such as another name of the same server.
    Under(String),
}

/// What a 409 says beside its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Nothing: the client has to ask.
    Bare,
    /// The right `Upload-Offset`.
    Offset,
    /// The right `Upload-Offset`, and a problem document.
    Problem,
}

/// What is kept of an append whose connection ends before its body does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutAppends {
    /// All that has come.
    Kept,
    /// Nothing.
    Dropped,
    /// All that has come, and if it was the last append the upload counts as complete.
    Completed,
}

/// What an append to a finished upload gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterEnd {
    /// 400 with the problem type `completed-upload`, or `inconsistent-upload-length` from version 8
    /// on if it is not empty; in tus 403.
    Refused,
    /// The answer of an append, if it is empty.
    Tolerated,
    /// 400, and the upload is gone.
    Destroys,
}

/// How a request is refused whose body the server does not want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// At once; then it reads on until the client ends the connection.
    AtOnce,
    /// At once, and it ends the connection: what the client still sends is answered with a RST.
    Abrupt,
    /// After the whole body, on a connection that is kept.
    AfterBody,
}

/// What a request gets for an upload that another one is still about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// The other one's connection is ended, and what came of it counts.
    TakesOver,
    /// 423.
    Locked,
}

/// An extension of tus 1.0.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// `creation`.
    Creation,
    /// `creation-with-upload`.
    CreationWithUpload,
    /// `creation-defer-length`.
    CreationDeferLength,
    /// `checksum`, with SHA-1 and SHA-256.
    Checksum,
    /// `expiration`.
    Expiration,
    /// `termination`.
    Termination,
}

/// Limits in bytes, which `Upload-Limit` and `Tus-Max-Size` tell. tus knows `size_max` alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The longest upload.
    pub size_max: Option<u64>,
    /// The shortest upload.
    pub size_min: Option<u64>,
    /// The longest body of one append; creates are not held to it.
    pub append_max: Option<u64>,
    /// The shortest body of one append; not for the last one.
    pub append_min: Option<u64>,
}

/// What the target answers when it has all of an upload.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) status: u16,
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Behaviour {
    /// An ordinary server: it stores what PUT and POST send, and knows nothing of resuming.
    pub fn plain() -> Self {
        Self {
            interops: Vec::new(),
            tus: None,
            has_method_override: true,
            interim: Interim::BeforeBody,
            interim_version: InterimVersion::Echoed,
            is_interim_split: false,
            location: Location::Absolute,
            conflict: None,
            discovery: None,
            tells_completion: None,
            tells_offset: false,
            completes_at_length: None,
            cut_appends: CutAppends::Kept,
            after_end: AfterEnd::Refused,
            forgets_finished: None,
            rejection: Rejection::AtOnce,
            concurrency: Concurrency::TakesOver,
            limits: Limits::default(),
            expires_in: None,
            outcome: Outcome {
                status: 200,
                fields: vec![("Content-Type".into(), "text/plain".into())],
                body: b"stored\n".to_vec(),
            },
        }
    }

    /// The IETF draft in this interop version. Requests of other versions are ordinary ones to it.
    pub fn ietf(interop: u16) -> Self {
        Self::plain().and_ietf(interop)
    }

    /// tus 1.0.0 with every [`Extension`].
    pub fn tus() -> Self {
        let all = vec![
            Extension::Creation,
            Extension::CreationWithUpload,
            Extension::CreationDeferLength,
            Extension::Checksum,
            Extension::Expiration,
            Extension::Termination,
        ];
        Self {
            tus: Some(all),
            ..Self::plain()
        }
    }

    /// Both as tusd 2.10 speaks them: interop versions 3 to 6 with a 104 at once, bare 409s, finals
    /// that do not say whether the upload is complete, 412 for other versions.
    pub fn tusd() -> Self {
        let tusd = Self {
            completes_at_length: Some(true),
            ..Self::tus().without(Extension::Checksum)
        };
        (3..=6)
            .fold(tusd, Self::and_ietf)
            .without(Extension::Expiration)
            .without_completion()
            .conflict(Conflict::Bare)
            .after_end(AfterEnd::Tolerated)
    }

    /// The draft as tus-java-server 2.0 speaks it (it knows no interop version; here 8): never a
    /// 104, a path as `Location`, a cut last append is complete, finished uploads are forgotten,
    /// and an append to one destroys it.
    pub fn tus_java_server() -> Self {
        let java = Self {
            completes_at_length: Some(true),
            ..Self::ietf(8)
        };
        java.with_offsets()
            .with_completion()
            .interim(Interim::Never)
            .location(Location::Path)
            .cut_appends(CutAppends::Completed)
            .after_end(AfterEnd::Destroys)
    }

    /// In this interop version of the draft too.
    pub fn and_ietf(mut self, interop: u16) -> Self {
        self.interops.push(interop);
        self
    }

    /// Without this extension of tus.
    pub fn without(mut self, extension: Extension) -> Self {
        if let Some(extensions) = &mut self.tus {
            extensions.retain(|offered| *offered != extension);
        }
        self
    }

    /// Takes `X-HTTP-Method-Override` for what it is: a field without a meaning.
    pub fn without_method_override(mut self) -> Self {
        self.has_method_override = false;
        self
    }

    /// With 104s as `interim` says.
    pub fn interim(mut self, interim: Interim) -> Self {
        self.interim = interim;
        self
    }

    /// With 104s of this version.
    pub fn interim_version(mut self, version: InterimVersion) -> Self {
        self.interim_version = version;
        self
    }

    /// With every byte of a 104 in a segment of its own.
    pub fn interim_byte_by_byte(mut self) -> Self {
        self.is_interim_split = true;
        self
    }

    /// With URLs of uploads written as `location` says.
    pub fn location(mut self, location: Location) -> Self {
        self.location = location;
        self
    }

    /// With 409s as `conflict` says. Without this, the draft's are [`Conflict::Problem`] from
    /// version 6 on and [`Conflict::Offset`] before, and those of tus [`Conflict::Bare`].
    pub fn conflict(mut self, conflict: Conflict) -> Self {
        self.conflict = Some(conflict);
        self
    }

    /// With OPTIONS answered as `discovery` says. Without this, versions up to 5 are
    /// [`Discovery::Nothing`], 6 and 7 [`Discovery::Limit`], and later ones [`Discovery::Both`].
    pub fn discovery(mut self, discovery: Discovery) -> Self {
        self.discovery = Some(discovery);
        self
    }

    /// With every final answer saying whether the upload is complete: also one to a create, where
    /// the draft leaves it open.
    pub fn with_completion(mut self) -> Self {
        self.tells_completion = Some(true);
        self
    }

    /// Answers for itself and not for the target: 201 with the `Location` to a create and 204 to an
    /// append, and none but that to HEAD says whether the upload is complete.
    pub fn without_completion(mut self) -> Self {
        self.tells_completion = Some(false);
        self
    }

    /// With `Upload-Offset` in final answers also from version 7 on.
    pub fn with_offsets(mut self) -> Self {
        self.tells_offset = true;
        self
    }

    /// With this treatment of appends that are cut.
    pub fn cut_appends(mut self, cut_appends: CutAppends) -> Self {
        self.cut_appends = cut_appends;
        self
    }

    /// With this treatment of appends to finished uploads.
    pub fn after_end(mut self, after_end: AfterEnd) -> Self {
        self.after_end = after_end;
        self
    }

    /// Answers every request for a finished upload with this status, 404 or 410.
    pub fn forgets_finished(mut self, status: u16) -> Self {
        self.forgets_finished = Some(status);
        self
    }

    /// With requests refused as `rejection` says.
    pub fn rejection(mut self, rejection: Rejection) -> Self {
        self.rejection = rejection;
        self
    }

    /// With this treatment of a second request for an upload.
    pub fn concurrency(mut self, concurrency: Concurrency) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// With these limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Tells of each new upload that it ends so long from now. It ends when the test says so, with
    /// [`super::UploadServer::expire`].
    pub fn expires_in(mut self, duration: Duration) -> Self {
        self.expires_in = Some(duration);
        self
    }

    /// With this status and body from the target when it has all of an upload: 4xx for one that
    /// does not like what it got. tus has no such answer.
    pub fn outcome(mut self, status: u16, body: &[u8]) -> Self {
        self.outcome.status = status;
        self.outcome.body = body.to_vec();
        self
    }

    /// With one more field in that answer.
    pub fn outcome_field(mut self, name: &str, value: &str) -> Self {
        self.outcome.fields.push((name.into(), value.into()));
        self
    }

    /// Whether an extension of tus is offered.
    pub(super) fn offers(&self, extension: Extension) -> bool {
        let offered = self.tus.as_deref().unwrap_or_default();
        offered.contains(&extension)
    }
}

impl Extension {
    /// Its name in `Tus-Extension`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Creation => "creation",
            Self::CreationWithUpload => "creation-with-upload",
            Self::CreationDeferLength => "creation-defer-length",
            Self::Checksum => "checksum",
            Self::Expiration => "expiration",
            Self::Termination => "termination",
        }
    }
}

impl Limits {
    /// As `Upload-Limit` of an interop version tells them; `min-size=0` when there is none, since
    /// the field itself shows support.
    pub(super) fn field(self, interop: u16, expires_in: Option<Duration>) -> String {
        let age = if interop >= 7 { "max-age" } else { "expires" };
        let told = [
            ("max-size", self.size_max),
            ("min-size", self.size_min),
            ("max-append-size", self.append_max),
            ("min-append-size", self.append_min),
            (age, expires_in.map(|duration| duration.as_secs())),
        ];
        let told = told.into_iter();
        let members: Vec<_> = told
            .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
            .collect();
        if members.is_empty() {
            return "min-size=0".into();
        }
        members.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Limits;

    #[test]
    fn limits_are_told_in_the_words_of_their_version() {
        let limits = Limits {
            size_max: Some(10),
            append_min: Some(2),
            ..Limits::default()
        };
        let hour = Some(Duration::from_secs(3600));
        for (limits, interop, expires_in, field) in [
            (Limits::default(), 6, None, "min-size=0"),
            (
                limits,
                6,
                hour,
                "max-size=10, min-append-size=2, expires=3600",
            ),
            (
                limits,
                7,
                hour,
                "max-size=10, min-append-size=2, max-age=3600",
            ),
        ] {
            assert_eq!(limits.field(interop, expires_in), field);
        }
    }
}
