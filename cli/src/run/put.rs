//! The beginning of a run of `longhaul put`: an upload that goes on, or a new one.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use longhaul::{Error, Event, Fact, FailureKind, Outcome, TaskMetrics, Timestamp, UploadRequest};

use super::{Run, signals, start};
use crate::exit::{Exit, Fault};
use crate::facts::end_of;
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::report::{Label, Reporter};
use crate::transfer::{Kind, Place, Transfer};

/// The one upload of a run.
const ITEM: usize = 0;

/// Uploads what the plan says, or goes on with it.
///
/// # Errors
/// When the run as a whole can not be made; a failure of the upload is told and makes the exit code.
pub(crate) async fn put(plan: Plan<UploadRequest>) -> Result<Exit, Fault> {
    let mut signals = signals()?;
    let time_max = plan.retry.time_max;
    open(plan).await?.finish(&mut signals, time_max).await
}

async fn open(plan: Plan<UploadRequest>) -> Result<Run, Fault> {
    let Plan {
        requests: request,
        configuration,
        directory,
        retry,
        output,
    } = plan;
    let was_there = directory.path().is_dir();
    let engine = start(&directory, Kind::Uploads)?;
    let mut reporter = Reporter::new(output, Kind::Uploads, 1);
    reporter.begin(&directory.path());
    // One step with the opening: what an earlier run left goes on with the options of this one.
    let wanted = vec![request.clone()];
    let opened = engine.session_with_uploads(configuration, wanted).await?;
    let (session, mut events) = (opened.session, opened.events);
    let mut task = match opened.tasks.into_iter().next() {
        Some(task) => task,
        None => Err(Error::Store("it gave no answer".to_owned())),
    };
    let mut ledger = Ledger::new(1, retry);
    let mut told = Vec::new();
    if was_there
        && let Ok(found) = &task
        && found.snapshot().await?.outcome.is_some()
        && let Some(end) = end_of(found, &mut events).await?
    {
        if is_refused_as_changed(&end.fact) || is_to_be_told(&end.fact, request.source()) {
            ledger.track(ITEM, found.id());
            ledger.handle(Event::Fact(end), &mut told);
        } else {
            session.acknowledge(end.sequence).await?;
            task = session.start_upload(request.clone()).await;
        }
    }
    match &task {
        Ok(task) => {
            ledger.track(ITEM, task.id());
        }
        Err(error) => told.extend(ledger.refuse(ITEM, error)),
    }
    let task = task.ok().map(Transfer::Upload);
    for note in told {
        let label = task.as_ref().map_or_else(|| unstarted(&request), Label::of);
        reporter.note(note, label, ledger.tally());
    }
    Ok(Run {
        engine,
        session,
        events,
        directory,
        kind: Kind::Uploads,
        ledger,
        tasks: vec![task],
        reporter,
    })
}

/// Whether an upload has ended because its file has changed. Nobody was told: this run has found it just
/// now, or an earlier one has not lived to say so.
fn is_refused_as_changed(fact: &Fact) -> bool {
    let Fact::Completed { outcome, .. } = fact else {
        return false;
    };
    matches!(outcome, Outcome::Failed(failure) if failure.kind() == FailureKind::SourceChanged)
}

/// Whether an end that an earlier run has perhaps not lived to tell is the answer to this one: the
/// server has the file, or nobody knows whether it has.
pub(crate) fn is_to_be_told(fact: &Fact, source: &Path) -> bool {
    let Fact::Completed {
        outcome, metrics, ..
    } = fact
    else {
        return false;
    };
    match outcome {
        Outcome::Uploaded(_) => metrics
            .as_deref()
            .is_some_and(|metrics| is_unchanged(source, metrics)),
        Outcome::Failed(failure) => failure.kind() == FailureKind::OutcomeUnknown,
        Outcome::Finished(_)
        | Outcome::Skipped(_)
        | Outcome::Cancelled
        | Outcome::CancelledResumable(_) => false,
    }
}

/// Whether a file is as it was when the task ended. The time of the last change of its inode says
/// so: it can not be set, and a file that is moved into its place has a later one.
fn is_unchanged(source: &Path, metrics: &TaskMetrics) -> bool {
    source.metadata().is_ok_and(|file| {
        let ms = file.ctime() * 1000 + file.ctime_nsec() / 1_000_000;
        u64::try_from(ms).is_ok_and(|ms| Timestamp::from_unix_ms(ms) <= metrics.ended_at)
    })
}

/// The label of an upload that was refused.
fn unstarted(request: &UploadRequest) -> Label<'_> {
    Label {
        task: None,
        url: request.url(),
        place: Place::Source(request.source()),
    }
}

#[cfg(test)]
mod tests {
    use longhaul::{Failure, TaskId, Uploaded};

    use super::*;

    fn fact(outcome: Outcome, ended_at_ms: u64) -> Fact {
        let ended_at = Timestamp::from_unix_ms(ended_at_ms);
        let metrics = TaskMetrics {
            ended_at,
            ..TaskMetrics::default()
        };
        Fact::Completed {
            task: TaskId::new(1),
            outcome,
            metrics: Some(Box::new(metrics)),
        }
    }

    #[test]
    fn an_end_of_an_earlier_run_counts_while_its_file_is_the_same_or_nobody_knows_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("f");
        std::fs::write(&path, "bytes").unwrap();
        let changed_ms = std::fs::metadata(&path).unwrap().ctime() as u64 * 1000;
        let (later, before) = (changed_ms + 2000, changed_ms - 1);
        let uploaded = || {
            Outcome::Uploaded(Uploaded {
                status: 201,
                bytes: 5,
                headers: Vec::new(),
                response: Vec::new(),
            })
        };
        let failed = |kind| Outcome::Failed(Failure::new(kind, "no"));
        let unknown = || failed(FailureKind::OutcomeUnknown);
        let missing = root.path().join("missing");
        let table = [
            ("the same", uploaded(), later, &path, true),
            ("changed since", uploaded(), before, &path, false),
            ("gone", uploaded(), later, &missing, false),
            ("unknown", unknown(), before, &path, true),
            (
                "refused",
                failed(FailureKind::Status(404)),
                later,
                &path,
                false,
            ),
            ("cancelled", Outcome::Cancelled, later, &path, false),
        ];
        for (name, outcome, ended_at, path, is_told) in table {
            assert_eq!(
                is_to_be_told(&fact(outcome, ended_at), path),
                is_told,
                "{name}"
            );
        }
    }
}
