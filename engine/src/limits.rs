//! Every limit on what comes from outside or grows with use, each with its reason.

use std::time::Duration;

/// A session identifier is a key of every row: long ones cost in each. 256 bytes hold a reverse
/// domain name and a UUID many times over.
pub const SESSION_ID_BYTES_MAX: usize = 256;

/// Certificates of a caller's own authorities: a whole system's set has about 250 KiB.
pub const CA_CERTIFICATES_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Stored error text. Longer texts come only from servers that fill our store.
pub const ERROR_TEXT_BYTES_MAX: usize = 4 * 1024;

/// Redirects followed for one request: the limit of Foundation, curl's habit is 50, browsers' 20.
pub const REDIRECTS_MAX: u32 = 20;

/// Connections that one download may spread over (`-x`): what aria2 allows to one host.
pub const CONNECTIONS_MAX: u32 = 16;

/// A range smaller than this is not worth a request of its own.
pub const SPLIT_BYTES_MIN: u64 = 1024 * 1024;

/// Ranges that one checkpoint may hold: every one of [`CONNECTIONS_MAX`] split again several times.
pub const SPANS_MAX: usize = 128;

/// New bytes after which progress is recorded.
pub const RECORD_BYTES: u64 = 1024 * 1024;

/// Progress is recorded at most this often.
pub const RECORD_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// New bytes fewer than [`RECORD_BYTES`] are recorded after this time.
pub const RECORD_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// New bytes after which the part file is synced, beside the stream.
pub const SYNC_BYTES: u64 = 64 * 1024 * 1024;

/// New bytes fewer than [`SYNC_BYTES`] are synced after this time.
pub const SYNC_INTERVAL: Duration = Duration::from_secs(2);

/// Bytes before the `written` mark whose digest a checkpoint keeps, to know its part file again. More
/// is felt where many small files are fetched (measured: 64 KiB took 5 % of all CPU).
pub const TAIL_BYTES: u64 = 16 * 1024;

/// Times that one task may find its resource changed and start from zero before it fails: a server
/// that changes its validator with every answer would otherwise be asked for ever.
pub const RESTARTS_MAX: u32 = 5;

/// Header fields that a caller may add to one request.
pub const REQUEST_HEADERS_MAX: usize = 64;

/// Bytes of names and values that a caller may add to one request.
pub const REQUEST_HEADER_BYTES_MAX: usize = 32 * 1024;

/// The longest wait that a `Retry-After` may impose.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The length of a URL, signed query and all: more than any server is known to take.
pub const URL_BYTES_MAX: usize = 32 * 1024;

/// Resume data: two paths of 4 KiB would be the whole of it, and a preference store takes that.
pub const RESUME_DATA_BYTES_MAX: usize = 8 * 1024;

/// What is kept of the answer to an upload: a receipt or an error document, not a download.
pub const RESPONSE_BODY_BYTES_MAX: usize = 16 * 1024;

/// What is kept of the header fields of the answer to an upload, names and values: a receipt.
pub const RESPONSE_HEADER_BYTES_MAX: usize = 8 * 1024;

/// Origins of which it is remembered what uploads they support.
pub const CAPABILITIES_MAX: usize = 256;

/// How long that is believed: servers are updated, and an answer that surprises is asked about sooner.
pub const CAPABILITY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Names and values that an upload may tell its server of its file: they travel in one header field.
pub const UPLOAD_METADATA_BYTES_MAX: usize = 4 * 1024;

/// Requests of which a task's metrics are kept: the last ones tell how it ended.
pub const TRANSACTIONS_MAX: usize = 16;

/// The realm of a challenge, which is shown to a person.
pub const REALM_BYTES_MAX: usize = 256;

/// The name of an authentication scheme: the longest registered one has 19 bytes.
pub const SCHEME_BYTES_MAX: usize = 64;

/// The host and port of a challenge: a DNS name has at most 253 bytes.
pub const CHALLENGE_HOST_BYTES_MAX: usize = 264;

/// Schemes that the owner of a task has rejected: known servers offer up to four.
pub const REJECTED_SCHEMES_MAX: usize = 16;

/// Statuses beside 401 and 407 that a task's owner wants to be asked about.
pub const CHALLENGE_STATUSES_MAX: usize = 8;

