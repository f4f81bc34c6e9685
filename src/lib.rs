//! Background transfer sessions: downloads and uploads that are started by an app, survive its death,
//! and are found again by name.
//!
//! It is the contract of Apple's background `URLSession` for any Rust program. The engine is a small
//! actor system on threads of its own; what it knows lies in a transactional store, and the bytes in
//! a part file beside the target. When the process is killed, at any moment, the next start goes on
//! from the last record. A finished file is byte for byte one version of what the server has.
//!
//! ```no_run
//! use longhaul::{DownloadRequest, Engine, Outcome, SessionConfiguration};
//!
//! # async fn example() -> Result<(), longhaul::Error> {
//! // The same directory at every start: what is unfinished in it goes on.
//! let engine = Engine::builder("/var/lib/my-app/transfers").start()?;
//! let session = engine.session(SessionConfiguration::new("com.example.my-app")?).await?;
//!
//! let request = DownloadRequest::new("https://example.com/big.iso", "big.iso")?;
//! let task = session.start_download(request.adopt_existing(true)).await?;
//!
//! match task.finished().await? {
//!     Outcome::Finished(file) => println!("{} bytes in {}", file.bytes, file.path.display()),
//!     Outcome::Skipped(path) => println!("{} was there already", path.display()),
//!     Outcome::Failed(failure) => println!("it failed: {failure}"),
//!     other => println!("it ended otherwise: {other:?}"),
//! }
//! engine.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Sessions and tasks
//!
//! An [`Engine`] owns a state directory. A [`Session`] is a named group of tasks in it with one
//! [`SessionConfiguration`]. [`Session::start_download`] answers when the task is recorded; from then
//! on it exists until it has ended *and* its end was acknowledged. A [`DownloadTask`] is only a
//! handle: dropping it changes nothing, and [`Session::get_download_tasks`] finds the task again,
//! in this process or in a later one.
//!
//! [`Session::start_upload`] sends a file and gives an [`UploadTask`]. It has ended well
//! ([`Outcome::Uploaded`]) when the server answered with a success and has acknowledged every byte of it.
//! Until then it goes on where the server has it, when that speaks tus 1.0.0 or the IETF draft of
//! resumable uploads, and else begins again at the first byte; a `POST` that may have arrived is not made
//! twice ([`UploadRequest::repeatable`]). What is said below of tasks is true of both kinds.
//!
//! A session has one owner at a time, and lives on without any. It ends when its owner says so:
//! [`Session::finish_tasks_and_invalidate`] or [`Session::invalidate_and_cancel`], then
//! [`Fact::BecameInvalid`] as its last fact, then its name is free.
//!
//! # Events
//!
//! [`Session::events`] tells two kinds of things. A [`Fact`] is committed before it is told, carries
//! a [`Sequence`], and is told again after a restart until [`Session::acknowledge`]; each task has
//! exactly one terminal fact. Progress and changes of phase are news, and a slow reader misses some.
//!
//! An app that would rather be called than read a stream sets a [`Delegate`] for the whole session,
//! which acknowledges by itself, or callbacks for one task, such as [`DownloadTask::on_complete`] and
//! [`UploadTask::on_complete`]. [`Engine::session_with_delegate`] has the delegate there before any task
//! goes on.
//!
//! # Challenges
//!
//! When a server wants credentials that a task does not have, or other ones in the middle of it, the
//! task keeps its bytes and waits, over restarts too, and [`Fact::Challenged`] tells so once.
//! [`DownloadTask::answer_challenge`] and [`UploadTask::answer_challenge`] take one of four
//! [`Disposition`]s; a [`Renewal`] brings new credentials, header fields or a URL that was signed anew.
//! The task goes on where it stopped then.
//!
//! # When a task runs
//!
//! At once, as far as the limits of its session and of the engine allow; by priority. A request may
//! ask for more: an [earliest begin](DownloadRequest::earliest_begin_date), or a network and power
//! that suit it ([`DownloadRequest::is_discretionary`] and the like). A task whose condition breaks
//! stops with its bytes recorded and goes on when it is met again; what nobody knows about network
//! and power is good enough. [`DownloadTask::why`] says what a task waits for. A delegate is asked once
//! whether, and with what, a delayed task begins ([`Delegate::will_begin_delayed_request`]).
//!
//! # Surviving restarts
//!
//! After a kill, what had reached the file is not fetched again, up to one recording interval (1 MiB
//! or 100 ms, whichever comes later; at most 1 s). After a power cut the same holds for what was
//! synced (64 MiB or 2 s). Whether the bytes may be kept is asked of the server with `If-Range`
//! (RFC 9110 section 13.1.5): two versions of a file are never spliced.
//!
//! A session's tasks go on when it is opened, or with the engine ([`EngineBuilder::resume_sessions`]).
//!
//! # Resume data
//!
//! [`DownloadTask::cancel_by_producing_resume_data`] ends a task and gives its bytes to the app as
//! [`ResumeData`]: a small value without any secret, which any session goes on with
//! ([`Session::resume_download`]), once, also when the state directory of the first task is gone.
//! The bytes stay in the part file until then; [`Session::discard_resume_data`] removes them. A
//! failure carries resume data when the session asks for it
//! ([`SessionConfiguration::resume_data_on_failure`]).
//!
//! That of an upload ([`Session::resume_upload`]) holds no bytes: it is the request, which file it was and
//! where the server has it, sealed beside the file, and is refused when the file has changed.
//!
//! # What is not promised
//!
//! The embedded engine transfers only while its process lives. A server without validators or
//! without ranges makes an interrupted download begin again. Redirects, proxies and clocks are
//! trusted as far as HTTP trusts them; a digest ([`DownloadRequest::checksum`]) trusts nobody.
//!
//! # Executors
//!
//! Every future of this crate works on any executor and, with any `block_on`, in plain threads: it
//! only waits for answers of the engine's own threads. All handles are `Send + Sync`.

