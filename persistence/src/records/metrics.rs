//! What a task took.

use serde::{Deserialize, Serialize};

use longhaul_engine::limits::TRANSACTIONS_MAX;
use longhaul_engine::metrics::{TaskMetrics, TransactionMetrics};
use longhaul_engine::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MetricsV1 {
    created_at_ms: u64,
    ended_at_ms: u64,
    redirect_count: u32,
    transaction_count: u32,
    transactions: Vec<TransactionV1>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TransactionV1 {
    fetch_start_ms: u64,
    domain_lookup_start_ms: Option<u64>,
    domain_lookup_end_ms: Option<u64>,
    connect_start_ms: Option<u64>,
    connect_end_ms: Option<u64>,
    secure_connection_start_ms: Option<u64>,
    secure_connection_end_ms: Option<u64>,
    request_start_ms: Option<u64>,
    request_end_ms: Option<u64>,
    response_start_ms: Option<u64>,
    response_end_ms: Option<u64>,
    status: Option<u16>,
    is_reused_connection: bool,
    is_proxy_connection: bool,
    is_secure: bool,
    request_body_bytes: u64,
    response_header_bytes: u64,
    response_body_bytes: u64,
    remote_address: Option<String>,
}

/// Each transaction takes a dozen integers and an address of at most 64 bytes.
pub(super) const METRICS_BYTES_MAX: usize = TRANSACTIONS_MAX * 256 + 64;

impl From<&TaskMetrics> for MetricsV1 {
    fn from(metrics: &TaskMetrics) -> Self {
        let first = metrics.transactions.len().saturating_sub(TRANSACTIONS_MAX);
        Self {
            created_at_ms: metrics.created_at.as_unix_ms(),
            ended_at_ms: metrics.ended_at.as_unix_ms(),
            redirect_count: metrics.redirect_count,
            transaction_count: metrics.transaction_count,
            transactions: metrics.transactions[first..]
                .iter()
                .map(TransactionV1::from)
                .collect(),
        }
    }
}

impl From<MetricsV1> for TaskMetrics {
    fn from(record: MetricsV1) -> Self {
        Self {
            created_at: Timestamp::from_unix_ms(record.created_at_ms),
            ended_at: Timestamp::from_unix_ms(record.ended_at_ms),
            redirect_count: record.redirect_count,
            transaction_count: record.transaction_count,
            transactions: record
                .transactions
                .into_iter()
                .map(TransactionMetrics::from)
                .collect(),
        }
    }
}

impl From<&TransactionMetrics> for TransactionV1 {
    fn from(metrics: &TransactionMetrics) -> Self {
        Self {
            fetch_start_ms: metrics.fetch_start.as_unix_ms(),
            domain_lookup_start_ms: metrics.domain_lookup_start.map(Timestamp::as_unix_ms),
            domain_lookup_end_ms: metrics.domain_lookup_end.map(Timestamp::as_unix_ms),
            connect_start_ms: metrics.connect_start.map(Timestamp::as_unix_ms),
            connect_end_ms: metrics.connect_end.map(Timestamp::as_unix_ms),
            secure_connection_start_ms: metrics.secure_connection_start.map(Timestamp::as_unix_ms),
            secure_connection_end_ms: metrics.secure_connection_end.map(Timestamp::as_unix_ms),
            request_start_ms: metrics.request_start.map(Timestamp::as_unix_ms),
            request_end_ms: metrics.request_end.map(Timestamp::as_unix_ms),
            response_start_ms: metrics.response_start.map(Timestamp::as_unix_ms),
            response_end_ms: metrics.response_end.map(Timestamp::as_unix_ms),
            status: metrics.status,
            is_reused_connection: metrics.is_reused_connection,
            is_proxy_connection: metrics.is_proxy_connection,
            is_secure: metrics.is_secure,
            request_body_bytes: metrics.request_body_bytes,
            response_header_bytes: metrics.response_header_bytes,
            response_body_bytes: metrics.response_body_bytes,
            remote_address: metrics.remote_address.clone(),
        }
    }
}

impl From<TransactionV1> for TransactionMetrics {
    fn from(record: TransactionV1) -> Self {
        Self {
            fetch_start: Timestamp::from_unix_ms(record.fetch_start_ms),
            domain_lookup_start: record.domain_lookup_start_ms.map(Timestamp::from_unix_ms),
            domain_lookup_end: record.domain_lookup_end_ms.map(Timestamp::from_unix_ms),
            connect_start: record.connect_start_ms.map(Timestamp::from_unix_ms),
            connect_end: record.connect_end_ms.map(Timestamp::from_unix_ms),
            secure_connection_start: record
                .secure_connection_start_ms
                .map(Timestamp::from_unix_ms),
            secure_connection_end: record.secure_connection_end_ms.map(Timestamp::from_unix_ms),
            request_start: record.request_start_ms.map(Timestamp::from_unix_ms),
            request_end: record.request_end_ms.map(Timestamp::from_unix_ms),
            response_start: record.response_start_ms.map(Timestamp::from_unix_ms),
            response_end: record.response_end_ms.map(Timestamp::from_unix_ms),
            status: record.status,
            is_reused_connection: record.is_reused_connection,
            is_proxy_connection: record.is_proxy_connection,
            is_secure: record.is_secure,
            request_body_bytes: record.request_body_bytes,
            response_header_bytes: record.response_header_bytes,
            response_body_bytes: record.response_body_bytes,
            remote_address: record.remote_address,
        }
    }
}
