//! The test kit: known content, scripted servers for downloads and uploads, real servers, processes
//! to kill.
//!
//! It names nothing of `longhaul`, has no runtime (threads and blocking sockets only), and never
//! sleeps: whatever a test waits for is an entry of a log, a gate, or the end of a process.
//!
//! Helpers panic where a test could only panic itself; each says so under `# Panics`.

pub mod apache;
pub mod auth;
pub mod bus;
pub mod certificates;
pub mod client;
pub mod content;
pub mod date;
pub mod gate;
pub mod hostile;
pub mod log;
pub mod nginx;
pub mod peers;
pub mod process;
pub mod resource;
pub mod script;
pub mod seed;
pub mod server;
pub mod uploads;

mod base64;
mod exchange;
mod listener;
mod locks;
mod real;
mod reasons;
mod wire;
