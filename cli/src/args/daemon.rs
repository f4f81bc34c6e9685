//! The arguments of `longhaul daemon`.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use clap::ArgAction;
use longhaul::control::api::SOCKET_VARIABLE;

use super::reach::{GivenPath, STATE_DIR_VARIABLE, given_path};

pub(super) const EXAMPLES: &str = "\
Examples:
  longhaul daemon                               in a terminal, until Ctrl-C
  systemctl --user enable --now longhaul.socket started by systemd when somebody connects
  curl --unix-socket $XDG_RUNTIME_DIR/longhaul/control.sock http://localhost/v1

Who may connect: processes of the same user. Exit codes: 0 stopped by a signal or by request, \
1 another daemon has the socket or the state, 3 the directory of the socket or of the state can \
not be used.";

/// How the daemon is run.
#[derive(clap::Args)]
pub(crate) struct DaemonArgs {
    /// Listen on this Unix socket [default: $XDG_RUNTIME_DIR/longhaul/control.sock]
    ///
    /// Its directory is made with mode 0700; one that others may enter is refused. A socket that
    /// systemd hands over is used instead.
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

    /// Keep the state in this directory, under daemon/ [default: $XDG_STATE_HOME/longhaul]
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

    /// Run transfers on this many threads, 2 to 64
    #[arg(long, value_name = "N")]
    pub(crate) worker_threads: Option<NonZeroUsize>,

    /// Run at most this many transfers at once, all sessions together [default: no limit]
    #[arg(long, value_name = "N")]
    pub(crate) tasks: Option<NonZeroU32>,

    /// Transfer at most this many bytes per second, all sessions together (K, M, G)
    #[arg(long, value_name = "BYTES", value_parser = crate::units::bytes)]
    pub(crate) limit_rate: Option<u64>,

    /// Stop when nobody is connected and nothing is to be done for this long [default: never]
    #[arg(long, value_name = "TIME", value_parser = crate::units::duration)]
    pub(crate) idle_exit: Option<Duration>,

    /// Call an app that is away at most this often within an hour, up to 60 [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=60))]
    pub(crate) launches_per_hour: Option<u8>,

    /// Leave at least this long between two calls of an app [default: 15m]
    #[arg(long, value_name = "TIME", value_parser = crate::units::duration)]
    pub(crate) launch_interval: Option<Duration>,

    /// Wait this long before a call that follows another, and twice as long each time [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = crate::units::duration)]
    pub(crate) launch_delay: Option<Duration>,

    /// Give an app this long to complete its refresh task before it is called again [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = crate::units::duration)]
    pub(crate) launch_expiry: Option<Duration>,

    /// Log what happens; twice for more, three times for everything
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}
