//! The `longhaul` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    longhaul_cli::run_command()
}
