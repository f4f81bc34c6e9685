//! What a server asks for in the middle of a task, and what the owner answers.

use longhaul_engine::authorization_challenge::Disposition;
use longhaul_engine::limits::CHALLENGE_STATUSES_MAX;

use crate::{Error, header};

/// Statuses that are tried again by themselves, or that mean something else than a refusal.
const OTHER_STATUSES: [u16; 6] = [401, 407, 408, 416, 425, 429];

/// Statuses that a challenge may come with, beside those that always are one.
///
/// # Errors
/// [`Error::Invalid`]; see `challenge_on_status` of a request.
pub(crate) fn statuses(statuses: &[u16]) -> Result<Vec<u16>, Error> {
    for status in statuses {
        if !(400..=499).contains(status) || OTHER_STATUSES.contains(status) {
            return Err(Error::Invalid(format!(
                "the status {status} can be no challenge; give those that an expired URL is \
                 answered with, such as 403 or 410"
            )));
        }
    }
    if statuses.len() > CHALLENGE_STATUSES_MAX {
        return Err(Error::Invalid(format!(
            "there are more than {CHALLENGE_STATUSES_MAX} statuses; give those that an expired \
             URL is answered with"
        )));
    }
    Ok(statuses.to_vec())
}

/// Gives the handle of a task the answer to its challenges. It has `session()`, `id()` and
/// `snapshot()`.
macro_rules! challenged_task {
    ($task:ty) => {
        impl $task {
            /// Answers the challenge that the task waits with
            /// ([`Fact::Challenged`](crate::Fact::Challenged),
            /// [`Phase::AwaitingAuthorization`](crate::Phase::AwaitingAuthorization)).
            ///
            /// Credentials, header fields and a new URL are recorded together when this answers, and
            /// survive a restart from then on. A download goes on where it stopped: the bytes that are
            /// held are kept when the server has the same total length and validator for them. An
            /// upload goes on where the server has it, or at its first byte. A suspended task goes on when it is resumed.
            /// This handle keeps the URL that it was made with; those of
            /// [`Session::get_all_tasks`](crate::Session::get_all_tasks) have the new one.
            ///
            /// An answer that comes when the task waits for none, because it was answered before, was
            /// resumed without one, or has ended, changes nothing.
            ///
            /// # Errors
            /// [`Error::Invalid`](crate::Error::Invalid) when a header field can not be sent or the
            /// answer is too large, or when another task writes into the directory from the new URL;
            /// else as [`Self::snapshot`].
            pub async fn answer_challenge(
                &self,
                disposition: crate::Disposition,
            ) -> Result<(), crate::Error> {
                crate::challenge::check(&disposition)?;
                let answer = self.session().answer_challenge(self.id(), disposition);
                Ok(answer.await?)
            }
        }
    };
}

pub(crate) use challenged_task;

/// Checks what an answer brings along as it is checked in a request.
pub(crate) fn check(disposition: &Disposition) -> Result<(), Error> {
    match disposition {
        Disposition::UseCredential(renewal) => {
            header::checked(renewal.headers.iter().flatten()).map(|_| ())
        }
        Disposition::PerformDefaultHandling
        | Disposition::Cancel
        | Disposition::RejectProtectionSpace => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DownloadRequest, Renewal, UploadRequest};

    #[test]
    fn statuses_that_can_be_no_challenge_are_refused_with_the_next_step() {
        const URL: &str = "https://example.com/a";
        let download = || DownloadRequest::new(URL, "a").unwrap();
        let upload = || UploadRequest::new(URL, "a").unwrap();
        let many: Vec<u16> = (430..439).collect();
        for (statuses, is_taken) in [
            (&[403, 410, 400, 404][..], true),
            (&[], true),
            (&[401], false),
            (&[403, 429], false),
            (&[500], false),
            (&[200], false),
            (&many, false),
        ] {
            let kept = [
                download()
                    .challenge_on_status(statuses)
                    .map(|it| it.spec.options),
                upload()
                    .challenge_on_status(statuses)
                    .map(|it| it.spec.options),
            ];
            for result in kept {
                assert_eq!(result.is_ok(), is_taken, "{statuses:?}");
                match result {
                    Ok(options) => assert_eq!(options.challenge_statuses, statuses),
                    Err(error) => assert!(error.to_string().contains(';'), "{error}"),
                }
            }
        }
    }

    #[test]
    fn the_fields_of_an_answer_are_checked_and_not_repeated() {
        for (name, value, is_taken) in [
            ("Authorization", "Bearer hush", true),
            ("Range", "hush", false),
            ("X", "hush\r\nY: z", false),
            ("", "hush", false),
        ] {
            let headers = vec![(name.to_owned(), value.to_owned())];
            let renewal = Renewal::default().with_headers(headers);
            let result = check(&Disposition::UseCredential(renewal));
            assert_eq!(result.is_ok(), is_taken, "{name}");
            if let Err(error) = result {
                assert!(!error.to_string().contains("hush"), "{error}");
            }
        }
    }
}
