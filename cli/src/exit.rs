//! Exit codes, and the errors that end the whole command.

use std::fmt;
use std::process::ExitCode;

use longhaul::{Class, Error, Outcome};

/// An exit code of the command. The numbers up to 8 are those of GNU wget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Exit(u8);

impl Exit {
    /// Every file is there.
    pub(crate) const OK: Self = Self(0);
    /// Something that no other code names.
    pub(crate) const OTHER: Self = Self(1);
    /// The command line or a list can not be used.
    pub(crate) const USAGE: Self = Self(2);
    /// A file or directory of this machine.
    pub(crate) const FILE: Self = Self(3);
    /// The way to the server.
    pub(crate) const NETWORK: Self = Self(4);
    /// The trust in the server.
    pub(crate) const TLS: Self = Self(5);
    /// The credentials.
    pub(crate) const AUTHENTICATION: Self = Self(6);
    /// The server's handling of HTTP.
    pub(crate) const PROTOCOL: Self = Self(7);
    /// The server answered with an error status.
    pub(crate) const SERVER: Self = Self(8);
    /// The bytes are not the expected ones.
    pub(crate) const CHECKSUM: Self = Self(9);
    /// No daemon can be reached.
    pub(crate) const UNREACHABLE: Self = Self(10);
    /// There is no such task or session.
    pub(crate) const NO_SUCH_TASK: Self = Self(11);
    /// Time ran out.
    pub(crate) const TIMED_OUT: Self = Self(12);
    /// Stopped by SIGINT: 128 and the signal's number.
    pub(crate) const INTERRUPTED: Self = Self(130);
    /// Stopped by SIGTERM.
    pub(crate) const TERMINATED: Self = Self(143);

    /// The code for a failure of this class.
    pub(crate) const fn of(class: Class) -> Self {
        match class {
            Class::Usage => Self::USAGE,
            Class::File => Self::FILE,
            Class::Network => Self::NETWORK,
            Class::Tls => Self::TLS,
            Class::Authentication => Self::AUTHENTICATION,
            Class::Protocol => Self::PROTOCOL,
            Class::Server => Self::SERVER,
            Class::Integrity => Self::CHECKSUM,
            Class::Timeout => Self::TIMED_OUT,
            Class::Internal => Self::OTHER,
        }
    }

    /// The number.
    pub(crate) const fn code(self) -> u8 {
        self.0
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

/// What ends the whole command, not only one of its downloads.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The command line or a list; the text says what to write instead.
    Usage(String),
    /// A file or directory that the command itself needs.
    File(String),
    /// Time ran out.
    TimedOut(String),
    /// A task that was named is not there.
    NoSuchTask(String),
    /// What the library says.
    Library(Error),
    /// Anything else.
    Other(String),
}

impl Fault {
    /// Its exit code.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::USAGE,
            Self::File(_) => Exit::FILE,
            Self::Other(_) => Exit::OTHER,
            Self::TimedOut(_) => Exit::TIMED_OUT,
            Self::NoSuchTask(_) => Exit::NO_SUCH_TASK,
            Self::Library(error) => exit_of(error),
        }
    }

    /// Its stable name in the output of `--json`.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::File(_) => "file",
            Self::Other(_) => "other",
            Self::TimedOut(_) => "timed_out",
            Self::NoSuchTask(_) => "no_such_task",
            Self::Library(error) => code_of(error),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::File(text) | Self::Other(text) | Self::TimedOut(text) => {
                f.write_str(text)
            }
            Self::NoSuchTask(name) => write!(
                f,
                "there is no task {name}; `longhaul list` shows those that are there"
            ),
            // The library's words would be for somebody who writes a program.
            Self::Library(Error::NoSuchSession { session }) => write!(
                f,
                "there is no session \"{session}\"; `longhaul sessions` shows those that are there"
            ),
            Self::Library(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

/// The exit code for an error of the library.
pub(crate) const fn exit_of(error: &Error) -> Exit {
    match error {
        Error::Invalid(_) => Exit::USAGE,
        Error::TargetInUse { .. } | Error::State(_) | Error::ResumeData(_) => Exit::FILE,
        Error::Unreachable(_) | Error::Daemon(_) => Exit::UNREACHABLE,
        Error::NoSuchTask(_) | Error::NoSuchSession { .. } => Exit::NO_SUCH_TASK,
        // The enum may grow; what is not named here is nobody's fault that we know.
        _ => Exit::OTHER,
    }
}

/// The stable name of an error of the library.
pub(crate) const fn code_of(error: &Error) -> &'static str {
    match error {
        Error::Invalid(_) => "invalid_request",
        Error::TargetInUse { .. } => "target_in_use",
        Error::State(_) => "state",
        Error::StateInUse { .. } => "state_in_use",
        Error::Store(_) => "store",
        Error::Stopped { .. } => "engine_stopped",
        Error::ResumeData(_) => "resume_data",
        Error::SessionInUse { .. } => "session_in_use",
        Error::Invalidated { .. } => "session_invalidated",
        Error::NoSuchTask(_) => "no_such_task",
        Error::NoSuchSession { .. } => "no_such_session",
        Error::Unreachable(_) | Error::Daemon(_) => "daemon_unreachable",
        _ => "other",
    }
}

/// The exit code for a task that ended so.
pub(crate) const fn exit_of_outcome(outcome: &Outcome) -> Exit {
    match outcome {
        Outcome::Finished(_) | Outcome::Uploaded(_) | Outcome::Skipped(_) => Exit::OK,
        Outcome::Failed(failure) => Exit::of(failure.kind().class()),
        Outcome::Cancelled | Outcome::CancelledResumable(_) => Exit::OTHER,
    }
}

#[cfg(test)]
mod tests {
    use longhaul::TaskId;

    use super::*;

    #[test]
    fn each_class_of_failure_has_the_documented_code() {
        let table = [
            (Class::Internal, 1),
            (Class::Usage, 2),
            (Class::File, 3),
            (Class::Network, 4),
            (Class::Tls, 5),
            (Class::Authentication, 6),
            (Class::Protocol, 7),
            (Class::Server, 8),
            (Class::Integrity, 9),
            (Class::Timeout, 12),
        ];
        for (class, code) in table {
            assert_eq!(Exit::of(class).code(), code, "{class:?}");
        }
    }

    #[test]
    fn errors_of_the_library_have_the_documented_codes() {
        let stopped = Error::Stopped { reason: None };
        let in_use = Error::StateInUse {
            path: "/x".into(),
            pid: None,
        };
        let table = [
            (Error::Invalid(String::new()), 2),
            (Error::State(String::new()), 3),
            (in_use, 1),
            (stopped, 1),
            (Error::Unreachable(String::new()), 10),
            (Error::NoSuchTask(TaskId::new(1)), 11),
            (
                Error::NoSuchSession {
                    session: "a".to_owned(),
                },
                11,
            ),
        ];
        for (error, code) in table {
            assert_eq!(
                Fault::Library(error.clone()).exit().code(),
                code,
                "{error:?}"
            );
        }
    }
}
