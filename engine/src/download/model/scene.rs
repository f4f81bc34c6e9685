//! What one seed is about: the request, the session, the server, the troubles.

use std::path::PathBuf;
use std::time::Duration;

use super::dice::Dice;
use super::server::{Dates, Ending, Lies, Login, Server, Tags, digest_of};
use crate::http::authorization::Credentials;
use crate::safe_url::parse_http_url;
use crate::session::{Durability, SessionRules};
use crate::task::{Collision, Destination, DownloadSpec, TaskOptions};

/// The directory of every target.
pub(super) const DIRECTORY: &str = "/d";

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// How often, of a thousand steps, each trouble comes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Troubles {
    pub(super) kill: u64,
    pub(super) power: u64,
    pub(super) suspend: u64,
    pub(super) cancel: u64,
    /// Cancels that want resume data.
    pub(super) hand_over: u64,
    pub(super) version: u64,
    pub(super) stranger: u64,
    pub(super) expiry: u64,
    pub(super) store: u64,
    pub(super) file: u64,
    /// Of a thousand kills, after how many the owner expects something else.
    pub(super) wishes: u64,
}

/// Everything that is decided before the first step.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) spec: DownloadSpec,
    pub(super) rules: SessionRules,
    pub(super) server: Server,
    pub(super) troubles: Troubles,
    /// Steps before everybody becomes honest.
    pub(super) steps: u64,
    /// The longest time that one step takes.
    pub(super) pace_ms: u64,
    /// A stranger's file has the target's name from the start.
    pub(super) is_taken: bool,
}

impl Scene {
    pub(super) fn new(dice: &mut Dice) -> Self {
        let is_calm = dice.percent(10);
        let mut server = server(dice);
        let mut troubles = troubles(dice);
        if is_calm {
            server.lies = Lies::default();
            troubles = Troubles::default();
        }
        let mut spec = spec(dice, &server);
        let may_splice = server
            .lengths
            .iter()
            .any(|length| *length != server.lengths[0]);
        if spec.allow_unvalidated_resume && (may_splice || server.lengths.len() > 1) {
            // Whoever allows that takes the risk; what must hold then is nothing to be checked.
            spec.allow_unvalidated_resume = false;
        }
        let steps = 30 + dice.below(300);
        let rules = rules(dice);
        let pace_ms = dice.pick(&[60, 60, 800]);
        let is_taken = !is_calm && dice.percent(8);
        Self {
            spec,
            rules,
            server,
            troubles,
            steps,
            pace_ms,
            is_taken,
        }
    }
}

fn server(dice: &mut Dice) -> Server {
    let sizes = [
        0,
        1,
        1000,
        64 * KIB,
        MIB,
        3 * MIB,
        9 * MIB,
        9 * MIB,
        24 * MIB,
    ];
    let length = dice.pick(&sizes);
    let count = dice.pick(&[1_usize, 1, 3, 6]);
    let is_equal = dice.percent(60);
    let lengths = (0..count)
        .map(|_| {
            if is_equal {
                length
            } else {
                dice.pick(&sizes) + dice.below(5)
            }
        })
        .collect();
    let often = dice.pick(&[0, 20, 100, 300]);
    Server {
        lengths,
        current: 0,
        error_length: dice.pick(&[1, 700, 64 * KIB, 3 * MIB]),
        tags: dice.pick(&[
            Tags::None,
            Tags::Weak,
            Tags::Strong,
            Tags::Strong,
            Tags::Strong,
        ]),
        dates: dice.pick(&[Dates::None, Dates::Weak, Dates::Strong]),
        ending: dice.pick(&[
            Ending::Length,
            Ending::Length,
            Ending::Chunked,
            Ending::Close,
        ]),
        has_ranges: dice.percent(85),
        login: dice.pick(&[
            Login::None,
            Login::None,
            Login::None,
            Login::Basic,
            Login::Digest,
        ]),
        password_ok: dice.percent(80),
        redirects: dice.pick(&[0, 0, 150]),
        has_digests: dice.percent(20),
        lies: Lies {
            refused: dice.pick(&[0, often]),
            busy: dice.pick(&[0, often]),
            cut: dice.pick(&[0, often, 700]),
            ranges: dice.pick(&[0, 0, often]),
            final_errors: dice.pick(&[0, 0, 10, 60]),
            nonces: dice.pick(&[0, often, 1000]),
        },
        nonce: 1,
    }
}

fn troubles(dice: &mut Dice) -> Troubles {
    let kill = dice.pick(&[0, 5, 20, 60]);
    Troubles {
        kill,
        power: dice.pick(&[0, 0, 5, 20]),
        suspend: dice.pick(&[0, 0, 10]),
        cancel: dice.pick(&[0, 0, 0, 8]),
        hand_over: dice.pick(&[0, 0, 0, 10]),
        version: dice.pick(&[0, 5, 30]),
        stranger: dice.pick(&[0, 0, 4]),
        expiry: dice.pick(&[0, 0, 20]),
        store: dice.pick(&[0, 0, 50]),
        file: dice.pick(&[0, 0, 0, 3]),
        wishes: dice.pick(&[0, 0, 300]),
    }
}

fn spec(dice: &mut Dice, server: &Server) -> DownloadSpec {
    let directory = PathBuf::from(DIRECTORY);
    let destination = match dice.percent(80) {
        true => Destination::File(directory.join("f")),
        false => Destination::Directory(directory),
    };
    let last = u32::try_from(server.lengths.len() - 1).expect("there are few versions");
    let expected = dice.below(u64::from(last) + 1);
    let expected = u32::try_from(expected).expect("it is at most the last");
    let digests = if dice.percent(25) {
        vec![digest_of(expected)]
    } else {
        Vec::new()
    };
    let login = Credentials::Login {
        username: "user".to_owned(),
        password: "pass".to_owned(),
    };
    DownloadSpec {
        url: parse_http_url("https://origin.example/f")
            .expect("a URL")
            .url,
        destination,
        collision: dice.pick(&[
            Collision::Fail,
            Collision::Overwrite,
            Collision::Rename,
            Collision::Skip,
        ]),
        headers: vec![
            ("cookie".to_owned(), "c=1".to_owned()),
            ("accept-language".to_owned(), "en".to_owned()),
        ],
        credentials: (server.login != Login::None && dice.percent(85)).then_some(login),
        digests,
        length: dice.percent(10).then_some(server.lengths[0]),
        connections: dice.pick(&[1, 1, 2, 4, 8]),
        allow_unvalidated_resume: dice.percent(10),
        allow_encoded: false,
        allow_downgrade: false,
        options: TaskOptions::default(),
        accept_error_status: dice.percent(25),
    }
}

fn rules(dice: &mut Dice) -> SessionRules {
    SessionRules {
        timeout_for_resource: Duration::from_secs(7 * 24 * 60 * 60),
        retries_max: dice.pick(&[None, None, None, Some(20), Some(1)]),
        durability: dice.pick(&[Durability::Process, Durability::Power]),
        resume_data_on_failure: dice.percent(50),
        ..SessionRules::default()
    }
}
