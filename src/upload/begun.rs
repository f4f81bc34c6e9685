//! Uploads that something else has begun: which one, and what is spoken there.

use longhaul_engine::safe_url::{HttpUrl, parse_http_url};
use longhaul_engine::upload::UploadProtocol;

use crate::{Error, UploadRequest};

impl UploadRequest {
    /// Goes on with an upload that something else has begun, such as another program on another day: the
    /// server is asked at `url`, the upload's own URL (the `Location` that was given out for it), how
    /// much of the file it has, and gets the rest. `protocol` is the one that is spoken there.
    ///
    /// The file must be the one that the upload was begun with: the server's bytes are not looked at, only
    /// their number, and the length that was announced. Pieces go without a checksum, and the upload is
    /// never removed at the server, whatever becomes of the task. One that is gone may have been finished
    /// by whoever began it: the task fails with
    /// [`FailureKind::OutcomeUnknown`](crate::FailureKind::OutcomeUnknown), unless the file may be sent
    /// twice ([`UploadRequest::repeatable`], `PUT` in the IETF draft), when it is sent anew to the URL of
    /// the request.
    ///
    /// Whoever knows `url` may write there. It is on record before the first request, as the others are.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the URL is not `http` or `https`, or the protocol is not tus or the IETF
    /// draft.
    pub fn upload_url(self, url: &str, protocol: UploadProtocol) -> Result<Self, Error> {
        if !has_places(protocol) {
            return Err(no_place());
        }
        let mut request = self.protocol(protocol)?;
        let parsed = parse_http_url(url)?;
        request.spec.place = Some(parsed.url);
        request.spec.credentials = request.spec.credentials.or(parsed.credentials);
        Ok(request)
    }

    /// The upload's own URL, when something else has begun it.
    #[must_use]
    pub const fn begun_at(&self) -> Option<&HttpUrl> {
        self.spec.place.as_ref()
    }
}

/// Whether uploads have URLs of their own in a protocol.
pub(super) const fn has_places(protocol: UploadProtocol) -> bool {
    match protocol {
        UploadProtocol::Auto | UploadProtocol::Plain => false,
        UploadProtocol::Tus | UploadProtocol::Ietf { .. } => true,
    }
}

pub(super) fn no_place() -> Error {
    Error::Invalid(
        "an upload that something else has begun has a protocol already; say which, tus or the IETF \
         draft"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_that_was_begun_elsewhere_is_spoken_with_as_its_owner_says() {
        let request = UploadRequest::new("https://example.com/a", "a").unwrap();
        assert_eq!(request.begun_at(), None);
        let place = "https://u:hush@example.com/files/1?key=hush";
        let request = request.upload_url(place, UploadProtocol::IETF).unwrap();
        let begun_at = request.begun_at().unwrap();
        assert_eq!(begun_at.as_str(), "https://example.com/files/1?key=hush");
        assert_eq!(request.spec.protocol, UploadProtocol::IETF);
        assert!(request.spec.credentials.is_some());
        assert!(!format!("{request:?}").contains("hush"));
    }
}
