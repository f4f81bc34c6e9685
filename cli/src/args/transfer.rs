//! What `get` and `put` have in common: who is asked, how patiently, and what is shown.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgAction;
use longhaul::control::api::SOCKET_VARIABLE;

use super::reach::{GivenPath, STATE_DIR_VARIABLE, given_path};

/// What every transfer may be given beside what goes where. It holds secrets, so it can not be
/// printed.
#[derive(clap::Args)]
pub(crate) struct TransferArgs {
    /// Send this header field to each host that a URL names; @FILE reads fields from a file
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,

    /// Answer when a server asks for a name and password (Basic or Digest)
    ///
    /// Other users of the machine may see it in the list of processes; -H @FILE avoids that.
    #[arg(short, long, value_name = "USER:PASSWORD")]
    pub(crate) user: Option<String>,

    /// Transfer at most this many bytes per second (K, M, G): all files together, each with -b
    #[arg(long, value_name = "BYTES", value_parser = crate::units::bytes)]
    pub(crate) limit_rate: Option<u64>,

    /// Give up on a file after this many retries in a row that brought nothing new [default: 10]
    #[arg(long, value_name = "N")]
    pub(crate) retry: Option<u32>,

    /// Begin no more retries when this time has passed [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = crate::units::duration)]
    pub(crate) retry_max_time: Option<Duration>,

    /// Try again when no byte moved for this long [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = crate::units::duration)]
    pub(crate) idle_timeout: Option<Duration>,

    /// Try again when a connection took this long to make [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = crate::units::duration)]
    pub(crate) connect_timeout: Option<Duration>,

    /// Follow at most this many redirects, 0 to 20 [default: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=20))]
    pub(crate) max_redirs: Option<u32>,

    /// Use this proxy: http://host:port or socks5://host:port, with user:password@ when it asks
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,

    /// Also trust the certificates (PEM) in this file
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,

    /// Follow a redirect from https to http
    #[arg(long)]
    pub(crate) allow_downgrade: bool,

    /// Hand it to the daemon, starting one if none runs, print the task and return
    ///
    /// The task goes on without this command, over restarts of the daemon and of the machine; see
    /// `longhaul list`, `watch`, `wait` and `cancel`. What holds for all tasks of a session (-j,
    /// --durability, --idle-timeout, --connect-timeout, --max-redirs, --proxy, --cacert) is said by the
    /// command that makes the session.
    #[arg(short, long)]
    pub(crate) background: bool,

    /// With -b: the session of the task, made when it is not there [default: longhaul]
    #[arg(long, value_name = "ID", requires = "background")]
    pub(crate) session: Option<String>,

    /// With -b: the daemon's socket [default: $XDG_RUNTIME_DIR/longhaul/control.sock]
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

    /// Print one JSON object a line for everything that happens
    #[arg(long)]
    pub(crate) json: bool,

    /// Print nothing but errors
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Show no progress bars, which otherwise appear on a terminal
    #[arg(long)]
    pub(crate) no_progress: bool,

    /// Log what happens; twice for more, three times for everything
    #[arg(short, long, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Keep the state of unfinished runs in this directory [default: $XDG_STATE_HOME/longhaul]
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

    /// Accepted for those used to it: this command always goes on where it stopped
    #[arg(short = 'c', long = "continue", hide_short_help = true)]
    pub(crate) _continue: bool,
}
