//! `longhaul doctor`: looks over stores, part files, modes and the daemon's socket.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use longhaul::control::api::LOG_NAME;
use longhaul::{
    Engine, Error, Finding, Repair, StateReport, check_state, default_socket, repair_state,
};

use crate::args::DoctorArgs;
use crate::exit::{Exit, Fault};
use crate::report::Out;
use crate::report::entry::Entry;
use crate::state::StateRoot;

/// Looks over everything, and mends what can be mended when it is told to.
///
/// # Errors
/// When a store can not be looked at, or a repair fails. That something is wrong is an exit code.
pub(crate) async fn doctor(args: DoctorArgs) -> Result<Exit, Fault> {
    let root = StateRoot::resolve(args.reach.state_dir.as_deref())?;
    let mut doctor = Doctor {
        out: Out::default(),
        is_json: args.reach.json,
        repairs: args.repair,
        exit: Exit::OK,
    };
    let engines = root.engines();
    if engines.is_empty() {
        doctor.note(&format!(
            "{}: nothing was ever kept here",
            root.path().display()
        ));
    }
    for state in engines {
        doctor.state(&state)?;
    }
    let socket = match args.reach.socket {
        Some(path) => path,
        None => default_socket()?,
    };
    doctor.socket(&socket).await?;
    Ok(doctor.exit)
}

struct Doctor {
    out: Out,
    is_json: bool,
    repairs: bool,
    exit: Exit,
}

impl Doctor {
    fn state(&mut self, state: &Path) -> Result<(), Fault> {
        let report = check_state(state)?;
        self.overview(&report);
        for finding in &report.findings {
            self.finding(finding);
        }
        let is_repairable = report.findings.iter().any(Finding::is_repairable);
        if !self.repairs || !is_repairable {
            return Ok(());
        }
        if report.owner.is_some() {
            self.note("it is left as it is while a process owns it; stop that one first");
            return Ok(());
        }
        for repair in repair_state(state)? {
            self.repaired(&repair);
        }
        Ok(())
    }

    /// The daemon's socket, the files beside it and their directory, as it wants them.
    async fn socket(&mut self, socket: &Path) -> Result<(), Fault> {
        let shown = socket.display();
        match fs::symlink_metadata(socket) {
            Err(_) => self.note(&format!("{shown}: no daemon listens")),
            Ok(metadata) if metadata.file_type().is_socket() => {
                let answers = answers(socket).await;
                self.note(&answers);
            }
            Ok(_) => {
                self.finding(&Finding::Unreadable {
                    what: format!(
                        "{shown} is no socket; move it away, or name another one with --socket"
                    ),
                });
                return Ok(());
            }
        }
        let mut lock = socket.as_os_str().to_owned();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        let log = socket.with_file_name(LOG_NAME);
        let directory = socket.parent().map(Path::to_owned).unwrap_or_default();
        if holds_only(&directory, &[socket, &lock, &log]) {
            self.mode(directory, 0o700)?;
        } else {
            self.shared(&directory);
        }
        self.mode(socket.to_owned(), 0o600)?;
        self.mode(lock, 0o600)
    }

    /// A directory that is not the daemon's alone: its mode is for others to say, and is left as it is.
    fn shared(&mut self, directory: &Path) {
        let Some(mode) = open_mode(directory, 0o700) else {
            return;
        };
        self.finding(&Finding::Unreadable {
            what: format!(
                "{} has mode {mode:04o} and is not the daemon's alone; name a socket in a directory of \
                 its own with --socket",
                directory.display()
            ),
        });
    }

    fn mode(&mut self, path: PathBuf, wanted: u32) -> Result<(), Fault> {
        let Some(mode) = open_mode(&path, wanted) else {
            return Ok(());
        };
        self.finding(&Finding::OpenToOthers {
            path: path.clone(),
            mode,
            wanted,
        });
        if self.repairs {
            let changed = fs::set_permissions(&path, Permissions::from_mode(wanted));
            changed.map_err(|error| {
                let path = path.display();
                Fault::File(format!(
                    "the mode of {path} can not be changed: {error}; change it by hand"
                ))
            })?;
            self.repaired(&Repair::ClosedToOthers { path, mode: wanted });
        }
        Ok(())
    }

    fn overview(&mut self, report: &StateReport) {
        if self.is_json {
            return self.out.json(&Entry::State {
                state: report.state_dir.to_string_lossy(),
                owner_pid: report.owner,
                sessions: report.sessions,
                live_tasks: report.live_tasks,
                ended_tasks: report.ended_tasks,
            });
        }
        let state = report.state_dir.display();
        let text = match (report.owner, report.has_store) {
            (Some(pid), _) => format!("{state}: process {pid} owns it, so it is not looked into"),
            (None, false) => format!("{state}: nothing was ever kept here"),
            (None, true) => {
                let verdict = match report.findings.is_empty() {
                    true => "nothing is wrong",
                    false => "something is wrong",
                };
                format!(
                    "{state}: {verdict}; {} sessions, {} live tasks, {} ended ones",
                    report.sessions, report.live_tasks, report.ended_tasks
                )
            }
        };
        self.out.line(text.as_bytes());
    }

    fn finding(&mut self, finding: &Finding) {
        self.exit = Exit::OTHER;
        match self.is_json {
            true => self.out.json(&Entry::Finding {
                code: finding.code(),
                message: finding.to_string(),
                is_repairable: finding.is_repairable(),
            }),
            false => self.out.line(format!("  found: {finding}").as_bytes()),
        }
    }

    fn repaired(&mut self, repair: &Repair) {
        match self.is_json {
            true => self.out.json(&Entry::Repaired {
                message: repair.to_string(),
            }),
            false => self.out.line(format!("  repaired: {repair}").as_bytes()),
        }
    }

    fn note(&mut self, text: &str) {
        if !self.is_json {
            self.out.line(text.as_bytes());
        }
    }
}

/// Whether a daemon answers at this socket, in a line.
async fn answers(socket: &Path) -> String {
    let shown = socket.display();
    match Engine::connector().socket(socket).connect().await {
        Ok(engine) => {
            engine.shutdown().await;
            format!("{shown}: a daemon answers")
        }
        // It names the socket itself.
        Err(Error::Unreachable(why)) => why,
        Err(error) => format!("{shown}: {error}"),
    }
}

/// The mode of what others may do more with than `wanted` says.
fn open_mode(path: &Path, wanted: u32) -> Option<u32> {
    let mode = fs::symlink_metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & !wanted != 0).then_some(mode)
}

/// Whether nothing else lies in a directory.
fn holds_only(directory: &Path, expected: &[&Path]) -> bool {
    let Ok(mut entries) = fs::read_dir(directory) else {
        return false;
    };
    entries.all(|entry| entry.is_ok_and(|it| expected.contains(&it.path().as_path())))
}
