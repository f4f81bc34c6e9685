//! Looking over a state directory from outside, and mending it.

use std::path::Path;

use longhaul_actors::checkup;
use longhaul_engine::checkup::{Repair, StateReport};

use crate::Error;

/// Looks over the state directory of an engine: whether its store can be read, whether the part files
/// on record are there with their bytes, whether the files of uploads are as they were, what lies about,
/// and what others may read. Nothing is changed or locked: what a crash has left
/// unfinished is for the next [`EngineBuilder::start`](crate::EngineBuilder::start) to finish.
///
/// When a process owns the directory, the report says so and nothing is looked into: its own reads
/// would race. An owner in another container can not be seen; what it changes meanwhile may look
/// damaged.
///
/// It blocks on the disk, some 10 µs for each task.
///
/// # Errors
/// [`Error::State`] when there is no such directory.
pub fn check_state(state_dir: impl AsRef<Path>) -> Result<StateReport, Error> {
    Ok(checkup::check(state_dir.as_ref())?)
}

/// Mends what [`check_state`] has found and a repair can mend, and says what was done: a damaged store
/// is kept under another name and a new one made in its place, as with
/// [`EngineBuilder::recreate_damaged_store`](crate::EngineBuilder::recreate_damaged_store), and what
/// others may read is closed to them. The directory is owned meanwhile. A crash at any point leaves what
/// was there or what was to be; doing it again goes on.
///
/// # Errors
/// [`Error::StateInUse`] while an engine runs on it, [`Error::State`] when it can not be used.
pub fn repair_state(state_dir: impl AsRef<Path>) -> Result<Vec<Repair>, Error> {
    Ok(checkup::repair(state_dir.as_ref())?)
}
