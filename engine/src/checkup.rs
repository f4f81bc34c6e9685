//! What a look at a state directory found, in words for a person, and what would help.

use std::fmt;
use std::path::PathBuf;

use crate::id::{SessionId, TaskId};

/// What a state directory holds, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateReport {
    /// The directory.
    pub state_dir: PathBuf,
    /// The process that owns it, if one does. What it has open is not looked into, so the numbers
    /// below are zero and nothing is found but modes.
    pub owner: Option<u32>,
    /// Whether an engine has ever kept its state here.
    pub has_store: bool,
    /// Sessions.
    pub sessions: u64,
    /// Tasks that have not ended.
    pub live_tasks: u64,
    /// Tasks that have ended, and whose ends were not acknowledged.
    pub ended_tasks: u64,
    /// Bytes that live downloads have on record, and that servers have acknowledged of live uploads.
    pub held_bytes: u64,
    /// The length of all live transfers; `None` when that of one is not known.
    pub total_bytes: Option<u64>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Something that is not as it should be. `Display` says what, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The store is damaged.
    DamagedStore {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The store can not be read by this version, or is none.
    UnusableStore {
        /// Why, with the next step.
        what: String,
    },
    /// Others can read a file or a directory that holds secrets.
    OpenToOthers {
        /// It.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// What it should be.
        wanted: u32,
    },
    /// A part file that is on record is not there, or another file has its name.
    PartGone {
        /// The session.
        session: SessionId,
        /// The download.
        task: TaskId,
        /// Where it was.
        path: PathBuf,
    },
    /// A part file has lost bytes that are on record.
    PartShort {
        /// The session.
        session: SessionId,
        /// The download.
        task: TaskId,
        /// The part file.
        path: PathBuf,
        /// Bytes on record.
        recorded_bytes: u64,
        /// Bytes of them that may be believed.
        held_bytes: u64,
    },
    /// The file of an upload is not as it was.
    SourceChanged {
        /// The session.
        session: SessionId,
        /// The upload.
        task: TaskId,
        /// The file.
        path: PathBuf,
    },
    /// A part file that no task of this store has any more. It is left alone: a task of another store may
    /// go on with it by resume data, which nothing here can know.
    Leftover {
        /// It.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// Something could not be looked at.
    Unreadable {
        /// What, and why.
        what: String,
    },
}

impl Finding {
    /// Whether a repair changes it. What is not repaired mends itself, or is for a person.
    #[must_use]
    pub const fn is_repairable(&self) -> bool {
        match self {
            Self::DamagedStore { .. } | Self::OpenToOthers { .. } => true,
            Self::UnusableStore { .. }
            | Self::Leftover { .. }
            | Self::PartGone { .. }
            | Self::PartShort { .. }
            | Self::SourceChanged { .. }
            | Self::Unreadable { .. } => false,
        }
    }

    /// Its stable name for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::DamagedStore { .. } => "damaged_store",
            Self::UnusableStore { .. } => "unusable_store",
            Self::OpenToOthers { .. } => "open_to_others",
            Self::PartGone { .. } => "part_gone",
            Self::PartShort { .. } => "part_short",
            Self::SourceChanged { .. } => "source_changed",
            Self::Leftover { .. } => "leftover",
            Self::Unreadable { .. } => "unreadable",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DamagedStore { path, what } => write!(
                f,
                "the store {} is damaged: {what}; a repair keeps the file under another name and makes \
                 a new one, and the tasks in it are lost",
                path.display()
            ),
            Self::UnusableStore { what } | Self::Unreadable { what } => f.write_str(what),
            Self::OpenToOthers { path, mode, wanted } => write!(
                f,
                "{} has mode {mode:04o} and may be read by others; a repair gives it {wanted:04o}",
                path.display()
            ),
            Self::PartGone {
                session,
                task,
                path,
            } => write!(
                f,
                "task {task} of session \"{session}\" has lost its part file {}; it begins again at its \
                 first byte by itself",
                path.display()
            ),
            Self::PartShort {
                session,
                task,
                path,
                recorded_bytes,
                held_bytes,
            } => write!(
                f,
                "the part file {} of task {task} of session \"{session}\" holds {held_bytes} of the \
                 {recorded_bytes} bytes on record; it fetches the others again by itself",
                path.display()
            ),
            Self::SourceChanged {
                session,
                task,
                path,
            } => write!(
                f,
                "the file {} of upload {task} of session \"{session}\" has changed or is gone; the \
                 upload will fail, start it again with the file as it is now",
                path.display()
            ),
            Self::Leftover { path, bytes } => write!(
                f,
                "the part file {} ({bytes} bytes) belongs to no task of this store; remove it, unless \
                 another program goes on with it",
                path.display()
            ),
        }
    }
}

/// Something that a repair has done. `Display` says what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// The damaged store was kept under this name, and a new one was made.
    RecreatedStore {
        /// The damaged one.
        kept: PathBuf,
    },
    /// Others can not read it any more.
    ClosedToOthers {
        /// It.
        path: PathBuf,
        /// Its mode now.
        mode: u32,
    },
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecreatedStore { kept } => write!(
                f,
                "kept the damaged store as {} and made a new one",
                kept.display()
            ),
            Self::ClosedToOthers { path, mode } => {
                write!(f, "gave {} the mode {mode:04o}", path.display())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_says_where_it_is_and_what_would_help() {
        let (path, task) = (PathBuf::from("/d/a"), TaskId::new(7));
        let session = SessionId::new("s").unwrap();
        let table = [
            (
                Finding::DamagedStore {
                    path: path.clone(),
                    what: "it ends too early".to_owned(),
                },
                true,
            ),
            (
                Finding::OpenToOthers {
                    path: path.clone(),
                    mode: 0o755,
                    wanted: 0o700,
                },
                true,
            ),
            (
                Finding::PartGone {
                    session: session.clone(),
                    task,
                    path: path.clone(),
                },
                false,
            ),
            (
                Finding::PartShort {
                    session: session.clone(),
                    task,
                    path: path.clone(),
                    recorded_bytes: 9,
                    held_bytes: 3,
                },
                false,
            ),
            (
                Finding::SourceChanged {
                    session,
                    task,
                    path: path.clone(),
                },
                false,
            ),
            (Finding::Leftover { path, bytes: 5 }, false),
        ];
        let mut codes = std::collections::HashSet::new();
        for (finding, is_repairable) in table {
            let text = finding.to_string();
            assert!(text.contains("/d/a") && text.contains(';'), "{text}");
            assert_eq!(finding.is_repairable(), is_repairable, "{text}");
            assert_eq!(text.contains("a repair"), is_repairable, "{text}");
            assert!(codes.insert(finding.code()));
        }
    }
}
