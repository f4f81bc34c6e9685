//! The commands that look after the program itself, as they are typed.

use std::path::PathBuf;

use clap_complete::Shell;

use super::ReachArgs;

/// What stands beneath the help of `longhaul doctor`.
pub(super) const DOCTOR: &str = "\
It looks over the daemon's store and those of interrupted foreground transfers, their part files,
what others may read, and the daemon's socket. A store that a running process owns is named and left
alone.

Exit codes:
  0 nothing is wrong           1 something is, or was and is repaired";

/// `longhaul doctor`.
#[derive(clap::Args)]
pub(crate) struct DoctorArgs {
    /// Mend what can be mended, and say what was done
    ///
    /// A damaged store is kept under another name and a new one is made; the tasks in it are lost. What
    /// others may read is closed to them. Nothing else is changed.
    #[arg(long)]
    pub(crate) repair: bool,

    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

/// `longhaul completions`.
#[derive(clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub(crate) shell: Shell,
}

/// `longhaul man`.
#[derive(clap::Args)]
pub(crate) struct ManArgs {
    /// Write each page to a file of its own in this directory, instead of all to standard output
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
}
