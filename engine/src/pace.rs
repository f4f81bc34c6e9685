//! When whoever listens hears news: of what has changed only, and not too often.

use std::time::Duration;

use crate::time::Timestamp;

/// One kind of news of one task is told at most this often; no kind waits for another.
const NEWS_INTERVAL: Duration = Duration::from_millis(100);

/// The pace of one kind of news.
#[derive(Debug)]
pub(crate) struct Pace<T> {
    told: T,
    told_at: Timestamp,
}

impl<T: Clone + PartialEq> Pace<T> {
    /// Whoever listens takes it to be `told` until they hear otherwise.
    pub(crate) const fn new(told: T, now: Timestamp) -> Self {
        Self { told, told_at: now }
    }

    /// What was told last.
    pub(crate) const fn told(&self) -> &T {
        &self.told
    }

    /// When `news` must be told; `None` when it was.
    pub(crate) fn due(&self, news: &T) -> Option<Timestamp> {
        (*news != self.told).then(|| self.told_at.after(NEWS_INTERVAL))
    }

    /// Whether `news` is due now; it counts as told then.
    pub(crate) fn tell(&mut self, news: &T, now: Timestamp) -> bool {
        let is_due = self.due(news).is_some_and(|due| due <= now);
        if is_due {
            self.told = news.clone();
            self.told_at = now;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_is_told_once_and_not_before_the_interval_is_over() {
        let at = Timestamp::from_unix_ms;
        let mut pace = Pace::new(0, at(0));
        let table = [
            (99, 0, false),
            (99, 1, false),
            (100, 1, true),
            (101, 1, false),
            (199, 2, false),
            (200, 2, true),
            (900, 2, false),
            (901, 0, true),
        ];
        for (ms, news, is_told) in table {
            assert_eq!(pace.tell(&news, at(ms)), is_told, "{ms}");
        }
        assert_eq!((pace.told(), pace.due(&0)), (&0, None));
        assert_eq!(pace.due(&1), Some(at(1001)));
    }
}
