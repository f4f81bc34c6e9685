//! What any request may be given beside what it transfers, written once for all kinds of them.

use longhaul_engine::limits::{DESCRIPTION_BYTES_MAX, NOTIFICATION_TITLE_BYTES_MAX};
use longhaul_engine::task::NotificationTitles;

use crate::Error;

/// Gives a request the setters of its task's options. It has a field `spec` with a field `options`.
/// The titles are those of a finish notification that names none.
macro_rules! task_options {
    ($request:ty, $success:literal, $failure:literal) => {
        impl $request {
            /// Which of the waiting tasks goes first: 0 (last) to 1 (first), 0.5 without this
            /// (Foundation: `URLSessionTask.priority`). What is not between is moved to the nearer
            /// end. It is a rule of this engine's queue, not a word to the server.
            #[must_use]
            pub fn priority(mut self, priority: f32) -> Self {
                self.spec.options.priority = longhaul_engine::task::Priority::new(priority);
                self
            }

            /// Not to begin before this time (Foundation: `earliestBeginDate`): a `SystemTime` or a
            /// [`Timestamp`](crate::Timestamp). It is a time of the wall clock, kept through
            /// restarts; setting the clock moves the wait. The timeout for the resource runs from
            /// then on.
            #[must_use]
            pub fn earliest_begin_date(mut self, date: impl Into<crate::Timestamp>) -> Self {
                self.spec.options.earliest_begin = Some(date.into());
                self
            }

            /// It may wait for power and for a network that costs nothing (Foundation:
            /// `isDiscretionary`). The session's word is enough too.
            #[must_use]
            pub const fn is_discretionary(mut self, is_discretionary: bool) -> Self {
                self.spec.options.is_discretionary = is_discretionary;
                self
            }

            /// Whether it may use a network that costs money (true without this). The session must
            /// allow it too (Foundation: `allowsExpensiveNetworkAccess`).
            #[must_use]
            pub const fn allows_expensive_network_access(mut self, allows: bool) -> Self {
                self.spec.options.allows_expensive_network_access = allows;
                self
            }

            /// Whether it may use a network that is to be spared (true without this). The session
            /// must allow it too (Foundation: `allowsConstrainedNetworkAccess`).
            #[must_use]
            pub const fn allows_constrained_network_access(mut self, allows: bool) -> Self {
                self.spec.options.allows_constrained_network_access = allows;
                self
            }

            /// Bytes per second for this task alone. Its session's and the engine's limits hold
            /// beside it.
            ///
            /// # Errors
            /// [`Error::Invalid`](crate::Error::Invalid) when it is zero.
            pub fn rate_limit_bytes(mut self, bytes_per_second: u64) -> Result<Self, crate::Error> {
                let rate = crate::options::rate(Some(bytes_per_second))?;
                self.spec.options.rate_limit_bytes = rate;
                Ok(self)
            }

            /// A person is told of its end under one of these titles, with the name of the file, by
            /// the desktop (`org.freedesktop.Notifications`). A click opens a file that was
            /// downloaded, for as long as the engine runs.
            ///
            /// This never changes how or when a task ends: the end is on record first, and nothing
            /// waits for the desktop. So an end is told at most once: a crash between the two, a
            /// desktop that is missing or does not answer, and more ends at once than a person reads
            /// lose it. That nobody takes notifications is in the log once. An engine that is shut
            /// down gives the desktop half a second for the last ones. Nobody is told of a cancelled
            /// task: its owner cancelled it.
            ///
            /// # Errors
            /// [`Error::Invalid`](crate::Error::Invalid) when one is empty, longer than 512 bytes or
            /// holds a control character.
            pub fn notify_on_finished(
                mut self,
                success: impl Into<String>,
                failure: impl Into<String>,
            ) -> Result<Self, crate::Error> {
                let titles = crate::options::titles(success.into(), failure.into())?;
                self.spec.options.notify_on_finished = Some(titles);
                Ok(self)
            }

            /// A person is told of its end under a title of this library; the rules are the same.
            #[must_use]
            pub fn notify_on_finished_default(mut self) -> Self {
                self.spec.options.notify_on_finished =
                    Some(longhaul_engine::task::NotificationTitles {
                        success: $success.to_owned(),
                        failure: $failure.to_owned(),
                    });
                self
            }

            /// Waits for an answer to a challenge instead of failing when the server answers with one
            /// of these statuses: those of a signed URL that has expired, which are 403 with most
            /// stores, and 400 or 410 with some. A 401 and a 407 always wait. What the task has is
            /// kept; see [`DownloadTask::answer_challenge`](crate::DownloadTask::answer_challenge) and
            /// [`UploadTask::answer_challenge`](crate::UploadTask::answer_challenge).
            ///
            /// # Errors
            /// [`Error::Invalid`](crate::Error::Invalid) for a status that is not one of 400 to 499,
            /// that has a meaning of its own (401, 407, 408, 416, 425, 429), or when there are more
            /// than 8.
            pub fn challenge_on_status(mut self, statuses: &[u16]) -> Result<Self, crate::Error> {
                self.spec.options.challenge_statuses = crate::challenge::statuses(statuses)?;
                Ok(self)
            }

            /// A text for its owner, which the engine keeps and does not read (Foundation:
            /// `taskDescription`).
            ///
            /// # Errors
            /// [`Error::Invalid`](crate::Error::Invalid) when it is longer than 4 KiB.
            pub fn description(mut self, text: impl Into<String>) -> Result<Self, crate::Error> {
                self.spec.options.description = Some(crate::options::description(text.into())?);
                Ok(self)
            }
        }
    };
}

