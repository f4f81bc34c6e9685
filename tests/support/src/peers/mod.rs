//! Servers that people upload to, proxies before them, and another client: all of them real.
//!
//! `tests/peers/install` installs those that come from npm and PyPI; nginx and Apache are Debian's.

mod dav;
mod installed;
mod proxies;
mod server;
mod tus_js_client;

pub use proxies::{Proxy, ProxyKind};
pub use server::{KINDS, Kind, Peer, Settings};
pub use tus_js_client::{Handover, TusJsClient};
