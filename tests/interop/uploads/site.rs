//! Real servers for uploads and the scripted one behind one face: where a file goes, how the server
//! dies and comes back, and what it has at the end.

use longhaul_support::content::Content;
use longhaul_support::peers::{Kind, Peer, Proxy, ProxyKind, Settings};
use longhaul_support::uploads::{Behaviour, UploadServer};

use crate::relay::Relay;

/// The name of the file that is uploaded.
pub(crate) const NAME: &str = "f";

/// A server, running.
#[derive(Debug)]
pub(crate) enum Site {
    /// One that people run.
    Real(Peer),
    /// One behind a proxy that people run.
    Proxied(Proxy, Peer),
    /// Ours, where nobody packs one.
    Scripted(UploadServer),
}

impl Site {
    /// A server that people run.
    pub(crate) fn real(kind: Kind) -> Self {
        Self::real_with(kind, Settings::default())
    }

    /// A server that people run, with these settings.
    pub(crate) fn real_with(kind: Kind, settings: Settings) -> Self {
        let started = Peer::start_with(kind, settings);
        Self::Real(started.unwrap_or_else(|error| panic!("{kind:?}: {error}")))
    }

    /// A tus server behind a proxy that takes bodies of at most so many bytes.
    pub(crate) fn proxied(kind: ProxyKind, body_max_bytes: Option<u64>) -> Self {
        let peer = Peer::start(Kind::TusServer).unwrap_or_else(|error| panic!("{error}"));
        let proxy = Proxy::start_with(kind, &peer.root(), body_max_bytes);
        Self::Proxied(
            proxy.unwrap_or_else(|error| panic!("{kind:?}: {error}")),
            peer,
        )
    }

    /// The scripted server.
    pub(crate) fn scripted(behaviour: Behaviour) -> Self {
        Self::Scripted(UploadServer::start(behaviour))
    }

    /// Where the file goes.
    pub(crate) fn target(&self) -> String {
        match self {
            Self::Real(peer) => peer.target(NAME),
            Self::Proxied(proxy, peer) => proxy.url(&peer.target(NAME)),
            Self::Scripted(server) => server.url("/files"),
        }
    }

    /// Dies with all that it was doing and comes back with all that it had stored.
    pub(crate) fn restart(&mut self) {
        match self {
            Self::Real(peer) | Self::Proxied(_, peer) => {
                peer.kill().unwrap();
                peer.restart().unwrap_or_else(|error| panic!("{error}"));
            }
            Self::Scripted(server) => {
                server.go_away();
                server.come_back();
            }
        }
    }

    /// Checks that the server has the file, byte for byte. All requests went through `relay`.
    #[track_caller]
    pub(crate) fn assert_stored(&self, relay: &Relay, content: Content) {
        match self {
            Self::Real(peer) | Self::Proxied(_, peer) => {
                let places = relay.answered("location");
                let url = places.last().cloned().unwrap_or_else(|| self.target());
                assert_stored_at(peer, &url, content);
            }
            Self::Scripted(server) => {
                let mut uploads = server.uploads();
                uploads.retain(|upload| upload.is_complete);
                assert_eq!(uploads.len(), 1, "{uploads:#?}");
                uploads[0].verify(&content).unwrap();
            }
        }
    }
}

/// Checks that a server has the file under this URL, byte for byte.
#[track_caller]
pub(crate) fn assert_stored_at(peer: &Peer, url: &str, content: Content) {
    assert_eq!(peer.sha256_hex(url).unwrap(), content.sha256_hex());
}
