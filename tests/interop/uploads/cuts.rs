//! An upload that is cut again and again, by the network, by the death of the command and by the
//! death of the server: the server has the file at the end, and what it kept was not sent again.
//!
//! `LONGHAUL_CUT_UPLOADS=10` sends ten files to each server instead of one, `LONGHAUL_SEED` repeats
//! a run. What each server took is printed: `cargo test … uploads::cuts -- --nocapture`.

use std::env;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Instant;

use longhaul_support::content::Content;
use longhaul_support::peers::Kind;
use longhaul_support::process::Process;
use longhaul_support::seed::Rng;
use longhaul_support::uploads::Behaviour;

use super::site::{NAME, Site};
use crate::bench::{Bench, MIB};
use crate::relay::Relay;

/// How many files go to each server.
const UPLOADS_VARIABLE: &str = "LONGHAUL_CUT_UPLOADS";

/// The seed of a plain run; each further upload has the next one.
const SEED: u64 = 20_261_121;

const LEN_BYTES: u64 = 64 * MIB;

/// When more bytes have gone than the file has, at least so many are missing.
const SENT_TWICE_BYTES: u64 = 64 * 1024;

/// What breaks an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// The connection ends, and what was on its way is lost.
    Network,
    /// The command gets SIGKILL and is run again. Some of what its kernel held still arrives.
    Command,
    /// The server gets SIGKILL and is started again.
    Server,
}

/// A server, and how it is dealt with.
struct Case {
    name: &'static str,
    start: fn() -> Site,
    /// `--protocol`.
    protocol: &'static str,
    /// The protocol that `--json` tells.
    spoken: &'static str,
    keeps: Keeps,
}

/// What is left at the server of a request that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keeps {
    /// What has come.
    Bytes,
    /// Nothing, but requests for parts of the file are possible.
    Requests,
    /// Nothing: the file comes with one request.
    Nothing,
}

impl Keeps {
    /// How often each cut is made; 20 in all. The command waits longer after each loss that brought
    /// nothing on, for seconds, but for none after its own death: so that is what most often happens to
    /// uploads that begin anew.
    fn mix(self) -> [(Cut, usize); 3] {
        match self {
            Self::Bytes | Self::Requests => {
                [(Cut::Network, 8), (Cut::Command, 8), (Cut::Server, 4)]
            }
            Self::Nothing => [(Cut::Network, 1), (Cut::Command, 18), (Cut::Server, 1)],
        }
    }
}

/// The cuts of one upload, in an order that the seed chooses.
fn cuts(keeps: Keeps, rng: &mut Rng) -> Vec<Cut> {
    let mix = keeps.mix().into_iter();
    let mut cuts: Vec<_> = mix.flat_map(|(cut, times)| vec![cut; times]).collect();
    for index in (1..cuts.len()).rev() {
        let other = usize::try_from(rng.within(0..index as u64 + 1)).unwrap();
        cuts.swap(index, other);
    }
    cuts
}

/// How many bytes go at most before the next cut, of which `left` are to be made.
fn stretch_max(keeps: Keeps, sent_bytes: u64, left: usize) -> u64 {
    match keeps {
        // At least that much is missing, so the end does not come before the last cut.
        Keeps::Bytes | Keeps::Requests => {
            let missing = LEN_BYTES
                .checked_sub(sent_bytes)
                .unwrap_or(SENT_TWICE_BYTES);
            (2 * missing / (left as u64 + 1)).max(2)
        }
        Keeps::Nothing => LEN_BYTES,
    }
}

