//! Looking over a state directory that no engine runs on, and mending it when that is asked for.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use longhaul_engine::checkpoint::{Checkpoint, SpanRecord, Stage, TaskCheckpoint};
use longhaul_engine::checkup::{Finding, Repair, StateReport};
use longhaul_engine::failure::Failure;
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::recovery::{Found, survivors};
use longhaul_engine::resume_data::ResumeDataError;
use longhaul_engine::task::{Destination, Spec, Task};
use longhaul_persistence::{Store, StoreError, StoreView};

use crate::file::leftover::{close_to_others, leftovers, open_to_others, owner_of};
use crate::file::lock::{PARTS, StateDir};
use crate::file::recover::recover;
use crate::file::ticket::check_source;
use crate::handle::StartError;
use crate::threads::{STORE_NAME, not_acquired};

/// Tasks that are read at once: a page of memory, whatever a store holds.
const PAGE_TASKS: usize = 1000;

/// Looks over a state directory. Nothing is changed and nothing locked. It blocks on the disk: some
/// 10 µs for each task, and the end of each part file is read.
///
/// # Errors
/// [`StartError::State`] when there is no such directory.
pub fn check(state_dir: &Path) -> Result<StateReport, StartError> {
    if !state_dir.is_dir() {
        return Err(StartError::State(format!(
            "{} is no directory; name the one that an engine has kept its state in",
            state_dir.display()
        )));
    }
    let mut report = StateReport::default();
    report.state_dir = state_dir.to_owned();
    report.owner = owner_of(state_dir);
    match open_to_others(state_dir, &[STORE_NAME]) {
        Ok(found) => report.findings.extend(found.into_iter().map(open_finding)),
        Err(failure) => report.findings.push(unreadable(&failure)),
    }
    if report.owner.is_some() {
        report.has_store = true;
        return Ok(report);
    }
    let mut untouched = report.clone();
    let looked = Look::over(report);
    // Who has begun to run meanwhile has changed what was being read.
    untouched.owner = owner_of(state_dir);
    if untouched.owner.is_none() {
        return Ok(looked);
    }
    untouched.has_store = true;
    Ok(untouched)
}

/// Mends what [`check`] finds and a repair can mend, and says what was done. The directory is owned
/// meanwhile, as by an engine.
///
/// # Errors
/// [`StartError::InUse`] while an engine runs on it, [`StartError::State`] when it can not be used.
pub fn repair(state_dir: &Path) -> Result<Vec<Repair>, StartError> {
    let directory = StateDir::acquire(state_dir).map_err(not_acquired)?;
    let state = |failure: &dyn ToString| StartError::State(failure.to_string());
    let mut done = Vec::new();
    let found = open_to_others(directory.path(), &[STORE_NAME]).map_err(|it| state(&it))?;
    for (path, _, mode) in found {
        close_to_others(&path, mode).map_err(|it| state(&it))?;
        done.push(Repair::ClosedToOthers { path, mode });
    }
    let store = directory.path().join(STORE_NAME);
    if store.exists() {
        let kept = match StoreView::recreate_damaged(&store) {
            Ok(None) => Store::open_or_recreate(&store).map(|(_, kept)| kept),
            done => done,
        };
        let kept = kept.map_err(|it| state(&it))?;
        done.extend(kept.map(|kept| Repair::RecreatedStore { kept }));
    }
    Ok(done)
}

/// A store under examination.
struct Look {
    report: StateReport,
    /// Every task of the store: their numbers are never used twice in it.
    tasks: HashSet<TaskId>,
    /// Part files on record.
    parts: HashSet<PathBuf>,
    /// Where downloads of this store go.
    directories: BTreeSet<PathBuf>,
}

impl Look {
    fn over(report: StateReport) -> StateReport {
        let path = report.state_dir.join(STORE_NAME);
        let parts_dir = report.state_dir.join(PARTS);
        let mut look = Self {
            report,
            tasks: HashSet::new(),
            parts: HashSet::new(),
            directories: BTreeSet::from([parts_dir.clone()]),
        };
        match look.read(&path) {
            Ok(()) => look.find_leftovers(&parts_dir),
            // What the store does not tell, nobody knows; so nothing is taken for a leftover.
            Err(error) => look.report.findings.push(store_finding(&path, error)),
        }
        look.report
    }

    fn read(&mut self, path: &Path) -> Result<(), StoreError> {
        let Some(view) = StoreView::open(path)? else {
            return Ok(());
        };
        self.report.has_store = true;
        view.check()?;
        self.report.total_bytes = Some(0);
        for session in view.sessions()? {
            self.report.sessions += 1;
            let mut after = None;
            loop {
                let page = view.full_tasks(&session, after, PAGE_TASKS)?;
                let Some((last, _)) = page.last() else {
                    break;
                };
                after = Some(last.id);
                for (task, checkpoint) in page {
                    self.task(&session, task, checkpoint);
                }
            }
        }
        Ok(())
    }

