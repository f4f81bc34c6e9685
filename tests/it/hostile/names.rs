//! Names: those that servers suggest, those that exist already, and places that can not be used.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;

use super::{HELD, PATH, each, leave_part, long_content, serving};
use crate::bench::{Bench, names_in, text};

const CONTENT: Content = Content::new(61, 40_000);

#[test]
fn a_name_from_the_server_can_not_leave_the_directory() {
    let cases = vec![
        ("climbing", ("attachment; filename=\"../../x\"", "x")),
        (
            "climbing, coded",
            ("attachment; filename*=UTF-8''..%2F..%2Fx", "x"),
        ),
        (
            "absolute",
            ("attachment; filename=\"/etc/passwd\"", "passwd"),
        ),
        (
            "with backslashes",
            ("attachment; filename=\"..\\\\..\\\\x.txt\"", "x.txt"),
        ),
        (
            "good",
            ("attachment; filename=\"report.pdf\"", "report.pdf"),
        ),
        (
            "the coded one wins",
            (
                "attachment; filename=\"a\"; filename*=UTF-8''%e2%82%ac.txt",
                "€.txt",
            ),
        ),
        ("none", ("attachment", "a.bin")),
        ("only dots", ("attachment; filename=\"..\"", "a.bin")),
        ("empty", ("attachment; filename=\"\"", "a.bin")),
    ];
    each(cases, |(disposition, name)| {
        let (server, url) = serving(Resource::new(CONTENT));
        server.script(
            PATH,
            [Reply::normal().header("Content-Disposition", disposition)],
        );
        let bench = Bench::new();
        let ended = bench.run(&[&url, "-d", "in/here"]);
        let directory = bench.file("in/here");
        assert_eq!(names_in(&directory), [name], "{ended:#?}");
        assert_eq!(
            ended.expect(0).stdout,
            format!("{}\n", directory.join(name).display())
        );
        CONTENT.verify_file(&directory.join(name)).unwrap();
        assert_eq!(
            (bench.names(), names_in(&bench.file("in"))),
            (vec!["in".into()], vec!["here".into()])
        );
        bench.assert_no_state();
    });
}

#[test]
fn a_name_of_the_caller_wins_over_the_servers() {
    let (server, url) = serving(Resource::new(CONTENT));
    server.script(
        PATH,
        [Reply::normal().header("Content-Disposition", "attachment; filename=b")],
    );
    let bench = Bench::new();
    bench.run(&[&url, "-o", "mine"]).expect(0);
    bench.assert_only("mine", CONTENT);
}

#[test]
fn a_file_that_exists_is_handled_as_the_caller_says() {
    let before = Content::new(62, 777);
    let cases = vec![
        ("by default", (None, 3, vec![("a.bin", before)])),
        ("fail", (Some("fail"), 3, vec![("a.bin", before)])),
        (
            "overwrite",
            (Some("overwrite"), 0, vec![("a.bin", CONTENT)]),
        ),
        (
            "rename",
            (
                Some("rename"),
                0,
                vec![("a.1.bin", CONTENT), ("a.bin", before)],
            ),
        ),
        ("skip", (Some("skip"), 0, vec![("a.bin", before)])),
    ];
    each(cases, |(policy, code, expected)| {
        for place in [["-d", "."], ["-o", "a.bin"]] {
            let (server, url) = serving(Resource::new(CONTENT));
            let bench = Bench::new();
            before.write_file(&bench.file("a.bin")).unwrap();
            let mut arguments = vec![url.as_str(), place[0], place[1]];
            arguments.extend(policy.iter().flat_map(|policy| ["--if-exists", policy]));
            let ended = bench.run(&arguments);
            ended.expect(code);
            match policy {
                None | Some("fail") => drop(ended.says("overwrite, rename or skip (--if-exists)")),
                Some("skip") => drop(ended.says("exists, skipped")),
                Some(_) => drop(ended.is_silent()),
            }
            let names: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
            assert_eq!(bench.names(), names);
            for (name, content) in &expected {
                bench.assert_file(name, *content);
            }
            bench.assert_no_state();
            if code != 0 || policy == Some("skip") {
                assert!(server.bytes_served(PATH) <= CONTENT.len());
            }
        }
    });
}

