//! A run as JSON, one object a line.

use std::collections::BTreeMap;
use std::path::Path;

use longhaul::Progress;

use crate::exit::{Exit, Fault};
use crate::ledger::{Note, Tally, What};
use crate::report::Label;
use crate::report::out::Out;
use crate::signals::Stop;
use crate::transfer::Kind;

pub(crate) mod entry;
mod line;

use line::{About, Count, End, File, Line, Moved, Spoken, Totals};

/// Changed when a field changes its meaning.
const SCHEMA: u32 = 1;

/// Writes a run as JSON.
pub(crate) struct Json {
    out: Out,
    kind: Kind,
    transfers: usize,
    /// The newest progress of each transfer that moved in this second.
    moved: BTreeMap<usize, (u64, Progress)>,
}

impl Json {
    /// A writer to stdout.
    pub(super) fn new(kind: Kind, transfers: usize) -> Self {
        Self {
            out: Out::default(),
            kind,
            transfers,
            moved: BTreeMap::new(),
        }
    }

    pub(super) fn begin(&mut self, state: &Path) {
        let state = state.to_string_lossy();
        self.write(&Line::Run {
            schema: SCHEMA,
            count: Count::new(self.kind, self.transfers),
            state: &state,
        });
    }

    pub(super) fn note(&mut self, note: Note, label: Label<'_>) {
        let about = About::new(label);
        let item = note.item;
        match note.what {
            What::Progress(progress) => {
                self.moved
                    .insert(item, (about.task.unwrap_or_default(), progress));
            }
            What::Started => {
                let file = File::new(label.place);
                self.write(&Line::Started { about, file });
            }
            What::Resumed {
                held_bytes,
                total_bytes,
            } => self.write(&Line::Resumed {
                about,
                held_bytes,
                total_bytes,
            }),
            What::Negotiated(negotiated) => {
                let spoken = Spoken::new(negotiated);
                self.write(&Line::Negotiated { about, spoken });
            }
            What::Retrying { retry, at, cause } => self.write(&Line::Retrying {
                about,
                retry,
                at_unix_ms: at.as_unix_ms(),
                code: cause.kind().code(),
                message: cause.message(),
            }),
            What::Finished(finished) => {
                let end = End::downloaded(&finished);
                self.end_item(item, &Line::Finished { about, end });
            }
            What::Uploaded(uploaded) => {
                let end = End::uploaded(&uploaded);
                self.end_item(item, &Line::Finished { about, end });
            }
            What::Skipped(path) => {
                let path = &path.to_string_lossy();
                self.end_item(item, &Line::Skipped { about, path });
            }
            What::Failed(problem) => self.end_item(
                item,
                &Line::Failed {
                    about,
                    code: problem.code,
                    message: &problem.message,
                    exit_code: problem.exit.code(),
                    is_resumable: problem.is_kept,
                },
            ),
        }
    }

    pub(super) fn tick(&mut self) {
        for (task, progress) in std::mem::take(&mut self.moved).into_values() {
            let moved = Moved::new(self.kind, progress);
            self.write(&Line::Progress { task, moved });
        }
    }

    pub(super) fn stopped(&mut self, stop: Stop) {
        let exit_code = stop.exit().code();
        self.write(&Line::Stopped {
            signal: stop.name(),
            exit_code,
            is_resumable: true,
        });
    }

    pub(super) fn end(&mut self, tally: Tally, exit: Exit, is_resumable: bool) {
        let exit_code = exit.code();
        self.write(&Line::Summary {
            totals: Totals::new(self.kind, tally),
            exit_code,
            is_resumable,
        });
    }

    pub(super) fn hold(&mut self) {
        self.out.hold();
    }

    pub(super) fn release(&mut self) {
        if let Some(held) = self.out.release() {
            self.out.bytes(&held);
        }
    }

    /// A terminal line; no progress of that transfer may follow it.
    fn end_item(&mut self, item: usize, line: &Line<'_>) {
        self.moved.remove(&item);
        self.write(line);
    }

    fn write(&mut self, line: &Line<'_>) {
        self.out.json(line);
    }
}

/// Tells what ended the whole command.
pub(super) fn fault(fault: &Fault) {
    let message = fault.to_string();
    let (code, exit_code) = (fault.code(), fault.exit().code());
    let line = Line::Fault {
        code,
        message: &message,
        exit_code,
    };
    Out::default().json(&line);
}
