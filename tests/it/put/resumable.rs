//! `longhaul put` to servers that keep what they have of an upload, and to those that can not say.

use std::os::unix::process::ExitStatusExt as _;

use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::process::Process;
use longhaul_support::uploads::{Behaviour, Discovery, Fault, Step, UploadServer};

use crate::bench::{Bench, Ended, MIB, SECRET, tree};

const CONTENT: Content = Content::new(411, 9 * MIB + 5);

/// What the server has of the file when [`start_and_hold`] returns.
const HELD: u64 = 4 * MIB;

/// What a cut may cost: nothing that was acknowledged, and little of what was on its way.
const TWICE_MAX: u64 = MIB / 4;

/// A way to the same end.
struct Way {
    name: &'static str,
    behaviour: Behaviour,
    options: &'static [&'static str],
    /// What carries the bytes.
    step: Step,
}

fn ways() -> Vec<Way> {
    let proves_by_104 = || Behaviour::ietf(6).discovery(Discovery::Nothing);
    let way = |name, behaviour, options, step| Way {
        name,
        behaviour,
        options,
        step,
    };
    let (append, create) = (Step::Append, Step::Create);
    vec![
        way("tus, found out", Behaviour::tus(), &[], append),
        way(
            "tus, asked for",
            Behaviour::tus(),
            &["--protocol", "tus"],
            append,
        ),
        way("tusd", Behaviour::tusd(), &[], append),
        way("104 to a PUT", proves_by_104(), &[], create),
        way("104 to a POST", proves_by_104(), &["-X", "POST"], create),
        way(
            "draft 5, asked for",
            Behaviour::ietf(5),
            &["--protocol", "ietf=5"],
            append,
        ),
        way(
            "draft 3, asked for",
            Behaviour::ietf(3),
            &["--protocol", "ietf=3"],
            append,
        ),
    ]
}

/// A server like this, and a file `f` to send to it.
fn inbox(bench: &Bench, behaviour: Behaviour) -> (UploadServer, String) {
    CONTENT.write_file(&bench.file("f")).unwrap();
    let server = UploadServer::start(behaviour);
    let url = server.url("/files");
    (server, url)
}

fn arguments<'a>(url: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    ["f", url].iter().chain(options).copied().collect()
}

/// Starts an upload that hangs when the server has [`HELD`] bytes of it.
fn start_and_hold(bench: &Bench, server: &UploadServer, arguments: &[&str], step: Step) -> Process {
    server.inject(Fault::hold_at(HELD, &Gate::new()).on(step));
    let process = bench.start(bench.put(arguments));
    server.wait_for(|requests| requests.iter().any(|it| it.body_received >= HELD));
    process
}

#[track_caller]
fn assert_arrived(bench: &Bench, server: &UploadServer, ended: &Ended) {
    let upload = server.only_upload();
    assert!(upload.is_complete, "{upload:#?}");
    assert_eq!(upload.verify(&CONTENT), Ok(()));
    assert_eq!(ended.code(), Some(0), "{ended:#?}");
    bench.assert_no_state();
    assert_eq!(bench.names(), ["f"]);
}

#[track_caller]
fn assert_little_twice(server: &UploadServer, name: &str) {
    let received = server.bytes_received();
    let most = CONTENT.len() + TWICE_MAX;
    assert!(received <= most, "{name}: {received} bytes, not {most}");
}

#[test]
fn a_file_arrives_by_every_protocol_and_the_way_is_told_once() {
    for Way {
        name,
        behaviour,
        options,
        ..
    } in ways()
    {
        let bench = Bench::new();
        let (server, url) = inbox(&bench, behaviour);
        let ended = bench.run_put(&arguments(&url, options));
        assert_arrived(&bench, &server, &ended);
        assert_eq!(
            ended.stderr.matches("resumable: ").count(),
            1,
            "{name}: {ended:#?}"
        );
        assert!(
            !ended.stderr.contains("not resumable"),
            "{name}: {ended:#?}"
        );
        assert_eq!(server.bytes_received(), CONTENT.len(), "{name}");
    }
}

