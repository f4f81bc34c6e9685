//! Uploads through proxies: caddy with TLS, which passes a 104 on, and nginx with its limits.

use longhaul_support::content::Content;
use longhaul_support::peers::{Kind, Peer, Proxy, ProxyKind};
use longhaul_support::uploads::{Behaviour, Discovery, UploadServer};

use super::site::{NAME, Site, assert_stored_at};
use crate::bench::{Bench, Ended, MIB, names_in, text};
use crate::relay::Relay;

const CONTENT: Content = Content::new(502, 24 * MIB + 7);

/// What may be sent twice, heads and TLS included: what lay in the buffers of a proxy.
const TWICE_MAX: u64 = 8 * MIB;

fn caddy_before(url: &str) -> Proxy {
    Proxy::start(ProxyKind::Caddy, url).unwrap_or_else(|error| panic!("{error}"))
}

/// Uploads through TLS of a proxy and a relay that cuts it in the middle, and checks what went.
fn cut_in_the_middle(proxy: &Proxy, target: &str) -> (Relay, Ended) {
    let bench = Bench::new();
    CONTENT.write_file(&bench.file(NAME)).unwrap();
    let relay = Relay::to(&proxy.tls_url(target));
    let url = relay.url(&proxy.tls_url(target));
    let authority = proxy.authority();
    let arguments = [NAME, &url, "--cacert", text(&authority), "--json"];
    relay.hold_at(CONTENT.len() / 2);
    let process = bench.start(bench.put(&arguments));
    assert!(relay.wait_until_held(), "{}", process.stdout().unwrap());
    relay.cut();
    let ended = bench.finish(process);
    let sent = relay.up_bytes();
    ended.expect(0);
    assert!(
        (CONTENT.len()..CONTENT.len() + TWICE_MAX).contains(&sent),
        "{sent}"
    );
    (relay, ended)
}

/// The name of the one upload that a server has; its URL went by over TLS.
fn only_name(peer: &Peer) -> String {
    let mut names = names_in(peer.file(NAME).parent().unwrap());
    // Beside each there is what the server knows of it.
    names.retain(|name| !name.ends_with(".json"));
    assert_eq!(names.len(), 1, "{names:?}");
    names.remove(0)
}

#[test]
fn a_104_that_caddy_passes_on_over_tls_makes_an_upload_resumable() {
    // The server does not say by OPTIONS what it speaks: only the 104 does.
    let server = UploadServer::start(Behaviour::ietf(6).discovery(Discovery::Nothing));
    let target = server.url("/files");
    let (_relay, ended) = cut_in_the_middle(&caddy_before(&target), &target);
    let negotiated = ended.json_event("negotiated");
    assert_eq!(negotiated["evidence"], "interim", "{negotiated}");
    assert_eq!(negotiated["interop"], 6);
    server.only_upload().verify(&CONTENT).unwrap();
    let asked = server.requests();
    let methods: Vec<_> = asked.iter().map(|it| it.method.as_str()).collect();
    assert_eq!(methods, ["OPTIONS", "PUT", "HEAD", "PATCH"]);
}

#[test]
fn a_tus_server_behind_caddy_gets_the_file_over_tls() {
    let peer = Peer::start(Kind::TusServer).unwrap_or_else(|error| panic!("{error}"));
    let target = peer.target(NAME);
    let (_relay, ended) = cut_in_the_middle(&caddy_before(&target), &target);
    assert_eq!(ended.json_event("negotiated")["protocol"], "tus");
    assert_stored_at(&peer, &only_name(&peer), CONTENT);
}

#[test]
fn a_limit_of_nginx_for_one_body_makes_pieces_shorter() {
    for kind in [ProxyKind::NginxBuffering, ProxyKind::NginxStreaming] {
        let site = Site::proxied(kind, Some(5 * MIB));
        let relay = Relay::to(&site.target());
        let bench = Bench::new();
        CONTENT.write_file(&bench.file(NAME)).unwrap();
        bench.run_put(&[NAME, &relay.url(&site.target())]).expect(0);
        site.assert_stored(&relay, CONTENT);
        // 24 MiB, 12 MiB and 6 MiB are too much, so nine pieces of 3 MiB are sent. The server answers
        // OPTIONS and each of these with 204.
        let answers = [413, 204].map(|status| relay.answers(status));
        assert_eq!(answers, [3, 1 + 9], "{kind:?}");
    }
}
