//! Tests of what command lines mean.

use clap::Parser as _;

use longhaul::{Destination, DownloadRequest, UploadRequest};

use super::*;
use crate::args::{Args, Command};

/// What `longhaul get` with these arguments would do, in a state directory that is never made.
fn plan(line: &[&str]) -> Result<Plan<Vec<DownloadRequest>>, Fault> {
    let line = ["longhaul", "get", "--state-dir", "/nowhere"]
        .iter()
        .chain(line);
    match Args::try_parse_from(line).unwrap().command {
        Command::Get(args) => get(*args),
        _ => panic!("another command"),
    }
}

/// What `longhaul put` with these arguments would do.
fn put_plan(line: &[&str]) -> Result<Plan<UploadRequest>, Fault> {
    let line = ["longhaul", "put", "--state-dir", "/nowhere"]
        .iter()
        .chain(line);
    match Args::try_parse_from(line).unwrap().command {
        Command::Put(args) => put(*args),
        _ => panic!("another command"),
    }
}

fn fault(line: &[&str]) -> Fault {
    plan(line).map(|_| ()).unwrap_err()
}

fn list(text: &str) -> (tempfile::TempDir, String) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("list");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (root, path)
}

#[test]
fn a_url_alone_goes_into_the_current_directory_under_a_name_chosen_later() {
    let plan = plan(&["http://h/a"]).unwrap();
    let here = std::fs::canonicalize(".").unwrap();
    assert_eq!(
        *plan.requests[0].destination(),
        Destination::Directory(here)
    );
    assert_eq!(plan.retry.retries_max, 10);
}

#[test]
fn a_list_names_files_directories_and_options() {
    let (root, path) = list(
        "http://h/a\nhttp://h/b\n  out=x/b\nhttp://h/c\n  dir=DIR/z\n  out=c\n  header=A: b\n\
         \x20 checksum=md5=d41d8cd98f00b204e9800998ecf8427e\n",
    );
    let root = std::fs::canonicalize(root.path()).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("DIR", root.to_str().unwrap())).unwrap();
    let dir = root.join("d");
    let plan = plan(&["-i", &path, "-d", dir.to_str().unwrap()]).unwrap();
    let places: Vec<_> = plan
        .requests
        .iter()
        .map(|r| r.destination().clone())
        .collect();
    let expected = [
        Destination::Directory(dir.clone()),
        Destination::File(dir.join("x/b")),
        Destination::File(root.join("z/c")),
    ];
    assert_eq!(places, expected);
}

#[test]
fn options_do_not_change_the_directory_of_the_state() {
    let plain = plan(&["http://h/a"]).unwrap().directory.path();
    let line = [
        "http://u:p@h/a",
        "-x4",
        "-H",
        "A: b",
        "-j2",
        "--if-exists",
        "skip",
        "-c",
    ];
    assert_eq!(plan(&line).unwrap().directory.path(), plain);
    assert_ne!(plan(&["http://h/b"]).unwrap().directory.path(), plain);
}

#[test]
fn the_same_download_named_twice_is_one() {
    let plan = plan(&["http://h/a", "http://h/b", "http://h/a"]).unwrap();
    assert_eq!(plan.requests.len(), 2);
}

