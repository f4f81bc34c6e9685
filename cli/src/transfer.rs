//! A transfer of either kind, as a run handles it: its handle, and one look at how it stands.

use std::path::Path;

use longhaul::{
    Destination, DownloadTask, Error, HttpUrl, Outcome, Phase, Progress, ResumeData, Session,
    TaskId, TaskSnapshot, TaskState, UploadSnapshot, UploadTask, Why,
};

use crate::ledger::kept_bytes;

/// What the transfers of a run are; they are all of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `longhaul get`.
    Downloads,
    /// `longhaul put`.
    Uploads,
}

/// The handle of a transfer.
#[derive(Clone)]
pub(crate) enum Transfer {
    /// It fetches a file.
    Download(DownloadTask),
    /// It sends a file.
    Upload(UploadTask),
}

/// The file of a transfer.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// Where it comes to.
    Destination(&'a Destination),
    /// Where it lies.
    Source(&'a Path),
}

/// A transfer as it is at one moment.
pub(crate) struct Standing {
    /// Its handle.
    pub(crate) task: Transfer,
    /// Its state in Foundation's words.
    pub(crate) state: TaskState,
    /// What it does or waits for.
    pub(crate) phase: Phase,
    /// How it ended, once it has.
    pub(crate) outcome: Option<Outcome>,
    /// How far it is.
    pub(crate) progress: Progress,
    /// Bytes that the next attempt need not move.
    pub(crate) kept_bytes: u64,
}

impl Kind {
    /// How all transfers of a session stand.
    pub(crate) async fn standings(self, session: &Session) -> Result<Vec<Standing>, Error> {
        Ok(match self {
            Self::Downloads => {
                let snapshots = session.snapshot().await?;
                snapshots.into_iter().map(Standing::from).collect()
            }
            Self::Uploads => {
                let snapshots = session.upload_snapshots().await?;
                snapshots.into_iter().map(Standing::from).collect()
            }
        })
    }
}

impl Place<'_> {
    /// The kind of a transfer that has such a file.
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Destination(_) => Kind::Downloads,
            Self::Source(_) => Kind::Uploads,
        }
    }
}

impl Transfer {
    /// Its number.
    pub(crate) fn id(&self) -> TaskId {
        match self {
            Self::Download(task) => task.id(),
            Self::Upload(task) => task.id(),
        }
    }

    /// What it fetches, or where to it sends.
    pub(crate) fn url(&self) -> &HttpUrl {
        match self {
            Self::Download(task) => task.url(),
            Self::Upload(task) => task.url(),
        }
    }

    /// Its file.
    pub(crate) fn place(&self) -> Place<'_> {
        match self {
            Self::Download(task) => Place::Destination(task.destination()),
            Self::Upload(task) => Place::Source(task.source()),
        }
    }

    /// Lets it rest with what it has.
    pub(crate) async fn suspend(&self) -> Result<(), Error> {
        match self {
            Self::Download(task) => task.suspend().await,
            Self::Upload(task) => task.suspend().await,
        }
    }

    /// It as it is now.
    pub(crate) async fn standing(&self) -> Result<Standing, Error> {
        Ok(match self {
            Self::Download(task) => task.snapshot().await?.into(),
            Self::Upload(task) => task.snapshot().await?.into(),
        })
    }

    /// What it waits for.
    pub(crate) async fn why(&self) -> Result<Why, Error> {
        match self {
            Self::Download(task) => task.why().await,
            Self::Upload(task) => task.why().await,
        }
    }

    /// Lets it go on.
    pub(crate) async fn resume(&self) -> Result<(), Error> {
        match self {
            Self::Download(task) => task.resume().await,
            Self::Upload(task) => task.resume().await,
        }
    }

    /// Sets its own rate limit.
    pub(crate) async fn set_rate_limit(&self, rate: Option<u64>) -> Result<(), Error> {
        match self {
            Self::Download(task) => task.set_rate_limit(rate).await,
            Self::Upload(task) => task.set_rate_limit(rate).await,
        }
    }

    /// Ends it and gives what a later task may go on with.
    pub(crate) async fn cancel_for_resume_data(&self) -> Result<Option<ResumeData>, Error> {
        match self {
            Self::Download(task) => task.cancel_by_producing_resume_data().await,
            Self::Upload(task) => task.cancel_by_producing_resume_data().await,
        }
    }

    /// Waits until it has ended.
    pub(crate) async fn finished(&self) -> Result<Outcome, Error> {
        match self {
            Self::Download(task) => task.finished().await,
            Self::Upload(task) => task.finished().await,
        }
    }

    /// Ends it, so that it leaves nothing behind, and waits until it has ended.
    pub(crate) async fn cancel(&self) -> Result<Outcome, Error> {
        match self {
            Self::Download(task) => {
                task.cancel().await?;
                task.finished().await
            }
            Self::Upload(task) => {
                task.cancel().await?;
                task.finished().await
            }
        }
    }
}

impl Standing {
    /// All transfers of a session, of both kinds, in the order of their numbers.
    pub(crate) async fn all(session: &Session) -> Result<Vec<Self>, Error> {
        let mut all = Kind::Downloads.standings(session).await?;
        all.append(&mut Kind::Uploads.standings(session).await?);
        all.sort_by_key(|standing| standing.task.id());
        Ok(all)
    }

    /// Whether a later run of the same command has use for what it holds.
    pub(crate) fn may_go_on(&self) -> bool {
        match (&self.outcome, &self.task) {
            (None, _) => true,
            (Some(Outcome::Failed(failure)), Transfer::Download(_)) => {
                !failure.kind().spoils_bytes()
            }
            // What ended a place at a server will not let it be gone on with.
            (Some(Outcome::Failed(_)), Transfer::Upload(_)) => false,
            (
                Some(
                    Outcome::Finished(_)
                    | Outcome::Uploaded(_)
                    | Outcome::Skipped(_)
                    | Outcome::Cancelled
                    | Outcome::CancelledResumable(_),
                ),
                _,
            ) => false,
        }
    }
}

impl From<TaskSnapshot> for Standing {
    fn from(snapshot: TaskSnapshot) -> Self {
        Self {
            task: Transfer::Download(snapshot.task),
            state: snapshot.state,
            phase: snapshot.phase,
            outcome: snapshot.outcome,
            progress: snapshot.progress,
            kept_bytes: kept_bytes(&snapshot.progress),
        }
    }
}

impl From<UploadSnapshot> for Standing {
    fn from(snapshot: UploadSnapshot) -> Self {
        Self {
            task: Transfer::Upload(snapshot.task),
            state: snapshot.state,
            phase: snapshot.phase,
            outcome: snapshot.outcome,
            progress: snapshot.progress,
            kept_bytes: kept_bytes(&snapshot.progress),
        }
    }
}