#[test]
fn after_a_kill_the_same_command_sends_only_what_the_server_has_not() {
    for Way {
        name,
        behaviour,
        options,
        step,
    } in ways()
    {
        let bench = Bench::new();
        let (server, url) = inbox(&bench, behaviour);
        let mut process = start_and_hold(&bench, &server, &arguments(&url, options), step);
        assert_eq!(process.kill().unwrap().signal(), Some(9), "{name}");
        assert!(!tree(&bench.state()).is_empty(), "{name}");
        let ended = bench.run_put(&arguments(&url, options));
        assert_arrived(&bench, &server, &ended);
        assert_little_twice(&server, name);
    }
}

#[test]
fn a_signal_stops_it_and_the_same_command_goes_on() {
    for Way {
        name,
        behaviour,
        options,
        step,
    } in ways()
    {
        let bench = Bench::new();
        let (server, url) = inbox(&bench, behaviour);
        let process = start_and_hold(&bench, &server, &arguments(&url, options), step);
        process.signal("INT").unwrap();
        let stopped = bench.finish(process);
        stopped
            .expect(130)
            .says("run the same command again to resume");
        let ended = bench.run_put(&arguments(&url, options));
        assert_arrived(&bench, &server, &ended);
        assert_little_twice(&server, name);
    }
}

#[test]
fn json_tells_the_protocol_and_what_the_server_has() {
    let bench = Bench::new();
    let (server, url) = inbox(&bench, Behaviour::tus());
    let mut process = start_and_hold(&bench, &server, &arguments(&url, &["--json"]), Step::Append);
    process.kill().unwrap();
    let ended = bench.run_put(&arguments(&url, &["--json"]));
    let negotiated = ended.json_event("negotiated");
    assert_eq!(negotiated["protocol"], "tus");
    assert_eq!(negotiated["evidence"], "recorded");
    assert_eq!(negotiated["is_resumable"], true);
    let finished = ended.json_event("finished");
    assert_eq!(finished["bytes"], CONTENT.len());
    let summary = ended.json_event("summary");
    assert_eq!(summary["acknowledged_bytes"], CONTENT.len());
    assert_arrived(&bench, &server, &ended);
}

#[test]
fn what_the_server_is_told_of_the_file_and_has_to_check_goes_along() {
    let bench = Bench::new();
    let (server, url) = inbox(&bench, Behaviour::tus());
    server.inject(Fault::damage().on(Step::Append));
    let options = ["--metadata", "filetype=video/x", "--checksum", "sha1"];
    let ended = bench.run_put(&arguments(&url, &options));
    assert_arrived(&bench, &server, &ended);
    let upload = server.only_upload();
    let told = upload.field("upload-metadata").unwrap().to_owned();
    // "f" and "video/x" in base64.
    assert!(
        told.contains("filename Zg==") && told.contains("filetype dmlkZW8veA=="),
        "{told}"
    );
}

#[test]
fn a_server_that_proves_nothing_is_told_as_one_that_can_not_resume() {
    let bench = Bench::new();
    let (server, url) = inbox(&bench, Behaviour::plain());
    let ended = bench.run_put(&arguments(&url, &[]));
    ended
        .expect(0)
        .says("not resumable: the server has shown no protocol for it");
    assert_eq!(ended.stdout, "stored\n");
    assert_arrived(&bench, &server, &ended);

    let (server, url) = inbox(&bench, Behaviour::plain());
    let ended = bench.run_put(&arguments(&url, &["--json"]));
    let negotiated = ended.expect(0).json_event("negotiated");
    assert_eq!(negotiated["protocol"], "plain");
    assert_eq!(negotiated["is_resumable"], false);
    assert_arrived(&bench, &server, &ended);
}

