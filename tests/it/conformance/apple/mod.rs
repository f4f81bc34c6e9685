//! The rules of Apple's background `URLSession`, in the groups of its documents.

mod delegate;
mod discretionary;
mod errors;
mod launch;
mod metrics;
mod resume_data;
mod session;
mod task;
mod waiting;
