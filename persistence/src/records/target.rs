//! A destination and the task that claimed it last.

use std::os::unix::ffi::OsStrExt;

use serde::{Deserialize, Serialize};

use longhaul_engine::limits::SESSION_ID_BYTES_MAX;
use longhaul_engine::task::Destination;

use super::first_version;
use crate::resume::TicketId;

/// The task that claimed a destination last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TargetV1 {
    pub(crate) session: String,
    pub(crate) task: u64,
}

/// An identifier and two integers.
const TARGET_BYTES_MAX: usize = SESSION_ID_BYTES_MAX + 2 * 9;

first_version!(TargetV1, kind: b'G', bytes_max: TARGET_BYTES_MAX);

/// The key of what is fetched from `url` to `destination`. A file is claimed as such; in a
/// directory the name is not known yet, so the claim is for this URL in this directory. No path
/// holds a NUL, so the kinds never meet.
pub(crate) fn target_key(destination: &Destination, url: &str) -> Vec<u8> {
    match destination {
        Destination::File(path) => path.as_os_str().as_bytes().to_vec(),
        Destination::Directory(path) => {
            [path.as_os_str().as_bytes(), b"\0", url.as_bytes()].concat()
        }
    }
}

/// The key of a ticket. No path begins with a NUL.
pub(crate) fn ticket_key(ticket: TicketId) -> Vec<u8> {
    [b"\0".as_slice(), &ticket.0].concat()
}
