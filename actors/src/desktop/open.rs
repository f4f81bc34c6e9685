//! Opening a file with the program that the person has chosen for its kind.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

/// The command of the desktops for it (xdg-utils).
const OPENER: &str = "xdg-open";

/// Opens a file. Nobody waits for it, at the end of the engine neither: some openers run until the
/// person closes the program that shows the file.
pub(super) fn open(target: PathBuf) {
    let run = move || {
        let ended = Command::new(OPENER)
            .arg(target)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match ended {
            Ok(status) if status.success() => {}
            Ok(status) => tracing::info!(%status, "{OPENER} could not open a file"),
            Err(error) => tracing::info!(%error, "{OPENER} could not be started"),
        }
    };
    if let Err(error) = thread::Builder::new().name(OPENER.to_owned()).spawn(run) {
        tracing::info!(%error, "{OPENER} could not be started");
    }
}
