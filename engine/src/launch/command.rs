//! What is run to call an app that is away.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::limits::{
    LAUNCH_ARGUMENT_BYTES_MAX, LAUNCH_ARGUMENTS_MAX, LAUNCH_DIRECTORY_BYTES_MAX,
    LAUNCH_VARIABLE_BYTES_MAX, LAUNCH_VARIABLES_MAX,
};

/// The command that a daemon runs to call an app that is away: when its session has drained or a
/// server wants authorization, nobody is there to hear it, and the budget
/// ([`LaunchRules`](super::LaunchRules)) allows a call. It runs as the user of the daemon, who is the
/// one that opened the session. The app that it starts opens the session again and completes the
/// refresh task that it is given; until it does, it is called again.
///
/// It is a part of the session's configuration: it survives the death of the app, the daemon and the
/// machine, until somebody opens the session with another one or invalidates it.
///
/// `Debug` shows no value of the environment.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(try_from = "Parts")]
pub struct LaunchCommand {
    argv: Vec<String>,
    #[serde(with = "crate::serial::PathText")]
    cwd: PathBuf,
    env: Vec<(String, String)>,
}

/// A command that can not be run, with the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchCommandError {
    /// It names no program.
    #[error("the launch command names no program; give one, with its arguments")]
    NoProgram,
    /// Its program is a path from some directory, and it is not said from which.
    #[error(
        "the program of the launch command is a relative path; give an absolute one, or a bare name \
         that is found in PATH"
    )]
    RelativeProgram,
    /// It has more than 64 words or 32 KiB of them.
    #[error(
        "the launch command has more than {LAUNCH_ARGUMENTS_MAX} words or \
         {LAUNCH_ARGUMENT_BYTES_MAX} bytes; put the rest in a file"
    )]
    LongCommand,
    /// It has more than 64 variables or 32 KiB of them.
    #[error(
        "the environment of the launch command has more than {LAUNCH_VARIABLES_MAX} variables or \
         {LAUNCH_VARIABLE_BYTES_MAX} bytes; put the rest in a file"
    )]
    LongEnvironment,
    /// Its directory is relative or longer than any path.
    #[error(
        "the directory of the launch command is not absolute, or longer than \
         {LAUNCH_DIRECTORY_BYTES_MAX} bytes; give an absolute path"
    )]
    Directory,
    /// A variable's name is empty or holds `=`.
    #[error("a variable of the launch command has an empty name or a = in it; give another name")]
    VariableName,
    /// Something in it holds a NUL, which no program can be given.
    #[error("the launch command holds a NUL byte, which no program can be given; leave it out")]
    Nul,
}

impl LaunchCommand {
    /// A command of a program and its arguments, run in this directory. The program is an absolute
    /// path or a bare name, which is looked up in the `PATH` of the daemon. No shell reads it.
    ///
    /// # Errors
    /// When there is no program, the directory is not absolute, or something is too long or holds a
    /// NUL.
    pub fn new<A: Into<String>>(
        argv: impl IntoIterator<Item = A>,
        cwd: impl Into<PathBuf>,
    ) -> Result<Self, LaunchCommandError> {
        let words = argv.into_iter().take(LAUNCH_ARGUMENTS_MAX + 1);
        let argv = words.map(Into::into).collect();
        let (cwd, env) = (cwd.into(), Vec::new());
        Self { argv, cwd, env }.checked()
    }

    /// Adds a variable to the environment that the daemon gives it, or sets it anew.
    ///
    /// # Errors
    /// When the name is none, there are too many, or something is too long or holds a NUL.
    pub fn variable(
        self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Self, LaunchCommandError> {
        self.with_variables([(name.into(), value.into())])
    }

    /// Adds or sets anew variables, in this order, by their names and values.
    ///
    /// # Errors
    /// As [`LaunchCommand::variable`].
    pub fn with_variables(
        mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, LaunchCommandError> {
        for (name, value) in variables {
            self.env.retain(|(known, _)| *known != name);
            self.env.push((name, value));
            if self.env.len() > LAUNCH_VARIABLES_MAX {
                // One too many is refused as all of them are.
                break;
            }
        }
        self.checked()
    }

    /// The program and its arguments.
    #[must_use]
    pub fn argv(&self) -> &[String] {
        &self.argv
    }

    /// The directory that it runs in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.cwd
    }

    /// What is added to its environment. The values may be secrets.
    #[must_use]
    pub fn variables(&self) -> &[(String, String)] {
        &self.env
    }

    /// The same without the values of its environment, to be shown to anybody.
    #[must_use]
    pub fn shown(&self) -> Self {
        let names = self.env.iter().map(|(name, _)| name.clone());
        Self {
            argv: self.argv.clone(),
            cwd: self.cwd.clone(),
            env: names.map(|name| (name, String::new())).collect(),
        }
    }

    fn checked(self) -> Result<Self, LaunchCommandError> {
        let program = self.argv.first().map_or("", String::as_str);
        if program.is_empty() {
            return Err(LaunchCommandError::NoProgram);
        }
        if program.contains('/') && !Path::new(program).is_absolute() {
            return Err(LaunchCommandError::RelativeProgram);
        }
        let bytes: usize = self.argv.iter().map(String::len).sum();
        if self.argv.len() > LAUNCH_ARGUMENTS_MAX || bytes > LAUNCH_ARGUMENT_BYTES_MAX {
            return Err(LaunchCommandError::LongCommand);
        }
        let directory = self.cwd.as_os_str().as_encoded_bytes();
        if !self.cwd.is_absolute() || directory.len() > LAUNCH_DIRECTORY_BYTES_MAX {
            return Err(LaunchCommandError::Directory);
        }
        let is_none = |name: &str| name.is_empty() || name.contains('=');
        if self.env.iter().any(|(name, _)| is_none(name)) {
            return Err(LaunchCommandError::VariableName);
        }
        let lengths = self
            .env
            .iter()
            .map(|(name, value)| name.len() + value.len());
        if self.env.len() > LAUNCH_VARIABLES_MAX
            || lengths.sum::<usize>() > LAUNCH_VARIABLE_BYTES_MAX
        {
            return Err(LaunchCommandError::LongEnvironment);
        }
        let pairs = self.env.iter().flat_map(|(name, value)| [name, value]);
        let has_nul = |text: &String| text.contains('\0');
        if directory.contains(&0) || self.argv.iter().chain(pairs).any(has_nul) {
            return Err(LaunchCommandError::Nul);
        }
        Ok(self)
    }
}

impl fmt::Debug for LaunchCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("LaunchCommand")
            .field("argv", &self.argv)
            .field("cwd", &self.cwd)
            .field("variables", &names)
            .finish()
    }
}

