//! What a person is told of a task's end.

use std::path::{Path, PathBuf};

use longhaul_engine::task::{Destination, DownloadSpec, NotificationTitles, Outcome, Spec};

/// What a person is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The title.
    pub(crate) title: String,
    /// The file's name.
    pub(crate) body: String,
    /// Whether the task did what it was to do.
    pub(crate) is_success: bool,
    /// What a click opens: the file that came.
    pub(crate) target: Option<PathBuf>,
}

impl Notice {
    /// The titles that the owner of a task gave, and the file that it is about as it was asked for;
    /// `None` when nobody is to be told.
    pub(crate) fn wanted(spec: &Spec) -> Option<Box<(NotificationTitles, PathBuf)>> {
        let titles = spec.options().notify_on_finished.clone()?;
        let file = match spec {
            Spec::Download(DownloadSpec {
                destination: Destination::File(path),
                ..
            }) => path.clone(),
            // The name is not known before the file is there; a failure shows the URL's.
            Spec::Download(DownloadSpec { url, .. }) => url.as_url().path().into(),
            Spec::Upload(spec) => spec.source.clone(),
        };
        Some(Box::new((titles, file)))
    }

    /// The notice of a task that ended so; `None` when a person need not know: a cancelled task was
    /// cancelled by its owner, who knows, with resume data or without. `file` is what was asked for, in
    /// case nothing came of it.
    pub(crate) fn of(titles: &NotificationTitles, outcome: &Outcome, file: &Path) -> Option<Self> {
        let (is_success, path, target) = match outcome {
            Outcome::Finished(finished) => (true, &*finished.path, Some(finished.path.clone())),
            Outcome::Skipped(path) => (true, &**path, Some(path.clone())),
            Outcome::Uploaded(_) => (true, file, None),
            Outcome::Failed(_) => (false, file, None),
            Outcome::Cancelled | Outcome::CancelledResumable(_) => return None,
        };
        let title = match is_success {
            true => &titles.success,
            false => &titles.failure,
        };
        let name = path.file_name().unwrap_or(path.as_os_str());
        Some(Self {
            title: title.clone(),
            body: name.to_string_lossy().into_owned(),
            is_success,
            target,
        })
    }
}

#[cfg(test)]
mod tests {
    use longhaul_engine::failure::{Failure, FailureKind};
    use longhaul_engine::task::{Finished, Uploaded};

    use super::*;

    fn titles() -> NotificationTitles {
        NotificationTitles {
            success: "\u{4e0b}\u{8f7d}\u{6210}\u{529f}".to_owned(),
            failure: "\u{4e0b}\u{8f7d}\u{5931}\u{8d25}".to_owned(),
        }
    }

    #[test]
    fn a_person_reads_the_title_of_the_outcome_and_the_name_of_the_file() {
        let finished = Outcome::Finished(Finished {
            path: "/home/me/file.1.zip".into(),
            bytes: 1,
            length_unverified: false,
            status: 200,
        });
        let asked = Path::new("/home/me/file.zip");
        let notice = Notice::of(&titles(), &finished, asked).expect("a notice");
        assert_eq!(notice.title, titles().success);
        assert_eq!(notice.body, "file.1.zip");
        assert_eq!(
            notice.target.as_deref(),
            Some(Path::new("/home/me/file.1.zip"))
        );

        let failed = Outcome::Failed(Failure::new(FailureKind::NoSpace, "no space"));
        let notice = Notice::of(&titles(), &failed, asked).expect("a notice");
        assert_eq!(
            (notice.title, notice.body),
            (titles().failure, "file.zip".to_owned())
        );
        assert_eq!(notice.target, None);

        let uploaded = Outcome::Uploaded(Uploaded {
            status: 201,
            bytes: 1,
            headers: Vec::new(),
            response: Vec::new(),
        });
        let notice = Notice::of(&titles(), &uploaded, asked).expect("a notice");
        assert_eq!(
            (notice.title, notice.body),
            (titles().success, "file.zip".to_owned())
        );
        assert_eq!(notice.target, None, "its owner has the file already");

        assert_eq!(Notice::of(&titles(), &Outcome::Cancelled, asked), None);
    }
}
