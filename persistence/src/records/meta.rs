//! A counter of the store: the schema's number, the epoch, the next ids.

use serde::{Deserialize, Serialize};

use super::first_version;
use crate::codec::encode;

/// One number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CounterV1 {
    pub(crate) value: u64,
}

/// One integer of at most nine bytes.
const COUNTER_BYTES_MAX: usize = 9;

first_version!(CounterV1, kind: b'N', bytes_max: COUNTER_BYTES_MAX);

impl CounterV1 {
    /// The row of a counter of this value.
    pub(crate) fn row(value: u64) -> Vec<u8> {
        encode(&Self { value }).expect("an integer takes at most nine bytes")
    }
}
