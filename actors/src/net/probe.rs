//! What one request took, noted where it happens.

use std::{cell::RefCell, fmt, net::SocketAddr, rc::Rc};

use longhaul_engine::{
    metrics::{TransactionLog, TransactionMetrics, TransactionNumber},
    time::Timestamp,
};

use crate::time::Anchor;

/// Notes the times and bytes of one request in the log of its task. Clones note for the same request;
/// the default one notes nothing. What it is not told stays empty.
#[derive(Clone, Default)]
pub struct Probe(Option<Inner>);

#[derive(Clone)]
struct Inner {
    log: Rc<RefCell<TransactionLog>>,
    number: TransactionNumber,
    anchor: Anchor,
}

impl Probe {
    /// Begins a transaction in `log`; its times are `anchor`'s.
    pub(crate) fn new(log: &Rc<RefCell<TransactionLog>>, anchor: Anchor) -> Self {
        let number = log.borrow_mut().begin(anchor.now());
        Self(Some(Inner {
            log: Rc::clone(log),
            number,
            anchor,
        }))
    }

    pub(super) fn lookup_started(&self) {
        self.note(|told, now| told.domain_lookup_start = Some(now));
    }

    pub(super) fn lookup_ended(&self) {
        self.note(|told, now| told.domain_lookup_end = Some(now));
    }

    pub(super) fn connect_started(&self) {
        self.note(|told, now| told.connect_start = Some(now));
    }

    pub(super) fn secure_started(&self) {
        self.note(|told, now| {
            told.is_secure = true;
            told.secure_connection_start = Some(now);
        });
    }

    pub(super) fn secure_ended(&self) {
        self.note(|told, now| told.secure_connection_end = Some(now));
    }

    pub(super) fn connected(&self) {
        self.note(|told, now| told.connect_end = Some(now));
    }

    /// The request goes over this connection. One that was kept and turned out closed may have been
    /// tried before: what was noted of it is forgotten.
    pub(super) fn uses(&self, connection: &ConnectionFacts) {
        self.note(|told, _| {
            told.is_reused_connection = connection.is_reused;
            told.is_proxy_connection = connection.is_proxy;
            told.is_secure = connection.is_secure;
            told.remote_address = connection.remote.map(|address| address.to_string());
            told.request_start = None;
            told.request_end = None;
            told.request_body_bytes = 0;
            told.response_start = None;
        });
    }

    pub(super) fn sending(&self) {
        self.note(|told, now| {
            told.request_start.get_or_insert(now);
        });
    }

    pub(super) fn sent(&self) {
        self.note(|told, now| told.request_end = Some(now));
    }

    /// So many bytes of the request's body were given to the connection.
    pub(super) fn body_sent(&self, bytes: u64) {
        self.note(|told, _| told.request_body_bytes = bytes);
    }

    /// The answer begins; interim ones before it are forgotten.
    pub(super) fn answering(&self) {
        self.note(|told, now| told.response_start = Some(now));
    }

    pub(super) fn answered(&self, status: u16, header_bytes: u64) {
        self.note(|told, _| {
            told.status = Some(status);
            told.response_header_bytes = header_bytes;
        });
    }

    pub(super) fn ended(&self, body_bytes: u64) {
        self.note(|told, now| {
            told.response_end = Some(now);
            told.response_body_bytes = body_bytes;
        });
    }

    fn note(&self, write: impl FnOnce(&mut TransactionMetrics, Timestamp)) {
        let Some(inner) = &self.0 else { return };
        if let Some(told) = inner.log.borrow_mut().get_mut(inner.number) {
            write(told, inner.anchor.now());
        }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Probe")
    }
}

/// What is noted of a connection.
pub(super) struct ConnectionFacts {
    pub(super) is_reused: bool,
    pub(super) is_proxy: bool,
    pub(super) is_secure: bool,
    pub(super) remote: Option<SocketAddr>,
}

/// Bytes of a body; told once, when the body has ended or is given up.
#[derive(Debug, Default)]
pub(super) struct Account {
    probe: Option<Probe>,
    pub(super) received: u64,
}

impl Account {
    pub(super) const fn new(probe: Probe) -> Self {
        Self {
            probe: Some(probe),
            received: 0,
        }
    }

    /// No byte follows.
    pub(super) fn close(&mut self) {
        if let Some(probe) = self.probe.take() {
            probe.ended(self.received);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.close();
    }
}
