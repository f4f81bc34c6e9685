//! What a task took: each request's times and bytes, in the manner of `URLSessionTaskMetrics`.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::limits::TRANSACTIONS_MAX;
use crate::time::Timestamp;

/// What a task took, from its making to its end. The two counts are part of its checkpoint: they go
/// on after a restart from what was recorded last. The transactions are those of the process that
/// ended the task, less those of a transfer that crashed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct TaskMetrics {
    /// When it was made (`taskInterval`).
    pub created_at: Timestamp,
    /// When it was about to end.
    pub ended_at: Timestamp,
    /// Redirects that were followed, over all attempts (`redirectCount`).
    pub redirect_count: u32,
    /// Requests that were sent, over all attempts, also those that `transactions` does not tell of.
    pub transaction_count: u32,
    /// The last requests in their order, at most
    /// [`TRANSACTIONS_MAX`], of the process that ended the task.
    pub transactions: Vec<TransactionMetrics>,
}

/// One request and its answer (`URLSessionTaskTransactionMetrics`). A phase that was not reached, or
/// that a reused connection needs not, has no time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct TransactionMetrics {
    /// When it was asked for.
    pub fetch_start: Timestamp,
    /// The name was looked up from here.
    pub domain_lookup_start: Option<Timestamp>,
    /// To here.
    pub domain_lookup_end: Option<Timestamp>,
    /// The connection was made from here.
    pub connect_start: Option<Timestamp>,
    /// To here, TLS included.
    pub connect_end: Option<Timestamp>,
    /// The TLS handshake began.
    pub secure_connection_start: Option<Timestamp>,
    /// The TLS handshake ended.
    pub secure_connection_end: Option<Timestamp>,
    /// The first byte of the request was sent.
    pub request_start: Option<Timestamp>,
    /// The last byte of the request was sent.
    pub request_end: Option<Timestamp>,
    /// The first byte of the answer came.
    pub response_start: Option<Timestamp>,
    /// The last byte of the answer came, or the transfer of it ended.
    pub response_end: Option<Timestamp>,
    /// The status of the answer.
    pub status: Option<u16>,
    /// The connection had served another request before.
    pub is_reused_connection: bool,
    /// A proxy stood between.
    pub is_proxy_connection: bool,
    /// TLS protected the connection.
    pub is_secure: bool,
    /// Bytes of the request's body that were sent.
    pub request_body_bytes: u64,
    /// Bytes of the answer's head that came.
    pub response_header_bytes: u64,
    /// Bytes of the answer's body that came, without the framing of chunks.
    pub response_body_bytes: u64,
    /// Where the connection went to, as `address:port`.
    pub remote_address: Option<String>,
}

/// What was asked of servers so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were sent.
    pub requests: u32,
    /// Redirects that were followed.
    pub redirects: u32,
}

/// Names a transaction of a [`TransactionLog`] for its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionNumber(u32);

/// The last transactions of a task, as they are filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionLog {
    last: VecDeque<TransactionMetrics>,
    /// The number of the first one that is kept.
    first: u32,
}

impl TransactionLog {
    /// Whether nothing is kept: nothing was begun.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// Begins a transaction; the oldest is forgotten when there are more than [`TRANSACTIONS_MAX`].
    pub fn begin(&mut self, fetch_start: Timestamp) -> TransactionNumber {
        if self.last.len() >= TRANSACTIONS_MAX {
            self.last.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        let held = u32::try_from(self.last.len()).expect("it holds few");
        self.last.push_back(TransactionMetrics {
            fetch_start,
            ..TransactionMetrics::default()
        });
        TransactionNumber(self.first.wrapping_add(held))
    }

    /// A transaction, to fill it in; `None` when it was forgotten.
    pub fn get_mut(&mut self, number: TransactionNumber) -> Option<&mut TransactionMetrics> {
        let place = usize::try_from(number.0.wrapping_sub(self.first)).ok()?;
        self.last.get_mut(place)
    }

    /// What the task took; `None` when nothing was ever asked for it. A transaction that is under
    /// way is told as far as it is.
    #[must_use]
    pub fn summary(
        &self,
        counts: Counts,
        created_at: Timestamp,
        ended_at: Timestamp,
    ) -> Option<TaskMetrics> {
        (counts.requests > 0).then(|| TaskMetrics {
            created_at,
            ended_at,
            redirect_count: counts.redirects,
            transaction_count: counts.requests,
            transactions: self.last.iter().cloned().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    #[test]
    fn the_last_transactions_are_kept_and_the_counts_tell_of_all() {
        for (sent, kept, first_ms) in [(1, 1, 0), (16, 16, 0), (17, 16, 1), (1000, 16, 984)] {
            let mut log = TransactionLog::default();
            let numbers: Vec<_> = (0..sent).map(|number| log.begin(at(number))).collect();
            let counts = Counts {
                requests: u32::try_from(sent).expect("a count"),
                redirects: 3,
            };
            let summary = log.summary(counts, at(1), at(9)).expect("it was asked");
            assert_eq!(summary.transactions.len(), kept, "{sent}");
            assert_eq!(summary.transactions[0].fetch_start, at(first_ms), "{sent}");
            assert_eq!(
                (summary.transaction_count, summary.redirect_count),
                (counts.requests, 3)
            );
            assert_eq!((summary.created_at, summary.ended_at), (at(1), at(9)));
            let forgotten = numbers.iter().filter(|n| log.get_mut(**n).is_none());
            assert_eq!(forgotten.count(), numbers.len() - kept, "{sent}");
        }
    }

    #[test]
    fn each_transaction_is_filled_in_by_its_number_in_any_order() {
        let mut log = TransactionLog::default();
        let (one, two) = (log.begin(at(1)), log.begin(at(2)));
        log.get_mut(two).expect("it is kept").status = Some(206);
        log.get_mut(one).expect("it is kept").status = Some(302);
        let counts = Counts {
            requests: 2,
            redirects: 1,
        };
        let told = log.summary(counts, at(0), at(3)).expect("it was asked");
        let statuses: Vec<_> = told.transactions.iter().map(|t| t.status).collect();
        assert_eq!(statuses, [Some(302), Some(206)]);
    }

    #[test]
    fn a_task_that_asked_nobody_has_no_metrics() {
        let log = TransactionLog::default();
        assert_eq!(log.summary(Counts::default(), at(0), at(1)), None);
    }
}
