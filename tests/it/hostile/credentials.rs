//! Passwords: Basic and Digest, right, wrong and missing; and that they are never printed.

use longhaul_support::auth::Auth;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;

use super::{HELD, PATH, each, leave_part, long_content, serving};
use crate::bench::{Bench, SECRET};

/// Both schemes with the same name and password.
fn schemes() -> Vec<(&'static str, Auth)> {
    vec![
        ("Basic", Auth::basic("user", SECRET)),
        ("Digest", Auth::digest_sha256("user", SECRET)),
    ]
}

#[test]
fn the_right_password_opens_the_door_on_every_connection() {
    each(schemes(), |auth| {
        let content = long_content(21);
        let (server, url) = serving(Resource::new(content).protected_by(auth));
        let bench = Bench::new();
        let login = format!("user:{SECRET}");
        bench
            .run(&[&url, "-u", &login, "-x", "4", "-vvv"])
            .expect(0);
        bench.assert_only("a.bin", content);
        let requests = server.requests_for(PATH);
        let unasked = requests
            .iter()
            .filter(|request| request.header("authorization").is_none());
        assert_eq!(
            unasked.count(),
            1,
            "only the first request goes without: {requests:#?}"
        );
    });
}

#[test]
fn a_password_in_the_url_is_used_and_not_shown() {
    each(schemes(), |auth| {
        let content = long_content(22);
        let (_server, url) = serving(Resource::new(content).protected_by(auth));
        let with_password = url.replace("http://", &format!("http://user:{SECRET}@"));
        let bench = Bench::new();
        let ended = bench.run(&[&with_password, "--json", "-vvv"]);
        assert_eq!(ended.expect(0).json_event("finished")["url"], url.as_str());
        bench.assert_only("a.bin", content);
    });
}

#[test]
fn wrong_or_missing_credentials_fail_with_the_next_step() {
    each(schemes(), |auth| {
        let (server, url) = serving(Resource::new(long_content(23)).protected_by(auth));
        let bench = Bench::new();
        let wrong = format!("user:not-{SECRET}");
        bench.run(&[&url]).expect(6).says("-u USER:PASSWORD");
        assert_eq!(server.requests_for(PATH).len(), 1);
        bench.assert_nothing();
        bench
            .run(&[&url, "-u", &wrong, "-vvv"])
            .expect(6)
            .says("-u USER:PASSWORD");
        assert_eq!(
            server.requests_for(PATH).len(),
            3,
            "a refused password is not tried again"
        );
        bench.assert_nothing();
        let ended = bench.run(&[&url, "-u", &wrong, "--json"]);
        assert_eq!(
            ended.expect(6).json_event("failed")["code"],
            "authentication"
        );
        bench.assert_nothing();
    });
}

#[test]
fn a_door_that_shuts_half_way_keeps_the_bytes_until_the_password_comes() {
    each(schemes(), |auth| {
        let content = long_content(24);
        let (server, url) = serving(Resource::new(content));
        let bench = Bench::new();
        leave_part(&bench, &server, Reply::normal(), HELD, &[&url]);
        server.serve(PATH, Resource::new(content).protected_by(auth));
        bench
            .run(&[&url])
            .expect(6)
            .says("run the same command again to resume");
        let before = server.requests_for(PATH).len();
        bench
            .run(&[&url, "-u", &format!("user:{SECRET}")])
            .expect(0);
        let resumed = server.requests_for(PATH);
        assert_eq!(
            resumed.last().unwrap().range(),
            Some((HELD, None)),
            "{resumed:#?}"
        );
        assert!(resumed.len() - before <= 2, "{resumed:#?}");
        bench.assert_only("a.bin", content);
    });
}

#[test]
fn no_secret_of_a_request_is_printed_whatever_happens() {
    let cases = vec![
        ("good", Reply::normal()),
        ("not found", Reply::status(404)),
        ("not now", Reply::status(503)),
        ("broken", Reply::normal().add_header("Content-Length", "7")),
        ("cut", Reply::normal().truncate_at(1000)),
    ];
    each(cases, |reply| {
        let (server, url) = serving(Resource::new(long_content(25)));
        server.script(PATH, [reply]);
        let url = url.replace("http://", &format!("http://user:{SECRET}@"));
        let url = format!("{url}?X-Amz-Signature={SECRET}&token={SECRET}");
        let header = format!("Authorization: Bearer {SECRET}");
        let cookie = format!("Cookie: session={SECRET}");
        for output in ["-vvv", "--json", "--no-progress"] {
            let bench = Bench::new();
            let ended = bench.run(&[&url, "-H", &header, "-H", &cookie, "--retry", "0", output]);
            let code = ended.code().unwrap();
            ended.expect(code);
        }
    });
}
