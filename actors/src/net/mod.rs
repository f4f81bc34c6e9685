//! The network edge: the only place with sockets.
//!
//! ```text
//! Client ── Outgoing ──> encoder: bytes, by awc ──> exchange, over a Wire
//!    │                                                  │
//!    │                                                  └─> head: 1xx cut out, limits, parsed
//!    ├── sending: a request with a body, written while the answer is read
//!    ├── Pool <── Wire ── Body: counted, chunked or until close, in large blocks
//!    └── Dial ──> Proxy ──> TLS ──> Wire
//! ```
//!
//! A [`Client`] belongs to one arbiter. [`Dial`] is the seam: tests put in-memory pipes there.

mod alarm;
mod body;
mod chunked;
mod client;
mod credentials;
mod dial;
mod encoder;
mod exchange;
mod failure;
mod head;
mod inbox;
mod pool;
mod probe;
mod proxy;
mod request;
mod sending;
mod tls;
pub(crate) mod unix;
mod wire;

#[cfg(test)]
mod tests;

pub use self::{
    body::Body,
    client::{Client, ClientConfig, Facts, Response},
    dial::{Dial, Endpoint, TcpDial, Transport},
    failure::NetFailure,
    probe::Probe,
    proxy::Proxy,
    request::{Method, Request},
    sending::{Answered, BodyRequest, Content, Listener, Passed, SendFailure},
    tls::Roots,
};
