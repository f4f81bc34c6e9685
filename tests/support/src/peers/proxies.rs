//! Proxies between a client and a server that takes uploads: caddy with TLS, nginx with its
//! buffers.

use std::path::{Path, PathBuf};

use super::dav::write_nginx;
use super::installed::find;
use crate::certificates::Certificates;
use crate::real::{Ports, RealServer, find_daemon, write};

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyKind {
    /// caddy, HTTP/1.1 and HTTP/2, plain and over TLS. It passes a 104 on at once.
    Caddy,
    /// nginx as it is by default: the server behind it sees a request when all of it has come.
    NginxBuffering,
    /// nginx with `proxy_request_buffering off`, and HTTP/1.1 to the server.
    NginxStreaming,
}

/// What makes nginx pass a body on as it comes.
const STREAMING: &str = "proxy_request_buffering off; proxy_http_version 1.1;";

/// A running proxy. Dropping it kills it.
#[derive(Debug)]
pub struct Proxy {
    kind: ProxyKind,
    server: RealServer,
}

impl Proxy {
    /// Starts a proxy before the server of `url`, whose path does not count. The error says what
    /// the proxy said, or how to install it.
    pub fn start(kind: ProxyKind, url: &str) -> Result<Self, String> {
        Self::start_with(kind, url, None)
    }

    /// As [`Proxy::start`], and refuses longer bodies with 413. nginx only.
    pub fn start_with(
        kind: ProxyKind,
        url: &str,
        body_max_bytes: Option<u64>,
    ) -> Result<Self, String> {
        let origin = authority(url)?;
        if kind == ProxyKind::Caddy && body_max_bytes.is_some() {
            return Err("caddy has no limit here".into());
        }
        let program = match kind {
            ProxyKind::Caddy => find("venv/bin/caddy")?,
            ProxyKind::NginxBuffering | ProxyKind::NginxStreaming => {
                find_daemon("nginx", "nginx-light")?
            }
        };
        let prepare = |dir: &Path, ports: Ports| match kind {
            ProxyKind::Caddy => caddy(dir, ports, origin),
            ProxyKind::NginxBuffering => nginx(dir, ports, body_max_bytes, origin, ""),
            ProxyKind::NginxStreaming => nginx(dir, ports, body_max_bytes, origin, STREAMING),
        };
        let server = RealServer::start(&program, prepare)?;
        Ok(Self { kind, server })
    }

    /// Which proxy it is.
    pub fn kind(&self) -> ProxyKind {
        self.kind
    }

    /// `url` of the server behind it, without TLS, as the proxy has it.
    pub fn url(&self, url: &str) -> String {
        self.server.url(path(url))
    }

    /// `url` of the server behind it, over TLS and by name, as the proxy has it. caddy only.
    pub fn tls_url(&self, url: &str) -> String {
        self.server.tls_url(path(url))
    }

    /// The PEM file of the private authority that caddy's certificate comes from.
    pub fn authority(&self) -> PathBuf {
        self.server.path("ca.pem")
    }
}

fn caddy(dir: &Path, ports: Ports, origin: &str) -> Result<Vec<String>, String> {
    let certificates = Certificates::make_in(dir)?;
    let (certificate, key) = (
        certificates.certificate.display(),
        certificates.key.display(),
    );
    let Ports { plain, tls } = ports;
    let configuration = format!(
        r#"{{
	admin off
	auto_https off
	skip_install_trust
	servers {{
		protocols h1 h2
	}}
}}
http://127.0.0.1:{plain} {{
	bind 127.0.0.1
	reverse_proxy {origin}
}}
https://localhost:{tls} {{
	bind 127.0.0.1
	tls {certificate} {key}
	reverse_proxy {origin}
}}
"#
    );
    let path = write(dir, "Caddyfile", &configuration)?;
    Ok(["run", "--config", &path, "--adapter", "caddyfile"]
        .map(String::from)
        .to_vec())
}

fn nginx(
    dir: &Path,
    ports: Ports,
    body_max_bytes: Option<u64>,
    origin: &str,
    streaming: &str,
) -> Result<Vec<String>, String> {
    let location = format!(
        "location / {{
      proxy_pass http://{origin};
      proxy_set_header Host $http_host;
      {streaming}
    }}"
    );
    write_nginx(dir, ports, body_max_bytes, &location)
}

/// Host and port of a plain URL.
fn authority(url: &str) -> Result<&str, String> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| format!("{url} is no plain URL"))?;
    Ok(rest.split('/').next().unwrap_or_default())
}

/// The path of a plain URL.
fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("/", |slash| &rest[slash..])
}
