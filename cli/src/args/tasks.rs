//! The commands for transfers that the daemon has, as they are typed.

use std::path::PathBuf;
use std::time::Duration;

use longhaul::Sequence;

use super::{IfExists, ReachArgs};
use crate::address::TaskName;

/// What stands beneath the help of commands that take tasks.
pub(super) const NAMES: &str = "\
A task is named as `longhaul list` shows it: 12 in the session \"longhaul\", SESSION/12 in another.

Exit codes:
  0 done                       10 no daemon can be reached
  1 something else             11 there is no such task or session
  2 the command line           12 time ran out";

/// What stands beneath the help of `longhaul wait` and `watch`.
pub(super) const ENDS: &str = "\
A task is named as `longhaul list` shows it: 12 in the session \"longhaul\", SESSION/12 in another.

Exit codes:
  0 all have finished          7 a server broke the protocol
  1 cancelled, something else  8 a server answered with an error
  2 the command line           9 another checksum or length
  3 a file or directory        10 no daemon can be reached
  4 the network                11 there is no such task or session
  5 a server is not trusted    12 time ran out
  6 credentials are missing or refused
  With several it is that of the worst, which is the highest.";

/// `longhaul list`.
#[derive(clap::Args)]
pub(crate) struct ListArgs {
    /// Only the tasks of this session
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,

    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

/// `longhaul show`, `why`: one task.
#[derive(clap::Args)]
pub(crate) struct TaskArgs {
    /// The task
    #[arg(value_name = "TASK")]
    pub(crate) task: TaskName,

    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

/// `longhaul pause`, `resume`: some tasks.
#[derive(clap::Args)]
pub(crate) struct TasksArgs {
    /// The tasks
    #[arg(value_name = "TASK", required = true)]
    pub(crate) tasks: Vec<TaskName>,

    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

/// `longhaul watch`.
#[derive(clap::Args)]
pub(crate) struct WatchArgs {
    /// The tasks; every one that has not ended without this
    #[arg(value_name = "TASK")]
    pub(crate) tasks: Vec<TaskName>,

    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

/// `longhaul wait`.
#[derive(clap::Args)]
pub(crate) struct WaitArgs {
    /// The tasks
    #[arg(value_name = "TASK", required = true)]
    pub(crate) tasks: Vec<TaskName>,

    /// Wait no longer than this, and exit with 12 then [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = crate::units::duration)]
    pub(crate) timeout: Option<Duration>,

    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

/// `longhaul cancel`.
#[derive(clap::Args)]
pub(crate) struct CancelArgs {
    /// The tasks
    #[arg(value_name = "TASK", required = true)]
    pub(crate) tasks: Vec<TaskName>,

    /// Keep what the task has and write what it takes to go on to this new file (one task only)
    ///
    /// The file is for `longhaul resume-download` or `resume-upload`, once. It holds no secret, and is for
    /// its owner only all the same.
    #[arg(long, value_name = "FILE")]
    pub(crate) resume_data: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

/// `longhaul resume-download`.
#[derive(clap::Args)]
pub(crate) struct ResumeDownloadArgs {
    /// What `longhaul cancel --resume-data` has written; it is used up when a task was made
    #[arg(value_name = "FILE")]
    pub(crate) data: PathBuf,

    /// Write to this file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// What to do when a file of that name exists [default: what was asked first]
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(crate) if_exists: Option<IfExists>,

    /// Make the task in this session [default: longhaul]
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,

    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

/// `longhaul resume-upload`.
#[derive(clap::Args)]
pub(crate) struct ResumeUploadArgs {
    /// What `longhaul cancel --resume-data` has written; it is used up when a task was made
    #[arg(value_name = "FILE")]
    pub(crate) data: PathBuf,

    /// Make the task in this session [default: longhaul]
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,

    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

/// `longhaul limit`.
#[derive(clap::Args)]
#[command(allow_missing_positional = true)]
pub(crate) struct LimitArgs {
    /// This task alone; all of them together without this and --session
    #[arg(value_name = "TASK", conflicts_with = "session")]
    pub(crate) task: Option<TaskName>,

    /// Bytes per second (K, M, G), or none
    #[arg(value_name = "RATE", value_parser = rate)]
    pub(crate) rate: Rate,

    /// All tasks of this session together
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,

    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

/// A rate limit, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate(pub(crate) Option<u64>);

/// `longhaul sessions`.
#[derive(clap::Args)]
pub(crate) struct SessionsArgs {
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

/// `longhaul events`.
#[derive(clap::Args)]
pub(crate) struct EventsArgs {
    /// The session [default: longhaul]
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,

    /// Go on with what happens from now on, until the session is no more
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// Leave out facts up to this number
    #[arg(long, value_name = "N", value_parser = sequence)]
    pub(crate) after: Option<Sequence>,

    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

/// `longhaul forget`.
#[derive(clap::Args)]
pub(crate) struct ForgetArgs {
    /// The tasks; each must have ended, and so must be what ended before it in its session
    #[arg(value_name = "TASK", required_unless_present = "ended")]
    pub(crate) tasks: Vec<TaskName>,

    /// Every task of the session that has ended
    #[arg(long, conflicts_with = "tasks")]
    pub(crate) ended: bool,

    /// The session of --ended [default: longhaul]
    #[arg(long, value_name = "ID", requires = "ended")]
    pub(crate) session: Option<String>,

    /// Also in a session that an app owns or is called for: the app will not hear of these ends
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) reach: ReachArgs,
}

fn rate(text: &str) -> Result<Rate, String> {
    match text {
        "none" => Ok(Rate(None)),
        number => crate::units::bytes(number)
            .map(|bytes| Rate(Some(bytes)))
            .map_err(|help| format!("{help}, or as none")),
    }
}

fn sequence(text: &str) -> Result<Sequence, String> {
    let number = text.parse().map(Sequence::new);
    number.map_err(|_| "not a number of a fact; `longhaul events` shows them".to_owned())
}
