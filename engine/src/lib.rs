//! The rules of longhaul, as pure functions and state machines.
//!
//! Nothing here has a runtime, a disk, a clock or a socket: the time and every answer of the world
//! are inputs, and everything to be done in the world is an action that the caller performs. So each
//! rule can be tested in microseconds, and a whole transfer replayed from one seed.

pub mod adoption;
pub mod authorization_challenge;
mod authorizer;
pub mod budget;
pub mod checkpoint;
pub mod checksum;
pub mod checkup;
pub mod conditions;
pub mod control;
pub mod delayed_request;
pub mod download;
pub mod event;
pub mod failure;
pub mod http;
pub mod id;
pub mod launch;
pub mod lifecycle;
pub mod limits;
pub mod metrics;
mod pace;
pub mod places;
pub mod queue;
pub mod recovery;
pub mod resume;
pub mod resume_data;
pub mod retry;
pub mod safe_url;
pub mod schedule;
mod serial;
pub mod session;
pub mod span;
pub mod task;
pub mod time;
pub mod upload;
pub mod why;
