//! Resume data in a file: written by `longhaul cancel --resume-data`, used up by `resume-download` and
//! `resume-upload`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use longhaul::limits::RESUME_DATA_BYTES_MAX;
use longhaul::{
    Durability, Engine, ResumeData, ResumeRequest, ResumeUploadRequest, Session,
    SessionConfiguration,
};

use super::{reach_or_start, session_for};
use crate::address::{DEFAULT_SESSION, TaskName};
use crate::args::{ReachArgs, ResumeDownloadArgs, ResumeUploadArgs};
use crate::exit::{Exit, Fault};
use crate::places::Places;
use crate::plan::read_file;
use crate::report::entry::Entry;
use crate::report::{Label, Out};
use crate::transfer::Transfer;

/// A file of mode 0600 that was not there before, for resume data to come.
pub(super) struct Keep<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> Keep<'a> {
    /// Makes the file.
    pub(super) fn at(path: &'a Path) -> Result<Self, Fault> {
        let mut options = OpenOptions::new();
        let made = options.write(true).create_new(true).mode(0o600).open(path);
        let file = made.map_err(|error| {
            let path = path.display();
            Fault::File(match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    format!("{path} exists, and is not overwritten; name another file")
                }
                _ => format!("{path} can not be made: {error}; name another file"),
            })
        })?;
        Ok(Self { path, file })
    }

    /// Writes the data, so that it survives a power cut.
    pub(super) fn write(mut self, data: &ResumeData) -> Result<(), Fault> {
        let written = self
            .file
            .write_all(data.as_bytes())
            .and_then(|()| self.file.sync_all());
        let synced = written.and_then(|()| File::open(directory_of(self.path))?.sync_all());
        synced.map_err(|error| {
            let path = self.path.display();
            let text = format!(
                "{path} could not be written: {error}; nothing is lost, run the same command again \
                 with another file"
            );
            self.give_up();
            Fault::File(text)
        })
    }

    /// Removes the file: there is nothing to keep.
    pub(super) fn give_up(self) {
        // An empty file that stays does no harm but to be in the way of the next try.
        let _ = fs::remove_file(self.path);
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        Some(_) | None => Path::new("."),
    }
}

/// Goes on with a download.
///
/// # Errors
/// When the file holds no resume data that is of use, or the download can not be started.
pub(crate) async fn resume_download(args: ResumeDownloadArgs) -> Result<Exit, Fault> {
    let data = read(&args.data)?;
    let mut request = ResumeRequest::new(data, Places::file(&args.output)?)?;
    if let Some(asked) = args.if_exists {
        request = request.collision(asked.into());
    }
    let (engine, session) = open(&args.reach, args.session.as_deref()).await?;
    let task = session.resume_download_with(request).await?;
    tell(&args.reach, &session, &Transfer::Download(task));
    drop(session);
    engine.shutdown().await;
    Ok(Exit::OK)
}

/// Goes on with an upload.
///
/// # Errors
/// As [`resume_download`].
pub(crate) async fn resume_upload(args: ResumeUploadArgs) -> Result<Exit, Fault> {
    let request = ResumeUploadRequest::new(read(&args.data)?);
    let (engine, session) = open(&args.reach, args.session.as_deref()).await?;
    let task = session.resume_upload_with(request).await?;
    tell(&args.reach, &session, &Transfer::Upload(task));
    drop(session);
    engine.shutdown().await;
    Ok(Exit::OK)
}

fn read(path: &Path) -> Result<ResumeData, Fault> {
    let bytes = read_file(path, RESUME_DATA_BYTES_MAX)?;
    Ok(ResumeData::from_bytes(bytes).map_err(longhaul::Error::from)?)
}

async fn open(reach: &ReachArgs, session: Option<&str>) -> Result<(Engine, Session), Fault> {
    let configuration = SessionConfiguration::new(session.unwrap_or(DEFAULT_SESSION))?;
    let configuration = configuration.durability(Durability::Power);
    let engine = reach_or_start(reach).await?;
    let session = session_for(&engine, configuration, &[]).await?;
    Ok((engine, session))
}

fn tell(reach: &ReachArgs, session: &Session, task: &Transfer) {
    let name = TaskName::new(session.identifier(), task.id());
    let mut out = Out::default();
    match reach.json {
        true => out.json(&Entry::handed_over(&name, Label::of(task))),
        false => out.line(name.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_is_new_and_for_its_owner_only() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data");
        let data = ResumeData::from_bytes(vec![1, 2, 3]).unwrap();
        Keep::at(&path).unwrap().write(&data).unwrap();
        assert_eq!(fs::read(&path).unwrap(), [1, 2, 3]);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(read(&path).unwrap(), data);
        let fault = Keep::at(&path).map(|_| ()).unwrap_err();
        assert_eq!(fault.exit().code(), 3);
        assert!(fault.to_string().contains("not overwritten;"), "{fault}");
        assert_eq!(fs::read(&path).unwrap(), [1, 2, 3]);
        let other = root.path().join("other");
        Keep::at(&other).unwrap().give_up();
        assert!(!other.exists());
    }
}
