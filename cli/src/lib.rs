//! The `longhaul` command as a library: parse, run, map what happened to an exit code. The binary and the
//! tests stand on it.

use std::process::ExitCode;

use clap::Parser as _;

mod address;
mod again;
mod args;
mod clock;
mod commands;
pub mod daemon;
mod exit;
mod facts;
mod interrupted;
mod ledger;
mod list;
mod logging;
mod places;
mod plan;
mod report;
mod run;
mod shell;
mod signals;
mod state;
mod transfer;
mod units;
mod words;

use crate::args::{Args, Command};
use crate::exit::{Exit, Fault};
use crate::logging::Unasked;

/// Runs the command with the arguments of this process.
#[must_use]
pub fn run_command() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        // Help and version are errors of this kind too, with code 0. A closed stdout is no matter.
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                Exit::USAGE
            } else {
                Exit::OK
            }
            .into();
        }
    };
    let manner = args.command.manner();
    let unasked = match &args.command {
        // Nobody sees anything else of it.
        Command::Daemon(_) => Unasked::Warnings,
        _ => Unasked::Nothing,
    };
    logging::start(manner.verbose, unasked);
    match run(args.command) {
        Ok(exit) => exit.into(),
        Err(fault) => {
            report::fault(manner.is_json, &fault);
            fault.exit().into()
        }
    }
}

fn run(command: Command) -> Result<Exit, Fault> {
    match command {
        Command::Get(args) if args.transfer.background => {
            wait_for(commands::download(plan::get_in_background(*args)?))
        }
        Command::Get(args) => wait_for(run::get(plan::get(*args)?)),
        Command::Put(args) if args.transfer.background => {
            wait_for(commands::upload(plan::put_in_background(*args)?))
        }
        Command::Put(args) => wait_for(run::put(plan::put(*args)?)),
        Command::List(args) => wait_for(commands::list(args)),
        Command::Show(args) => wait_for(commands::show(args)),
        Command::Why(args) => wait_for(commands::why(args)),
        Command::Watch(args) => wait_for(commands::watch(args)),
        Command::Wait(args) => wait_for(commands::wait(args)),
        Command::Pause(args) => wait_for(commands::pause(args)),
        Command::Resume(args) => wait_for(commands::resume(args)),
        Command::Cancel(args) => wait_for(commands::cancel(args)),
        Command::ResumeDownload(args) => wait_for(commands::resume_download(args)),
        Command::ResumeUpload(args) => wait_for(commands::resume_upload(args)),
        Command::Limit(args) => wait_for(commands::limit(args)),
        Command::Sessions(args) => wait_for(commands::sessions(args)),
        Command::Events(args) => wait_for(commands::events(args)),
        Command::Forget(args) => wait_for(commands::forget(args)),
        Command::Daemon(args) => wait_for(daemon::run(*args)),
        Command::Doctor(args) => wait_for(commands::doctor(args)),
        Command::Completions(args) => Ok(commands::completions(&args)),
        Command::Man(args) => commands::man(&args),
    }
}

/// The engine has threads of its own; this one only waits for it and for signals.
fn wait_for(run: impl Future<Output = Result<Exit, Fault>>) -> Result<Exit, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::Other(format!("no event loop: {error}")))?;
    runtime.block_on(run)
}
