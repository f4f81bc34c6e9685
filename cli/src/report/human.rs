//! A run for people: paths on stdout, the rest on stderr.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::clock;
use crate::ledger::{Note, Problem, Tally, What};
use crate::plan::Output;
use crate::report::bars::{BARS_MAX, Bars};
use crate::report::out::Out;
use crate::report::{Label, complain};
use crate::signals::Stop;

/// Tells a run to a person.
pub(crate) struct Human {
    out: Out,
    bars: Option<Bars>,
    /// Errors only.
    is_quiet: bool,
    /// Few enough downloads that each retry is worth a line.
    tells_retries: bool,
}

impl Human {
    pub(super) fn new(output: Output, downloads: usize) -> Self {
        Self {
            out: Out::default(),
            bars: (output == Output::Bars).then(|| Bars::new(downloads)),
            is_quiet: output == Output::Quiet,
            tells_retries: output != Output::Quiet && downloads <= BARS_MAX,
        }
    }

    pub(super) fn note(&mut self, note: Note, label: Label<'_>, tally: Tally) {
        if let Some(bars) = &mut self.bars {
            bars.note(&note, label, tally);
        }
        match note.what {
            What::Started | What::Resumed { .. } | What::Progress(_) => {}
            What::Retrying { at, cause, .. } if self.tells_retries => {
                let wait_s = clock::until(at).as_secs_f64().ceil();
                self.say(&format!(
                    "{}: {cause}; trying again in {wait_s} s",
                    label.url
                ));
            }
            What::Retrying { .. } => {}
            What::Finished(finished) => {
                if finished.length_unverified && !self.is_quiet {
                    self.say(&format!(
                        "{}: the server named no length, so nothing proves that this is all",
                        label.url
                    ));
                }
                self.path(&finished.path);
            }
            What::Skipped(path) => {
                if !self.is_quiet {
                    self.say(&format!(
                        "{}: {} exists, skipped",
                        label.url,
                        path.display()
                    ));
                }
                self.path(&path);
            }
            What::Failed(problem) => self.say(&complaint(&problem, label)),
        }
    }

    pub(super) fn tick(&self) {
        if let Some(bars) = &self.bars {
            bars.tick();
        }
    }

    pub(super) fn stopped(&mut self, stop: Stop) {
        self.bars = None;
        complain(&format!(
            "stopped by {}; run the same command again to resume",
            stop.name()
        ));
    }

    pub(super) fn end(&mut self, tally: Tally, is_resumable: bool) {
        self.bars = None;
        if tally.failed > 0 && tally.downloads > 1 && !self.is_quiet {
            let there = tally.finished + tally.skipped;
            let (all, failed) = (tally.downloads, tally.failed);
            complain(&format!(
                "{there} of {all} files are there, {failed} failed"
            ));
        }
        if is_resumable && !self.is_quiet {
            complain("what is there is kept; run the same command again to resume");
        }
    }

    fn path(&mut self, path: &Path) {
        if self.is_quiet {
            return;
        }
        let out = &mut self.out;
        let bytes = path.as_os_str().as_bytes();
        match &self.bars {
            Some(bars) => bars.hidden_while(|| out.line(bytes)),
            None => out.line(bytes),
        }
    }

    fn say(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.hidden_while(|| complain(text)),
            None => complain(text),
        }
    }
}

/// What went wrong, and what to do about it when an option of this command can help.
fn complaint(problem: &Problem, label: Label<'_>) -> String {
    let advice = match problem.code {
        "authentication" => "; run it again with -u USER:PASSWORD or -H \"Authorization: …\"",
        "target_exists" => " (--if-exists)",
        "tls" => "; if the server has an authority of its own, name it with --cacert FILE",
        "retry_timed_out" => "; give more with --retry-max-time",
        _ => "",
    };
    format!("{}: {}{advice}", label.url, problem.message)
}

#[cfg(test)]
mod tests {
    use longhaul::DownloadRequest;

    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_complaint_names_the_safe_url_and_the_next_step() {
        let url = "http://u:hush@h/a?sig=hush";
        let request = DownloadRequest::new(url, "/d/a").unwrap();
        let (url, destination) = (request.url(), request.destination());
        let label = Label {
            task: None,
            url,
            destination,
        };
        for (code, advice) in [
            ("authentication", "-u USER"),
            ("target_exists", "--if-exists"),
            ("tls", "--cacert"),
        ] {
            let message = "it went wrong".to_owned();
            let problem = Problem {
                code,
                exit: Exit::OTHER,
                message,
                is_kept: false,
            };
            let text = complaint(&problem, label);
            assert!(
                text.starts_with("http://h/a?sig=…: it went wrong"),
                "{text}"
            );
            assert!(text.contains(advice) && !text.contains("hush"), "{text}");
        }
    }
}
