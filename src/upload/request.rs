//! One upload as its caller asks for it, checked field by field.

use std::path::{Path, PathBuf};

use longhaul_actors::handle::StartRequest;
use longhaul_engine::checksum::Algorithm;
use longhaul_engine::http::authorization::Credentials;
use longhaul_engine::limits::UPLOAD_METADATA_BYTES_MAX;
use longhaul_engine::safe_url::{HttpUrl, parse_http_url};
use longhaul_engine::task::{Desired, TaskOptions, UploadSpec};
use longhaul_engine::upload::UploadProtocol;

use crate::options::task_options;
use crate::request::from_here;
use crate::upload::begun::{has_places, no_place};
use crate::{Error, header};

/// The method of a request that names none, as the contracts have it that this library follows.
const DEFAULT_METHOD: &str = "POST";

/// What is told of a file beside what its caller says: its name, which Linux keeps below 256 bytes.
const FILE_NAME_KEY: &str = "filename";
const METADATA_BYTES_MAX: usize = UPLOAD_METADATA_BYTES_MAX - FILE_NAME_KEY.len() - 255;

/// Methods that carry no file: their bodies mean nothing, or they are the connection's.
const WITHOUT_BODY: [&str; 6] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "TRACE"];

/// The longest method: registered ones have up to 17 letters (`BASELINE-CONTROL` is among them).
const METHOD_BYTES_MAX: usize = 32;

/// An upload to be started: which file, where to, and how.
///
/// The file is sent by tus 1.0.0 or the IETF draft of resumable uploads when the server shows that it
/// speaks one of them, else as the body of one request ([`UploadRequest::protocol`]);
/// [`Event::Negotiated`](crate::Event::Negotiated) tells which. What a server with a resumable protocol
/// has acknowledged is not sent again, over restarts too. One request that is interrupted begins again
/// at the first byte.
///
/// The file is looked at when the task gets its place for the first time, and from then on it must
/// stay as it is: a task whose file changed fails with
/// [`FailureKind::SourceChanged`](crate::FailureKind::SourceChanged) and sends nothing of the new one.
///
/// A request that is not idempotent (`POST`, `PATCH`; RFC 9110 section 9.2.2) is not made twice once the
/// server may have taken it: see [`UploadRequest::repeatable`].
///
/// `Debug` shows no secret.
///
/// ```
/// use longhaul::UploadRequest;
///
/// # fn main() -> Result<(), longhaul::Error> {
/// let request = UploadRequest::new("https://example.com/inbox/photo.jpg", "photo.jpg")?
///     .method("PUT")?
///     .header("Content-Type", "image/jpeg")?;
/// # let _ = request;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct UploadRequest {
    pub(crate) spec: UploadSpec,
    adopts: bool,
}

impl UploadRequest {
    /// Sends the file at `source` to `url`, with `POST` unless [`UploadRequest::method`] says
    /// otherwise. A relative path counts from the current directory of the process, now; whether a
    /// file is there is seen when the task begins. A user name and password in the URL become
    /// credentials.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the URL is not `http` or `https` or the path names no file,
    /// [`Error::State`] when the current directory is gone.
    pub fn new(url: &str, source: impl AsRef<Path>) -> Result<Self, Error> {
        let parsed = parse_http_url(url)?;
        let spec = UploadSpec {
            url: parsed.url,
            source: absolute(source.as_ref())?,
            method: DEFAULT_METHOD.to_owned(),
            protocol: UploadProtocol::Auto,
            place: None,
            is_repeatable: false,
            metadata: Vec::new(),
            checksum: None,
            headers: Vec::new(),
            credentials: parsed.credentials,
            allow_downgrade: false,
            request_id: 0,
            is_adoptable: false,
            options: TaskOptions::default(),
        };
        Ok(Self {
            spec,
            adopts: false,
        })
    }

    /// The method of the request; letters become capitals.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no token, or one that carries no file (`GET`, `DELETE`, …).
    pub fn method(mut self, method: &str) -> Result<Self, Error> {
        let method = method.to_ascii_uppercase();
        let is_token = !method.is_empty() && method.bytes().all(header::is_token);
        if !is_token || method.len() > METHOD_BYTES_MAX || WITHOUT_BODY.contains(&method.as_str()) {
            return Err(Error::Invalid(
                "a file can not be sent with that method; give PUT, POST or PATCH".to_owned(),
            ));
        }
        self.spec.method = method;
        Ok(self)
    }

