//! What servers do with an upload: most take it, some answer early, drop, lie, or send it elsewhere.

use crate::http::head::{HttpVersion, ResponseHead};
use crate::upload::Ask;
use crate::upload::model::world::Dice;

/// How a server meets one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// It takes so many bytes, then answers.
    Answer {
        /// Bytes that it lets us send.
        takes: u64,
        /// Its status.
        status: u16,
        /// Its fields.
        fields: Vec<(&'static str, String)>,
        /// It has the file: the bytes are all there and it keeps them.
        keeps: bool,
    },
    /// It takes so many bytes, then the connection breaks. It may have kept what came.
    Drop(u64),
    /// The file turns out to be another one after so many bytes.
    SourceChanges,
}

/// Decides what happens to `ask`. From `honest` on the server is.
pub(super) fn deed(ask: &Ask, dice: &mut Dice, honest: bool) -> Deed {
    let length = ask.body.map_or(0, |body| body.length);
    let done = Deed::Answer {
        takes: length,
        status: [200, 201, 204][dice.index(3)],
        fields: Vec::new(),
        keeps: true,
    };
    if honest {
        return done;
    }
    let some = dice.below(length + 1);
    let answer = |takes, status, fields| Deed::Answer {
        takes,
        status,
        fields,
        keeps: false,
    };
    let location = |place: &str| vec![("location", place.to_owned())];
    match dice.below(16) {
        0..4 => done,
        4 | 5 => Deed::Drop(some),
        6 => Deed::Drop(length),
        7 => answer(some, [413, 400, 507][dice.index(3)], Vec::new()),
        8 => answer(some, [503, 429, 500][dice.index(3)], Vec::new()),
        9 => answer(
            length,
            503,
            vec![("retry-after", dice.below(90).to_string())],
        ),
        10 => answer(
            some,
            401,
            vec![("www-authenticate", "Basic realm=\"r\"".to_owned())],
        ),
        11 => answer(some, [307, 308, 302][dice.index(3)], location("/elsewhere")),
        12 => answer(length, 303, location("/page")),
        13 => answer(
            some,
            [200, 303][dice.index(2)],
            location("https://evil.example/"),
        ),
        14 => answer(0, 417, Vec::new()),
        _ => Deed::SourceChanges,
    }
}

pub(super) fn head(status: u16, fields: &[(&'static str, String)]) -> ResponseHead {
    ResponseHead {
        version: HttpVersion::Http11,
        status,
        headers: fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect(),
    }
}
