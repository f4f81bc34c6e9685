//! What HTTP says: the parts of a response as values that are checked once, at the door.

pub mod authorization;
pub mod challenge;
pub mod content_disposition;
pub mod content_range;
pub mod file_name;
pub mod framing;
pub mod head;
mod percent;
pub mod redirect;
pub mod repr_digest;
pub mod retry_after;
pub mod sse;
pub(crate) mod structured;
pub mod validator;

pub(crate) use percent::{percent_decode, percent_encode_non_ascii, percent_encode_segment};
