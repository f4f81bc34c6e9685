//! What can go wrong with the store, sorted by who must act.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store can not be opened, read or written. Nothing of a failed commit is stored, and
/// everything of each earlier one still is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Operator: another engine, of this process or another one, has it open.
    #[error("{} is open elsewhere; stop that program or use another state directory", path.display())]
    Locked {
        /// The store.
        path: PathBuf,
    },
    /// Operator: a later version of this program wrote it.
    #[error(
        "{} has schema {found} and this version knows up to {known}; install the newer version or use another \
         state directory",
        path.display()
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// The schema in the file.
        found: u64,
        /// The newest schema that this version knows.
        known: u64,
    },
    /// Operator: bytes in it are not what was written.
    #[error("{} is damaged: {what}; restore it, or move it away to start afresh", path.display())]
    Corrupt {
        /// The store.
        path: PathBuf,
        /// What is wrong; table and key when a record is.
        what: String,
    },
    /// Operator: the file is something else.
    #[error("{} is not a store of longhaul; move it away or use another state directory", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Operator: the file can not be opened, made or locked.
    #[error("can not open the store {}: {source}", path.display())]
    Io {
        /// The store.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Us: reading or writing failed while it was open. Drop the [`Store`](crate::Store) and open
    /// it again; until then every commit fails.
    #[error("the store {} failed and must be opened again: {source}", path.display())]
    Failed {
        /// The store.
        path: PathBuf,
        /// The system's answer; its kind tells a full disk from a broken one.
        source: io::Error,
    },
}

impl StoreError {
    /// Whether dropping the store and opening it again may help. All other errors need a person.
    #[must_use]
    pub const fn needs_reopen(&self) -> bool {
        match self {
            Self::Failed { .. } => true,
            Self::Locked { .. }
            | Self::Newer { .. }
            | Self::Corrupt { .. }
            | Self::Foreign { .. }
            | Self::Io { .. } => false,
        }
    }

    /// The error of a store at `path` while it is being opened.
    pub(crate) fn opening(path: &Path, error: redb::DatabaseError) -> Self {
        let path = path.to_owned();
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Self::Locked { path },
            redb::DatabaseError::Storage(redb::StorageError::Io(source))
                if source.kind() == io::ErrorKind::UnexpectedEof =>
            {
                let what = "it ends too early".to_owned();
                Self::Corrupt { path, what }
            }
            redb::DatabaseError::Storage(redb::StorageError::Io(source)) => {
                Self::Io { path, source }
            }
            redb::DatabaseError::Storage(redb::StorageError::Corrupted(what)) => {
                Self::Corrupt { path, what }
            }
            error => Self::Corrupt {
                path,
                what: error.to_string(),
            },
        }
    }
}

/// What went wrong inside, before the file's name is known.
pub(crate) enum Trouble {
    /// The database answered with an error.
    Database(redb::Error),
    /// A row can not be read.
    Row {
        /// Its table.
        table: String,
        /// Its key, without anything secret.
        key: String,
        /// Why.
        what: String,
    },
}

impl Trouble {
    /// The error of the open store at `path`.
    pub(crate) fn at(self, path: &Path) -> StoreError {
        let path = path.to_owned();
        match self {
            Self::Row { table, key, what } => {
                let what = format!("table {table}, key {key}: {what}");
                StoreError::Corrupt { path, what }
            }
            Self::Database(redb::Error::Io(source))
                if source.kind() == io::ErrorKind::UnexpectedEof =>
            {
                let what = "it ends too early".to_owned();
                StoreError::Corrupt { path, what }
            }
            Self::Database(redb::Error::Io(source)) => StoreError::Failed { path, source },
            // An earlier error has closed it, or it panicked while it held a lock.
            Self::Database(
                error @ (redb::Error::PreviousIo
                | redb::Error::DatabaseClosed
                | redb::Error::LockPoisoned(_)),
            ) => StoreError::Failed {
                path,
                source: io::Error::other(error.to_string()),
            },
            Self::Database(error) => StoreError::Corrupt {
                path,
                what: error.to_string(),
            },
        }
    }
}

impl From<redb::StorageError> for Trouble {
    fn from(error: redb::StorageError) -> Self {
        Self::Database(error.into())
    }
}

impl From<redb::TableError> for Trouble {
    fn from(error: redb::TableError) -> Self {
        Self::Database(error.into())
    }
}

impl From<redb::TransactionError> for Trouble {
    fn from(error: redb::TransactionError) -> Self {
        Self::Database(error.into())
    }
}

impl From<redb::CommitError> for Trouble {
    fn from(error: redb::CommitError) -> Self {
        Self::Database(error.into())
    }
}
