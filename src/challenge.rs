//! What a server asks for in the middle of a task, and what the owner answers.

use longhaul_engine::authorization_challenge::Disposition;
use longhaul_engine::limits::CHALLENGE_STATUSES_MAX;

use crate::{DownloadRequest, DownloadTask, Error, header};

/// Statuses that are tried again by themselves, or that mean something else than a refusal.
const OTHER_STATUSES: [u16; 6] = [401, 407, 408, 416, 425, 429];

impl DownloadRequest {
    /// Waits for an answer to a challenge instead of failing when the server answers with one of
    /// these statuses: those of a signed URL that has expired, which are 403 with most stores, and
    /// 400 or 410 with some. A 401 and a 407 always wait. The bytes are kept; see
    /// [`DownloadTask::answer_challenge`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for a status that is not one of 400 to 499, that has a meaning of its own
    /// (401, 407, 408, 416, 425, 429), or when there are more than 8.
    pub fn challenge_on_status(mut self, statuses: &[u16]) -> Result<Self, Error> {
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
        self.spec.options.challenge_statuses = statuses.to_vec();
        Ok(self)
    }
}

impl DownloadTask {
    /// Answers the challenge that the task waits with ([`Fact::Challenged`](crate::Fact::Challenged),
    /// [`Phase::AwaitingAuthorization`](crate::Phase::AwaitingAuthorization)).
    ///
    /// Credentials, header fields and a new URL are recorded together when this answers, and survive
    /// a restart from then on. The task goes on where it stopped: the bytes that are held are kept
    /// when the server has the same total length and validator for them. A suspended task goes on
    /// when it is resumed. This handle keeps the URL that it was made with; those of
    /// [`Session::get_download_tasks`](crate::Session::get_download_tasks) have the new one.
    ///
    /// An answer that comes when the task waits for none, because it was answered before, was resumed
    /// without one, or has ended, changes nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a header field can not be sent or the answer is too large, or when
    /// another task writes into the directory from the new URL; [`Error::NoSuchTask`],
    /// [`Error::Stopped`] or [`Error::Store`].
    pub async fn answer_challenge(&self, disposition: Disposition) -> Result<(), Error> {
        check(&disposition)?;
        Ok(self
            .session()
            .answer_challenge(self.id(), disposition)
            .await?)
    }
}

/// Checks what an answer brings along as it is checked in a request.
pub(crate) fn check(disposition: &Disposition) -> Result<(), Error> {
    let fields = match disposition {
        Disposition::UseCredential(renewal) => renewal.headers.iter().flatten(),
        Disposition::PerformDefaultHandling
        | Disposition::Cancel
        | Disposition::RejectProtectionSpace => return Ok(()),
    };
    let mut checked = Vec::new();
    for (name, value) in fields {
        header::push(&mut checked, name, value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Renewal;

    #[test]
    fn statuses_that_can_be_no_challenge_are_refused_with_the_next_step() {
        let request = || DownloadRequest::new("https://example.com/a", "a").unwrap();
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
            let result = request().challenge_on_status(statuses);
            assert_eq!(result.is_ok(), is_taken, "{statuses:?}");
            if let Err(error) = result {
                assert!(error.to_string().contains(';'), "{error}");
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
