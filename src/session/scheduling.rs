//! How fast the tasks of a session run together.

use super::Session;
use crate::{Error, options};

impl Session {
    /// Sets the bytes per second of all its tasks together, from now on and for those that run;
    /// `None` lifts the limit. When the session is opened again, or the engine starts again, the
    /// configuration counts.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is zero, or [`Error::Stopped`].
    pub async fn set_rate_limit(&self, bytes_per_second: Option<u64>) -> Result<(), Error> {
        let rate = options::rate(bytes_per_second)?;
        Ok(self.handle.set_rate_limit(rate).await?)
    }
}