/// Origins that a session has credentials for: each is looked through for every request.
pub const SESSION_CREDENTIALS_MAX: usize = 64;

/// The text that an owner attaches to a task.
pub const DESCRIPTION_BYTES_MAX: usize = 4 * 1024;

/// The title of a notification: more than any desktop shows.
pub const NOTIFICATION_TITLE_BYTES_MAX: usize = 512;

/// Calls of an app that a session's log remembers: the most that an hourly budget may allow.
pub const LAUNCHES_PER_HOUR_MAX: usize = 60;

/// Words of the command that calls an app: a command line, not a document.
pub const LAUNCH_ARGUMENTS_MAX: usize = 64;

/// Bytes of those words.
pub const LAUNCH_ARGUMENT_BYTES_MAX: usize = 32 * 1024;

/// Variables that are added to the environment of that command.
pub const LAUNCH_VARIABLES_MAX: usize = 64;

/// Bytes of their names and values.
pub const LAUNCH_VARIABLE_BYTES_MAX: usize = 32 * 1024;

/// The directory of that command: the longest path that Linux takes.
pub const LAUNCH_DIRECTORY_BYTES_MAX: usize = 4096;

/// A body from this length on is announced with `Expect: 100-continue` (RFC 9110 section 10.1.1): what
/// a refused one costs is then worth waiting a round trip for.
pub const EXPECT_CONTINUE_BYTES_MIN: u64 = 8 * 1024 * 1024;

/// How long an announced body waits for the server's 100. Many servers send none, and RFC 9110 lets
/// us go on without.
pub const EXPECT_CONTINUE_WAIT: Duration = Duration::from_millis(500);

/// How long the answer to a whole body may take at least, whatever the idle timeout: the last bytes
/// lie in buffers on the way, and servers work on a file before they answer. A timeout costs the
/// whole body again.
pub const UPLOAD_ANSWER_WAIT: Duration = Duration::from_secs(5 * 60);

/// How long a server may be silent at least, whatever the idle timeout, when it is asked how far an
/// upload is or told to remove it: it first waits, up to 20 s where that was seen, for the connection
/// to end that it takes for alive.
pub const UPLOAD_STATUS_WAIT: Duration = Duration::from_secs(30);

/// Bytes of each sample that tells an upload's file from another one: first, middle and last.
pub const SOURCE_SAMPLE_BYTES: u64 = 64 * 1024;

/// A file shorter than this is not worth a question to the server before it is sent.
pub const UPLOAD_PROBE_BYTES_MIN: u64 = 1024 * 1024;

/// A file up to this length may go with the request that makes its upload (tus
/// `creation-with-upload`): longer ones would be lost as a whole with the answer that says where.
pub const CREATION_BYTES_MAX: u64 = 1024 * 1024;

/// The length of a piece of an upload where the server or the way to it loses longer ones, or where
/// each has a digest: what is lost at once is small, and a round trip costs little beside it.
pub const PIECE_BYTES: u64 = 8 * 1024 * 1024;

/// Pieces that arrive become longer up to this.
pub const PIECE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Pieces that are too long become shorter down to this, unless the server wants longer ones.
pub const PIECE_BYTES_MIN: u64 = 256 * 1024;

/// A request that was cut before it had sent this much says nothing of the way to the server.
pub const STALL_BYTES_MIN: u64 = 1024 * 1024;

/// Newly acknowledged bytes after which they are recorded: the server is asked after a crash anyway.
pub const ACKNOWLEDGED_RECORD_BYTES: u64 = 16 * 1024 * 1024;

/// Fewer of them are recorded after this time.
pub const ACKNOWLEDGED_RECORD_INTERVAL: Duration = Duration::from_secs(2);

/// Answers in a row that an append does not fit (409), or that acknowledge nothing, before an upload
/// fails: a server that contradicts itself would otherwise be asked for ever.
pub const CONFLICTS_MAX: u32 = 3;

/// Times that a piece is sent again whose digest the server finds another (tus, status 460).
pub const MISMATCHES_MAX: u32 = 3;

/// Times that a server is asked to remove an upload that was cancelled. It removes it by itself one day.
pub const TERMINATIONS_MAX: u32 = 3;
