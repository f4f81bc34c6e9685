//! The `longhaul` command: parse, run, map what happened to an exit code.

use std::process::ExitCode;

use clap::Parser as _;

mod args;
mod clock;
mod exit;
mod ledger;
mod list;
mod logging;
mod places;
mod plan;
mod report;
mod run;
mod signals;
mod state;
mod transfer;
mod units;

use crate::args::{Args, Command};
use crate::exit::{Exit, Fault};

fn main() -> ExitCode {
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
    let transfer = args.command.transfer();
    logging::start(transfer.verbose);
    let output = plan::Output::of(transfer);
    let result = match args.command {
        Command::Get(args) => plan::get(*args).and_then(|plan| wait_for(run::get(plan))),
        Command::Put(args) => plan::put(*args).and_then(|plan| wait_for(run::put(plan))),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(fault) => {
            report::fault(output, &fault);
            fault.exit().into()
        }
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