    /// Adds a header field, sent to the origin of the URL only; those that describe the body
    /// (`Content-Type`, …) go where the body goes, `Accept*` and `User-Agent` everywhere.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no field, is one that the engine sets itself (`Host`,
    /// `Content-Length`, …), or when there are too many.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        header::push(&mut self.spec.headers, name, value)?;
        Ok(self)
    }

    /// Answers a challenge of the URL's origin (Basic or Digest, the stronger first). The file is
    /// then sent again, because the server took none of it.
    #[must_use]
    pub fn credentials(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        let (username, password) = (user.into(), password.into());
        self.spec.credentials = Some(Credentials::Login { username, password });
        self
    }

    /// Sends this token to the URL's origin (`Authorization: Bearer`).
    #[must_use]
    pub fn bearer_token(mut self, token: impl Into<String>) -> Self {
        self.spec.credentials = Some(Credentials::Bearer(token.into()));
        self
    }

    /// How it is sent; [`UploadProtocol::Auto`] unless given.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the interop version of the IETF draft is below 3.
    pub fn protocol(mut self, protocol: UploadProtocol) -> Result<Self, Error> {
        if let UploadProtocol::Ietf { interop: ..=2 } = protocol {
            return Err(Error::Invalid(
                "no server speaks that interop version; give 3 or above, 6 is what most speak"
                    .to_owned(),
            ));
        }
        if self.spec.place.is_some() && !has_places(protocol) {
            return Err(no_place());
        }
        self.spec.protocol = protocol;
        Ok(self)
    }

    /// Lets a request that is not idempotent (`POST`, `PATCH`) reach the server twice: when its answer
    /// is lost it is sent again, as Foundation's background sessions do. Without this such an upload
    /// fails with [`FailureKind::OutcomeUnknown`](crate::FailureKind::OutcomeUnknown), because the
    /// server may have the file already. A header `Idempotency-Key` of the caller's allows it too.
    #[must_use]
    pub const fn repeatable(mut self) -> Self {
        self.spec.is_repeatable = true;
        self
    }

    /// Tells the server something of the file (`Upload-Metadata` of tus, such as `filename` and
    /// `filetype`). Where it says no `filename`, the file's own name is told, if it is text. Other
    /// protocols carry none of it; what a server is to know of the file stands in header fields there.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the key is empty, is given twice, or is not ASCII without space and
    /// comma (tus 1.0.0, `Upload-Metadata`), or all are longer than 3.7 KiB.
    pub fn metadata(mut self, key: &str, value: &str) -> Result<Self, Error> {
        let is_key = |byte: u8| byte.is_ascii_graphic() && byte != b',';
        let known = &self.spec.metadata;
        let bytes = known.iter().map(|(key, value)| key.len() + value.len());
        let bytes = bytes.sum::<usize>() + key.len() + value.len();
        // Where the name of the file is told already, nothing is added to it.
        let is_named = key == FILE_NAME_KEY || known.iter().any(|(key, _)| key == FILE_NAME_KEY);
        let bytes_max = match is_named {
            true => UPLOAD_METADATA_BYTES_MAX,
            false => METADATA_BYTES_MAX,
        };
        if key.is_empty()
            || !key.bytes().all(is_key)
            || known.iter().any(|(known, _)| known == key)
            || bytes > bytes_max
        {
            return Err(Error::Invalid(format!(
                "that can not be told of the file; give each key once, in ASCII without space and \
                 comma, and no more than {bytes_max} bytes in all"
            )));
        }
        let pair = (key.to_owned(), value.to_owned());
        self.spec.metadata.push(pair);
        Ok(self)
    }

    /// Has the server check what it gets, where its protocol can do that: each piece of a tus upload
    /// (`Upload-Checksum`), with the best algorithm that its server names, whichever is asked for here;
    /// the whole of an IETF one (`Repr-Digest`, RFC 9530), with SHA-256 and SHA-512 alone.
    #[must_use]
    pub const fn checksum(mut self, algorithm: Algorithm) -> Self {
        self.spec.checksum = Some(algorithm);
        self
    }

    /// Follows a redirect from https to http.
    #[must_use]
    pub const fn allow_downgrade(mut self) -> Self {
        self.spec.allow_downgrade = true;
        self
    }

    /// Takes over the session's upload of this file to this URL ([`UploadRequest::upload_url`] included)
    /// with this method that was asked for so before, with its place at the server and with the options of this request, instead of beginning
    /// another one. One that has ended is the answer, however it ended, until its end is acknowledged.
    /// An upload that was asked for without this is not found; one of another session fails with
    /// [`Error::TargetInUse`].
    #[must_use]
    pub const fn adopt_existing(mut self, adopts: bool) -> Self {
        self.spec.is_adoptable = adopts;
        self.adopts = adopts;
        self
    }

    /// Begins another upload where the one that [`UploadRequest::adopt_existing`] would find has ended, and
    /// is the one that is found from then on. While that one has not ended this fails with
    /// [`Error::TargetInUse`].
    #[must_use]
    pub const fn supersede_ended(mut self) -> Self {
        self.spec.is_adoptable = true;
        self.adopts = false;
        self
    }

    /// Where the file is sent. Its `Display` shows no secret, [`HttpUrl::as_str`] does.
    #[must_use]
    pub const fn url(&self) -> &HttpUrl {
        &self.spec.url
    }

    /// The file; always absolute.
    #[must_use]
    pub fn source(&self) -> &Path {
        &self.spec.source
    }
}