    fn task(&mut self, session: &SessionId, task: Task, checkpoint: Option<TaskCheckpoint>) {
        self.tasks.insert(task.id);
        let destination = match task.spec.destination() {
            Some(Destination::Directory(path)) => Some(path.as_path()),
            Some(Destination::File(path)) => path.parent(),
            None => None,
        };
        self.directories.extend(destination.map(Path::to_owned));
        if let Some(TaskCheckpoint::Download(known)) = &checkpoint {
            let part = known.part.as_ref().map(|part| part.path.clone());
            self.directories.extend(
                part.iter()
                    .filter_map(|path| path.parent())
                    .map(Path::to_owned),
            );
            self.parts.extend(part);
        }
        if task.outcome.is_some() {
            self.report.ended_tasks += 1;
            return;
        }
        self.report.live_tasks += 1;
        let progress = checkpoint
            .as_ref()
            .map(TaskCheckpoint::progress)
            .unwrap_or_default();
        self.report.held_bytes += progress.received_bytes + progress.acknowledged_bytes;
        self.report.total_bytes = self
            .report
            .total_bytes
            .zip(progress.total_bytes)
            .map(|(sum, bytes)| sum.saturating_add(bytes));
        let finding = match (&task.spec, &checkpoint) {
            (Spec::Download(_), Some(TaskCheckpoint::Download(known))) => {
                part_finding(session, task.id, known)
            }
            (Spec::Upload(spec), Some(TaskCheckpoint::Upload(known))) if known.source.is_some() => {
                match check_source(&spec.source, known) {
                    Ok(()) => None,
                    Err(ResumeDataError::File(what)) => Some(Finding::Unreadable { what }),
                    Err(_) => Some(Finding::SourceChanged {
                        session: session.clone(),
                        task: task.id,
                        path: spec.source.clone(),
                    }),
                }
            }
            (Spec::Download(_) | Spec::Upload(_), _) => None,
        };
        self.report.findings.extend(finding);
    }

    fn find_leftovers(&mut self, parts_dir: &Path) {
        for directory in &self.directories {
            let is_known =
                |task, path: &Path| self.tasks.contains(&task) || self.parts.contains(path);
            match leftovers(directory, parts_dir, is_known) {
                Ok(found) => {
                    let found = found.into_iter();
                    let findings = found.map(|(path, bytes)| Finding::Leftover { path, bytes });
                    self.report.findings.extend(findings);
                }
                Err(failure) => self.report.findings.push(unreadable(&failure)),
            }
        }
    }
}

/// What is wrong with the part file of a download, if anything is. One that is being published may
/// have either name; the engine finishes that.
fn part_finding(session: &SessionId, task: TaskId, known: &Checkpoint) -> Option<Finding> {
    let part = known.part.as_ref()?;
    match known.stage {
        Stage::Finishing(_) => return None,
        Stage::Transferring | Stage::AwaitingAuthorization(_) => {}
    }
    let found = match recover(known) {
        Ok(recovered) => recovered.found,
        Err(failure) => return Some(unreadable(&failure)),
    };
    let (session, path) = (session.clone(), part.path.clone());
    let recorded = |is_same_life| -> u64 {
        let of_span = |span: &SpanRecord| {
            let end = if is_same_life {
                span.written
            } else {
                span.synced
            };
            end - span.start
        };
        known.spans.iter().map(of_span).sum()
    };
    match &found {
        Found::Nothing => Some(Finding::PartGone {
            session,
            task,
            path,
        }),
        Found::Published(_) => None,
        Found::Part(there) => {
            let recorded_bytes = recorded(there.token == part.token);
            let held_bytes = survivors(known, &found).map_or(0, |spans| spans.written_bytes());
            (held_bytes < recorded_bytes).then_some(Finding::PartShort {
                session,
                task,
                path,
                recorded_bytes,
                held_bytes,
            })
        }
    }
}

fn store_finding(path: &Path, error: StoreError) -> Finding {
    match error {
        StoreError::Corrupt { what, .. } => Finding::DamagedStore {
            path: path.to_owned(),
            what,
        },
        other => Finding::UnusableStore {
            what: other.to_string(),
        },
    }
}

fn open_finding((path, mode, wanted): (PathBuf, u32, u32)) -> Finding {
    Finding::OpenToOthers { path, mode, wanted }
}

fn unreadable(failure: &Failure) -> Finding {
    Finding::Unreadable {
        what: failure.to_string(),
    }
}
