//! Redirects: followed as far as is wise, and what a caller sends never reaches another host.

use longhaul_support::auth::Auth;
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use super::{HELD, PATH, each, leave_part, long_content, serving};
use crate::bench::{Bench, SECRET};

#[test]
fn another_host_receives_neither_credentials_nor_the_callers_fields() {
    let cases = [301, 302, 303, 307, 308]
        .map(|status| ("a status", status))
        .to_vec();
    each(cases, |status| {
        let content = Content::new(31, 90_000);
        let (other, there) = serving(Resource::new(content));
        let (server, url) = serving(Resource::new(content));
        server.script(PATH, [Reply::redirect(status, &there)]);
        let bench = Bench::new();
        let list = bench.outputs().join("list");
        std::fs::write(&list, format!("{url}\n  header=X-From-List: {SECRET}\n")).unwrap();
        let fields = ["Authorization: Bearer", "Cookie: a=", "X-Api-Key:"]
            .map(|name| format!("{name} {SECRET}"));
        let mut arguments = vec!["-i", list.to_str().unwrap(), "-H", "Accept: image/png"];
        for field in &fields {
            arguments.extend(["-H", field]);
        }
        let login = format!("user:{SECRET}");
        arguments.extend(["-u", &login, "-vvv"]);
        bench.run(&arguments).expect(0);
        bench.assert_only("a.bin", content);
        let (here, there) = (&server.requests()[0], &other.requests()[0]);
        for name in ["authorization", "cookie", "x-api-key", "x-from-list"] {
            assert!(
                here.header(name)
                    .is_some_and(|value| value.contains(SECRET)),
                "{name}"
            );
        }
        assert_eq!(
            (here.header("accept"), there.header("accept")),
            (Some("image/png"), Some("image/png"))
        );
        for (name, value) in &there.headers {
            assert!(!value.contains(SECRET), "{name} reached another host");
        }
    });
}

#[test]
fn a_challenge_of_another_host_is_not_answered() {
    let cases = vec![
        ("Basic", Auth::basic("user", SECRET)),
        ("Digest", Auth::digest_sha256("user", SECRET)),
    ];
    each(cases, |auth| {
        let content = Content::new(32, 90_000);
        let (other, there) = serving(Resource::new(content).protected_by(auth));
        let (server, url) = serving(Resource::new(content));
        server.script(PATH, [Reply::redirect(302, &there)]);
        let bench = Bench::new();
        bench
            .run(&[&url, "-u", &format!("user:{SECRET}")])
            .expect(6);
        assert!(
            other
                .requests()
                .iter()
                .all(|request| request.header("authorization").is_none())
        );
        bench.assert_nothing();
    });
}

#[test]
fn the_same_host_receives_what_the_caller_sends() {
    let content = Content::new(33, 90_000);
    let (server, _) = serving(Resource::new(content));
    server.script("/start", [Reply::redirect(302, "a.bin?key=1")]);
    let bench = Bench::new();
    let url = server.url("/start");
    bench
        .run(&[&url, "-H", "X-Api-Key: 7", "-o", "out"])
        .expect(0);
    assert_eq!(server.requests_for(PATH)[0].header("x-api-key"), Some("7"));
    bench.assert_only("out", content);
}

#[test]
fn redirects_that_lead_nowhere_are_errors() {
    let many = "redirected more than";
    let cases = vec![
        ("to itself", (Reply::redirect(302, PATH), vec![], 21, many)),
        (
            "to itself, few allowed",
            (
                Reply::redirect(302, PATH),
                vec!["--max-redirs", "3"],
                4,
                many,
            ),
        ),
        (
            "none allowed",
            (
                Reply::redirect(301, "/b"),
                vec!["--max-redirs", "0"],
                1,
                many,
            ),
        ),
        (
            "without a place",
            (Reply::status(302), vec![], 1, "without saying where"),
        ),
        (
            "to a file",
            (
                Reply::redirect(302, "file:///etc/passwd"),
                vec![],
                1,
                "cannot be fetched",
            ),
        ),
        (
            "to a script",
            (
                Reply::redirect(302, "javascript:alert(1)"),
                vec![],
                1,
                "cannot be fetched",
            ),
        ),
    ];
    each(cases, |(reply, options, requests, words)| {
        let (server, url) = serving(Resource::new(Content::new(34, 10)));
        server.script(PATH, [reply]);
        let bench = Bench::new();
        let arguments: Vec<&str> = [url.as_str()].into_iter().chain(options).collect();
        bench.run(&arguments).expect(7).says(words);
        assert_eq!(server.requests().len(), requests);
        bench.assert_nothing();
    });
}

#[test]
fn after_a_kill_the_original_url_is_asked_again() {
    // Signed places expire: the second run must ask where the file is now.
    let content = long_content(35);
    let (server, old, new) = (Server::start(), Server::start(), Server::start());
    let bench = Bench::new();
    for (place, is_first) in [(&old, true), (&new, false)] {
        place.serve(PATH, Resource::new(content));
        server.script("/latest", [Reply::redirect(302, &place.url(PATH))]);
        let latest = server.url("/latest");
        if is_first {
            leave_part(
                &bench,
                place,
                Reply::normal(),
                HELD,
                &[&latest, "-o", "out"],
            );
        } else {
            bench.run(&[&latest, "-o", "out"]).expect(0);
        }
    }
    assert_eq!(new.requests()[0].range(), Some((HELD, None)));
    bench.assert_only("out", content);
}
