//! Uploads: how they are asked for, and their handles.

mod begun;
mod request;
mod task;

pub use request::UploadRequest;
pub use task::{UploadSnapshot, UploadTask};
