//! The command as a person or a script uses it: signals, lists, output, what it leaves behind.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::process::Process;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, MIB, PATIENCE, SECRET, names_in, text, tree};

const PATH: &str = "/a.bin";
const CONTENT: Content = Content::new(91, 6 * MIB + 5);

/// What is on record for certain when [`start_and_hold`] returns.
const HELD: u64 = 2 * MIB;

/// How long a stopped command may take: its own promise, and some for a loaded machine to see it.
const STOP_MAX: Duration = Duration::from_millis(2500);

/// Starts a download that has [`HELD`] bytes on record and hangs in the middle of the next answer.
fn start_and_hold(bench: &Bench, server: &Server, gate: &Gate, options: &[&str]) -> Process {
    server.serve(PATH, Resource::new(CONTENT));
    server.script(
        PATH,
        [
            Reply::normal().truncate_at(HELD),
            Reply::normal().hold_at(MIB, gate),
        ],
    );
    let url = server.url(PATH);
    let arguments: Vec<&str> = [url.as_str()].iter().chain(options).copied().collect();
    let process = bench.start(bench.get(&arguments));
    server.wait_for(|requests| requests.len() == 2 && requests[1].body_sent >= MIB);
    process
}

#[test]
fn a_signal_stops_within_two_seconds_and_the_same_command_goes_on() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let (server, gate, bench) = (Server::start(), Gate::new(), Bench::new());
        let process = start_and_hold(&bench, &server, &gate, &[]);
        let began = Instant::now();
        process.signal(signal).unwrap();
        let ended = bench.finish(process);
        let took = began.elapsed();
        ended.expect(code).says(&format!("stopped by SIG{signal}"));
        ended.says("run the same command again to resume");
        assert!(took < STOP_MAX, "{took:?}");

        server.script(PATH, []);
        bench.run(&[&server.url(PATH)]).expect(0).is_silent();
        let (from, _) = server.requests()[2].range().unwrap();
        assert!((HELD..=HELD + MIB).contains(&from), "{from}");
        bench.assert_only("a.bin", CONTENT);
    }
}

#[test]
fn a_signal_is_told_in_json_too() {
    let (server, gate, bench) = (Server::start(), Gate::new(), Bench::new());
    let process = start_and_hold(&bench, &server, &gate, &["--json"]);
    process.signal("TERM").unwrap();
    let stopped = bench.finish(process).expect(143).json_event("stopped");
    assert_eq!(stopped["signal"], "SIGTERM");
    assert_eq!(
        (&stopped["exit_code"], &stopped["is_resumable"]),
        (&143.into(), &true.into())
    );
}

#[test]
fn the_same_command_twice_at_once_names_the_process_that_runs() {
    let (server, gate, bench) = (Server::start(), Gate::new(), Bench::new());
    let first = start_and_hold(&bench, &server, &gate, &[]);
    let second = bench.run(&[&server.url(PATH)]);
    second
        .expect(1)
        .says(&format!("process {} downloads the same files", first.id()));
    let second = bench.run(&[&server.url(PATH), "--json"]);
    let fault = second.expect(1).json_event("fault");
    assert!(
        fault["message"]
            .as_str()
            .unwrap()
            .contains(&first.id().to_string()),
        "{fault}"
    );
    gate.open();
    bench.finish(first).expect(0);
    bench.assert_only("a.bin", CONTENT);
}

#[test]
fn other_downloads_run_beside_it() {
    let (server, gate, bench) = (Server::start(), Gate::new(), Bench::new());
    let other = Content::new(92, 1000);
    server.serve("/b.bin", Resource::new(other));
    let first = start_and_hold(&bench, &server, &gate, &[]);
    bench.run(&[&server.url("/b.bin")]).expect(0);
    bench.assert_file("b.bin", other);
    gate.open();
    bench.finish(first).expect(0);
    assert_eq!(bench.names(), ["a.bin", "b.bin"]);
    bench.assert_no_state();
}

#[test]
fn what_lies_on_the_disk_while_it_runs_is_for_the_owner_alone() {
    let (server, gate, bench) = (Server::start(), Gate::new(), Bench::new());
    let header = format!("Authorization: Bearer {SECRET}");
    let process = start_and_hold(&bench, &server, &gate, &["-H", &header]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut paths = tree(&bench.state());
    assert!(paths.len() > 2, "{paths:?}");
    paths.extend(bench.names().iter().map(|name| bench.file(name)));
    paths.push(bench.state());
    for path in paths {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), wanted, "{}", path.display());
    }
    gate.open();
    bench.finish(process).expect(0);
    let plain = bench.outputs().join("plain");
    fs::write(&plain, "").unwrap();
    assert_eq!(
        mode(&bench.file("a.bin")),
        mode(&plain),
        "a finished file is as any other"
    );
}

