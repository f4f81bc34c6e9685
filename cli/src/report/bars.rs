//! Progress bars: one for each running transfer while they are few, one for all when they are many.

use std::collections::HashMap;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use longhaul::{Destination, HttpUrl, Progress};

use crate::ledger::{Note, Tally, What};
use crate::report::Label;
use crate::transfer::Place;

/// Above this many transfers there is one bar for all: more would not fit on a screen.
pub(super) const BARS_MAX: usize = 8;

/// Redraws a second: more is not seen, and costs.
const DRAWS_PER_S: u8 = 8;

/// Columns of a name.
const NAME_CHARS_MAX: usize = 28;

const KNOWN: &str =
    "{prefix:28} {bar:24} {percent:>3}% {bytes:>11} {bytes_per_sec:>13} {eta:>5} {msg}";
const UNKNOWN: &str = "{prefix:28} {spinner} {bytes:>11} {bytes_per_sec:>13} {msg}";
const SENT: &str = "{prefix:28} {bar:16} {percent:>3}% {bytes_per_sec:>13} {eta:>5} {msg}";
const TOTAL: &str = "{spinner} {msg}  {bytes}  {bytes_per_sec}  {elapsed}";

/// The bars of a run, on stderr.
pub(super) struct Bars {
    screen: MultiProgress,
    /// The bar of all transfers, when they are many.
    total: Option<ProgressBar>,
    /// The bars of the running ones, when they are few.
    each: HashMap<usize, ProgressBar>,
}

impl Bars {
    pub(super) fn new(transfers: usize) -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_S);
        let screen = MultiProgress::with_draw_target(target);
        let total = (transfers > BARS_MAX).then(|| {
            let bar = ProgressBar::no_length().with_style(style(TOTAL));
            screen.add(bar.with_message(format!("0 of {transfers} files")))
        });
        Self {
            screen,
            total,
            each: HashMap::new(),
        }
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
        match &note.what {
            What::Started | What::Negotiated(_) => {
                self.bar(note.item, label);
            }
            What::Resumed {
                held_bytes,
                total_bytes,
            } => {
                let bar = self.bar(note.item, label);
                show(bar, *held_bytes, *total_bytes);
                // What was there before must not count as speed.
                bar.reset_eta();
                bar.set_message(format!("from {}", HumanBytes(*held_bytes)));
            }
            What::Progress(progress) => {
                let bar = self.bar(note.item, label);
                match label.place {
                    Place::Destination(_) => {
                        show(bar, progress.received_bytes, progress.total_bytes);
                    }
                    Place::Source(_) => show_sent(bar, progress),
                }
            }
            What::Retrying { cause, .. } => {
                self.bar(note.item, label)
                    .set_message(printable(cause.message(), 40));
            }
            What::Finished(_) | What::Uploaded(_) | What::Skipped(_) | What::Failed(_) => {
                if let Some(bar) = self.each.remove(&note.item) {
                    bar.finish_and_clear();
                    self.screen.remove(&bar);
                }
            }
        }
    }

    /// Lets time show: speeds sink while nothing comes.
    pub(super) fn tick(&self) {
        self.total
            .iter()
            .chain(self.each.values())
            .for_each(ProgressBar::tick);
    }

    /// Takes the bars off the screen while something else is written to it.
    pub(super) fn hidden_while(&self, write: impl FnOnce()) {
        self.screen.suspend(write);
    }

    fn bar(&mut self, item: usize, label: Label<'_>) -> &ProgressBar {
        let screen = &self.screen;
        self.each.entry(item).or_insert_with(|| {
            let bar = ProgressBar::no_length().with_style(style(UNKNOWN));
            screen.add(bar.with_prefix(name(label.url, label.place)))
        })
    }
}

/// A bar for each task that somebody watches, beneath each other, on stderr.
pub(crate) struct TaskBars {
    screen: MultiProgress,
    each: HashMap<String, ProgressBar>,
}

