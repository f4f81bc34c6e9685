//! Progress bars: one for each running transfer while they are few, one for all when they are many.

use std::collections::HashMap;
use std::hash::Hash;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use longhaul::{Destination, HttpUrl, Progress};

use crate::address::TaskName;
use crate::ledger::{Note, Tally, What};
use crate::report::amount::amounts;
use crate::report::{Label, printable};
use crate::transfer::Place;

/// Above this many transfers there is one bar for all: more would not fit on a screen.
pub(super) const BARS_MAX: usize = 8;

/// Redraws a second: more is not seen, and costs.
const DRAWS_PER_S: u8 = 8;

/// Columns of a name.
const NAME_CHARS_MAX: usize = 28;

/// Characters of what is told beside a bar.
const MESSAGE_CHARS_MAX: usize = 40;

const KNOWN: &str =
    "{prefix:28} {bar:24} {percent:>3}% {bytes:>11} {bytes_per_sec:>13} {eta:>5} {msg}";
const UNKNOWN: &str = "{prefix:28} {spinner} {bytes:>11} {bytes_per_sec:>13} {msg}";
const SENT: &str = "{prefix:28} {bar:16} {percent:>3}% {bytes_per_sec:>13} {eta:>5} {msg}";
const TOTAL: &str = "{spinner} {msg}  {bytes}  {bytes_per_sec}  {elapsed}";

/// Bars beneath each other on stderr, one for each transfer that `K` names.
pub(crate) struct Bars<K> {
    screen: MultiProgress,
    /// The bar of all transfers, when they are many.
    total: Option<ProgressBar>,
    /// The bars of the running ones, when they are few.
    each: HashMap<K, ProgressBar>,
}

impl<K: Eq + Hash> Bars<K> {
    /// An empty screen.
    pub(crate) fn new() -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_S);
        Self {
            screen: MultiProgress::with_draw_target(target),
            total: None,
            each: HashMap::new(),
        }
    }

    /// A transfer has ended.
    pub(crate) fn end(&mut self, which: &K) {
        if let Some(bar) = self.each.remove(which) {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
    }

    /// Lets time show: speeds sink while nothing comes.
    pub(crate) fn tick(&self) {
        self.total
            .iter()
            .chain(self.each.values())
            .for_each(ProgressBar::tick);
    }

    /// Takes the bars off the screen while something else is written to it.
    pub(crate) fn hidden_while(&self, write: impl FnOnce()) {
        self.screen.suspend(write);
    }

    /// The bar of a transfer that is called so.
    fn bar(&mut self, which: K, name: impl FnOnce() -> String) -> &ProgressBar {
        let screen = &self.screen;
        self.each.entry(which).or_insert_with(|| {
            let bar = ProgressBar::no_length().with_style(style(UNKNOWN));
            screen.add(bar.with_prefix(name()))
        })
    }
}

impl Bars<usize> {
    /// The bars of a run of this many transfers.
    pub(super) fn of_run(transfers: usize) -> Self {
        let mut bars = Self::new();
        bars.total = (transfers > BARS_MAX).then(|| {
            let bar = ProgressBar::no_length().with_style(style(TOTAL));
            bars.screen
                .add(bar.with_message(format!("0 of {transfers} files")))
        });
        bars
    }

    /// Shows what a note changes. Costs the same however many transfers there are.
    pub(super) fn note(&mut self, note: &Note, label: Label<'_>, tally: Tally) {
        if let Some(total) = &self.total {
            total.set_position(tally.kept_bytes);
            if matches!(
                note.what,
                What::Finished(_) | What::Uploaded(_) | What::Skipped(_) | What::Failed(_)
            ) {
                total.set_message(ended(tally));
            }
            return;
        }
        let name = || name(label.url, label.place);
        match &note.what {
            What::Started | What::Negotiated(_) => {
                self.bar(note.item, name);
            }
            What::Resumed {
                held_bytes,
                total_bytes,
            } => {
                let bar = self.bar(note.item, name);
                show(bar, *held_bytes, *total_bytes);
                // What was there before must not count as speed.
                bar.reset_eta();
                bar.set_message(format!("from {}", HumanBytes(*held_bytes)));
            }
            What::Progress(progress) => {
                let bar = self.bar(note.item, name);
                match label.place {
                    Place::Destination(_) => {
                        show(bar, progress.received_bytes, progress.total_bytes);
                    }
                    Place::Source(_) => show_sent(bar, progress),
                }
            }
            What::Retrying { cause, .. } => {
                self.bar(note.item, name)
                    .set_message(short(cause.message(), MESSAGE_CHARS_MAX));
            }
            What::Finished(_) | What::Uploaded(_) | What::Skipped(_) | What::Failed(_) => {
                self.end(&note.item);
            }
        }
    }
}

impl Bars<TaskName> {
    /// Shows how far a task is, and what it does unless its bytes flow.
    pub(crate) fn show(
        &mut self,
        task: &TaskName,
        label: Label<'_>,
        progress: &Progress,
        doing: Option<&str>,
    ) {
        let is_new = !self.each.contains_key(task);
        let name = || {
            let name = name(label.url, label.place);
            short(&format!("{task} {name}"), NAME_CHARS_MAX)
        };
        let bar = self.bar(task.clone(), name);
        if is_new {
            // What was there before must not count as speed.
            bar.set_position(progress.received_bytes.max(progress.sent_bytes));
            bar.reset_eta();
        }
        match label.place {
            Place::Destination(_) => {
                show(bar, progress.received_bytes, progress.total_bytes);
                bar.set_message("");
            }
            Place::Source(_) => show_sent(bar, progress),
        }
        if let Some(doing) = doing {
            bar.set_message(short(doing, MESSAGE_CHARS_MAX));
        }
    }
}

