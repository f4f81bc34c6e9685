//! What was typed: the command line as clap reads it. What it means is decided in `plan`.

use clap::{Parser, Subcommand};

mod care;
mod daemon;
mod get;
mod put;
mod reach;
mod tasks;
#[cfg(test)]
mod tests;
mod transfer;

pub(crate) use care::{CompletionsArgs, DoctorArgs, ManArgs};
pub(crate) use daemon::DaemonArgs;
pub(crate) use get::{GetArgs, IfExists, Survives};
pub(crate) use put::PutArgs;
pub(crate) use reach::ReachArgs;
pub(crate) use tasks::{
    CancelArgs, EventsArgs, ForgetArgs, LimitArgs, ListArgs, Rate, ResumeDownloadArgs,
    ResumeUploadArgs, SessionsArgs, TaskArgs, TasksArgs, WaitArgs, WatchArgs,
};
pub(crate) use transfer::TransferArgs;

const AFTER_HELP: &str = "\
Transfers that survive: when the command is killed, the machine restarts or the network goes away, \
the same command run again goes on where it stopped.";

/// Background transfers that survive.
#[derive(Parser)]
#[command(name = "longhaul", version, about, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Download files; the same command run again goes on where it stopped
    #[command(after_long_help = get::EXAMPLES, after_help = "More, with examples and exit codes: longhaul get --help")]
    Get(Box<GetArgs>),
    /// Upload a file; the same command run again goes on where the server has it
    #[command(after_long_help = put::EXAMPLES, after_help = "More, with examples and exit codes: longhaul put --help")]
    Put(Box<PutArgs>),
    /// List the daemon's transfers, and interrupted ones of the foreground with how to go on
    #[command(after_help = tasks::NAMES)]
    List(ListArgs),
    /// Show all that is known of a task
    #[command(after_help = tasks::NAMES)]
    Show(TaskArgs),
    /// Say what a task waits for, and when its app is called
    #[command(after_help = tasks::NAMES)]
    Why(TaskArgs),
    /// Watch tasks until they have ended; the exit code is that of the worst
    #[command(after_help = tasks::ENDS)]
    Watch(WatchArgs),
    /// Wait until tasks have ended; the exit code is that of the worst
    #[command(after_help = tasks::ENDS)]
    Wait(WaitArgs),
    /// Let tasks rest with what they have
    #[command(after_help = tasks::NAMES)]
    Pause(TasksArgs),
    /// Let tasks go on
    #[command(after_help = tasks::NAMES)]
    Resume(TasksArgs),
    /// End tasks, and remove what they have unless --resume-data keeps it
    #[command(after_help = tasks::NAMES)]
    Cancel(CancelArgs),
    /// Go on with a download that was cancelled with --resume-data, and print the new task
    #[command(after_help = tasks::NAMES)]
    ResumeDownload(ResumeDownloadArgs),
    /// Go on with an upload that was cancelled with --resume-data, and print the new task
    #[command(after_help = tasks::NAMES)]
    ResumeUpload(ResumeUploadArgs),
    /// Limit the bytes per second of a task, of a session, or of all (until the daemon stops)
    #[command(after_help = tasks::NAMES)]
    Limit(LimitArgs),
    /// List the daemon's sessions, who owns them, and when their apps are called
    Sessions(SessionsArgs),
    /// Print what has happened in a session and was not acknowledged
    Events(EventsArgs),
    /// Acknowledge the ends of tasks: they are listed no more
    #[command(after_help = tasks::NAMES)]
    Forget(ForgetArgs),
    /// Run transfers for every program of this user, on a Unix socket
    #[command(after_long_help = daemon::EXAMPLES, after_help = "More, with examples and exit codes: longhaul daemon --help")]
    Daemon(Box<DaemonArgs>),
    /// Look over the stores and part files, and repair them when told to
    #[command(after_help = care::DOCTOR)]
    Doctor(DoctorArgs),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Print the manual, or write it to a directory
    Man(ManArgs),
}

/// How much is logged, and how errors are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// How often `-v` was given.
    pub(crate) verbose: u8,
    /// Whether programs read the output.
    pub(crate) is_json: bool,
}

impl Command {
    /// How this command logs and complains.
    pub(crate) const fn manner(&self) -> Manner {
        let reach = match self {
            Self::Get(args) => return Manner::of_transfer(&args.transfer),
            Self::Put(args) => return Manner::of_transfer(&args.transfer),
            Self::List(args) => &args.reach,
            Self::Show(args) | Self::Why(args) => &args.reach,
            Self::Watch(args) => &args.reach,
            Self::Wait(args) => &args.reach,
            Self::Pause(args) | Self::Resume(args) => &args.reach,
            Self::Cancel(args) => &args.reach,
            Self::ResumeDownload(args) => &args.reach,
            Self::ResumeUpload(args) => &args.reach,
            Self::Limit(args) => &args.reach,
            Self::Sessions(args) => &args.reach,
            Self::Events(args) => &args.reach,
            Self::Forget(args) => &args.reach,
            Self::Doctor(args) => &args.reach,
            Self::Daemon(args) => return Manner::plain(args.verbose),
            Self::Completions(_) | Self::Man(_) => return Manner::plain(0),
        };
        Manner {
            verbose: reach.verbose,
            is_json: reach.json,
        }
    }
}

impl Manner {
    const fn plain(verbose: u8) -> Self {
        Self {
            verbose,
            is_json: false,
        }
    }

    const fn of_transfer(args: &TransferArgs) -> Self {
        Self {
            verbose: args.verbose,
            is_json: args.json,
        }
    }
}
