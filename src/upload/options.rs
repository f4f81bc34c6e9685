//! What an upload may be given like any task: when, how eagerly, and who hears of it.

use longhaul_engine::limits::{DESCRIPTION_BYTES_MAX, NOTIFICATION_TITLE_BYTES_MAX};
use longhaul_engine::task::{NotificationTitles, Priority};
use longhaul_engine::time::Timestamp;

use super::UploadRequest;
use crate::Error;

impl UploadRequest {
    /// Which of the waiting tasks of a session goes first; [`Priority::DEFAULT`] without this.
    #[must_use]
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.spec.options.priority = priority;
        self
    }

    /// Not to begin before this time (`earliestBeginDate`).
    #[must_use]
    pub const fn earliest_begin_date(mut self, at: Timestamp) -> Self {
        self.spec.options.earliest_begin = Some(at);
        self
    }

    /// It may wait for power and a network that costs nothing (`isDiscretionary`).
    #[must_use]
    pub const fn is_discretionary(mut self, is_discretionary: bool) -> Self {
        self.spec.options.is_discretionary = is_discretionary;
        self
    }

    /// It may use a network that costs money; allowed without this.
    #[must_use]
    pub const fn allows_expensive_network_access(mut self, allows: bool) -> Self {
        self.spec.options.allows_expensive_network_access = allows;
        self
    }

    /// It may use a network that is to be spared; allowed without this.
    #[must_use]
    pub const fn allows_constrained_network_access(mut self, allows: bool) -> Self {
        self.spec.options.allows_constrained_network_access = allows;
        self
    }

    /// Bytes per second for this task alone.
    #[must_use]
    pub const fn rate_limit(mut self, bytes_per_second: u64) -> Self {
        self.spec.options.rate_limit_bytes = Some(bytes_per_second);
        self
    }

    /// Tells a person of its end, under these titles with the name of the file, by the rules of
    /// [`DownloadRequest::notify_on_finished`](crate::DownloadRequest::notify_on_finished). A click
    /// opens nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a title is longer than 512 bytes.
    pub fn notify_on_finished(mut self, titles: NotificationTitles) -> Result<Self, Error> {
        for title in [&titles.success, &titles.failure] {
            bounded(
                "title of a notification",
                title,
                NOTIFICATION_TITLE_BYTES_MAX,
            )?;
        }
        self.spec.options.notify_on_finished = Some(titles);
        Ok(self)
    }

    /// A text that the engine keeps for the caller and does not read (`taskDescription`).
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is longer than 4 KiB.
    pub fn description(mut self, text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        bounded("description", &text, DESCRIPTION_BYTES_MAX)?;
        self.spec.options.description = Some(text);
        Ok(self)
    }
}

fn bounded(what: &str, text: &str, bytes_max: usize) -> Result<(), Error> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "the {what} has {} bytes; give at most {bytes_max}",
        text.len()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_reach_the_task_and_long_texts_are_refused() {
        let request = || UploadRequest::new("https://example.com/a", "a").unwrap();
        let titles = |text: String| NotificationTitles {
            success: "done".to_owned(),
            failure: text,
        };
        let at = Timestamp::from_unix_ms(5);
        let made = request()
            .priority(Priority::HIGH)
            .earliest_begin_date(at)
            .is_discretionary(true)
            .allows_expensive_network_access(false)
            .allows_constrained_network_access(false)
            .rate_limit(9)
            .notify_on_finished(titles("failed".to_owned()))
            .and_then(|it| it.description("mine"))
            .unwrap();
        let options = made.spec.options;
        assert_eq!(options.priority, Priority::HIGH);
        assert_eq!(options.earliest_begin, Some(at));
        assert!(options.is_discretionary && !options.allows_expensive_network_access);
        assert!(!options.allows_constrained_network_access);
        assert_eq!(options.rate_limit_bytes, Some(9));
        assert!(options.notify_on_finished.is_some());
        assert_eq!(options.description.as_deref(), Some("mine"));

        let long = |bytes: usize| "x".repeat(bytes + 1);
        let title = titles(long(NOTIFICATION_TITLE_BYTES_MAX));
        assert!(request().notify_on_finished(title).is_err());
        assert!(request().description(long(DESCRIPTION_BYTES_MAX)).is_err());
    }
}
