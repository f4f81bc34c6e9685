//! What the reader of a run sees: paths or JSON on stdout, bars and errors on stderr.

use std::io::{self, Write as _};
use std::path::Path;

use longhaul::{HttpUrl, TaskId};

use crate::exit::{Exit, Fault};
use crate::ledger::{Note, Tally};
use crate::plan::Output;
use crate::signals::Stop;
use crate::transfer::{Kind, Place, Transfer};

mod amount;
mod bars;
mod human;
mod json;
mod out;
mod table;

pub(crate) use amount::amount;
pub(crate) use bars::{Bars, name};
use human::Human;
use json::Json;
pub(crate) use json::entry;
pub(crate) use out::Out;
pub(crate) use table::{Table, printable};

/// Which transfer a note is about.
#[derive(Clone, Copy)]
pub(crate) struct Label<'a> {
    /// Its task; `None` when it was refused.
    pub(crate) task: Option<TaskId>,
    /// What it fetches, or where to it sends; shown without secrets.
    pub(crate) url: &'a HttpUrl,
    /// Its file.
    pub(crate) place: Place<'a>,
}

/// Tells a run to its reader.
pub(crate) enum Reporter {
    /// For programs.
    Json(Json),
    /// For people.
    Human(Human),
}

impl<'a> Label<'a> {
    /// The label of a started transfer.
    pub(crate) fn of(task: &'a Transfer) -> Self {
        Self {
            task: Some(task.id()),
            url: task.url(),
            place: task.place(),
        }
    }
}

impl Reporter {
    /// A reporter for a run of this many transfers.
    pub(crate) fn new(output: Output, kind: Kind, transfers: usize) -> Self {
        match output {
            Output::Json => Self::Json(Json::new(kind, transfers)),
            Output::Quiet | Output::Plain | Output::Bars => {
                Self::Human(Human::new(output, kind, transfers))
            }
        }
    }

    /// The run begins.
    pub(crate) fn begin(&mut self, state: &Path) {
        match self {
            Self::Json(json) => json.begin(state),
            Self::Human(_) => {}
        }
    }

    /// Something happened to a transfer.
    pub(crate) fn note(&mut self, note: Note, label: Label<'_>, tally: Tally) {
        match self {
            Self::Json(json) => json.note(note, label),
            Self::Human(human) => human.note(note, label, tally),
        }
    }

    /// Much may happen now: the lines about it are written together.
    pub(crate) fn hold(&mut self) {
        match self {
            Self::Json(json) => json.hold(),
            Self::Human(human) => human.hold(),
        }
    }

    /// Writes what was held.
    pub(crate) fn release(&mut self) {
        match self {
            Self::Json(json) => json.release(),
            Self::Human(human) => human.release(),
        }
    }

    /// A second has passed.
    pub(crate) fn tick(&mut self) {
        match self {
            Self::Json(json) => json.tick(),
            Self::Human(human) => human.tick(),
        }
    }

    /// The run was stopped by a signal, and everything is recorded.
    pub(crate) fn stopped(&mut self, stop: Stop) {
        match self {
            Self::Json(json) => json.stopped(stop),
            Self::Human(human) => human.stopped(stop),
        }
    }

    /// The run is over.
    pub(crate) fn end(&mut self, tally: Tally, exit: Exit, is_resumable: bool) {
        match self {
            Self::Json(json) => json.end(tally, exit, is_resumable),
            Self::Human(human) => human.end(tally, is_resumable),
        }
    }
}

/// Tells what ended the whole command.
pub(crate) fn fault(is_json: bool, fault: &Fault) {
    match is_json {
        true => json::fault(fault),
        false => complain(&fault.to_string()),
    }
}

/// Writes a line to stderr. When nobody reads it any more there is nobody to tell.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "longhaul: {text}");
}