impl TaskBars {
    /// An empty screen.
    pub(crate) fn new() -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_S);
        Self {
            screen: MultiProgress::with_draw_target(target),
            each: HashMap::new(),
        }
    }

    /// Shows how far a task is, and what it does.
    pub(crate) fn show(&mut self, task: &str, label: Label<'_>, progress: &Progress, doing: &str) {
        let screen = &self.screen;
        let bar = self.each.entry(task.to_owned()).or_insert_with(|| {
            let bar = ProgressBar::no_length().with_style(style(UNKNOWN));
            let bar = screen.add(bar.with_prefix(printable(
                &format!("{task} {}", name(label.url, label.place)),
                NAME_CHARS_MAX,
            )));
            // What was there before must not count as speed.
            bar.set_position(progress.received_bytes.max(progress.sent_bytes));
            bar.reset_eta();
            bar
        });
        match label.place {
            Place::Destination(_) => show(bar, progress.received_bytes, progress.total_bytes),
            Place::Source(_) => show_sent(bar, progress),
        }
        bar.set_message(printable(doing, 40));
    }

    /// A task has ended.
    pub(crate) fn end(&mut self, task: &str) {
        if let Some(bar) = self.each.remove(task) {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
    }

    /// Lets time show.
    pub(crate) fn tick(&self) {
        self.each.values().for_each(ProgressBar::tick);
    }

    /// Takes the bars off the screen while something else is written to it.
    pub(crate) fn hidden_while(&self, write: impl FnOnce()) {
        self.screen.suspend(write);
    }
}

impl Drop for TaskBars {
    fn drop(&mut self) {
        // Only writes to a terminal, and one that has gone is no matter.
        let _ = self.screen.clear();
    }
}

/// How far a transfer is, in a few words.
pub(crate) fn amount(progress: &Progress) -> String {
    let held = progress.received_bytes.max(progress.sent_bytes);
    match progress.total_bytes {
        Some(0) => "0 B".to_owned(),
        Some(total) => {
            let percent = u128::from(held) * 100 / u128::from(total);
            format!("{percent}% of {}", HumanBytes(total))
        }
        None => HumanBytes(held).to_string(),
    }
}

impl Drop for Bars {
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

/// How much of a file was sent, and how much of that the server has said it has.
fn amounts(progress: &Progress) -> String {
    let sent = HumanBytes(progress.sent_bytes);
    let mut text = match progress.acknowledged_bytes {
        0 => format!("{sent} sent"),
        bytes => format!("{sent} sent, {} acknowledged", HumanBytes(bytes)),
    };
    if let Some(total_bytes) = progress.total_bytes {
        text.push_str(&format!(" of {}", HumanBytes(total_bytes)));
    }
    text
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
    printable(&name, NAME_CHARS_MAX)
}

/// At most `chars_max` characters, none of which moves the cursor.
fn printable(text: &str, chars_max: usize) -> String {
    let clean = text.chars().map(|c| if c.is_control() { '?' } else { c });
    let mut shown: String = clean.clone().take(chars_max).collect();
    if clean.count() > chars_max {
        shown.pop();
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use longhaul::DownloadRequest;

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
    fn what_was_sent_is_told_from_what_was_acknowledged() {
        let table = [
            (
                512,
                480,
                Some(2048),
                "512 MiB sent, 480 MiB acknowledged of 2.00 GiB",
            ),
            (512, 0, Some(2048), "512 MiB sent of 2.00 GiB"),
            (1, 0, None, "1 MiB sent"),
        ];
        for (sent, acknowledged, total, expected) in table {
            let mib = |count: u64| count * 1024 * 1024;
            let text = amounts(&Progress {
                received_bytes: 0,
                sent_bytes: mib(sent),
                acknowledged_bytes: mib(acknowledged),
                total_bytes: total.map(mib),
            });
            assert_eq!(text.replace(".00 MiB", " MiB"), expected);
        }
    }

    #[test]
    fn the_templates_are_well_formed() {
        for template in [KNOWN, UNKNOWN, SENT, TOTAL] {
            style(template);
        }
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
            let mut shown = Bars::new(transfers);
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
