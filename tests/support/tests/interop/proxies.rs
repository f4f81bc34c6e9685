//! Proxies before a tus server: what of an upload reaches it, and when.

use std::process::Command;

use longhaul_support::client::{Call, resolve};
use longhaul_support::content::Content;
use longhaul_support::peers::{Kind, Peer, Proxy, ProxyKind};

const CONTENT: Content = Content::new(52, 1_000_000);

fn behind(kind: ProxyKind) -> (Proxy, Peer) {
    let peer = Peer::start(Kind::TusServer).unwrap_or_else(|error| panic!("{error}"));
    let proxy = Proxy::start(kind, &peer.root()).unwrap_or_else(|error| panic!("{error}"));
    (proxy, peer)
}

fn tus(method: &str, url: &str) -> Call {
    Call::new(method, url).field("Tus-Resumable", "1.0.0")
}

fn create(target: &str) -> String {
    let created = tus("POST", target)
        .field("Upload-Length", CONTENT.len())
        .send(b"")
        .expect("an answer");
    resolve(target, created.head.field("location").expect("a Location"))
}

fn append(url: &str, offset: u64) -> Call {
    tus("PATCH", url)
        .field("Upload-Offset", offset)
        .field("Content-Type", "application/offset+octet-stream")
}

fn offset(url: &str) -> Option<u64> {
    let status = tus("HEAD", url).send(b"").expect("an answer");
    status.head.number("upload-offset")
}

#[test]
fn a_cut_append_reaches_the_server_unless_the_proxy_holds_it_back() {
    for (kind, can_be_kept) in [
        (ProxyKind::Caddy, 1..=600_000),
        (ProxyKind::NginxStreaming, 1..=600_000),
        (ProxyKind::NginxBuffering, 0..=0),
    ] {
        let (proxy, peer) = behind(kind);
        let target = proxy.url(&peer.target("f"));
        let url = create(&target);
        assert!(
            url.starts_with(&target),
            "{kind:?}: {url} is not the proxy's"
        );
        let mut talk = append(&url, 0)
            .length(CONTENT.len())
            .open()
            .expect("it connects");
        talk.write(&CONTENT.bytes(0..600_000)).expect("it is sent");
        talk.cut().expect("the proxy ends the connection");
        // What lies in the buffers of a proxy when its client goes away, it drops.
        let kept = offset(&url).expect("an offset");
        assert!(can_be_kept.contains(&kept), "{kind:?}: {kept}");
        let rest = CONTENT.bytes(kept..CONTENT.len());
        let finished = append(&url, kept).send(&rest).expect("an answer");
        assert_eq!(finished.head.status, 204, "{kind:?}");
        let digest = peer.sha256_hex(&url).expect("the file is there");
        assert_eq!(digest, CONTENT.sha256_hex(), "{kind:?}");
    }
}

#[test]
fn a_proxy_may_refuse_a_body_that_the_server_would_take() {
    let peer = Peer::start(Kind::TusServer).unwrap_or_else(|error| panic!("{error}"));
    for kind in [ProxyKind::NginxBuffering, ProxyKind::NginxStreaming] {
        let proxy = Proxy::start_with(kind, &peer.root(), Some(100_000))
            .unwrap_or_else(|error| panic!("{error}"));
        let url = create(&proxy.url(&peer.target("f")));
        let part = |bytes: u64| append(&url, 0).send(&CONTENT.bytes(0..bytes));
        assert_eq!(part(100_001).expect("an answer").head.status, 413);
        assert_eq!(part(100_000).expect("an answer").head.status, 204);
    }
    assert!(Proxy::start_with(ProxyKind::Caddy, &peer.root(), Some(1)).is_err());
}

#[test]
fn caddy_is_reached_over_tls_in_both_versions_and_names_itself() {
    let (proxy, peer) = behind(ProxyKind::Caddy);
    let target = proxy.tls_url(&peer.target("f"));
    for (option, version) in [("--http1.1", "HTTP/1.1"), ("--http2", "HTTP/2")] {
        let output = Command::new("curl")
            .args(["-sS", "-i", option, "-X", "POST", "--cacert"])
            .arg(proxy.authority())
            .args(["-H", "Tus-Resumable: 1.0.0", "-H", "Upload-Length: 1"])
            .arg(&target)
            .output()
            .expect("curl runs: `apt-get install curl` on Debian provides it");
        let head = String::from_utf8_lossy(&output.stdout).to_ascii_lowercase();
        let location = format!("location: {target}/");
        assert!(
            head.starts_with(&version.to_ascii_lowercase()) && head.contains(&location),
            "{head}{output:?}"
        );
    }
}
