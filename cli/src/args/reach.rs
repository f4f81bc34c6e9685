//! What every command that speaks to the daemon may be given.

use std::path::PathBuf;

use clap::ArgAction;

/// Where the daemon is, and how what it says is shown.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ReachArgs {
    /// Speak to the daemon at this socket [default: $XDG_RUNTIME_DIR/longhaul/control.sock]
    #[arg(
        long,
        value_name = "PATH",
        env = "LONGHAUL_SOCKET",
        hide_env_values = true
    )]
    pub(crate) socket: Option<PathBuf>,

    /// The state directory, for a daemon that is started and for what runs in the foreground
    #[arg(
        long,
        value_name = "DIR",
        env = "LONGHAUL_STATE_DIR",
        hide_env_values = true
    )]
    pub(crate) state_dir: Option<PathBuf>,

    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,

    /// Log what happens; twice for more, three times for everything
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}
