//! `longhaul doctor` over a clean, a torn and a repaired store, and the manual and completions.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::Instant;

use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use super::Desk;
use crate::bench::{MIB, PATIENCE, text, tree};

/// What is left of a torn store: its head and a page, and none of the records.
const TORN_BYTES: u64 = 8192;

/// A run that was killed with bytes on record: so slow a server that most of what it has sent is.
fn killed(server: &Server, desk: &Desk) {
    let gate = Gate::new();
    server.serve("/a.bin", Resource::new(Content::new(541, 6 * MIB)));
    server.script(
        "/a.bin",
        [Reply::normal()
            .bytes_per_second(MIB)
            .hold_at(3 * MIB, &gate)],
    );
    desk.bench
        .kill_after(server, "/a.bin", 3 * MIB, &[&server.url("/a.bin")]);
    gate.open();
}

fn store(desk: &Desk) -> std::path::PathBuf {
    let stores = tree(&desk.bench.state());
    let mut stores = stores
        .into_iter()
        .filter(|path| path.ends_with("store.redb"));
    stores.next().unwrap()
}

#[test]
fn a_clean_store_is_clean_a_torn_one_is_found_and_repaired_only_when_told() {
    let (server, desk) = (Server::start(), Desk::new());
    killed(&server, &desk);
    let clean = desk.run(&["doctor"]);
    clean.expect(0);
    assert!(
        clean
            .stdout
            .contains("nothing is wrong; 1 sessions, 1 live tasks"),
        "{clean:#?}"
    );

    let store = store(&desk);
    OpenOptions::new()
        .write(true)
        .open(&store)
        .unwrap()
        .set_len(TORN_BYTES)
        .unwrap();
    let torn = fs::read(&store).unwrap();
    let found = desk.run(&["doctor", "--json"]);
    let finding = found.expect(1).json_event("finding");
    assert_eq!(finding["code"], "damaged_store");
    assert_eq!(fs::read(&store).unwrap(), torn, "it was only looked at");

    let repaired = desk.run(&["doctor", "--repair"]);
    repaired.expect(1);
    assert!(
        repaired
            .stdout
            .contains("repaired: kept the damaged store as"),
        "{repaired:#?}"
    );
    let kept = store.with_file_name("store.redb.damaged-1");
    assert_eq!(fs::read(kept).unwrap(), torn);
    desk.run(&["doctor"]).expect(0);
    desk.run(&["doctor", "--repair"]).expect(0);
}

#[test]
fn lost_part_files_and_open_modes_are_found() {
    let (server, desk) = (Server::start(), Desk::new());
    killed(&server, &desk);
    let store = store(&desk);
    fs::set_permissions(&store, fs::Permissions::from_mode(0o644)).unwrap();
    let part = desk.bench.file(&desk.bench.names()[0]);
    OpenOptions::new()
        .write(true)
        .open(&part)
        .unwrap()
        .set_len(10)
        .unwrap();
    let found = desk.run(&["doctor", "--json"]);
    found.expect(1);
    let codes = found
        .json()
        .into_iter()
        .filter(|line| line["event"] == "finding");
    let codes: Vec<String> = codes
        .map(|line| line["code"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(codes, ["open_to_others", "part_short"]);

    fs::remove_file(&part).unwrap();
    let repaired = desk.run(&["doctor", "--repair"]);
    repaired.expect(1);
    assert!(
        repaired.stdout.contains("has lost its part file"),
        "{repaired:#?}"
    );
    assert_eq!(
        fs::metadata(&store).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn a_part_file_of_nobody_is_told_and_left_alone() {
    let (server, desk) = (Server::start(), Desk::new());
    killed(&server, &desk);
    let part = desk.bench.file(&desk.bench.names()[0]);
    // The name of a part of another task of the same store.
    let name = part.file_name().unwrap().to_str().unwrap();
    let (stem, mark) = name.rsplit_once(".longhaul-").unwrap();
    let (_, store) = mark.split_once('-').unwrap();
    let other = part.with_file_name(format!("{stem}.longhaul-999-{store}"));
    fs::write(&other, "12345").unwrap();
    let found = desk.run(&["doctor", "--repair", "--json"]);
    let finding = found.expect(1).json_event("finding");
    assert_eq!(finding["code"], "leftover");
    assert!(
        finding["message"].as_str().unwrap().contains("(5 bytes)"),
        "{finding}"
    );
    assert!(other.exists(), "another program may go on with it");
}

#[test]
fn a_directory_that_the_socket_shares_with_others_is_told_and_keeps_its_mode() {
    let desk = Desk::new();
    let nothing = desk.run(&["doctor"]);
    nothing.expect(0).is_silent();
    assert!(
        nothing.stdout.contains("nothing was ever kept here"),
        "{nothing:#?}"
    );

    let shared = desk.bench.outputs().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("of somebody else"), "").unwrap();
    let socket = shared.join("control.sock");
    drop(UnixListener::bind(&socket).unwrap());
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for (name, found) in [
        (&socket, "is not the daemon's alone; name a socket"),
        (&shared, "is no socket; move it away"),
    ] {
        let doctor = desk.run(&["doctor", "--repair", "--socket", text(name)]);
        doctor.expect(1);
        assert!(doctor.stdout.contains(found), "{doctor:#?}");
        assert_eq!(mode(&shared), 0o755);
    }
    assert_eq!(mode(&socket), 0o600);
}

#[test]
fn the_daemons_own_directory_is_closed_whether_a_daemon_runs_or_not() {
    let (server, desk) = (Server::start(), Desk::new());
    server.serve("/a.bin", Resource::new(Content::new(542, 1000)));
    desk.hand_over(&[&server.url("/a.bin")]);
    let directory = desk.socket().parent().unwrap().to_owned();
    assert!(directory.join("daemon.log").exists(), "it was started so");
    let mode = || fs::metadata(&directory).unwrap().permissions().mode() & 0o777;
    for is_running in [true, false] {
        if !is_running {
            desk.stop();
            let patience = Instant::now() + PATIENCE;
            while desk.socket().exists() {
                assert!(Instant::now() < patience, "it leaves its socket");
                thread::yield_now();
            }
        }
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        let found = desk.run(&["doctor", "--json"]);
        let finding = found.expect(1).json_event("finding");
        let expected = ("open_to_others".into(), true.into());
        assert_eq!(
            (&finding["code"], &finding["is_repairable"]),
            (&expected.0, &expected.1)
        );
        assert_eq!(mode(), 0o755, "it was only looked at");
        let repaired = desk.run(&["doctor", "--repair"]);
        repaired.expect(1);
        assert!(repaired.stdout.contains("repaired: "), "{repaired:#?}");
        assert_eq!(mode(), 0o700);
        desk.run(&["doctor"]).expect(0);
    }
}

#[test]
fn completions_and_the_manual_name_every_command() {
    let desk = Desk::new();
    let bash = desk.run(&["completions", "bash"]);
    let manual = desk.run(&["man"]);
    bash.expect(0).is_silent();
    manual.expect(0).is_silent();
    for command in [
        "get",
        "put",
        "list",
        "watch",
        "resume-download",
        "doctor",
        "daemon",
        "man",
    ] {
        assert!(bash.stdout.contains(command), "{command}");
        let page = format!("longhaul\\-{}", command.replace('-', "\\-"));
        assert!(manual.stdout.contains(&page), "{command}");
    }
    let pages = desk.bench.outputs().join("man1");
    desk.run(&["man", text(&pages)]).expect(0).is_silent();
    assert!(pages.join("longhaul.1").exists() && pages.join("longhaul-get.1").exists());
}