#![warn(missing_docs)]

#[cfg(panic = "abort")]
compile_error!(
    "longhaul's supervision turns a panic of one transfer into a restart, which needs unwinding: \
     remove `panic = \"abort\"` from the profile"
);

mod blocking;
mod callbacks;
mod challenge;
mod conditions;
mod configuration;
pub mod control;
mod delegate;
mod engine;
mod error;
mod events;
mod header;
mod incoming;
mod link;
mod options;
mod proxy;
mod refresh;
mod request;
mod session;
mod state;
mod task;
mod upload;
#[cfg(feature = "test-util")]
mod virtual_clock;

pub use conditions::SystemConditions;
pub use configuration::{CA_CERTIFICATES_BYTES_MAX, SessionConfiguration, TASKS_MAX};
pub use delegate::{Delegate, DelegateGuard};
pub use engine::{Connector, Engine, EngineBuilder, OpenedSession, default_socket};
pub use error::Error;
pub use events::Events;
pub use refresh::RefreshTask;
pub use request::DownloadRequest;
pub use session::{AnyTask, Launches, ResumeRequest, ResumeUploadRequest, Session, SessionSummary};
pub use state::{check_state, repair_state};
pub use task::{DownloadTask, TaskSnapshot};
pub use upload::{UploadRequest, UploadSnapshot, UploadTask};
#[cfg(feature = "test-util")]
pub use virtual_clock::VirtualClock;

pub use longhaul_engine::authorization_challenge::{Challenge, Disposition, Renewal};
pub use longhaul_engine::checksum::{Algorithm, Digest};
pub use longhaul_engine::checkup::{Finding, Repair, StateReport};
pub use longhaul_engine::conditions::{ConditionReporter, ConditionSource, Conditions};
pub use longhaul_engine::control::CALL_PATIENCE;
pub use longhaul_engine::delayed_request::{DelayedRequest, NewRequest};
pub use longhaul_engine::event::{Event, Fact, NumberedFact};
pub use longhaul_engine::failure::{Class, Failure, FailureKind};
pub use longhaul_engine::http::authorization::Credentials;
pub use longhaul_engine::id::{Sequence, TaskId};
pub use longhaul_engine::launch::{LaunchCommand, LaunchCommandError, LaunchReason, LaunchRules};
pub use longhaul_engine::metrics::{TaskMetrics, TransactionMetrics};
pub use longhaul_engine::resume_data::{ResumeData, ResumeDataError, ResumeDataTooLong};
pub use longhaul_engine::safe_url::{HttpUrl, UrlError};
pub use longhaul_engine::session::{Durability, SessionState};
pub use longhaul_engine::task::{
    Collision, Constraint, Destination, Finished, NotificationTitles, Outcome, Phase, Priority,
    Progress, QueueReason, TaskState, Uploaded,
};
pub use longhaul_engine::time::Timestamp;
pub use longhaul_engine::upload::protocol::{Evidence, Negotiated, Protocol, UploadProtocol};
pub use longhaul_engine::why::{RateDelay, RateScope, Why};