impl<K> Drop for Bars<K> {
    fn drop(&mut self) {
        // Only writes to a terminal, and one that has gone is no matter.
        let _ = self.screen.clear();
    }
}

fn show(bar: &ProgressBar, received_bytes: u64, total_bytes: Option<u64>) {
    if bar.length() != total_bytes {
        match total_bytes {
            Some(total_bytes) => {
                bar.set_style(style(KNOWN).progress_chars("=> "));
                bar.set_length(total_bytes);
            }
            None => {
                bar.set_style(style(UNKNOWN));
                bar.unset_length();
            }
        }
    }
    bar.set_position(received_bytes);
}

fn show_sent(bar: &ProgressBar, progress: &Progress) {
    if bar.length() != progress.total_bytes
        && let Some(total_bytes) = progress.total_bytes
    {
        bar.set_style(style(SENT).progress_chars("=> "));
        bar.set_length(total_bytes);
    }
    bar.set_position(progress.sent_bytes);
    bar.set_message(amounts(progress));
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are well formed")
}

fn ended(tally: Tally) -> String {
    let there = tally.finished + tally.skipped;
    match tally.failed {
        0 => format!("{there} of {} files", tally.transfers),
        failed => format!("{there} of {} files, {failed} failed", tally.transfers),
    }
}

/// A short name for a transfer: its file's, or the last part of its path.
pub(crate) fn name(url: &HttpUrl, place: Place<'_>) -> String {
    let name = match place {
        Place::Destination(Destination::File(path)) => path.file_name(),
        Place::Source(path) => path.file_name(),
        Place::Destination(Destination::Directory(_)) => None,
    };
    let name = name.map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_else(|| {
        let target = url.request_target();
        let path = target.split('?').next().unwrap_or(target);
        let last = path.rsplit('/').find(|part| !part.is_empty());
        last.unwrap_or(url.host()).to_owned()
    });
    short(&name, NAME_CHARS_MAX)
}

/// At most `chars_max` characters, none of which moves the cursor.
fn short(text: &str, chars_max: usize) -> String {
    let mut shown = printable(text);
    if shown.chars().count() > chars_max {
        shown = shown.chars().take(chars_max - 1).collect();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use longhaul::{DownloadRequest, TaskId};

    use super::*;

    fn label(request: &DownloadRequest) -> Label<'_> {
        Label {
            task: None,
            url: request.url(),
            place: Place::Destination(request.destination()),
        }
    }

    #[test]
    fn a_name_is_short_and_moves_no_cursor() {
        let table = [
            (DownloadRequest::new("http://h/a", "/d/b\u{1b}[2J"), "b?[2J"),
            (
                DownloadRequest::into_directory("http://h/x/a.iso?sig=hush", "/d"),
                "a.iso",
            ),
            (DownloadRequest::into_directory("http://h/", "/d"), "h"),
            (
                DownloadRequest::into_directory("http://h/0123456789012345678901234567890", "/d"),
                "012345678901234567890123456…",
            ),
        ];
        for (request, shown) in table {
            let request = request.unwrap();
            assert_eq!(
                name(request.url(), Place::Destination(request.destination())),
                shown
            );
        }
    }

    #[test]
    fn the_templates_are_well_formed() {
        for template in [KNOWN, UNKNOWN, SENT, TOTAL] {
            style(template);
        }
    }

    #[test]
    fn a_watched_upload_says_how_much_was_sent_unless_it_does_something_else() {
        let url = DownloadRequest::new("http://h/a", "/d/b").unwrap();
        let task = TaskName::new("s", TaskId::new(1));
        let progress = Progress {
            received_bytes: 0,
            sent_bytes: 512,
            acknowledged_bytes: 0,
            total_bytes: Some(1024),
        };
        let upload = Place::Source(Path::new("/d/b"));
        let download = Place::Destination(url.destination());
        let sent = "512 B sent of 1.00 KiB";
        let mut bars = Bars::new();
        for (place, doing, message) in [
            (upload, None, sent),
            (upload, Some("it waits"), "it waits"),
            (upload, None, sent),
            (download, Some("it waits"), "it waits"),
            (download, None, ""),
        ] {
            let label = Label {
                task: None,
                url: url.url(),
                place,
            };
            bars.show(&task, label, &progress, doing);
            assert_eq!(bars.each[&task].message(), message);
        }
        bars.end(&task);
        assert!(bars.each.is_empty());
    }

    #[test]
    fn many_downloads_share_one_bar() {
        let request = DownloadRequest::new("http://h/a", "/d/b").unwrap();
        let progress = Progress {
            received_bytes: 5,
            sent_bytes: 0,
            acknowledged_bytes: 0,
            total_bytes: Some(9),
        };
        for (transfers, bars) in [(BARS_MAX, 1), (BARS_MAX + 1, 0)] {
            let mut shown = Bars::of_run(transfers);
            let note = Note {
                item: 0,
                what: What::Progress(progress),
            };
            shown.note(
                &note,
                label(&request),
                Tally {
                    transfers,
                    ..Tally::default()
                },
            );
            assert_eq!(shown.each.len(), bars);
            let note = Note {
                item: 0,
                what: What::Skipped("/d/b".into()),
            };
            shown.note(
                &note,
                label(&request),
                Tally {
                    transfers,
                    ..Tally::default()
                },
            );
            assert_eq!(shown.each.len(), 0);
        }
    }
}
