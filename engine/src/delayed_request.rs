//! What the owner of a delayed task says when its time has come.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::safe_url::HttpUrl;

/// What becomes of a task with an earliest begin when its time has come
/// (`URLSession.DelayedRequestDisposition`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DelayedRequest {
    /// It begins as it was asked for.
    ContinueLoading,
    /// It begins with this request instead. Everything else stays what it was; so do the rules for
    /// expensive and constrained networks, as in Foundation.
    UseNewRequest(NewRequest),
    /// It is cancelled.
    Cancel,
}

/// What a delayed task asks for instead of what it was given when it was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct NewRequest {
    /// What to transfer.
    pub url: HttpUrl,
    /// Header fields in place of the old ones.
    pub headers: Vec<(String, String)>,
}

impl fmt::Debug for NewRequest {
    /// Without the values of headers, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("NewRequest")
            .field("url", &self.url)
            .field("headers", &names)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::safe_url::parse_http_url;

    #[test]
    fn a_new_request_shows_no_secret() {
        let url = parse_http_url("http://a/b?signature=hush")
            .expect("a url")
            .url;
        let headers = vec![("Authorization".to_owned(), "hush".to_owned())];
        let shown = format!("{:?}", NewRequest { url, headers });
        assert!(
            shown.contains("Authorization") && !shown.contains("hush"),
            "{shown}"
        );
    }
}
