//! What every command that speaks to the daemon may be given.

use std::path::PathBuf;

use clap::ArgAction;
use clap::builder::{OsStringValueParser, TypedValueParser};
use longhaul::control::api::SOCKET_VARIABLE;

/// The variable of the environment that names the state directory.
pub(super) const STATE_DIR_VARIABLE: &str = "LONGHAUL_STATE_DIR";

/// A path that a variable of the environment may name too. The alias keeps clap from taking the value for
/// the whole option, whose default is the empty one.
pub(super) type GivenPath = Option<PathBuf>;

/// An empty path counts as none: so do empty variables everywhere.
pub(super) fn given_path() -> impl TypedValueParser<Value = GivenPath> {
    OsStringValueParser::new().map(|path| (!path.is_empty()).then(|| PathBuf::from(path)))
}

/// Where the daemon is, and how what it says is shown.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ReachArgs {
    /// Speak to the daemon at this socket [default: $XDG_RUNTIME_DIR/longhaul/control.sock]
    #[arg(
        long,
        value_name = "PATH",
        env = SOCKET_VARIABLE,
        hide_env_values = true,
        value_parser = given_path(),
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) socket: GivenPath,

    /// The state directory, for a daemon that is started and for what runs in the foreground
    #[arg(
        long,
        value_name = "DIR",
        env = STATE_DIR_VARIABLE,
        hide_env_values = true,
        value_parser = given_path(),
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) state_dir: GivenPath,

    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,

    /// Log what happens; twice for more, three times for everything
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}