#[test]
fn a_list_gives_each_url_its_own_options() {
    let (server, bench) = (Server::start(), Bench::new());
    let contents = [1, 2, 3].map(|seed| Content::new(seed, 30_000 + seed));
    for (path, content) in ["/a", "/b", "/c"].iter().zip(contents) {
        server.serve(path, Resource::new(content));
    }
    let list = bench.outputs().join("list");
    let lines = format!(
        "# three files\n{}\n  out=first.bin\n  checksum=sha-256={}\n{}\n  dir=sub/dir\n  \
         header=X-Token: {SECRET}\n\n{}\n  dir=sub\n  out=third\n{}\n  out=first.bin\n",
        server.url("/a"),
        contents[0].sha256_hex(),
        server.url("/b"),
        server.url("/c"),
        server.url("/a"),
    );
    fs::write(&list, lines).unwrap();
    let ended = bench.run(&["-i", text(&list), "-H", "X-All: 1", "-vv"]);
    ended.expect(0);
    for (name, content) in ["first.bin", "sub/dir/b", "sub/third"].iter().zip(contents) {
        bench.assert_file(name, content);
        let path = bench.file(name).display().to_string();
        assert!(ended.stdout.lines().any(|line| line == path), "{ended:#?}");
    }
    assert_eq!(
        (bench.names().len(), names_in(&bench.file("sub")).len()),
        (2, 2)
    );
    assert_eq!(
        server.requests().len(),
        3,
        "what is named twice is fetched once"
    );
    for request in server.requests() {
        assert_eq!(request.header("x-all"), Some("1"));
        assert_eq!(request.header("x-token").is_some(), request.path == "/b");
    }
    bench.assert_no_state();
}

#[test]
fn a_list_can_come_from_standard_input() {
    let (server, bench) = (Server::start(), Bench::new());
    let contents = [4, 5].map(|seed| Content::new(seed, 10_000));
    server.serve("/a", Resource::new(contents[0]));
    server.serve("/b", Resource::new(contents[1]));
    let input = format!("{}\n{}\n", server.url("/a"), server.url("/b"));
    let command = bench.get(&["-i", "-", "-d", "got"]);
    let outputs = bench.outputs();
    let process = Process::start_with_input(command, &outputs, input.as_bytes()).unwrap();
    bench.finish(process).expect(0).is_silent();
    bench.assert_file("got/a", contents[0]);
    bench.assert_file("got/b", contents[1]);
    bench.assert_no_state();
}

#[test]
fn a_list_with_a_mistake_names_the_line_and_fetches_nothing() {
    let (server, bench) = (Server::start(), Bench::new());
    let url = server.url("/a");
    let table = [
        (format!("{url}\n  colour=red\n"), "line 2"),
        (
            format!("{url}\n{url}?x\n  out=a\nftp://h/{SECRET}\n"),
            "line 4",
        ),
        (format!("{url}\n  checksum=sha-256={SECRET}\n"), "line 1"),
        ("\n# nothing\n".to_owned(), "names no url"),
    ];
    for (lines, words) in table {
        let list = bench.outputs().join("list");
        fs::write(&list, lines).unwrap();
        bench.run(&["-i", text(&list)]).expect(2).says(words);
    }
    bench
        .run(&["-i", "missing"])
        .expect(3)
        .says("missing can not be read");
    assert!(server.requests().is_empty());
    bench.assert_nothing();
}

