//! A server of uploads that does as its protocol has it, in one of the ways that real ones do.

use super::dice::Dice;
use super::place::Place;
use crate::http::head::{HttpVersion, ResponseHead};
use crate::upload::{Ask, UploadProtocol};

/// Which protocol a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Tus,
    Ietf(u16),
}

/// When a server of the draft sends a 104.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Early {
    Never,
    BeforeTheBody,
    AfterTheBody,
    /// And of a version that it does not speak.
    OfAnotherVersion,
}

/// In which way a server does it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ways {
    pub(super) answers_options: bool,
    pub(super) early: Early,
    pub(super) keeps_cuts: bool,
    pub(super) says_offset: bool,
    pub(super) says_complete: bool,
    pub(super) drops_finished: bool,
    pub(super) terminates: bool,
    pub(super) knows_patch: bool,
    pub(super) checks: bool,
    pub(super) append_max: Option<u64>,
    pub(super) is_relative: bool,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) kind: Kind,
    pub(super) ways: Ways,
    pub(super) places: Vec<Place>,
    /// The files that it was given as a whole, by their numbers; zero is one that never was.
    pub(super) taken: Vec<u64>,
}

pub(super) type Fields = Vec<(&'static str, String)>;

impl Server {
    pub(super) fn new(protocol: UploadProtocol, dice: &mut Dice) -> Self {
        let kind = match protocol {
            UploadProtocol::Plain => Kind::Plain,
            UploadProtocol::Tus => Kind::Tus,
            UploadProtocol::Ietf { interop } => Kind::Ietf(interop),
            UploadProtocol::Auto => dice.pick(&[
                Kind::Plain,
                Kind::Tus,
                Kind::Ietf(6),
                Kind::Ietf(5),
                Kind::Ietf(6),
            ]),
        };
        let early = [
            Early::Never,
            Early::BeforeTheBody,
            Early::BeforeTheBody,
            Early::AfterTheBody,
            Early::OfAnotherVersion,
        ];
        let ways = Ways {
            answers_options: dice.percent(70),
            early: dice.pick(&early),
            keeps_cuts: dice.percent(70),
            says_offset: dice.percent(80),
            says_complete: dice.percent(60),
            drops_finished: dice.percent(20),
            terminates: dice.percent(80),
            knows_patch: dice.percent(90),
            checks: dice.percent(50),
            append_max: dice.percent(20).then_some(1 << 20),
            is_relative: dice.percent(50),
        };
        Self {
            kind,
            ways,
            places: Vec::new(),
            taken: Vec::new(),
        }
    }

    /// The place that a URL names.
    pub(super) fn place_of(&self, ask: &Ask) -> Option<usize> {
        let (_, number) = ask.url.as_str().split_once("/up/")?;
        number.parse().ok()
    }

    pub(super) fn location(&self, number: usize) -> (&'static str, String) {
        let origin = if self.ways.is_relative {
            ""
        } else {
            "https://origin.example"
        };
        ("location", format!("{origin}/up/{number}"))
    }

    /// Whether a request offers to be resumed, in the version that the server speaks.
    pub(super) fn is_offered(&self, ask: &Ask) -> bool {
        let Kind::Ietf(version) = self.kind else {
            return false;
        };
        field(ask, "upload-draft-interop-version") == Some(&version.to_string())
    }

    /// A place for the upload that a request to the target begins.
    pub(super) fn make_place(&mut self, ask: &Ask) -> usize {
        let length = field(ask, "upload-length").and_then(|length| length.parse().ok());
        self.places.push(Place::new(length.expect("it is told")));
        self.places.len() - 1
    }

    /// The answer to a request whose whole body, of this file, has come. `made` is the place that a
    /// 104 has named.
    pub(super) fn answer(&mut self, ask: &Ask, file: u64, made: Option<usize>) -> ResponseHead {
        if !ask.url.as_str().starts_with("https://origin.example/") {
            return self.take_whole(ask, file);
        }
        if let Some(number) = self.place_of(ask) {
            return self.answer_at(number, ask, file);
        }
        match (self.kind, ask.method.as_str()) {
            (_, "OPTIONS") => self.answer_options(),
            (Kind::Tus, "POST") if field(ask, "tus-resumable").is_some() => {
                let number = self.make_place(ask);
                self.append(number, ask, file);
                let mut fields = vec![self.location(number)];
                if length_of(ask) > 0 {
                    fields.push(("upload-offset", self.places[number].held.to_string()));
                }
                head(201, fields)
            }
            (Kind::Tus, _) => head(412, vec![("tus-version", "1.0.0".to_owned())]),
            (Kind::Ietf(version), _) if self.is_offered(ask) => {
                let number = made.unwrap_or_else(|| self.make_place(ask));
                self.append(number, ask, file);
                let mut fields = vec![self.location(number)];
                fields.extend(self.said(number, version));
                head(201, fields)
            }
            (Kind::Plain | Kind::Ietf(_), _) => self.take_whole(ask, file),
        }
    }

    fn take_whole(&mut self, ask: &Ask, file: u64) -> ResponseHead {
        let length = field(ask, "upload-length").unwrap_or_default();
        let is_part = !length.is_empty() && length != length_of(ask).to_string();
        if ask.body.is_some() && !is_part {
            self.taken.push(file);
        }
        head(200, Vec::new())
    }

    fn answer_options(&self) -> ResponseHead {
        let extensions = match (self.ways.terminates, self.ways.checks) {
            (true, true) => "creation,creation-with-upload,termination,checksum",
            (true, false) => "creation,creation-with-upload,termination",
            (false, true) => "creation,checksum",
            (false, false) => "creation",
        };
        match self.kind {
            Kind::Tus if self.ways.answers_options => head(
                204,
                vec![
                    ("tus-version", "1.0.0".to_owned()),
                    ("tus-extension", extensions.to_owned()),
                    ("tus-checksum-algorithm", "md5,sha1".to_owned()),
                ],
            ),
            Kind::Ietf(version) if self.ways.answers_options => head(
                200,
                vec![
                    ("upload-limit", "min-size=0".to_owned()),
                    ("upload-draft-interop-version", version.to_string()),
                ],
            ),
            Kind::Plain | Kind::Tus | Kind::Ietf(_) => head(405, Vec::new()),
        }
    }

    fn answer_at(&mut self, number: usize, ask: &Ask, file: u64) -> ResponseHead {
        let place = &self.places[number];
        if place.is_gone {
            return head(404, Vec::new());
        }
        let offset = ("upload-offset", place.held.to_string());
        match ask.method.as_str() {
            "HEAD" => head(200, self.state_of(number)),
            "DELETE" if self.ways.terminates => {
                self.places[number].is_gone = true;
                head(204, Vec::new())
            }
            "DELETE" => head(405, Vec::new()),
            "PATCH" if !self.ways.knows_patch => head(405, Vec::new()),
            _ if place.is_complete => head(403, Vec::new()),
            _ if field(ask, "upload-offset") != Some(&offset.1) => head(
                409,
                if self.ways.says_offset {
                    vec![offset]
                } else {
                    Vec::new()
                },
            ),
            _ if self
                .ways
                .append_max
                .is_some_and(|most| length_of(ask) > most) =>
            {
                head(413, Vec::new())
            }
            _ => {
                self.append(number, ask, file);
                match self.kind {
                    Kind::Ietf(version) => head(204, self.said(number, version)),
                    Kind::Tus | Kind::Plain => {
                        let held = self.places[number].held.to_string();
                        head(204, vec![("upload-offset", held)])
                    }
                }
            }
        }
    }

    /// Takes the whole body of a request, and completes the upload when that is its end.
    fn append(&mut self, number: usize, ask: &Ask, file: u64) {
        let says_end = field(ask, "upload-complete") == Some("?1")
            || field(ask, "upload-incomplete") == Some("?0");
        let place = &mut self.places[number];
        place.take(length_of(ask), file);
        assert!(place.held <= place.length, "more than was told");
        let is_end = self.kind == Kind::Tus || says_end;
        if is_end && place.held == place.length {
            place.is_complete = true;
            place.is_gone = self.ways.drops_finished;
            let whole = if place.length == 0 {
                Some(file)
            } else {
                place.file()
            };
            self.taken.push(whole.unwrap_or(0));
        }
    }

    /// What `HEAD` says.
    fn state_of(&self, number: usize) -> Fields {
        let place = &self.places[number];
        let mut fields = vec![
            ("upload-offset", place.held.to_string()),
            ("upload-length", place.length.to_string()),
        ];
        if let Kind::Ietf(version) = self.kind {
            fields.push(complete_field(version, place.is_complete));
        }
        fields
    }

    /// What the answer to an append of the draft says.
    fn said(&self, number: usize, version: u16) -> Fields {
        let place = &self.places[number];
        let mut fields = Vec::new();
        if self.ways.says_offset {
            fields.push(("upload-offset", place.held.to_string()));
        }
        if self.ways.says_complete {
            fields.push(complete_field(version, place.is_complete));
        }
        fields
    }
}

fn complete_field(version: u16, is_complete: bool) -> (&'static str, String) {
    let (name, value) = match (version, is_complete) {
        (..=3, true) => ("upload-incomplete", "?0"),
        (..=3, false) => ("upload-incomplete", "?1"),
        (_, true) => ("upload-complete", "?1"),
        (_, false) => ("upload-complete", "?0"),
    };
    (name, value.to_owned())
}

pub(super) fn length_of(ask: &Ask) -> u64 {
    ask.body.map_or(0, |body| body.length)
}

pub(super) fn field<'a>(ask: &'a Ask, name: &str) -> Option<&'a str> {
    let mut fields = ask.headers.iter();
    fields.find(|(n, _)| n == name).map(|(_, v)| v.as_str())
}

pub(super) fn head(status: u16, fields: Fields) -> ResponseHead {
    ResponseHead {
        version: HttpVersion::Http11,
        status,
        headers: fields.into_iter().collect(),
    }
}
