//! Passwords as real servers ask for them: Basic at both, Digest (MD5, `qop=auth`) at Apache.

use longhaul_support::content::Content;

use crate::bench::{Bench, MIB, SECRET};
use crate::relay::Relay;
use crate::servers::{Kind, Real};

const CONTENT: Content = Content::new(81, 6 * MIB + 3);

const TABLE: [(Kind, &str); 3] = [
    (Kind::Nginx, "/basic/f"),
    (Kind::Apache, "/basic/f"),
    (Kind::Apache, "/digest-auth/f"),
];

#[test]
fn the_right_password_opens_and_a_wrong_one_ends_with_its_code() {
    for (kind, path) in TABLE {
        let server = Real::serving(kind, "f", CONTENT);
        let (url, login) = (server.url(path), server.login());
        let bench = Bench::new();
        bench.run(&[&url]).expect(6).says("-u USER:PASSWORD");
        bench
            .run(&[&url, "-u", &format!("karl:{SECRET}")])
            .expect(6);
        bench.assert_nothing();
        bench.run(&[&url, "-u", &login]).expect(0).is_silent();
        bench.assert_only("f", CONTENT);
    }
}

#[test]
fn a_password_in_the_url_is_used_and_never_shown() {
    for (kind, path) in TABLE {
        let server = Real::serving(kind, "f", CONTENT);
        let bench = Bench::new();
        let url = server.url(path);
        let wrong = url.replacen("://", &format!("://karl:{SECRET}@"), 1);
        bench.run(&[&wrong]).expect(6);
        let right = url.replacen("://", "://karl:p%3Aa%20ss@", 1);
        let ended = bench.run(&[&right]);
        assert!(!format!("{ended:?}").contains("p%3Aa"), "{ended:?}");
        ended.expect(0);
        bench.assert_file("f", CONTENT);
    }
}

#[test]
fn four_connections_answer_the_challenge_each() {
    for (kind, path) in TABLE {
        let server = Real::serving(kind, "f", CONTENT);
        let bench = Bench::new();
        let (url, login) = (server.url(path), server.login());
        bench
            .run(&[&url, "-u", &login, "-x", "4"])
            .expect(0)
            .is_silent();
        bench.assert_only("f", CONTENT);
    }
}

#[test]
fn a_protected_download_goes_on_after_a_cut() {
    for (kind, path) in TABLE {
        let server = Real::serving(kind, "f", CONTENT);
        let relay = Relay::to(&server.url("/"));
        relay.cut_at(4 * MIB);
        let bench = Bench::new();
        let (url, login) = (relay.url(&server.url(path)), server.login());
        bench.run(&[&url, "-u", &login]).expect(0);
        bench.assert_only("f", CONTENT);
        let extra = relay.down_bytes() - CONTENT.len();
        assert!(
            extra < MIB,
            "{kind:?} {path}: {extra} bytes beside the file"
        );
    }
}
