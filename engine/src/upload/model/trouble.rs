//! What servers, and those between, do with a request that they should not.

use super::dice::Dice;
use super::server::{Fields, Kind, Server, field, head, length_of};
use crate::http::head::ResponseHead;
use crate::upload::Ask;

/// How a request is met.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    /// As it should be.
    Answer,
    /// This answer comes after so many bytes, and nothing was done.
    Refuse(u64, ResponseHead),
    /// The connection breaks after so many bytes.
    Cut(u64),
    /// It breaks after the request was obeyed.
    LoseAnswer,
    /// It was obeyed, and something between says that it failed.
    HideAnswer(u16),
    /// Only so many bytes of it are taken, and the answer says so.
    TakeLess(u64),
    /// The connection breaks after so many bytes, and the server takes them for the whole.
    CompleteShort(u64),
    /// The upload is no more.
    Forget,
    /// The file turns out to be another one after so many bytes.
    SourceChanges(u64),
}

/// Decides what happens to `ask`.
pub(super) fn deed(ask: &Ask, server: &Server, dice: &mut Dice) -> Deed {
    let length = length_of(ask);
    let some = dice.below(length + 1);
    let refuse = |bytes, status, fields: Fields| Deed::Refuse(bytes, head(status, fields));
    let location = |place: &str| vec![("location", place.to_owned())];
    let at_place = server.place_of(ask);
    match dice.below(100) {
        40..60 if field(ask, "upload-checksum").is_some() => refuse(length, 460, Vec::new()),
        0..50 => Deed::Answer,
        50..60 => Deed::Cut(some),
        60..65 => Deed::LoseAnswer,
        65..68 => Deed::HideAnswer(dice.pick(&[500, 502, 504, 408])),
        68..71 => refuse(some, dice.pick(&[503, 429, 425]), Vec::new()),
        71..73 => {
            let after = dice.below(90).to_string();
            refuse(length, 503, vec![("retry-after", after)])
        }
        73..76 => {
            let basic = "Basic realm=\"r\"".to_owned();
            refuse(some, 401, vec![("www-authenticate", basic)])
        }
        76..79 if at_place.is_some() => refuse(some, 423, Vec::new()),
        79..82 if at_place.is_some() => refuse(some, 409, Vec::new()),
        84..86 if at_place.is_some() => Deed::Forget,
        86..89 if at_place.is_some() && length > 1 => Deed::TakeLess(dice.below(length)),
        89..91 if matches!(server.kind, Kind::Ietf(_)) && at_place.is_some() && length > 1 => {
            Deed::CompleteShort(dice.below(length - 1))
        }
        76..79 => refuse(some, dice.pick(&[307, 308, 302]), location("/elsewhere")),
        79 if server.kind != Kind::Tus => refuse(length, 303, location("/page")),
        80 if server.kind != Kind::Tus => refuse(some, 307, location("https://evil.example/")),
        81 => refuse(some, dice.pick(&[400, 404, 507]), Vec::new()),
        82 => refuse(0, 417, Vec::new()),
        83 if at_place.is_none() && server.kind != Kind::Tus => refuse(length / 2, 200, Vec::new()),
        91 => refuse(some, 413, Vec::new()),
        92..94 if length > 0 => Deed::SourceChanges(some),
        _ => Deed::Answer,
    }
}
