//! An engine inside of a tokio program: a session, a download, its events, and `.await` on the task.
//!
//! Run it with `cargo run --release --example embed_in_tokio`. It downloads from a server that it
//! starts itself, and the server fails once in the middle, so that there is something to hear.

#![allow(
    clippy::print_stdout,
    reason = "an example talks to the person before it"
)]

use std::error::Error;
use std::future::ready;
use std::time::Duration;

use futures_util::StreamExt as _;
use longhaul::{
    DownloadRequest, Engine, Event, Fact, NumberedFact, Outcome, Phase, Sequence, Session,
    SessionConfiguration, TaskId,
};
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

const CONTENT: Content = Content::new(7, 64 * 1024 * 1024);

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start();
    server.serve("/data.bin", Resource::new(CONTENT));
    let slow = Reply::normal().bytes_per_second(CONTENT.len());
    let breaks = slow.clone().truncate_at(CONTENT.len() / 3);
    server.script("/data.bin", [breaks, slow]);
    let directory = tempfile::tempdir()?;

    // Starting is quick and may happen within a runtime: the engine has threads of its own.
    let engine = Engine::builder(directory.path().join("state")).start()?;
    let configuration = SessionConfiguration::new("com.example.embedded")?
        .retry_delay(Duration::from_millis(200), Duration::from_secs(5))?;
    let session = engine.session(configuration).await?;

    // One part of the program listens to everything that happens in the session ...
    let listener = tokio::spawn(listen(session.clone()));

    // ... and another one just wants its file. When `start_download` has answered, the task exists
    // until it has ended, whatever happens to this process.
    let target = directory.path().join("data.bin");
    let request = DownloadRequest::new(&server.url("/data.bin"), &target)?;
    let task = session.start_download(request).await?;
    println!("started task {}", task.id());
    match task.await? {
        Outcome::Finished(file) => println!("awaited: {} bytes are there", file.bytes),
        other => return Err(format!("it ended otherwise: {other:?}").into()),
    }

    listener.await??;
    engine.shutdown().await;
    CONTENT.verify_file(&target)?;
    println!("every byte compared");
    Ok(())
}

/// Tells what happens, until the first task has ended.
async fn listen(session: Session) -> Result<(), longhaul::Error> {
    // An ordinary stream, for the adapters of any library.
    let events = session.events().await?;
    let mut ends = events
        .inspect(tell)
        .filter_map(|event| ready(end_of(&event)));
    if let Some((task, sequence)) = ends.next().await {
        println!("heard: task {task} has ended");
        // Acknowledging the end of a task forgets the task.
        session.acknowledge(sequence).await?;
    }
    Ok(())
}

/// News: a slow listener misses some of it, and never an end.
fn tell(event: &Event) {
    match event {
        Event::PhaseChanged {
            phase: Phase::WaitingToRetry { cause, .. },
            ..
        } => println!("heard: {cause}; it will try again"),
        Event::Resumed { held_bytes, .. } => {
            println!("heard: it goes on, {held_bytes} bytes are held");
        }
        Event::Progress { progress, .. } => {
            println!("heard: {} bytes have come", progress.received_bytes);
        }
        _ => {}
    }
}

/// A fact: committed before it is told, and told again after a restart until it is acknowledged.
fn end_of(event: &Event) -> Option<(TaskId, Sequence)> {
    match event {
        Event::Fact(NumberedFact {
            sequence,
            fact: Fact::Completed { task, .. },
        }) => Some((*task, *sequence)),
        _ => None,
    }
}
