//! The scripted server for uploads follows the drafts and the servers that people run.

mod faults;
mod ietf;
mod interim;
mod plain;
mod tus;

use longhaul_support::client::{Answer, Call, Head, Talk, resolve};
use longhaul_support::content::Content;
use longhaul_support::uploads::UploadServer;

const CONTENT: Content = Content::new(61, 1_000_000);

/// A path that creates uploads.
const TARGET: &str = "/project/files";

/// The fields of one protocol, and what they mean in answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Tus,
    Ietf(u16),
}

impl Dialect {
    /// A request with what every request has.
    fn call(self, method: &str, url: &str) -> Call {
        match self {
            Self::Tus => Call::new(method, url).field("Tus-Resumable", "1.0.0"),
            Self::Ietf(version) => {
                Call::new(method, url).field("Upload-Draft-Interop-Version", version)
            }
        }
    }

    /// A request of the draft that says whether its body reaches the end; the same without for tus.
    fn telling(self, call: Call, is_last: bool) -> Call {
        match self {
            Self::Tus => call,
            Self::Ietf(..=3) => call.field("Upload-Incomplete", if is_last { "?0" } else { "?1" }),
            Self::Ietf(_) => call.field("Upload-Complete", if is_last { "?1" } else { "?0" }),
        }
    }

    /// A create without a body, as a careful client sends it.
    fn create(self, url: &str, len_bytes: u64) -> Call {
        self.telling(self.call("POST", url), false)
            .field("Upload-Length", len_bytes)
    }

    /// An append at `offset`.
    fn append(self, url: &str, offset: u64, is_last: bool) -> Call {
        let kind = match self {
            Self::Tus => "application/offset+octet-stream",
            Self::Ietf(_) => "application/partial-upload",
        };
        self.telling(self.call("PATCH", url), is_last)
            .field("Upload-Offset", offset)
            .field("Content-Type", kind)
    }

    /// Creates an upload of the content's length and returns its URL.
    fn created(self, server: &UploadServer) -> String {
        let target = server.url(TARGET);
        let created = send(self.create(&target, CONTENT.len()), b"");
        assert_eq!(created.head.status, 201, "{self:?}: {created:?}");
        located(&target, &created.head)
    }

    /// What HEAD says of an upload.
    fn status(self, url: &str) -> Head {
        send(self.call("HEAD", url), b"").head
    }

    /// The offset that HEAD says.
    fn offset(self, url: &str) -> Option<u64> {
        self.status(url).number("upload-offset")
    }
}

/// Sends a request and its body, and reads the answer.
#[track_caller]
fn send(call: Call, body: &[u8]) -> Answer {
    let described = format!("{call:?}");
    call.send(body)
        .unwrap_or_else(|error| panic!("{described}: {error}"))
}

/// Sends the head of a request with this much body to come.
#[track_caller]
fn open(call: Call, len_bytes: u64) -> Talk {
    call.length(len_bytes).open().expect("it connects")
}

/// The bytes of the content from `from` to `to`.
fn bytes(from: u64, to: u64) -> Vec<u8> {
    CONTENT.bytes(from..to)
}

/// The URL in `Location`.
#[track_caller]
fn located(base: &str, head: &Head) -> String {
    resolve(base, head.field("location").expect("a Location"))
}

/// Checks that the server's one upload is complete and byte for byte the content.
#[track_caller]
fn assert_stored(server: &UploadServer) {
    let upload = server.only_upload();
    assert!(upload.is_complete, "{upload:#?}");
    assert_eq!(upload.verify(&CONTENT), Ok(()));
}

/// Blocks until so many bytes of the newest request's body were received.
fn wait_for_bytes(server: &UploadServer, received: u64) {
    server.wait_for(|requests| {
        let newest = requests.last();
        newest.is_some_and(|request| request.body_received == received)
    });
}