#[test]
fn a_file_that_appears_meanwhile_is_not_overwritten() {
    let content = long_content(63);
    let (server, url) = serving(Resource::new(content));
    let bench = Bench::new();
    leave_part(&bench, &server, Reply::normal(), HELD, &[&url]);
    let theirs = Content::new(64, 10);
    theirs.write_file(&bench.file("a.bin")).unwrap();
    bench.run(&[&url]).expect(3).says("--if-exists");
    bench.assert_file("a.bin", theirs);
    bench.run(&[&url, "--if-exists", "rename"]).expect(0);
    bench.assert_file("a.bin", theirs);
    bench.assert_file("a.1.bin", content);
    assert_eq!(bench.names(), ["a.1.bin", "a.bin"]);
    bench.assert_no_state();
}

#[test]
fn a_place_that_can_not_be_used_is_an_error_with_the_next_step() {
    let (server, url) = serving(Resource::new(CONTENT));
    let cases = vec![
        (
            "a missing directory",
            (["-o", "missing/a.bin"], 3, "make it first"),
        ),
        (
            "a file as a directory of a file",
            (["-o", "file/a.bin"], 3, "choose another place"),
        ),
        (
            "a file as the directory",
            (["-d", "file"], 3, "name another one"),
        ),
        (
            "a file on the way",
            (["-d", "file/below"], 3, "name another one"),
        ),
        (
            "a directory as the file",
            (["-o", "directory"], 2, "use -d directory"),
        ),
        ("standard output", (["-o", "-"], 2, "-o FILE")),
    ];
    each(cases, |(place, code, words)| {
        let bench = Bench::new();
        File::create(bench.file("file")).unwrap();
        fs::create_dir(bench.file("directory")).unwrap();
        bench
            .run(&[&url, place[0], place[1]])
            .expect(code)
            .says(words);
        assert_eq!(bench.names(), ["directory", "file"]);
        bench.assert_no_state();
        let ended = bench.run(&[&url, place[0], place[1], "--json"]);
        assert_eq!(ended.expect(code).json().last().unwrap()["exit_code"], code);
    });
    assert!(
        server.requests().is_empty(),
        "nothing is asked for what can not be written"
    );
}

#[test]
fn a_directory_that_takes_no_new_file_is_an_error_and_costs_no_byte() {
    let (server, url) = serving(Resource::new(CONTENT));
    let bench = Bench::new();
    let closed = bench.file("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o555)).unwrap();
    let arguments = [&url, "-o", "closed/a.bin"];
    let mut command = if File::create(closed.join("probe")).is_ok() {
        // Modes do not bind root; they do without its capabilities.
        fs::remove_file(closed.join("probe")).unwrap();
        let mut command = Command::new("setpriv");
        command.args([
            "--inh-caps=-all",
            "--bounding-set=-all",
            env!("CARGO_BIN_EXE_longhaul"),
        ]);
        command.arg("get").args(arguments);
        command
    } else {
        bench.get(&arguments)
    };
    bench.confine(&mut command);
    let ended = bench.finish(bench.start(command));
    ended
        .expect(3)
        .says("allow this user to write there or choose another place");
    ended.says("run the same command again to resume");
    assert!(names_in(&closed).is_empty());
    fs::set_permissions(&closed, Permissions::from_mode(0o755)).unwrap();
    bench.run(&arguments).expect(0);
    assert_eq!(
        server.bytes_served(PATH),
        CONTENT.len(),
        "what was fetched is not fetched again"
    );
    CONTENT.verify_file(&closed.join("a.bin")).unwrap();
    assert_eq!(names_in(&closed), ["a.bin"]);
    bench.assert_no_state();
}

#[test]
fn a_link_that_stands_at_the_target_is_not_followed() {
    let (_server, url) = serving(Resource::new(CONTENT));
    let bench = Bench::new();
    let elsewhere = bench.outputs().join("elsewhere");
    let theirs = Content::new(65, 10);
    theirs.write_file(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, bench.file("a.bin")).unwrap();
    bench.run(&[&url]).expect(3);
    bench.run(&[&url, "--if-exists", "overwrite"]).expect(0);
    theirs.verify_file(&elsewhere).unwrap();
    assert!(!bench.file("a.bin").is_symlink(), "{}", text(&elsewhere));
    bench.assert_only("a.bin", CONTENT);
}
