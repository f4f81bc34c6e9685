//! Transfers of the foreground that were interrupted, and the commands that go on with them.

use std::path::PathBuf;

use indicatif::HumanBytes;
use longhaul::{StateReport, check_state};

use crate::again::Again;
use crate::report::entry::Entry;
use crate::shell;
use crate::state::{StateRoot, remembered};

/// A run that was interrupted.
pub(crate) struct Interrupted {
    /// Its directory.
    state: PathBuf,
    /// What it was; `None` when that is not known.
    again: Option<Again>,
    /// How far it is.
    report: StateReport,
}

/// The runs that do not run. Looking for them changes nothing and disturbs none that does.
pub(crate) fn interrupted(root: &StateRoot) -> Vec<Interrupted> {
    let found = root.runs().into_iter().filter_map(|state| {
        // One that can not be looked at, or has never begun, is nothing to go on with.
        let report = check_state(&state).ok()?;
        let is_left = report.owner.is_none() && report.has_store;
        is_left.then(|| Interrupted {
            again: remembered(&state),
            state,
            report,
        })
    });
    found.collect()
}

impl Interrupted {
    /// It as a line for programs.
    pub(crate) fn entry(&self) -> Entry<'_> {
        let again = self.again.as_ref();
        Entry::Interrupted {
            state: self.state.to_string_lossy(),
            directory: again.map(|again| again.directory.as_str()),
            command: again.map(|again| again.command.as_slice()),
            given_again: again.map_or(&[], |again| again.given_again.as_slice()),
            held_bytes: self.report.held_bytes,
            total_bytes: self.report.total_bytes,
        }
    }

    /// It as lines for people: what it holds, and how to go on.
    pub(crate) fn lines(&self) -> Vec<String> {
        let held = HumanBytes(self.report.held_bytes);
        let of = match self.report.total_bytes {
            Some(total @ 1..) => format!(" of {}", HumanBytes(total)),
            Some(0) | None => String::new(),
        };
        let Some(again) = &self.again else {
            let state = self.state.display();
            return vec![format!(
                "interrupted in the foreground, {held}{of} held; run the same command again to go on (its \
                 state lies in {state})"
            )];
        };
        let mut lines = vec![format!(
            "interrupted in the foreground, {held}{of} held; to go on:"
        )];
        let command = shell::command(&again.command);
        lines.push(format!(
            "  cd {} && {command}",
            shell::quoted(&again.directory)
        ));
        if !again.given_again.is_empty() {
            let options = again.given_again.join(", ");
            lines.push(format!(
                "  with the same {options}, whose values are not kept"
            ));
        }
        lines
    }
}
