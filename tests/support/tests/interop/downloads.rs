//! nginx and Apache, asked by curl: they start, serve, and ask for credentials.

use std::process::Command;

use longhaul_support::apache::{self, Apache};
use longhaul_support::content::Content;
use longhaul_support::nginx::{self, Nginx};

const CONTENT: Content = Content::new(41, 1_000_000);

/// Runs curl into a fresh file, checks the file against the content, and returns status and head.
fn fetch(arguments: &[&str]) -> (String, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (body, head) = (dir.path().join("body"), dir.path().join("head"));
    let output = Command::new("curl")
        .args(["-sS", "-w", "%{http_code}", "-o"])
        .arg(&body)
        .arg("-D")
        .arg(&head)
        .args(arguments)
        .output()
        .expect("curl runs: `apt-get install curl` on Debian provides it");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    let status = String::from_utf8_lossy(&output.stdout).into_owned();
    if status == "200" {
        assert_eq!(CONTENT.verify_file(&body), Ok(()), "{arguments:?}");
    }
    let head = std::fs::read_to_string(&head).expect("curl writes the head");
    (status, head.to_ascii_lowercase())
}

#[test]
fn nginx_serves_every_prefix_of_its_table() {
    let server = Nginx::start().expect("nginx starts");
    server.publish("f", &CONTENT).expect("the file is written");
    let authority = server.authority().display().to_string();
    let user = format!("{}:{}", nginx::USERNAME, nginx::PASSWORD);

    let (status, head) = fetch(&[&server.url("/f")]);
    assert!(
        status == "200" && head.contains("\netag: \"") && head.contains("accept-ranges"),
        "{status} {head}"
    );
    assert_eq!(
        fetch(&["--cacert", &authority, &server.tls_url("/f")]).0,
        "200"
    );
    assert_eq!(fetch(&[&server.url("/basic/f")]).0, "401");
    assert_eq!(fetch(&["-u", &user, &server.url("/basic/f")]).0, "200");
    assert_eq!(fetch(&[&server.url("/slow/f")]).0, "200");
    assert_eq!(fetch(&["-r", "5-6", &server.url("/f")]).0, "206");
    assert_eq!(fetch(&["-r", "5-6", &server.url("/no-ranges/f")]).0, "200");
    let (status, head) = fetch(&[&server.url("/no-etag/f")]);
    assert!(status == "200" && !head.contains("\netag:") && head.contains("\nlast-modified:"));
    let (_, head) = fetch(&[&server.digest_url("f", &CONTENT)]);
    let digest = format!("repr-digest: sha-256=:{}:", CONTENT.sha256_base64());
    assert!(head.contains(&digest.to_ascii_lowercase()), "{head}");
    assert_eq!(fetch(&["-L", &server.url("/redirect/f")]).0, "200");
    let log = server.access_log().expect("the log is read");
    assert!(log.contains("206 2 \"bytes=5-6\" /f\n"), "{log}");
}

#[test]
fn apache_serves_every_prefix_of_its_table() {
    let server = Apache::start().expect("Apache starts");
    server.publish("f", &CONTENT).expect("the file is written");
    let authority = server.authority().display().to_string();
    let user = format!("{}:{}", apache::USERNAME, apache::PASSWORD);

    let (status, head) = fetch(&[&server.url("/f")]);
    assert!(
        status == "200" && head.contains("\netag: \"") && head.contains("accept-ranges"),
        "{status} {head}"
    );
    assert_eq!(
        fetch(&["--cacert", &authority, &server.tls_url("/f")]).0,
        "200"
    );
    for (prefix, scheme) in [("basic", "--basic"), ("digest-auth", "--digest")] {
        let url = server.url(&format!("/{prefix}/f"));
        let (status, head) = fetch(&[&url]);
        assert!(
            status == "401" && head.contains("\nwww-authenticate: "),
            "{prefix}"
        );
        assert_eq!(fetch(&[scheme, "-u", &user, &url]).0, "200", "{prefix}");
        assert_eq!(
            fetch(&[scheme, "-u", "karl:wrong", &url]).0,
            "401",
            "{prefix}"
        );
    }
    assert_eq!(fetch(&[&server.url("/slow/f")]).0, "200");
    assert_eq!(fetch(&["-r", "5-6", &server.url("/f")]).0, "206");
    let (_, head) = fetch(&[
        "-H",
        "Accept-Encoding: gzip",
        "--compressed",
        &server.url("/gzip/f"),
    ]);
    assert!(head.contains("\ncontent-encoding: gzip"), "{head}");
    assert_eq!(fetch(&["-L", &server.url("/redirect/f")]).0, "200");
    let log = server.access_log().expect("the log is read");
    assert!(log.contains("206 2 \"bytes=5-6\" /f\n"), "{log}");
}