#[test]
fn as_many_files_as_asked_for_run_at_once() {
    let (server, bench) = (Server::start(), Bench::new());
    let gates: Vec<Gate> = (0..8).map(|_| Gate::new()).collect();
    let mut urls = Vec::new();
    for (index, gate) in gates.iter().enumerate() {
        let path = format!("/{index}");
        server.serve(&path, Resource::new(Content::new(index as u64, 5000)));
        server.script(&path, [Reply::normal().hold_head(gate)]);
        urls.push(server.url(&path));
    }
    let mut arguments: Vec<&str> = urls.iter().map(String::as_str).collect();
    arguments.extend(["-j", "3"]);
    let process = bench.start(bench.get(&arguments));
    for opened in 0..gates.len() {
        let wanted = (opened + 3).min(gates.len());
        let requests = server.wait_for(|requests| requests.len() >= wanted);
        assert_eq!(requests.len(), wanted, "with {opened} done");
        let path = &requests[opened].path;
        gates[path[1..].parse::<usize>().unwrap()].open();
        server.wait_for(|requests| requests[opened].is_finished);
    }
    let ended = bench.finish(process);
    assert_eq!(ended.expect(0).stdout.lines().count(), 8);
    let mut order: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    // The first three are asked for at once.
    order[..3].sort();
    assert_eq!(order, ["/0", "/1", "/2", "/3", "/4", "/5", "/6", "/7"]);
    bench.assert_no_state();
}

#[test]
fn one_failure_does_not_hinder_the_others_and_the_next_run_fetches_only_what_is_missing() {
    let (server, bench) = (Server::start(), Bench::new());
    let content = Content::new(6, 20_000);
    let paths = ["/a", "/b", "/c"];
    let urls = paths.map(|path| server.url(path));
    for path in paths {
        server.serve(path, Resource::new(content));
    }
    server.script("/b", [Reply::status(404), Reply::normal()]);
    let arguments: Vec<&str> = urls.iter().map(String::as_str).collect();
    let ended = bench.run(&arguments);
    ended
        .expect(8)
        .says("404 (not found)")
        .says("2 of 3 files are there, 1 failed");
    ended.says("run the same command again to resume");
    assert_eq!(bench.names(), ["a", "c"]);
    bench.run(&arguments).expect(0);
    let asked = paths.map(|path| server.requests_for(path).len());
    assert_eq!(asked, [1, 2, 1]);
    assert_eq!(bench.names(), ["a", "b", "c"]);
    bench.assert_no_state();
}

#[test]
fn json_is_one_object_a_line_with_stable_names() {
    let (server, bench) = (Server::start(), Bench::new());
    server.serve("/a", Resource::new(CONTENT));
    server.script("/a", [Reply::normal().truncate_at(MIB), Reply::normal()]);
    fs::write(bench.file("b"), "there").unwrap();
    server.serve("/b", Resource::new(Content::new(7, 10)));
    let urls = ["/a", "/b", "/c"].map(|path| server.url(path));
    let arguments: Vec<&str> = urls
        .iter()
        .map(String::as_str)
        .chain(["--json", "--if-exists", "skip"])
        .collect();
    let ended = bench.run(&arguments);
    ended.expect(8).is_silent();
    let lines = ended.json();
    let keys = |event: &str| {
        let line = lines.iter().find(|line| line["event"] == event);
        let object = line
            .unwrap_or_else(|| panic!("no {event}: {ended:#?}"))
            .as_object()
            .unwrap();
        object.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    for (event, wanted) in [
        ("run", "downloads event schema state"),
        ("started", "destination event task url"),
        ("retrying", "at_unix_ms code event message retry task url"),
        (
            "finished",
            "bytes event length_unverified path status task url",
        ),
        ("skipped", "event path task url"),
        (
            "failed",
            "code event exit_code is_resumable message task url",
        ),
        (
            "summary",
            "downloads event exit_code failed finished is_resumable received_bytes skipped",
        ),
    ] {
        assert_eq!(keys(event), wanted, "{event}");
    }
    assert_eq!(
        (&lines[0]["event"], &lines[0]["schema"]),
        (&"run".into(), &1.into())
    );
    let summary = lines.last().unwrap();
    let counts =
        ["downloads", "finished", "skipped", "failed", "exit_code"].map(|key| &summary[key]);
    assert_eq!(counts.map(|count| count.as_u64().unwrap()), [3, 1, 1, 1, 8]);
    let failed = ended.json_event("failed");
    assert_eq!(
        (&failed["code"], &failed["exit_code"]),
        (&"status".into(), &8.into())
    );
    assert_eq!(ended.json_event("retrying")["code"], "disconnected");
}

#[test]
fn nothing_but_lines_of_text_goes_to_what_is_no_terminal() {
    let (server, bench) = (Server::start(), Bench::new());
    server.serve(PATH, Resource::new(CONTENT));
    server.script(PATH, [Reply::normal().bytes_per_second(8 * MIB)]);
    let ended = bench.run(&[&server.url(PATH)]);
    assert_eq!(
        ended.expect(0).stdout,
        format!("{}\n", bench.file("a.bin").display())
    );
    ended.is_silent();
    let bench = Bench::new();
    let ended = bench.run(&[&server.url(PATH), "-q"]);
    assert_eq!(ended.expect(0).is_silent().stdout, "");
    let bench = Bench::new();
    let ended = bench.run(&[&server.url(PATH), "-vvv"]);
    assert!(!ended.expect(0).stderr.contains('\u{1b}'), "{ended:#?}");
    assert!(
        ended.stderr.contains("longhaul"),
        "a log was asked for: {ended:#?}"
    );
}

#[test]
fn help_and_version_and_mistakes_are_answered() {
    let bench = Bench::new();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longhaul"));
        command.args(arguments);
        bench.confine(&mut command);
        bench.finish(bench.start(command))
    };
    let version = run(&["--version"]);
    assert_eq!(
        version.expect(0).stdout,
        concat!("longhaul ", env!("CARGO_PKG_VERSION"), "\n")
    );
    for arguments in [
        &["--help"][..],
        &["get", "--help"],
        &["get", "-h"],
        &["help", "get"],
        &["put", "--help"],
        &["put", "-h"],
    ] {
        let help = run(arguments);
        help.expect(0).is_silent();
        assert!(help.stdout.contains("Usage: longhaul"), "{arguments:?}");
        assert!(!help.stdout.contains('\u{1b}'), "{arguments:?}");
        assert!(
            help.stdout.lines().all(|line| line.chars().count() <= 100),
            "{help:#?}"
        );
    }
    for (command, codes) in [
        ("get", ["0 every file", "9 another checksum", "130, 143"]),
        ("put", ["0 the server has", "4 the network", "130, 143"]),
    ] {
        let help = run(&[command, "--help"]).stdout;
        for code in codes {
            assert!(help.contains(code), "{command}: {code}");
        }
    }
    for arguments in [
        &[][..],
        &["get"],
        &["put", "file"],
        &["fetch"],
        &["get", "--nonsense", "http://h/"],
    ] {
        let refused = run(arguments);
        refused.expect(2);
        assert!(refused.stderr.contains("Usage"), "{refused:#?}");
    }
    for url in [
        "example.com/a",
        "ftp://example.com/a",
        "http://",
        "file:///etc/passwd",
    ] {
        run(&["get", url]).expect(2).says("longhaul: ");
    }
    bench.assert_nothing();
}

