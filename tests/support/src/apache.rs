//! A real Apache on loopback: plain and TLS, Basic and Digest (MD5) auth, a slow and a gzip path.

use std::io;
use std::path::{Path, PathBuf};

use crate::certificates::{Certificates, openssl};
use crate::content::Content;
use crate::real::{Ports, RealServer, find_daemon, is_root, run, write};

/// The user whom `/basic/` and `/digest-auth/` let in.
pub const USERNAME: &str = "karl";
/// The password of [`USERNAME`].
pub const PASSWORD: &str = "p:a ss";
/// Bytes a second that one connection to `/slow/` gets.
pub const SLOW_BYTES_PER_SECOND: u64 = 4 * 1024 * 1024;

const REALM: &str = "longhaul test";
/// Where Debian keeps the modules.
const MODULE_DIR: &str = "/usr/lib/apache2/modules";
const MODULES: [(&str, &str); 16] = [
    ("mpm_event_module", "mod_mpm_event.so"),
    ("authn_core_module", "mod_authn_core.so"),
    ("authn_file_module", "mod_authn_file.so"),
    ("authz_core_module", "mod_authz_core.so"),
    ("authz_user_module", "mod_authz_user.so"),
    ("auth_basic_module", "mod_auth_basic.so"),
    ("auth_digest_module", "mod_auth_digest.so"),
    ("socache_shmcb_module", "mod_socache_shmcb.so"),
    ("ssl_module", "mod_ssl.so"),
    ("alias_module", "mod_alias.so"),
    ("headers_module", "mod_headers.so"),
    ("setenvif_module", "mod_setenvif.so"),
    ("env_module", "mod_env.so"),
    ("ratelimit_module", "mod_ratelimit.so"),
    ("deflate_module", "mod_deflate.so"),
    ("filter_module", "mod_filter.so"),
];

/// A running Apache with one process, `EnableSendfile on`, and a document root of its own. Each
/// published file is found under several prefixes:
///
/// | prefix | what differs |
/// |---|---|
/// | `/` | nothing |
/// | `/basic/` | needs Basic credentials ([`USERNAME`], [`PASSWORD`]) |
/// | `/digest-auth/` | needs Digest credentials (MD5, `qop=auth`), the same |
/// | `/slow/` | [`SLOW_BYTES_PER_SECOND`] on each connection |
/// | `/gzip/` | compressed if the client takes gzip |
/// | `/redirect/` | 301 to the same file under `/` |
///
/// Dropping it kills the server and removes its files.
#[derive(Debug)]
pub struct Apache {
    server: RealServer,
}

impl Apache {
    /// Starts Apache. The error says what Apache said, or how to install it.
    pub fn start() -> Result<Self, String> {
        let program = find_daemon("apache2", "apache2")?;
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
    let secret = format!("{USERNAME}:{REALM}:{PASSWORD}");
    let digest = run(
        "openssl",
        "openssl",
        &["dgst", "-md5", "-r"],
        secret.as_bytes(),
    )?;
    let digest = digest.split_whitespace().next().unwrap_or_default();
    write(
        dir,
        "digest-users",
        &format!("{USERNAME}:{REALM}:{digest}\n"),
    )?;
    let path = write(dir, "apache.conf", &configuration(dir, ports))?;
    // -X is one process in the foreground: a kill leaves nobody behind.
    Ok(["-X", "-d", &dir.display().to_string(), "-f", &path]
        .map(String::from)
        .to_vec())
}

fn configuration(dir: &Path, Ports { plain, tls }: Ports) -> String {
    let user = if is_root(dir) {
        "User www-data\nGroup www-data\n"
    } else {
        ""
    };
    let dir = dir.display();
    let modules = MODULES
        .map(|(name, file)| format!("LoadModule {name} {MODULE_DIR}/{file}\n"))
        .concat();
    let aliases = ["basic", "digest-auth", "slow", "gzip"]
        .map(|prefix| format!("Alias /{prefix}/ {dir}/www/\n"))
        .concat();
    let slow_kib = SLOW_BYTES_PER_SECOND / 1024;
    format!(
        r#"{modules}{user}ServerName localhost
PidFile {dir}/apache.pid
DefaultRuntimeDir {dir}
ErrorLog {dir}/error.log
LogLevel warn
LogFormat "%>s %B \"%{{Range}}i\" %U" counted
CustomLog {dir}/access.log counted
Mutex file:{dir}
Listen 127.0.0.1:{plain}
Listen 127.0.0.1:{tls}
EnableSendfile on
KeepAlive On
MaxKeepAliveRequests 0
DocumentRoot {dir}/www
<Directory {dir}/www>
  Require all granted
</Directory>
{aliases}<Location /basic/>
  AuthType Basic
  AuthName "{REALM}"
  AuthBasicProvider file
  AuthUserFile {dir}/users
  Require valid-user
</Location>
<Location /digest-auth/>
  AuthType Digest
  AuthName "{REALM}"
  AuthDigestProvider file
  AuthUserFile {dir}/digest-users
  Require valid-user
</Location>
<Location /slow/>
  SetOutputFilter RATE_LIMIT
  SetEnv rate-limit {slow_kib}
</Location>
<Location /gzip/>
  SetOutputFilter DEFLATE
</Location>
RedirectMatch 301 ^/redirect/(.*)$ /$1
<VirtualHost 127.0.0.1:{tls}>
  SSLEngine on
  SSLCertificateFile {dir}/server.pem
  SSLCertificateKeyFile {dir}/server.key
</VirtualHost>
"#
    )
}
