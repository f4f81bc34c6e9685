//! Where `tests/peers/install` has put the peers of npm and PyPI.

use std::env;
use std::path::{Path, PathBuf};

/// The directory that the peers are in, if it is not the one of the build.
const PEERS_VARIABLE: &str = "LONGHAUL_PEERS";

/// `name` in the directory of the peers, or how to install them.
pub(super) fn find(name: &str) -> Result<PathBuf, String> {
    let path = directory().join(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!(
            "{} is not there: `tests/peers/install` installs it",
            path.display()
        ))
    }
}

/// The directory of the peers, as `tests/peers/install` finds it.
fn directory() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the kit lies in `tests/support` of the workspace");
    let target = || root.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    match env::var_os(PEERS_VARIABLE) {
        Some(peers) => root.join(peers),
        None => target().join("peers"),
    }
}
