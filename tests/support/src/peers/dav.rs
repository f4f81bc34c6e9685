//! nginx and Apache as servers that take a PUT.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::real::{Ports, is_root, write};

const MODULE_DIR: &str = "/usr/lib/apache2/modules";
const MODULES: [(&str, &str); 4] = [
    ("mpm_event_module", "mod_mpm_event.so"),
    ("authz_core_module", "mod_authz_core.so"),
    ("dav_module", "mod_dav.so"),
    ("dav_fs_module", "mod_dav_fs.so"),
];

/// Files are made in `uploads`, and none is longer than `body_max_bytes`.
pub(super) fn apache(
    dir: &Path,
    ports: Ports,
    body_max_bytes: Option<u64>,
) -> Result<Vec<String>, String> {
    let user = if is_root(dir) {
        "User www-data\nGroup www-data\n"
    } else {
        ""
    };
    let locks = dir.join("locks");
    fs::create_dir(&locks).map_err(|error| format!("{}: {error}", locks.display()))?;
    // It runs as another user when we are root.
    for writable in [&locks, &dir.join("uploads")] {
        fs::set_permissions(writable, Permissions::from_mode(0o777))
            .map_err(|error| format!("{}: {error}", writable.display()))?;
    }
    let modules = MODULES
        .map(|(name, file)| format!("LoadModule {name} {MODULE_DIR}/{file}\n"))
        .concat();
    let (port, directory) = (ports.plain, dir.display());
    // Zero is no limit.
    let limit = body_max_bytes.unwrap_or_default();
    let configuration = format!(
        r#"{modules}{user}ServerName localhost
PidFile {directory}/apache.pid
DefaultRuntimeDir {directory}
ErrorLog {directory}/error.log
LogLevel warn
Mutex file:{directory}
Listen 127.0.0.1:{port}
DavLockDB {directory}/locks/dav
DocumentRoot {directory}/uploads
<Directory {directory}/uploads>
  Require all granted
  Dav On
  LimitRequestBody {limit}
</Directory>
"#
    );
    let path = write(dir, "apache.conf", &configuration)?;
    // -X is one process in the foreground: a kill leaves nobody behind.
    Ok(["-X", "-d", &directory.to_string(), "-f", &path]
        .map(String::from)
        .to_vec())
}

/// Files are made in `uploads`, and none is longer than `body_max_bytes`.
pub(super) fn nginx(
    dir: &Path,
    ports: Ports,
    body_max_bytes: Option<u64>,
) -> Result<Vec<String>, String> {
    let root = dir.join("uploads").display().to_string();
    let location =
        format!("location / {{ root {root}; dav_methods PUT DELETE; create_full_put_path on; }}");
    write_nginx(dir, ports, body_max_bytes, &location)
}

/// Writes the configuration of an nginx with one server and this `location`.
pub(super) fn write_nginx(
    dir: &Path,
    ports: Ports,
    body_max_bytes: Option<u64>,
    location: &str,
) -> Result<Vec<String>, String> {
    let (port, directory) = (ports.plain, dir.display());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {directory}/temp-{kind};\n"))
        .concat();
    // Zero is no limit.
    let limit = body_max_bytes.unwrap_or_default();
    // One process without a master: a kill leaves nobody behind.
    let configuration = format!(
        r#"daemon off;
master_process off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 1024; }}
http {{
{temporary}  access_log off;
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size {limit};
    {location}
  }}
}}
"#
    );
    let path = write(dir, "nginx.conf", &configuration)?;
    let log = dir.join("error.log").display().to_string();
    Ok(["-p", &directory.to_string(), "-c", &path, "-e", &log]
        .map(String::from)
        .to_vec())
}