/// A command as it comes from outside.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "LaunchCommand"))]
struct Parts {
    /// The program and its arguments.
    argv: Vec<String>,
    /// The directory that it runs in, absolute.
    #[serde(with = "crate::serial::PathText")]
    cwd: PathBuf,
    /// What is added to its environment, as names and values.
    #[serde(default)]
    env: Vec<(String, String)>,
}

impl TryFrom<Parts> for LaunchCommand {
    type Error = LaunchCommandError;

    fn try_from(parts: Parts) -> Result<Self, LaunchCommandError> {
        Self::new(parts.argv, parts.cwd)?.with_variables(parts.env)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> LaunchCommand {
        LaunchCommand::new(["/usr/bin/app", "--refresh"], "/home/me").expect("a command")
    }

    #[test]
    fn a_command_that_can_not_be_run_is_refused_with_the_next_step() {
        let words = |count: usize| vec!["a"; count];
        let long = "x".repeat(LAUNCH_ARGUMENT_BYTES_MAX);
        let far = format!("/{long}");
        let new = |argv: Vec<&str>, cwd: &str| LaunchCommand::new(argv, cwd);
        let many = || {
            let mut names = 0..=LAUNCH_VARIABLES_MAX;
            names.try_fold(command(), |command, name| {
                command.variable(name.to_string(), "")
            })
        };
        let table = [
            (new(vec![], "/"), LaunchCommandError::NoProgram),
            (new(vec![""], "/"), LaunchCommandError::NoProgram),
            (new(vec!["bin/a"], "/"), LaunchCommandError::RelativeProgram),
            (new(vec!["./a"], "/"), LaunchCommandError::RelativeProgram),
            (
                new(words(LAUNCH_ARGUMENTS_MAX + 1), "/"),
                LaunchCommandError::LongCommand,
            ),
            (new(vec!["a", &long], "/"), LaunchCommandError::LongCommand),
            (new(vec!["a"], "home"), LaunchCommandError::Directory),
            (new(vec!["a"], ""), LaunchCommandError::Directory),
            (new(vec!["a"], &far), LaunchCommandError::Directory),
            (new(vec!["a\0b"], "/"), LaunchCommandError::Nul),
            (new(vec!["a"], "/a\0b"), LaunchCommandError::Nul),
            (
                command().variable("", "v"),
                LaunchCommandError::VariableName,
            ),
            (
                command().variable("A=B", "v"),
                LaunchCommandError::VariableName,
            ),
            (command().variable("A", "a\0"), LaunchCommandError::Nul),
            (
                command().variable("A", long.as_str()),
                LaunchCommandError::LongEnvironment,
            ),
            (many(), LaunchCommandError::LongEnvironment),
        ];
        for (result, expected) in table {
            assert_eq!(result, Err(expected));
            assert!(expected.to_string().contains(';'), "{expected}");
        }
        assert!(new(words(LAUNCH_ARGUMENTS_MAX), "/").is_ok());
    }

    #[test]
    fn a_variable_is_set_once_and_its_value_is_never_shown() {
        let command = command()
            .variable("TOKEN", "old")
            .and_then(|command| command.variable("TOKEN", "hush"))
            .expect("a variable");
        let pair = |value: &str| ("TOKEN".to_owned(), value.to_owned());
        assert_eq!(command.variables(), [pair("hush")]);
        let debug = format!("{command:?}");
        assert!(
            debug.contains("TOKEN") && !debug.contains("hush"),
            "{debug}"
        );
        assert_eq!(command.shown().variables(), [pair("")]);
        assert_eq!(command.shown().argv(), command.argv());
        assert_eq!(command.shown().directory(), command.directory());
    }

    #[test]
    fn a_command_from_outside_is_checked_too() {
        let read = serde_json::from_str::<LaunchCommand>;
        let least = read(r#"{"argv": ["a"], "cwd": "/"}"#);
        assert_eq!(least.ok(), LaunchCommand::new(["a"], "/").ok());
        for text in [
            r#"{"argv": [], "cwd": "/"}"#,
            r#"{"argv": ["a"], "cwd": "b"}"#,
            r#"{"argv": ["a"], "cwd": "/", "env": [["", "b"]]}"#,
        ] {
            let error = read(text).expect_err("it can not be run").to_string();
            assert!(error.contains(';'), "{error}");
        }
    }
}
