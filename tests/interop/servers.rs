//! nginx and Apache behind one face, for tests that ask the same of both.

use std::fs::File;
use std::path::PathBuf;
use std::time::SystemTime;

use longhaul_support::apache::{self, Apache};
use longhaul_support::content::Content;
use longhaul_support::nginx::{self, Nginx};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Apache,
}

/// Both, for tables.
pub(crate) const KINDS: [Kind; 2] = [Kind::Nginx, Kind::Apache];

/// A running server; dropping it kills it.
#[derive(Debug)]
pub(crate) enum Real {
    Nginx(Nginx),
    Apache(Apache),
}

impl Real {
    /// Starts a server of this kind.
    pub(crate) fn start(kind: Kind) -> Self {
        match kind {
            Kind::Nginx => Self::Nginx(Nginx::start().unwrap_or_else(|error| panic!("{error}"))),
            Kind::Apache => Self::Apache(Apache::start().unwrap_or_else(|error| panic!("{error}"))),
        }
    }

    /// Starts a server of this kind that has `content` as `name`.
    pub(crate) fn serving(kind: Kind, name: &str, content: Content) -> Self {
        let server = Self::start(kind);
        server.publish(name, content);
        server
    }

    /// Puts `content` under `name`, with validators of its own. The same content gets the same
    /// validators from every server of one kind.
    pub(crate) fn publish(&self, name: &str, content: Content) {
        let published = match self {
            Self::Nginx(server) => server.publish(name, &content),
            Self::Apache(server) => server.publish(name, &content),
        };
        published.unwrap();
    }

    /// Changes when `name` was last modified.
    pub(crate) fn date(&self, name: &str, moment: SystemTime) {
        let root = match self {
            Self::Nginx(server) => server.document_root(),
            Self::Apache(server) => server.document_root(),
        };
        let file = File::options().write(true).open(root.join(name)).unwrap();
        file.set_modified(moment).unwrap();
    }

    /// The URL of `path` without TLS.
    pub(crate) fn url(&self, path: &str) -> String {
        match self {
            Self::Nginx(server) => server.url(path),
            Self::Apache(server) => server.url(path),
        }
    }

    /// The URL of `path` over TLS.
    pub(crate) fn tls_url(&self, path: &str) -> String {
        match self {
            Self::Nginx(server) => server.tls_url(path),
            Self::Apache(server) => server.tls_url(path),
        }
    }

    /// The certificate of its private authority.
    pub(crate) fn authority(&self) -> PathBuf {
        match self {
            Self::Nginx(server) => server.authority(),
            Self::Apache(server) => server.authority(),
        }
    }

    /// The user and password that its protected paths let in, as `-u` takes them.
    pub(crate) fn login(&self) -> String {
        match self {
            Self::Nginx(_) => format!("{}:{}", nginx::USERNAME, nginx::PASSWORD),
            Self::Apache(_) => format!("{}:{}", apache::USERNAME, apache::PASSWORD),
        }
    }
}