task_options!(UploadRequest, "Upload finished", "Upload failed");

impl From<UploadRequest> for StartRequest {
    fn from(request: UploadRequest) -> Self {
        let UploadRequest { mut spec, adopts } = request;
        let is_named = spec.metadata.iter().any(|(key, _)| key == FILE_NAME_KEY);
        let name = spec.source.file_name().and_then(|name| name.to_str());
        if let (false, Some(name)) = (is_named, name) {
            let pair = (FILE_NAME_KEY.to_owned(), name.to_owned());
            spec.metadata.push(pair);
        }
        Self {
            spec: spec.into(),
            adopts,
            desired: Desired::Running,
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    let names_a_file =
        path.file_name().is_some() && !path.as_os_str().as_encoded_bytes().contains(&0);
    if !names_a_file {
        return Err(Error::Invalid(format!(
            "the path {path:?} names no file; give the path of the file to send"
        )));
    }
    from_here(path)
}

#[cfg(test)]
mod tests {
    use longhaul_engine::task::Spec;

    use super::*;

    const URL: &str = "https://example.com/a";

    #[test]
    fn a_request_posts_unless_told_otherwise_and_its_path_is_absolute_now() {
        let here = std::env::current_dir().unwrap();
        let request = UploadRequest::new(URL, "x/a").unwrap();
        assert_eq!(request.source(), here.join("x/a"));
        assert_eq!(request.spec.method, "POST");
        for (given, method) in [("put", "PUT"), ("Patch", "PATCH"), ("X-SEND", "X-SEND")] {
            let request = request.clone().method(given).unwrap();
            assert_eq!(request.spec.method, method);
        }
    }

    #[test]
    fn what_can_not_be_sent_is_refused_with_the_next_step() {
        let request = || UploadRequest::new(URL, "a").unwrap();
        let begun = || request().upload_url(URL, UploadProtocol::Tus).unwrap();
        let table = [
            UploadRequest::new("example.com/a", "a"),
            UploadRequest::new(URL, ""),
            UploadRequest::new(URL, "/"),
            UploadRequest::new(URL, ".."),
            UploadRequest::new(URL, "a\0b"),
            request().method("get"),
            request().method("CONNECT"),
            request().method(""),
            request().method("PUT / HTTP/1.1\r\nA: b"),
            request().method(&"A".repeat(METHOD_BYTES_MAX + 1)),
            request().header("Content-Length", "5"),
            request().header("Expect", "100-continue"),
            request().upload_url(URL, UploadProtocol::Auto),
            request().upload_url(URL, UploadProtocol::Plain),
            request().upload_url(URL, UploadProtocol::Ietf { interop: 2 }),
            request().upload_url("/files/1", UploadProtocol::Tus),
            begun().protocol(UploadProtocol::Plain),
        ];
        for (index, result) in table.into_iter().enumerate() {
            let error = result.map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(';'), "{index}: {error} names no next step");
        }
    }

    #[test]
    fn the_name_of_the_file_is_told_unless_its_caller_tells_another() {
        let told = |request: UploadRequest| match StartRequest::from(request).spec {
            Spec::Upload(spec) => spec.metadata,
            Spec::Download(_) => panic!("another kind"),
        };
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let request = UploadRequest::new(URL, "d/a b")
            .and_then(|it| it.metadata("filetype", "x"))
            .unwrap();
        let expected = [pair("filetype", "x"), pair("filename", "a b")];
        assert_eq!(told(request.clone()), expected);
        let request = request.metadata("filename", "").unwrap();
        assert_eq!(told(request), [pair("filetype", "x"), pair("filename", "")]);
        let full = "x".repeat(METADATA_BYTES_MAX - 1);
        let request = UploadRequest::new(URL, "n".repeat(255))
            .and_then(|it| it.metadata("k", &full))
            .unwrap();
        let refused = request.clone().metadata("l", "").unwrap_err().to_string();
        assert!(refused.contains("that can not be told"), "{refused}");
        let told = told(request);
        let bytes = told.iter().map(|(key, value)| key.len() + value.len());
        assert_eq!(bytes.sum::<usize>(), UPLOAD_METADATA_BYTES_MAX);
    }

    #[test]
    fn userinfo_becomes_credentials_and_nothing_of_them_is_shown() {
        let request = UploadRequest::new("https://u:hush@example.com/a?key=hush", "a").unwrap();
        assert!(request.spec.credentials.is_some());
        let request = request
            .header("Authorization", "hush")
            .unwrap()
            .bearer_token("hush");
        assert!(!format!("{request:?}").contains("hush"));
    }
}
