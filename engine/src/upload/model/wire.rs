//! A request on its way: how much of its body has gone, and what comes back.

use super::trouble::Deed;
use crate::http::head::ResponseHead;
use crate::upload::Ask;

/// One request.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) ask: Ask,
    pub(super) deed: Deed,
    /// The file that its bytes are of.
    pub(super) file: u64,
    /// All bytes of the body that have gone.
    pub(super) sent: u64,
    /// Bytes after which something happens.
    pub(super) goal: u64,
    /// Interim answers that have not come yet, and after how many bytes each does.
    pub(super) interims: Vec<(u64, ResponseHead)>,
    /// The place that an interim answer has named, or will.
    pub(super) place: Option<usize>,
    /// An interim answer came, and the machine has not let the body flow on.
    pub(super) is_held: bool,
}