#[test]
fn usage_errors_name_their_place_and_the_next_step_and_no_secret() {
    let (_root, same) = list("http://h/a\n  out=x\n# c\nhttp://h/b\n  out=x\n");
    let (_root, bad) = list("http://h/\nhush://h\n");
    let table: [(&[&str], &str); 12] = [
        (
            &["http://h/a", "http://h/b", "-o", "x"],
            "-o names one file",
        ),
        (
            &["http://h/a", "http://h/b", "--checksum", "md5=00"],
            "--checksum is of one file",
        ),
        (
            &["http://h/a", "--checksum", "md5=00"],
            "the md5 checksum has 2",
        ),
        (
            &["http://h/a", "hush"],
            "url 2: the url does not begin with http",
        ),
        (
            &["-i", &same],
            "the list's url in line 4: it writes the same file as url 1",
        ),
        (
            &["-i", &bad],
            "the list's url in line 2: the url does not begin",
        ),
        (&["http://h/a", "-H", "hush"], "a header without a colon"),
        (
            &["http://h/a", "-H", "Range: hush"],
            "the header Range is set by the engine",
        ),
        (
            &["http://h/a", "-u", "hush"],
            "the login has no name or no password",
        ),
        (
            &["http://h/a", "--proxy", "hush"],
            "the proxy is not understood",
        ),
        (
            &["http://h/a", "--idle-timeout", "0"],
            "the timeout for a request is zero",
        ),
        (&["http://h/a", "-o", "-"], "standard output can not"),
    ];
    for (line, text) in table {
        let fault = fault(line);
        let shown = fault.to_string();
        assert!(shown.starts_with(text), "{line:?}: {shown}");
        assert!(shown.contains(';') && !shown.contains("hush"), "{shown}");
        assert_eq!(fault.exit().code(), 2, "{shown}");
    }
}

#[test]
fn files_that_can_not_be_read_are_faults_of_files() {
    let table: [&[&str]; 3] = [
        &["-i", "/nowhere/list"],
        &["http://h/a", "--cacert", "/nowhere/pem"],
        &["http://h/a", "-H", "@/nowhere/headers"],
    ];
    for line in table {
        assert_eq!(fault(line).exit().code(), 3, "{line:?}");
    }
}

#[test]
fn headers_come_from_the_line_and_from_files() {
    let (_root, path) = list("Accept: a\n\nAuthorization: hush\n");
    let plan = plan(&["http://h/a", "-H", &format!("@{path}"), "-H", "X: y"]).unwrap();
    let shown = format!("{:?}", plan.configuration);
    assert!(shown.contains("Authorization") && shown.contains('X') && !shown.contains("hush"));
}

#[test]
fn what_is_shown_follows_the_options() {
    let table = [
        ("--json", Output::Json),
        ("-q", Output::Quiet),
        ("-v", Output::Plain),
    ];
    for (option, output) in table {
        assert_eq!(
            plan(&["http://h/a", option]).unwrap().output,
            output,
            "{option}"
        );
    }
}

/// A file to upload.
fn source() -> (tempfile::TempDir, String) {
    let root = tempfile::tempdir().unwrap();
    let path = std::fs::canonicalize(root.path()).unwrap().join("a b");
    std::fs::write(&path, "bytes").unwrap();
    let path = path.to_str().unwrap().to_owned();
    (root, path)
}

#[test]
fn a_file_is_put_under_its_name_into_a_collection_and_created_at_a_place_for_that() {
    let (_root, path) = source();
    let table: [(&[&str], &str); 7] = [
        (&["http://h/d/"], "http://h/d/a%20b"),
        (
            &["http://h/d/", "-X", "put", "--protocol", "plain"],
            "http://h/d/a%20b",
        ),
        (&["http://h/d"], "http://h/d"),
        (&["http://h/d/", "-X", "POST"], "http://h/d/"),
        (&["http://h/d/", "--protocol", "tus"], "http://h/d/"),
        (&["http://h/d/", "--protocol", "ietf=5"], "http://h/d/"),
        (&["http://h/d/", "-u", "a:b"], "http://h/d/a%20b"),
    ];
    for (line, url) in table {
        let line: Vec<&str> = [path.as_str()].iter().chain(line).copied().collect();
        let plan = put_plan(&line).unwrap();
        assert_eq!(plan.requests.url().as_str(), url, "{line:?}");
        assert_eq!(plan.requests.source(), Path::new(&path));
    }
}

