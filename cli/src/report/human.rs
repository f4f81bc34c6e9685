//! A run for people: paths, or a server's answer, on stdout, the rest on stderr.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use longhaul::limits::RESPONSE_BODY_BYTES_MAX;
use longhaul::{Evidence, Negotiated, Protocol, Uploaded};

use crate::clock;
use crate::ledger::{Note, Problem, Tally, What};
use crate::plan::Output;
use crate::report::bars::{BARS_MAX, Bars};
use crate::report::out::Out;
use crate::report::{Label, complain};
use crate::signals::Stop;
use crate::transfer::Kind;

/// Tells a run to a person.
pub(crate) struct Human {
    out: Out,
    bars: Option<Bars<usize>>,
    kind: Kind,
    /// Errors only.
    is_quiet: bool,
    /// Few enough transfers that each retry is worth a line.
    tells_retries: bool,
}

impl Human {
    pub(super) fn new(output: Output, kind: Kind, transfers: usize) -> Self {
        Self {
            out: Out::default(),
            bars: (output == Output::Bars).then(|| Bars::of_run(transfers)),
            kind,
            is_quiet: output == Output::Quiet,
            tells_retries: output != Output::Quiet && transfers <= BARS_MAX,
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
            What::Negotiated(negotiated) => {
                if let Some(text) = protocol(negotiated).filter(|_| !self.is_quiet) {
                    self.say(&format!("{}: {text}", label.url));
                }
            }
            What::Uploaded(uploaded) => self.answer(&uploaded, label),
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

    pub(super) fn hold(&mut self) {
        self.out.hold();
    }

    pub(super) fn release(&mut self) {
        if let Some(held) = self.out.release() {
            self.print(|out| out.bytes(&held));
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
        if tally.failed > 0 && tally.transfers > 1 && !self.is_quiet {
            let there = tally.finished + tally.skipped;
            let (all, failed) = (tally.transfers, tally.failed);
            complain(&format!(
                "{there} of {all} files are there, {failed} failed"
            ));
        }
        if is_resumable && !self.is_quiet {
            let kept = match self.kind {
                Kind::Downloads => "what is there is kept",
                Kind::Uploads => "what the server has is kept",
            };
            complain(&format!("{kept}; run the same command again to resume"));
        }
    }

    fn path(&mut self, path: &Path) {
        self.print(|out| out.line(path.as_os_str().as_bytes()));
    }

    /// What the server has answered, as it is.
    fn answer(&mut self, uploaded: &Uploaded, label: Label<'_>) {
        self.print(|out| out.bytes(&uploaded.response));
        if uploaded.response.len() >= RESPONSE_BODY_BYTES_MAX && !self.is_quiet {
            self.say(&format!(
                "{}: of the server's answer only the first {RESPONSE_BODY_BYTES_MAX} bytes are kept",
                label.url
            ));
        }
    }

    fn print(&mut self, write: impl FnOnce(&mut Out)) {
        if self.is_quiet {
            return;
        }
        let out = &mut self.out;
        match &self.bars {
            Some(bars) => bars.hidden_while(|| write(out)),
            None => write(out),
        }
    }

    fn say(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.hidden_while(|| complain(text)),
            None => complain(text),
        }
    }
}

/// How an upload is sent, where that is worth a line: what happens when it is interrupted. Who asked
/// for a plain request, or sends a small file, knows.
fn protocol(negotiated: Negotiated) -> Option<String> {
    let Negotiated { protocol, evidence } = negotiated;
    match (protocol, evidence) {
        (Protocol::Tus, _) => Some("resumable: tus 1.0".to_owned()),
        (Protocol::Ietf { interop }, _) => {
            Some(format!("resumable: IETF draft, interop version {interop}"))
        }
        (Protocol::Plain, Evidence::Requested | Evidence::Small) => None,
        (Protocol::Plain, Evidence::OtherVersion(interop)) => Some(format!(
            "not resumable: the server speaks interop version {interop} of the IETF draft; try \
             --protocol ietf={interop}"
        )),
        (Protocol::Plain, _) => {
            Some("not resumable: the server has shown no protocol for it".to_owned())
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
        "source_changed" => " (the same command run again does that)",
        "outcome_unknown" => {
            "; look whether it has, and run the same command again to send the file again"
        }
        _ => "",
    };
    format!("{}: {}{advice}", label.url, problem.message)
}

#[cfg(test)]
mod tests {
    use longhaul::DownloadRequest;

    use super::*;
    use crate::exit::Exit;
    use crate::transfer::Place;

    #[test]
    fn a_line_tells_whether_an_upload_can_be_interrupted() {
        let ietf = Protocol::Ietf { interop: 5 };
        let table = [
            (Protocol::Tus, Evidence::Options, Some("resumable: tus 1.0")),
            (
                ietf,
                Evidence::Interim,
                Some("resumable: IETF draft, interop version 5"),
            ),
            (
                Protocol::Plain,
                Evidence::Nothing,
                Some("not resumable: the server has shown no protocol for it"),
            ),
            (
                Protocol::Plain,
                Evidence::OtherVersion(8),
                Some(
                    "not resumable: the server speaks interop version 8 of the IETF draft; try \
                     --protocol ietf=8",
                ),
            ),
            (Protocol::Plain, Evidence::Small, None),
            (Protocol::Plain, Evidence::Requested, None),
        ];
        for (spoken, evidence, expected) in table {
            let text = protocol(Negotiated {
                protocol: spoken,
                evidence,
            });
            assert_eq!(text.as_deref(), expected);
        }
    }

    #[test]
    fn a_complaint_names_the_safe_url_and_the_next_step() {
        let url = "http://u:hush@h/a?sig=hush";
        let request = DownloadRequest::new(url, "/d/a").unwrap();
        let (url, place) = (request.url(), Place::Destination(request.destination()));
        let label = Label {
            task: None,
            url,
            place,
        };
        for (code, advice) in [
            ("authentication", "-u USER"),
            ("target_exists", "--if-exists"),
            ("tls", "--cacert"),
            ("source_changed", "the same command run again"),
            ("outcome_unknown", "run the same command again"),
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
