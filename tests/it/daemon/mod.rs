//! `longhaul daemon`: its socket, its answers, its streams and its end.

#[cfg(feature = "interop")]
mod curl;
mod described;
mod http;
mod instance;
mod launching;
mod logs;
mod problems;
mod routes;
mod served;
mod stage;
mod stopping;
mod streams;
#[cfg(feature = "interop")]
mod systemd;
#[cfg(feature = "interop")]
mod users;
mod vanishing;
