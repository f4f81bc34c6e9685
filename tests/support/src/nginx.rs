//! A real nginx on loopback: plain and TLS, Basic auth, a slow location, digests, redirects.

use std::io;
use std::path::{Path, PathBuf};

use crate::certificates::{Certificates, openssl};
use crate::content::Content;
use crate::real::{Ports, RealServer, find_daemon, write};

/// The user whom `/basic/` lets in.
pub const USERNAME: &str = "karl";
/// The password of [`USERNAME`].
pub const PASSWORD: &str = "p:a ss";
/// Bytes a second that one connection to `/slow/` gets.
pub const SLOW_BYTES_PER_SECOND: u64 = 4 * 1024 * 1024;

/// A running nginx with one process, `sendfile` on, and a document root of its own. Each published
/// file is found under several prefixes:
///
/// | prefix | what differs |
/// |---|---|
/// | `/` | nothing |
/// | `/basic/` | needs Basic credentials ([`USERNAME`], [`PASSWORD`]) |
/// | `/slow/` | [`SLOW_BYTES_PER_SECOND`] on each connection |
/// | `/no-ranges/` | takes no ranges |
/// | `/no-etag/` | `Last-Modified` only |
/// | `/digest/` | `Repr-Digest` as the query says, see [`Nginx::digest_url`] |
/// | `/redirect/` | 302 to the same file under `/` |
///
/// Dropping it kills the server and removes its files.
#[derive(Debug)]
pub struct Nginx {
    server: RealServer,
}

impl Nginx {
    /// Starts nginx. The error says what nginx said, or how to install it.
    pub fn start() -> Result<Self, String> {
        let program = find_daemon("nginx", "nginx-light")?;
        RealServer::start(&program, prepare).map(|server| Self { server })
    }

    /// The URL of `path` (with leading slash) without TLS.
    pub fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// The URL of `path` (with leading slash) over TLS, by name.
    pub fn tls_url(&self, path: &str) -> String {
        self.server.tls_url(path)
    }

    /// The plain URL under which `name` comes with the right `Repr-Digest` of `content`, or with a
    /// wrong one if `content` is not what was published.
    pub fn digest_url(&self, name: &str, content: &Content) -> String {
        self.url(&format!(
            "/digest/{name}?sha256={}",
            content.sha256_base64()
        ))
    }

    /// The PEM file of the private authority that the server's certificate comes from.
    pub fn authority(&self) -> PathBuf {
        self.server.path("ca.pem")
    }

    /// The directory whose files are served.
    pub fn document_root(&self) -> PathBuf {
        self.server.path("www")
    }

    /// Writes `content` into the document root as `name`, dated back into 2025 by its seed, so that
    /// both validators are strong and differ between contents.
    pub fn publish(&self, name: &str, content: &Content) -> io::Result<PathBuf> {
        self.server.publish(name, content)
    }

    /// One line for each finished request: status, body bytes sent, `Range` (or `-`), path.
    pub fn access_log(&self) -> io::Result<String> {
        self.server.access_log()
    }

    /// The process id of the server.
    pub fn id(&self) -> u32 {
        self.server.id()
    }
}

fn prepare(dir: &Path, ports: Ports) -> Result<Vec<String>, String> {
    Certificates::make_in(dir)?;
    let hash = openssl(&["passwd", "-apr1", PASSWORD])?;
    write(dir, "users", &format!("{USERNAME}:{hash}"))?;
    let path = write(dir, "nginx.conf", &configuration(dir, ports))?;
    let log = dir.join("error.log").display().to_string();
    Ok(["-p", &dir.display().to_string(), "-c", &path, "-e", &log]
        .map(String::from)
        .to_vec())
}

/// One process without a master: a kill leaves nobody behind.
fn configuration(dir: &Path, Ports { plain, tls }: Ports) -> String {
    let dir = dir.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {dir}/temp-{kind};\n"))
        .concat();
    format!(
        r#"daemon off;
master_process off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 1024; }}
http {{
{temporary}  log_format counted '$status $body_bytes_sent "$http_range" $uri';
  access_log {dir}/access.log counted;
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  server {{
    listen 127.0.0.1:{plain} backlog=1024;
    listen 127.0.0.1:{tls} ssl backlog=1024;
    ssl_certificate {dir}/server.pem;
    ssl_certificate_key {dir}/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    keepalive_requests 100000;
    root {dir}/www;
    location /basic/ {{
      alias {dir}/www/;
      auth_basic "longhaul test";
      auth_basic_user_file {dir}/users;
    }}
    location /slow/ {{ alias {dir}/www/; limit_rate {SLOW_BYTES_PER_SECOND}; }}
    location /no-ranges/ {{ alias {dir}/www/; max_ranges 0; }}
    location /no-etag/ {{ alias {dir}/www/; etag off; }}
    location /digest/ {{
      alias {dir}/www/;
      add_header Repr-Digest "sha-256=:$arg_sha256:";
    }}
    location /redirect/ {{ rewrite ^/redirect/(.*)$ /$1 redirect; }}
  }}
}}
"#
    )
}
