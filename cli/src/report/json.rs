//! A run as JSON, one object a line. The names in it are stable: fields are added, never changed.

use std::collections::BTreeMap;
use std::path::Path;

use longhaul::{Destination, Progress};
use serde::Serialize;

use crate::exit::{Exit, Fault};
use crate::ledger::{Note, Tally, What};
use crate::report::Label;
use crate::report::out::Out;
use crate::signals::Stop;

/// Changed when a field changes its meaning.
const SCHEMA: u32 = 1;

/// Writes a run as JSON.
#[derive(Default)]
pub(crate) struct Json {
    out: Out,
    /// The newest progress of each download that moved in this second.
    moved: BTreeMap<usize, (u64, Progress)>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    Run {
        schema: u32,
        downloads: usize,
        state: &'a str,
    },
    Started {
        #[serde(flatten)]
        about: About,
        destination: &'a str,
    },
    Resumed {
        #[serde(flatten)]
        about: About,
        held_bytes: u64,
        total_bytes: Option<u64>,
    },
    Progress {
        task: u64,
        received_bytes: u64,
        total_bytes: Option<u64>,
    },
    Retrying {
        #[serde(flatten)]
        about: About,
        retry: u32,
        at_unix_ms: u64,
        code: &'a str,
        message: &'a str,
    },
    Finished {
        #[serde(flatten)]
        about: About,
        path: &'a str,
        bytes: u64,
        length_unverified: bool,
        status: u16,
    },
    Skipped {
        #[serde(flatten)]
        about: About,
        path: &'a str,
    },
    Failed {
        #[serde(flatten)]
        about: About,
        code: &'a str,
        message: &'a str,
        exit_code: u8,
        is_resumable: bool,
    },
    Stopped {
        signal: &'a str,
        exit_code: u8,
        is_resumable: bool,
    },
    Fault {
        code: &'a str,
        message: &'a str,
        exit_code: u8,
    },
    Summary {
        downloads: usize,
        finished: usize,
        skipped: usize,
        failed: usize,
        received_bytes: u64,
        exit_code: u8,
        is_resumable: bool,
    },
}

/// Which download a line is about. The URL is the safe one.
#[derive(Serialize)]
struct About {
    task: Option<u64>,
    url: String,
}

impl Json {
    /// A writer to stdout.
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn begin(&mut self, downloads: usize, state: &Path) {
        let state = state.to_string_lossy();
        self.write(&Line::Run {
            schema: SCHEMA,
            downloads,
            state: &state,
        });
    }

    pub(super) fn note(&mut self, note: Note, label: Label<'_>) {
        let about = About {
            task: label.task.map(|id| id.get()),
            url: label.url.to_string(),
        };
        let item = note.item;
        match note.what {
            What::Progress(progress) => {
                self.moved
                    .insert(item, (about.task.unwrap_or_default(), progress));
            }
            What::Started => {
                let (Destination::File(path) | Destination::Directory(path)) = label.destination;
                self.write(&Line::Started {
                    about,
                    destination: &path.to_string_lossy(),
                });
            }
            What::Resumed {
                held_bytes,
                total_bytes,
            } => {
                self.write(&Line::Resumed {
                    about,
                    held_bytes,
                    total_bytes,
                });
            }
            What::Retrying { retry, at, cause } => self.write(&Line::Retrying {
                about,
                retry,
                at_unix_ms: at.as_unix_ms(),
                code: cause.kind().code(),
                message: cause.message(),
            }),
            What::Finished(finished) => self.end_item(
                item,
                &Line::Finished {
                    about,
                    path: &finished.path.to_string_lossy(),
                    bytes: finished.bytes,
                    length_unverified: finished.length_unverified,
                    status: finished.status,
                },
            ),
            What::Skipped(path) => {
                self.end_item(
                    item,
                    &Line::Skipped {
                        about,
                        path: &path.to_string_lossy(),
                    },
                );
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
            let Progress {
                received_bytes,
                // The command's tasks are downloads.
                sent_bytes: _,
                acknowledged_bytes: _,
                total_bytes,
            } = progress;
            self.write(&Line::Progress {
                task,
                received_bytes,
                total_bytes,
            });
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

    pub(super) fn fault(&mut self, fault: &Fault) {
        let message = fault.to_string();
        let (code, exit_code) = (fault.code(), fault.exit().code());
        self.write(&Line::Fault {
            code,
            message: &message,
            exit_code,
        });
    }

    pub(super) fn end(&mut self, tally: Tally, exit: Exit, is_resumable: bool) {
        let Tally {
            downloads,
            finished,
            skipped,
            failed,
            received_bytes,
        } = tally;
        let exit_code = exit.code();
        self.write(&Line::Summary {
            downloads,
            finished,
            skipped,
            failed,
            received_bytes,
            exit_code,
            is_resumable,
        });
    }

    /// A terminal line; no progress of that download may follow it.
    fn end_item(&mut self, item: usize, line: &Line<'_>) {
        self.moved.remove(&item);
        self.write(line);
    }

    fn write(&mut self, line: &Line<'_>) {
        let text = serde_json::to_vec(line).expect("numbers and texts are always JSON");
        self.out.line(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &Line<'_>) -> String {
        serde_json::to_string(line).unwrap()
    }

    #[test]
    fn the_shape_of_a_line_is_stable() {
        let about = || About {
            task: Some(7),
            url: "http://h/a?sig=…".to_owned(),
        };
        let failed = Line::Failed {
            about: about(),
            code: "status",
            message: "the server answered 404",
            exit_code: 8,
            is_resumable: false,
        };
        assert_eq!(
            text(&failed),
            r#"{"event":"failed","task":7,"url":"http://h/a?sig=…","code":"status","message":"the server answered 404","exit_code":8,"is_resumable":false}"#
        );
        let progress = Line::Progress {
            task: 7,
            received_bytes: 5,
            total_bytes: None,
        };
        assert_eq!(
            text(&progress),
            r#"{"event":"progress","task":7,"received_bytes":5,"total_bytes":null}"#
        );
        let finished = Line::Finished {
            about: about(),
            path: "/d/a",
            bytes: 5,
            length_unverified: false,
            status: 200,
        };
        assert_eq!(
            text(&finished),
            r#"{"event":"finished","task":7,"url":"http://h/a?sig=…","path":"/d/a","bytes":5,"length_unverified":false,"status":200}"#
        );
    }
}
