//! TLS with a private authority: trusted when it is named, refused when not, cut in the middle.

use longhaul_support::content::Content;

use crate::bench::{Bench, MIB, text};
use crate::relay::Relay;
use crate::servers::{KINDS, Real};

const CONTENT: Content = Content::new(82, 5 * MIB + 9);

/// What one connection costs beside the body: the handshake, heads, and 1 record in 16 KiB.
const TLS_EXTRA: u64 = MIB;

#[test]
fn a_private_authority_is_trusted_when_it_is_named_only() {
    for kind in KINDS {
        let server = Real::serving(kind, "f", CONTENT);
        let other = Real::start(kind);
        let url = server.tls_url("/f");
        let bench = Bench::new();
        bench.run(&[&url]).expect(5).says("--cacert FILE");
        bench
            .run(&[&url, "--cacert", text(&other.authority())])
            .expect(5);
        bench.assert_nothing();
        let authority = server.authority();
        bench
            .run(&[&url, "--cacert", text(&authority)])
            .expect(0)
            .is_silent();
        bench.assert_only("f", CONTENT);
        let bench = Bench::new();
        let arguments = [&url, "--cacert", text(&authority), "-x", "4"];
        bench.run(&arguments).expect(0).is_silent();
        bench.assert_only("f", CONTENT);
    }
}

#[test]
fn plain_http_on_the_tls_port_and_tls_on_the_plain_one_are_told_apart() {
    for kind in KINDS {
        let server = Real::serving(kind, "f", CONTENT);
        let bench = Bench::new();
        bench
            .run(&[&server.url("/f").replacen("http:", "https:", 1)])
            .expect(5);
        bench
            .run(&[&server.tls_url("/f").replacen("https:", "http:", 1)])
            .expect(8);
        bench.assert_nothing();
    }
}

#[test]
fn a_tls_stream_that_ends_without_close_notify_is_no_end_of_a_body() {
    // The server's last byte never came, and nobody said goodbye: the rest is asked for, once.
    for kind in KINDS {
        let server = Real::serving(kind, "f", CONTENT);
        for cut in [3 * MIB + 77, CONTENT.len() - 1] {
            let relay = Relay::to(&server.tls_url("/"));
            relay.cut_at(cut);
            let bench = Bench::new();
            let url = relay.url(&server.tls_url("/f"));
            bench
                .run(&[&url, "--cacert", text(&server.authority())])
                .expect(0);
            bench.assert_only("f", CONTENT);
            let down = relay.down_bytes();
            assert!(
                down < CONTENT.len() + TLS_EXTRA,
                "{kind:?}, cut at {cut}: {down}"
            );
        }
    }
}
