//! Runs scripts that are written against the `BackgroundURLSession` of the Scripting app: downloads
//! and uploads that survive the death of the script.
//!
//! Run one with `cargo run --release -p longhaul-scripting -- SCRIPT [ARG]...`; scripts of our own
//! are in `examples/scripting/`. A script is an ECMAScript module: `await` works everywhere in it.
//! It goes on as long as a task runs that it started or listens to, or a timer is set. When it is
//! killed, its tasks are found by the next run with the same state directory.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command talks to the person before it"
)]

#[path = "scripting/bridge.rs"]
mod bridge;
#[path = "scripting/handle.rs"]
mod handle;
#[path = "scripting/script.rs"]
mod script;
#[path = "scripting/tasks.rs"]
mod tasks;
#[path = "scripting/timers.rs"]
mod timers;

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use longhaul::{Engine, SessionConfiguration};

use script::Script;
use tasks::Tasks;

/// The one session of all scripts of a state directory.
const SESSION: &str = "scripting";

const USAGE: &str = "\
usage: scripting [--state-dir DIR] SCRIPT [ARG]...

Runs a script written against BackgroundURLSession; its ARGs are in Script.args.
The state is in DIR, else in longhaul-scripting beneath $XDG_STATE_HOME or ~/.local/state.";

/// What the command line asks for.
struct Command {
    state_dir: PathBuf,
    script: PathBuf,
    arguments: Vec<String>,
}

fn main() -> ExitCode {
    let Some(command) = Command::parse(env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(command) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("scripting: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Box<dyn Error>> {
    let path = command.script;
    let source = std::fs::read_to_string(&path)
        .map_err(|error| format!("{} can not be read: {error}", path.display()))?;
    let engine = Engine::builder(command.state_dir).start()?;
    // Scripts know resume data of tasks that failed, too.
    let configuration = SessionConfiguration::new(SESSION)?.resume_data_on_failure(true);
    let tasks = Tasks::open(engine, configuration)?;
    let script = Script {
        name: path.to_string_lossy().into_owned(),
        source,
        arguments: command.arguments,
    };
    script.run(tasks)
}

impl Command {
    /// `None` when it is not understood.
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut state_dir = None;
        let script = loop {
            let argument = arguments.next()?;
            match argument.as_str() {
                "--state-dir" => state_dir = Some(PathBuf::from(arguments.next()?)),
                option if option.starts_with('-') => return None,
                _ => break PathBuf::from(argument),
            }
        };
        Some(Self {
            state_dir: state_dir.or_else(default_state_dir)?,
            script,
            arguments: arguments.collect(),
        })
    }
}

fn default_state_dir() -> Option<PathBuf> {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let parent = absolute("XDG_STATE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local").join("state")))?;
    Some(parent.join("longhaul-scripting"))
}
