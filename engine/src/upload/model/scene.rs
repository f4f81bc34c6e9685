//! What one task is asked to do, and what is fixed for all its lives.

use std::path::PathBuf;

use super::dice::Dice;
use crate::checksum::Algorithm;
use crate::http::authorization::Credentials;
use crate::limits::{EXPECT_CONTINUE_BYTES_MIN, UPLOAD_PROBE_BYTES_MIN};
use crate::safe_url::parse_http_url;
use crate::session::SessionRules;
use crate::task::{TaskOptions, UploadSpec};
use crate::upload::UploadProtocol;

/// Lengths of files around every limit that matters.
const LENGTHS: [u64; 7] = [
    0,
    1,
    300_000,
    UPLOAD_PROBE_BYTES_MIN,
    3_000_000,
    EXPECT_CONTINUE_BYTES_MIN,
    20_000_000,
];

const PROTOCOLS: [UploadProtocol; 9] = [
    UploadProtocol::Auto,
    UploadProtocol::Auto,
    UploadProtocol::Auto,
    UploadProtocol::Auto,
    UploadProtocol::Plain,
    UploadProtocol::Tus,
    UploadProtocol::IETF,
    UploadProtocol::Ietf { interop: 3 },
    UploadProtocol::Ietf { interop: 8 },
];

pub(super) fn spec(dice: &mut Dice) -> UploadSpec {
    let credentials = dice.percent(50).then(|| Credentials::Login {
        username: "me".to_owned(),
        password: "hush".to_owned(),
    });
    UploadSpec {
        url: parse_http_url("https://origin.example/f")
            .expect("a URL")
            .url,
        source: PathBuf::from("/d/f"),
        method: dice.pick(&["PUT", "POST"]).to_owned(),
        protocol: dice.pick(&PROTOCOLS),
        place: None,
        is_repeatable: dice.percent(20),
        metadata: Vec::new(),
        checksum: dice.percent(30).then_some(Algorithm::Sha256),
        headers: vec![("x-key".to_owned(), "hush".to_owned())],
        credentials,
        allow_downgrade: false,
        request_id: 1,
        is_adoptable: false,
        options: TaskOptions::default(),
    }
}

pub(super) fn rules(dice: &mut Dice) -> SessionRules {
    SessionRules {
        resume_data_on_failure: dice.percent(50),
        ..SessionRules::default()
    }
}

pub(super) fn length(dice: &mut Dice) -> u64 {
    dice.pick(&LENGTHS)
}