impl Case {
    /// Sends a file through 20 cuts and returns how many bytes went to the server.
    fn send(&self, rng: &mut Rng) -> u64 {
        let content = Content::new(rng.next_u64(), LEN_BYTES);
        let mut site = (self.start)();
        let relay = Relay::to(&site.target());
        let url = relay.url(&site.target());
        let bench = Bench::new();
        content.write_file(&bench.file(NAME)).unwrap();
        let arguments = [NAME, &url, "--protocol", self.protocol, "--json"];
        let start = || bench.start(bench.put(&arguments));
        let mut process = start();
        let cuts = cuts(self.keeps, rng);
        for (index, cut) in cuts.iter().enumerate() {
            let (sent, left) = (relay.up_bytes(), cuts.len() - index);
            let most = stretch_max(self.keeps, sent, left);
            relay.hold_at(sent + rng.within(1..most));
            assert!(
                relay.wait_until_held(),
                "before {index}: {}",
                told(&process)
            );
            match cut {
                Cut::Network => relay.cut(),
                Cut::Command => {
                    let status = process.kill().unwrap();
                    assert_eq!(status.signal(), Some(9), "{}", told(&process));
                    relay.hold_at(relay.up_bytes() + rng.within(0..most / 2));
                    relay.wait_until_idle();
                    relay.cut();
                    process = start();
                }
                Cut::Server => {
                    site.restart();
                    relay.cut();
                }
            }
        }
        let ended = bench.finish(process);
        let negotiated = ended.expect(0).json_event("negotiated");
        assert_eq!(negotiated["protocol"], self.spoken);
        site.assert_stored(&relay, content);
        bench.assert_no_state();
        relay.up_bytes()
    }

    /// Sends as many files as are asked for, and checks that no more went than `sent_max` times their
    /// length.
    #[expect(clippy::print_stdout, reason = "the figure is for whoever runs this")]
    fn run(&self, sent_max: f64) {
        let uploads = env::var(UPLOADS_VARIABLE).map_or(1, |text| text.parse().unwrap());
        let first = Rng::from_env_or(SEED).seed();
        for seed in first..first + uploads {
            let (mut rng, begun) = (Rng::new(seed), Instant::now());
            let sent = self.send(&mut rng);
            let ratio = sent as f64 / LEN_BYTES as f64;
            let seconds = begun.elapsed().as_secs_f64();
            println!(
                "{}: 64 MiB, 20 cuts: {ratio:.3} bytes sent for each ({seconds:.1} s, seed {seed})",
                self.name
            );
            assert!(ratio <= sent_max, "{}: {ratio} times the file", self.name);
        }
    }
}

/// What a process has printed.
fn told(process: &Process) -> String {
    process.stdout().unwrap() + &process.stderr().unwrap()
}

#[test]
fn an_upload_to_tus_server_of_npm_survives_20_cuts() {
    let case = Case {
        name: "@tus/server",
        start: || Site::real(Kind::TusServer),
        protocol: "auto",
        spoken: "tus",
        keeps: Keeps::Bytes,
    };
    case.run(1.5);
}

#[test]
fn an_upload_to_resumable_upload_of_pypi_survives_20_cuts() {
    let case = Case {
        name: "resumable-upload",
        start: || Site::real(Kind::ResumableUpload),
        protocol: "auto",
        spoken: "tus",
        keeps: Keeps::Bytes,
    };
    case.run(1.5);
}

#[test]
fn an_upload_to_tussi_that_drops_what_is_cut_survives_20_cuts() {
    let case = Case {
        name: "tussi",
        start: || Site::real(Kind::Tussi),
        protocol: "tus",
        spoken: "tus",
        keeps: Keeps::Requests,
    };
    case.run(4.0);
}

#[test]
fn an_upload_of_the_ietf_draft_survives_20_cuts_in_every_version() {
    type Version = (&'static str, &'static str, fn() -> Site);
    let versions: [Version; 4] = [
        ("IETF 3", "ietf=3", || Site::scripted(Behaviour::ietf(3))),
        ("IETF 5", "ietf=5", || Site::scripted(Behaviour::ietf(5))),
        ("IETF 6", "auto", || Site::scripted(Behaviour::ietf(6))),
        ("IETF 8", "ietf=8", || Site::scripted(Behaviour::ietf(8))),
    ];
    for (name, protocol, start) in versions {
        let case = Case {
            name,
            start,
            protocol,
            spoken: "ietf",
            keeps: Keeps::Bytes,
        };
        case.run(1.5);
    }
}

#[test]
fn a_put_to_apache_survives_20_cuts_and_begins_anew_after_each() {
    let case = Case {
        name: "Apache, PUT",
        start: || Site::real(Kind::ApacheDav),
        protocol: "auto",
        spoken: "plain",
        keeps: Keeps::Nothing,
    };
    case.run(21.0);
}

#[test]
fn a_put_to_nginx_survives_20_cuts_and_begins_anew_after_each() {
    let case = Case {
        name: "nginx, PUT",
        start: || Site::real(Kind::NginxDav),
        protocol: "auto",
        spoken: "plain",
        keeps: Keeps::Nothing,
    };
    case.run(21.0);
}