/// Limits that a caller may want to know before it asks.
pub mod limits {
    pub use longhaul_engine::limits::{
        CHALLENGE_STATUSES_MAX, CONNECTIONS_MAX, DESCRIPTION_BYTES_MAX,
        NOTIFICATION_TITLE_BYTES_MAX, REDIRECTS_MAX, REQUEST_HEADER_BYTES_MAX, REQUEST_HEADERS_MAX,
        RESPONSE_BODY_BYTES_MAX, RESUME_DATA_BYTES_MAX, RETRY_AFTER_MAX, SESSION_CREDENTIALS_MAX,
        SESSION_ID_BYTES_MAX, TRANSACTIONS_MAX, URL_BYTES_MAX,
    };
}

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_handle_works_from_any_thread() {
        fn is_shared<T: Send + Sync + 'static>() {}
        fn is_sent<T: Send + Unpin + futures_core::Stream<Item = Event>>() {}
        is_shared::<Engine>();
        is_shared::<Session>();
        is_shared::<AnyTask>();
        is_shared::<DownloadTask>();
        is_shared::<UploadTask>();
        is_shared::<TaskSnapshot>();
        is_shared::<Error>();
        is_shared::<DelegateGuard>();
        is_sent::<Events>();
    }

    #[test]
    fn every_future_can_move_between_threads() {
        fn is_sent<T: Send>(_: fn(&'static Engine, &'static Session, &'static DownloadTask) -> T) {}
        is_sent(|engine, _, _| async { engine.shutdown().await });
        is_sent(|engine, _, _| async { engine.stopped().await });
        is_sent(|engine, _, _| async { engine.session(SessionConfiguration::new("x")?).await });
        is_sent(|engine, _, _| async {
            let configuration = SessionConfiguration::new("x")?;
            engine.session_with(configuration, Vec::new()).await
        });
        is_sent(|engine, _, _| async {
            struct Default;
            impl Delegate for Default {}
            let configuration = SessionConfiguration::new("x")?;
            let delegate = std::sync::Arc::new(Default);
            engine.session_with_delegate(configuration, delegate).await
        });
        is_sent(|engine, _, _| async {
            let configuration = SessionConfiguration::new("x")?;
            engine.session_with_uploads(configuration, Vec::new()).await
        });
        is_sent(|_, session, _| async { session.start_downloads(Vec::new()).await });
        is_sent(|_, session, _| async { session.start_uploads(Vec::new()).await });
        is_sent(|_, session, _| async { session.upload_snapshots().await });
        is_sent(|_, session, _| async { session.snapshot().await });
        is_sent(|_, session, _| async { session.get_all_tasks().await });
        is_sent(|_, session, _| async { session.invalidate_and_cancel().await });
        is_sent(|_, session, _| async { session.events().await });
        is_sent(|_, session, _| async { session.acknowledge(Sequence::new(1)).await });
        is_sent(|_, session, _| async {
            struct Default;
            impl Delegate for Default {}
            session.set_delegate(std::sync::Arc::new(Default)).await
        });
        is_sent(|_, _, task| async { task.events().await });
        is_sent(|_, _, task| async { task.on_complete(|_| ()).await });
        is_sent(|_, _, task| async { task.cancel().await });
        is_sent(|_, _, task| async { task.cancel_by_producing_resume_data().await });
        is_sent(|_, session, _| async {
            let data = ResumeData::from_bytes(Vec::new()).unwrap();
            session.resume_download(data, "x").await
        });
        is_sent(|_, session, _| async {
            let data = ResumeData::from_bytes(Vec::new()).unwrap();
            session.resume_upload(data).await
        });
        is_sent(|_, _, task| async { task.answer_challenge(Disposition::Cancel).await });
        is_sent(|_, _, task| task.clone().into_future());
    }
}