#[test]
fn what_was_given_up_is_kept_when_the_server_has_a_part_of_it() {
    let bench = Bench::new();
    let (mut server, url) = inbox(&bench, Behaviour::tus());
    let process = start_and_hold(
        &bench,
        &server,
        &arguments(&url, &["--retry", "1"]),
        Step::Append,
    );
    server.go_away();
    let ended = bench.finish(process);
    ended
        .expect(4)
        .says("what the server has is kept; run the same command again to resume");
    assert!(!tree(&bench.state()).is_empty());
    server.come_back();
    let ended = bench.run_put(&arguments(&url, &[]));
    assert_arrived(&bench, &server, &ended);
    assert_little_twice(&server, "given up");
}

#[test]
fn a_changed_file_is_refused_and_the_part_at_the_server_given_up() {
    let bench = Bench::new();
    let (server, url) = inbox(&bench, Behaviour::tus());
    let mut process = start_and_hold(&bench, &server, &arguments(&url, &[]), Step::Append);
    process.kill().unwrap();
    let other = Content::new(412, 2 * MIB);
    other.write_file(&bench.file("f")).unwrap();
    bench
        .run_put(&arguments(&url, &[]))
        .expect(3)
        .says("has changed since its upload began");
    bench.assert_no_state();
    bench.run_put(&arguments(&url, &[])).expect(0);
    let uploads = server.uploads();
    let whole: Vec<_> = uploads.iter().filter(|it| it.is_complete).collect();
    assert_eq!(whole.len(), 1, "{uploads:#?}");
    assert_eq!(whole[0].verify(&other), Ok(()));
}

#[test]
fn a_post_whose_answer_was_lost_is_not_made_twice_unless_its_owner_says_so() {
    let header = format!("Idempotency-Key: {SECRET}");
    let allowed: [&[&str]; 2] = [&["--retry-non-idempotent"], &["-H", &header]];
    for options in allowed {
        let bench = Bench::new();
        let (server, url) = inbox(&bench, Behaviour::plain());
        server.inject(Fault::withhold().on(Step::Whole));
        let options: Vec<&str> = ["-X", "POST"].iter().chain(options).copied().collect();
        bench.run_put(&arguments(&url, &options)).expect(0);
        assert_eq!(server.uploads().len(), 2, "{options:?}");
    }
    for is_killed in [false, true] {
        let bench = Bench::new();
        let (server, url) = inbox(&bench, Behaviour::plain());
        let gate = Gate::new();
        if is_killed {
            server.inject(Fault::hold_answer(&gate).on(Step::Whole));
            let mut process = bench.start(bench.put(&arguments(&url, &["-X", "POST"])));
            server.wait_for(|requests| requests.iter().any(|it| it.body_received == CONTENT.len()));
            process.kill().unwrap();
        } else {
            server.inject(Fault::withhold().on(Step::Whole));
        }
        let ended = bench.run_put(&arguments(&url, &["-X", "POST", "--json"]));
        assert_eq!(
            ended.expect(4).json_event("failed")["code"],
            "outcome_unknown"
        );
        bench.assert_no_state();
        let posts = |server: &UploadServer| {
            let requests = server.requests();
            requests.iter().filter(|it| it.method == "POST").count()
        };
        assert_eq!(posts(&server), 1);
        // Who runs it again after that wants it again.
        bench.run_put(&arguments(&url, &["-X", "POST"])).expect(0);
        assert_eq!(posts(&server), 2);
    }
}

#[test]
fn a_second_upload_of_the_same_file_is_another_one_to_servers() {
    let bench = Bench::new();
    let (server, url) = inbox(&bench, Behaviour::plain());
    for _ in 0..2 {
        bench.run_put(&arguments(&url, &["-X", "POST"])).expect(0);
    }
    let requests = server.requests();
    let keys: Vec<_> = requests
        .iter()
        .filter_map(|it| it.header("idempotency-key"))
        .collect();
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
}