pub(crate) use task_options;

/// A rate limit that lets something pass.
pub(crate) fn rate(bytes_per_second: Option<u64>) -> Result<Option<u64>, Error> {
    if bytes_per_second == Some(0) {
        return Err(Error::Invalid(
            "a rate limit of 0 bytes per second would let nothing pass; suspend the task instead"
                .to_owned(),
        ));
    }
    Ok(bytes_per_second)
}

pub(crate) fn titles(success: String, failure: String) -> Result<NotificationTitles, Error> {
    for title in [&success, &failure] {
        if title.trim().is_empty() || title.chars().any(char::is_control) {
            return Err(Error::Invalid(
                "a notification's title is empty or holds a control character; give one line of \
                 text"
                    .to_owned(),
            ));
        }
        at_most(
            "the title of a notification",
            title,
            NOTIFICATION_TITLE_BYTES_MAX,
        )?;
    }
    Ok(NotificationTitles { success, failure })
}

pub(crate) fn description(text: String) -> Result<String, Error> {
    at_most("the description of a task", &text, DESCRIPTION_BYTES_MAX)?;
    Ok(text)
}

fn at_most(what: &str, text: &str, bytes_max: usize) -> Result<(), Error> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{what} has {} bytes; give at most {bytes_max}",
        text.len()
    )))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use longhaul_engine::task::{Priority, TaskOptions};

    use super::*;
    use crate::{DownloadRequest, Timestamp, UploadRequest};

    fn request() -> DownloadRequest {
        DownloadRequest::new("http://a/b", "/b").unwrap()
    }

    fn upload() -> UploadRequest {
        UploadRequest::new("http://a/b", "/b").unwrap()
    }

    /// The options of a request that was given each of them.
    macro_rules! given {
        ($request:expr) => {
            $request
                .priority(0.75)
                .earliest_begin_date(UNIX_EPOCH + Duration::from_millis(1500))
                .is_discretionary(true)
                .allows_expensive_network_access(false)
                .allows_constrained_network_access(false)
                .rate_limit_bytes(1000)
                .and_then(|r| r.notify_on_finished("完成", "失败"))
                .and_then(|r| r.challenge_on_status(&[403]))
                .and_then(|r| r.description("for Karl"))
                .unwrap()
                .spec
                .options
        };
    }

    #[test]
    fn each_option_is_kept_as_it_was_given_by_every_kind_of_request() {
        let expected = TaskOptions {
            priority: Priority::HIGH,
            earliest_begin: Some(Timestamp::from_unix_ms(1500)),
            is_discretionary: true,
            allows_expensive_network_access: false,
            allows_constrained_network_access: false,
            rate_limit_bytes: Some(1000),
            notify_on_finished: Some(NotificationTitles {
                success: "完成".into(),
                failure: "失败".into(),
            }),
            challenge_statuses: vec![403],
            description: Some("for Karl".into()),
        };
        assert_eq!(given!(request()), expected);
        assert_eq!(given!(upload()), expected);
        assert_eq!(request().spec.options, TaskOptions::default());
        assert_eq!(upload().spec.options, TaskOptions::default());
        let stamped = request().earliest_begin_date(Timestamp::from_unix_ms(7));
        assert_eq!(
            stamped.spec.options.earliest_begin,
            Some(Timestamp::from_unix_ms(7))
        );
        let titles = request().notify_on_finished_default().spec.options;
        let sent = upload().notify_on_finished_default().spec.options;
        assert!(titles.notify_on_finished.is_some() && sent.notify_on_finished.is_some());
        assert_ne!(titles, sent, "each kind has titles of its own");
    }

    #[test]
    fn what_can_not_be_meant_is_refused_with_the_next_step() {
        let table = [
            request().rate_limit_bytes(0),
            request().notify_on_finished("", "failed"),
            request().notify_on_finished("done", " "),
            request().notify_on_finished("one\ntwo", "failed"),
            request().notify_on_finished("x".repeat(513), "failed"),
            request().description("x".repeat(4097)),
        ];
        for (index, result) in table.into_iter().enumerate() {
            let error = result.map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(';'), "{index}: {error} names no next step");
        }
    }
}
