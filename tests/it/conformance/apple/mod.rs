//! The rules of Apple's background `URLSession`, in the groups of its documents.

mod delayed;
mod delegate;
mod discretionary;
mod errors;
mod launch;
mod metrics;
mod resume_data;
mod session;
mod task;
mod upload;
mod waiting;
