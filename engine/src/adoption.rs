//! What becomes of an earlier task when the same file is asked for again.

use crate::resume;
use crate::task::{Collision, DownloadSpec, Finished, Outcome, Spec};

/// What a request for the URL and the destination of an earlier task means for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// It is the task that is asked for.
    TakeOver,
    /// A new task goes on with what the earlier one had fetched.
    Inherit,
    /// A new task begins with nothing; the earlier one keeps its end.
    Anew,
}

/// Decides for a request `asked`, given an earlier task's request and how that ended. (A task that has
/// not ended is always taken over.)
///
/// An end counts for the request only when it is the end that this request would have had: whoever
/// expects another digest than the earlier owner is not told that the file is right.
#[must_use]
pub fn decide(earlier: &Spec, outcome: &Outcome, asked: &Spec) -> Adoption {
    let (earlier, asked) = match (earlier, asked) {
        (Spec::Download(earlier), Spec::Download(asked)) => (earlier, asked),
        // An upload is found only by the very request that made it, which was repeated after a crash, or
        // by one for the same that may have it.
        (Spec::Upload(_), Spec::Upload(_)) => return Adoption::TakeOver,
        (Spec::Download(_), Spec::Upload(_)) | (Spec::Upload(_), Spec::Download(_)) => {
            return Adoption::Anew;
        }
    };
    let is_its_end = match outcome {
        Outcome::Failed(_) => return Adoption::Inherit,
        Outcome::Finished(finished) => is_as_expected(earlier, finished, asked),
        Outcome::Skipped(_) => asked.collision == Collision::Skip,
        Outcome::Uploaded(_) | Outcome::Cancelled | Outcome::CancelledResumable(_) => false,
    };
    if is_its_end {
        Adoption::TakeOver
    } else {
        Adoption::Anew
    }
}

/// Whether a finished file has been held against everything that `asked` expects of it.
fn is_as_expected(earlier: &DownloadSpec, finished: &Finished, asked: &DownloadSpec) -> bool {
    let is_verified = asked
        .digests
        .iter()
        .all(|digest| earlier.digests.contains(digest));
    let is_of_length = asked.length.is_none_or(|length| length == finished.bytes);
    let is_accepted = asked.accept_error_status || !resume::is_error(finished.status);
    is_verified && is_of_length && is_accepted
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::checksum::Digest;
    use crate::failure::{Failure, FailureKind};
    use crate::safe_url::parse_http_url;
    use crate::task::{Destination, TaskOptions, UploadSpec};

    fn spec() -> DownloadSpec {
        DownloadSpec {
            url: parse_http_url("https://origin.example/f")
                .expect("a URL")
                .url,
            destination: Destination::File(PathBuf::from("/d/f")),
            collision: Collision::Fail,
            headers: Vec::new(),
            credentials: None,
            digests: Vec::new(),
            length: None,
            connections: 1,
            allow_unvalidated_resume: false,
            allow_encoded: false,
            allow_downgrade: false,
            accept_error_status: false,
            options: TaskOptions::default(),
        }
    }

    fn with_digests(bytes: &[u8]) -> DownloadSpec {
        let digest = |byte: &u8| -> Digest {
            format!("sha-256={}", format!("{byte:02x}").repeat(32))
                .parse()
                .expect("a digest")
        };
        DownloadSpec {
            digests: bytes.iter().map(digest).collect(),
            ..spec()
        }
    }

    fn with_length(bytes: u64) -> DownloadSpec {
        DownloadSpec {
            length: Some(bytes),
            ..spec()
        }
    }

    fn accepting() -> DownloadSpec {
        DownloadSpec {
            accept_error_status: true,
            ..spec()
        }
    }

    fn skipping() -> DownloadSpec {
        DownloadSpec {
            collision: Collision::Skip,
            ..spec()
        }
    }

    fn finished(status: u16) -> Outcome {
        Outcome::Finished(Finished {
            path: PathBuf::from("/d/f"),
            bytes: 1000,
            length_unverified: false,
            status,
        })
    }

    #[test]
    fn an_end_counts_only_for_who_expects_no_more_than_was_verified() {
        use Adoption::{Anew, Inherit, TakeOver};
        let other_headers = DownloadSpec {
            headers: vec![("x-key".to_owned(), "2".to_owned())],
            ..spec()
        };
        let skipped = || Outcome::Skipped(PathBuf::from("/d/f"));
        let failed = || Outcome::Failed(Failure::new(FailureKind::NoSpace, "full"));
        let table = [
            ("the same", spec(), finished(200), spec(), TakeOver),
            (
                "other headers",
                spec(),
                finished(200),
                other_headers,
                TakeOver,
            ),
            ("a digest", spec(), finished(200), with_digests(&[1]), Anew),
            (
                "the same digest",
                with_digests(&[1]),
                finished(200),
                with_digests(&[1]),
                TakeOver,
            ),
            (
                "another digest",
                with_digests(&[1]),
                finished(200),
                with_digests(&[2]),
                Anew,
            ),
            (
                "one more",
                with_digests(&[1]),
                finished(200),
                with_digests(&[1, 2]),
                Anew,
            ),
            (
                "one fewer",
                with_digests(&[1, 2]),
                finished(200),
                with_digests(&[2]),
                TakeOver,
            ),
            (
                "its length",
                spec(),
                finished(200),
                with_length(1000),
                TakeOver,
            ),
            (
                "another length",
                spec(),
                finished(200),
                with_length(999),
                Anew,
            ),
            (
                "an error, accepted",
                accepting(),
                finished(404),
                accepting(),
                TakeOver,
            ),
            (
                "an error, not any more",
                accepting(),
                finished(404),
                spec(),
                Anew,
            ),
            ("no error", accepting(), finished(200), spec(), TakeOver),
            ("skipped", skipping(), skipped(), skipping(), TakeOver),
            (
                "skipped, to be overwritten",
                skipping(),
                skipped(),
                spec(),
                Anew,
            ),
            ("failed", spec(), failed(), spec(), Inherit),
            ("cancelled", spec(), Outcome::Cancelled, spec(), Anew),
        ];
        for (name, earlier, outcome, asked, expected) in table {
            let (earlier, asked) = (Spec::from(earlier), Spec::from(asked));
            assert_eq!(decide(&earlier, &outcome, &asked), expected, "{name}");
        }
    }

    fn upload() -> UploadSpec {
        UploadSpec {
            url: spec().url,
            source: PathBuf::from("/s"),
            protocol: crate::upload::UploadProtocol::Plain,
            place: None,
            is_repeatable: false,
            metadata: Vec::new(),
            checksum: None,
            method: "PUT".to_owned(),
            headers: Vec::new(),
            credentials: None,
            allow_downgrade: false,
            request_id: 1,
            is_adoptable: false,
            options: TaskOptions::default(),
        }
    }

    #[test]
    fn an_upload_that_is_found_again_is_the_one_that_is_asked_for_however_it_ended() {
        let upload = Spec::from(upload());
        let failed = Outcome::Failed(Failure::new(FailureKind::Status(404), "none"));
        for outcome in [failed, Outcome::Cancelled] {
            assert_eq!(decide(&upload, &outcome, &upload), Adoption::TakeOver);
            let download = Spec::from(spec());
            assert_eq!(decide(&download, &outcome, &upload), Adoption::Anew);
            assert_eq!(decide(&upload, &outcome, &download), Adoption::Anew);
        }
    }
}