#[test]
fn variables_that_are_empty_count_as_none() {
    let (server, bench) = (Server::start(), Bench::new());
    server.serve(PATH, Resource::new(CONTENT));
    server.script("/up", [Reply::status(201)]);
    let (get, put) = (server.url(PATH), server.url("/up"));
    let table: [(&[&str], i32); 4] = [
        (&["get", &get], 0),
        (&["put", "a.bin", &put, "--protocol", "plain"], 0),
        (&["list"], 0),
        (&["sessions"], 10),
    ];
    for (words, code) in table {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longhaul"));
        command.args(words);
        bench.confine(&mut command);
        command
            .env("LONGHAUL_SOCKET", "")
            .env("LONGHAUL_STATE_DIR", "")
            .env("XDG_RUNTIME_DIR", bench.outputs());
        bench.finish(bench.start(command)).expect(code);
    }
    bench.assert_only("a.bin", CONTENT);
}

#[test]
fn the_state_directory_of_the_user_is_used_and_emptied() {
    let (server, gate, bench) = (Server::start(), Gate::new(), Bench::new());
    server.serve(PATH, Resource::new(CONTENT));
    server.script(PATH, [Reply::normal().hold_at(MIB, &gate)]);
    let home = bench.outputs().join("home");
    let mut command = bench.get(&[&server.url(PATH)]);
    command
        .env_remove("LONGHAUL_STATE_DIR")
        .env("HOME", &home)
        .env("XDG_STATE_HOME", "");
    let mut process = bench.start(command);
    server.wait_for(|requests| requests.len() == 1 && requests[0].body_sent >= MIB);
    assert!(!tree(&home.join(".local/state/longhaul/get")).is_empty());
    gate.open();
    assert_eq!(process.wait(PATIENCE).unwrap().unwrap().code(), Some(0));
    assert!(!home.join(".local/state/longhaul").exists());
    bench.assert_only("a.bin", CONTENT);
}
