//! What a task took: each request's times and bytes, in the manner of `URLSessionTaskMetrics`.

use crate::time::Timestamp;

/// What a task took, from its making to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskMetrics {
    /// When it was made (`taskInterval`).
    pub created_at: Timestamp,
    /// When it was about to end.
    pub ended_at: Timestamp,
    /// Redirects that were followed, over all attempts (`redirectCount`).
    pub redirect_count: u32,
    /// Requests that were sent, also those that `transactions` has no room for.
    pub transaction_count: u32,
    /// The last requests in their order, at most
    /// [`TRANSACTIONS_MAX`](crate::limits::TRANSACTIONS_MAX), of the process that ended the task.
    pub transactions: Vec<TransactionMetrics>,
}

/// One request and its answer (`URLSessionTaskTransactionMetrics`). A phase that was not reached, or
/// that a reused connection needs not, has no time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Bytes of the answer's body that came, as they were on the wire.
    pub response_body_bytes: u64,
    /// Where the connection went to, as `address:port`.
    pub remote_address: Option<String>,
}
