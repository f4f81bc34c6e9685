//! A scripted server for uploads: tus 1.0.0, the IETF draft in every interop version, and plain
//! requests, each by the book or with the faults of servers that people run.
//!
//! ```no_run
//! use longhaul_support::uploads::{Behaviour, Fault, Interim, Step, UploadServer};
//!
//! // Interop version 6 as the draft has it, but the 104 comes after the body ...
//! let server = UploadServer::start(Behaviour::ietf(6).interim(Interim::AfterBody));
//! // ... and the second append is cut after 1000 bytes.
//! server.inject(Fault::cut_at(1000).on(Step::Append).skip(1));
//! let target = server.url("/files");
//! # let _ = target;
//! ```
//!
//! The rules are those of tus 1.0.0 and of draft-ietf-httpbis-resumable-upload, by its interop
//! version: 3 is draft -01, 5 is -03, 6 is -04 and -05, 7 is -06 to -08, 8 is -09 to -11.

mod answer;
mod asked;
mod behaviour;
mod digests;
mod discovery;
mod exchange;
mod fault;
mod ietf;
mod plain;
mod server;
mod store;
mod tus;

pub use asked::{Protocol, Step};
pub use behaviour::{
    AfterEnd, Behaviour, Concurrency, Conflict, CutAppends, Discovery, Extension, Interim,
    InterimVersion, Limits, Location, Rejection,
};
pub use fault::Fault;
pub use server::UploadServer;
pub use store::Upload;
