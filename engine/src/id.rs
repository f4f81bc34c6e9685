//! The names of things: sessions, tasks, generations and sequence numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::SESSION_ID_BYTES_MAX;

/// The name under which an app finds its session again: 1 to 256 bytes, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SessionId(String);

/// Why a text is no session identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionIdError {
    /// The identifier is empty; Foundation refuses it too.
    #[error("a session identifier is empty; give it a name such as \"com.example.sync\"")]
    Empty,
    /// It is longer than 256 bytes.
    #[error("a session identifier has {0} bytes; at most {SESSION_ID_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// It holds a control character.
    #[error("a session identifier holds a control character; use printable text")]
    Control,
}

impl SessionId {
    /// Checks `text` and makes it an identifier.
    ///
    /// # Errors
    /// When it is empty, too long or holds a control character.
    pub fn new(text: impl Into<String>) -> Result<Self, SessionIdError> {
        let text = text.into();
        if text.is_empty() {
            return Err(SessionIdError::Empty);
        }
        if text.len() > SESSION_ID_BYTES_MAX {
            return Err(SessionIdError::TooLong(text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err(SessionIdError::Control);
        }
        Ok(Self(text))
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
        pub struct $name(u64);

        impl $name {
            /// The value with this number.
            #[must_use]
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// Its number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number! {
    /// A task's number: stable for its life and never used twice in one store.
    TaskId
}

number! {
    /// The fence of a running task. Each start of a transfer gets a higher one, and the store
    /// refuses what comes with an older one, so a zombie can not move an offset.
    Generation
}

number! {
    /// The place of a fact in its session's log. They grow by one, without gaps.
    Sequence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_identifier_is_checked_at_the_door() {
        assert_eq!(SessionId::new(""), Err(SessionIdError::Empty));
        assert_eq!(SessionId::new("a\nb"), Err(SessionIdError::Control));
        assert_eq!(
            SessionId::new("x".repeat(257)),
            Err(SessionIdError::TooLong(257))
        );
        assert_eq!(
            SessionId::new("x".repeat(256)).map(|id| id.as_str().len()),
            Ok(256)
        );
    }
}