#[test]
fn an_upload_is_found_again_whatever_its_options() {
    let (root, path) = source();
    let name = |line: &[&str]| put_plan(line).unwrap().directory.path();
    let plain = name(&[&path, "http://h/d/"]);
    let same = root.path().join("x/../a b");
    std::fs::create_dir(root.path().join("x")).unwrap();
    let same = same.to_str().unwrap();
    let options = ["--checksum", "sha1", "-HA: b", "--protocol", "plain", "-q"];
    let line: Vec<&str> = [same, "http://u:p@h:80/d/a%20b", "-X", "put"]
        .iter()
        .chain(&options)
        .copied()
        .collect();
    assert_eq!(name(&line), plain);
    assert_ne!(name(&[&path, "http://h/d/", "-X", "POST"]), plain);
}

#[test]
fn what_can_not_be_put_is_refused_with_the_next_step_and_no_secret() {
    let (_root, path) = source();
    let path = path.as_str();
    let table: [(&[&str], &str, u8); 9] = [
        (&["-", "http://h/"], "standard input can not", 2),
        (
            &["/nowhere/f", "http://h/"],
            "/nowhere/f can not be read",
            3,
        ),
        (&["/dev/null", "http://h/"], "/dev/null is no file", 3),
        (&[path, "hush/"], "the url does not begin with http", 2),
        (
            &[path, "http://h/", "-X", "GET"],
            "a file can not be sent",
            2,
        ),
        (
            &[path, "http://h/", "-u", "hush"],
            "the login has no name",
            2,
        ),
        (
            &[path, "http://h/", "-H", "hush"],
            "a header without a colon",
            2,
        ),
        (
            &[path, "http://h/", "-H", "Content-Length: 5"],
            "the header Content-Length is set by the engine",
            2,
        ),
        (
            &[
                path,
                "http://h/",
                "--metadata",
                "a=b",
                "--metadata",
                "a=hush",
            ],
            "that can not be told of the file",
            2,
        ),
    ];
    for (line, text, code) in table {
        let fault = put_plan(line).map(|_| ()).unwrap_err();
        let shown = fault.to_string();
        assert!(shown.starts_with(text), "{line:?}: {shown}");
        assert!(shown.contains(';') && !shown.contains("hush"), "{shown}");
        assert_eq!(fault.exit().code(), code, "{shown}");
    }
}

#[test]
fn an_upload_that_something_else_has_begun_is_named_on_the_line_or_in_a_file() {
    let (root, path) = source();
    let own = "http://h/d/1?key=hush";
    let file = root.path().join("own");
    std::fs::write(&file, format!("{own}\n")).unwrap();
    let from_file = format!("@{}", file.display());
    let line = |own| {
        [
            &path,
            "http://h/d/",
            "--protocol",
            "tus",
            "--upload-url",
            own,
        ]
    };
    let plans = [own, &from_file].map(|own| put_plan(&line(own)).unwrap());
    for plan in &plans {
        assert_eq!(plan.requests.begun_at().unwrap().as_str(), own);
        assert_eq!(plan.requests.url().as_str(), "http://h/d/");
        assert!(!format!("{:?}", plan.requests).contains("hush"));
    }
    let [first, second] = plans.map(|plan| plan.directory.path());
    assert_eq!(first, second);
    let without = put_plan(&[&path, "http://h/d/", "--protocol", "tus"]).unwrap();
    assert_ne!(without.directory.path(), first);
    for (line, says) in [
        (
            vec![path.as_str(), "http://h/d/", "--upload-url", own],
            "tus or the IETF",
        ),
        (line("/d/1").to_vec(), "http"),
        (line("@/nowhere/own").to_vec(), "can not be read"),
    ] {
        let fault = put_plan(&line).map(|_| ()).unwrap_err();
        assert!(fault.to_string().contains(says), "{fault}");
    }
}

#[test]
fn the_fields_of_an_upload_are_its_own() {
    let (_root, path) = source();
    let plan = put_plan(&[&path, "http://h/a", "-H", "Content-Type: hush"]).unwrap();
    let shown = format!("{:?}{:?}", plan.requests, plan.configuration);
    assert!(
        shown.contains("Content-Type") && !shown.contains("hush"),
        "{shown}"
    );
}
