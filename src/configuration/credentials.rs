//! What a session shows to the origins that it knows.

use longhaul_engine::http::authorization::Credentials;
use longhaul_engine::limits::SESSION_CREDENTIALS_MAX;
use longhaul_engine::safe_url::parse_http_url;
use longhaul_engine::session::{OriginCredentials, origin};

use super::SessionConfiguration;
use crate::Error;

impl SessionConfiguration {
    /// What the origin of `url`, as in `https://host:8443`, is shown by tasks that name a URL of it
    /// and have no credentials of their own. It is shown to no other origin, and not after a redirect
    /// through one. A login is shown when the origin asks for it (Digest before Basic), a token
    /// unasked. For an origin that was given before the new ones count.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `url` is none, when it holds a user name, a path or a query, or when
    /// there are more than 64 origins.
    pub fn credentials(mut self, url: &str, credentials: Credentials) -> Result<Self, Error> {
        let parsed = parse_http_url(url)?;
        let origin = origin(&parsed.url);
        if parsed.credentials.is_some() || parsed.url.as_str().trim_end_matches('/') != origin {
            return Err(Error::Invalid(
                "credentials are for a whole origin; give scheme, host and port alone, as in \
                 https://host:8443"
                    .to_owned(),
            ));
        }
        let known = &mut self.rules.credentials;
        known.retain(|known| known.origin != origin);
        if known.len() >= SESSION_CREDENTIALS_MAX {
            return Err(Error::Invalid(format!(
                "there are credentials for more than {SESSION_CREDENTIALS_MAX} origins; give those \
                 of a task with its request"
            )));
        }
        known.push(OriginCredentials {
            origin,
            credentials,
        });
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> SessionConfiguration {
        SessionConfiguration::new("test").unwrap()
    }

    #[test]
    fn credentials_are_given_for_whole_origins_and_the_last_ones_count() {
        for (url, expected) in [
            ("https://Example.com", Some("https://example.com")),
            ("https://example.com:443/", Some("https://example.com")),
            ("http://example.com:8080", Some("http://example.com:8080")),
            ("http://[::1]:81", Some("http://[::1]:81")),
            ("https://example.com/a", None),
            ("https://example.com/?a", None),
            ("https://u:hush@example.com", None),
            ("ftp://example.com", None),
        ] {
            let set = configuration()
                .credentials(url, Credentials::bearer("old"))
                .and_then(|c| c.credentials(url, Credentials::bearer("hush")));
            match (set, expected) {
                (Ok(set), Some(expected)) => {
                    assert_eq!(set.rules.credentials.len(), 1);
                    let known = &set.rules.credentials[0];
                    assert_eq!(known.origin, expected);
                    assert!(known.credentials == Credentials::bearer("hush"));
                    assert!(!format!("{set:?}").contains("hush"));
                }
                (Err(error), None) => {
                    assert!(!error.to_string().contains("hush"), "{error}");
                    assert!(error.to_string().contains(';'), "{error}");
                }
                (set, _) => panic!("{url}: {set:?}"),
            }
        }
    }

    #[test]
    fn origins_are_bounded() {
        let mut set = configuration();
        for number in 0..SESSION_CREDENTIALS_MAX {
            let url = format!("https://h{number}.example");
            set = set.credentials(&url, Credentials::bearer("t")).unwrap();
        }
        assert!(
            set.credentials("https://x.example", Credentials::bearer("t"))
                .is_err()
        );
    }
}
