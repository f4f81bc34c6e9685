//! Looks on at a session that another program owns: `cargo run --release --example watch_events`.
//!
//! An engine is served on a socket as `longhaul daemon` does it. One app has a download in it; another
//! one, which owns nothing, hears everything of it. Where a daemon runs,
//! `cargo run --release --example watch_events -- SESSION` looks on at a session of it.

#![allow(
    clippy::print_stdout,
    reason = "an example talks to the person before it"
)]

use std::error::Error;
use std::path::Path;

use longhaul::{DownloadRequest, Engine, Event, Events, Fact, SessionConfiguration};
use longhaul_cli::daemon::Daemon;
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

const MIB: u64 = 1024 * 1024;
const CONTENT: Content = Content::new(9, 8 * MIB);
const NAME: &str = "com.example.watched";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args().nth(1) {
        // The daemon of this user.
        Some(session) => {
            let engine = Engine::connect().await?;
            let session = engine.observe(&session).await?;
            watch(&mut session.events().await?, None).await
        }
        None => play().await,
    }
}

/// Prints what is told, until so many tasks have ended.
async fn watch(events: &mut Events, ends: Option<usize>) -> Result<(), Box<dyn Error>> {
    let mut ended = 0;
    while let Some(event) = events.next().await {
        match &event {
            Event::Progress { task, progress } => {
                println!("task {task}: {} bytes", progress.received_bytes);
            }
            Event::Fact(told) => {
                println!("fact {}: {:?}", told.sequence, told.fact);
                ended += usize::from(matches!(told.fact, Fact::Completed { .. }));
            }
            other => println!("{other:?}"),
        }
        if ends == Some(ended) {
            return Ok(());
        }
    }
    Ok(())
}

async fn play() -> Result<(), Box<dyn Error>> {
    let server = Server::start();
    server.serve("/data.bin", Resource::new(CONTENT));
    let slow = Reply::normal().bytes_per_second(8 * MIB);
    server.script("/data.bin", [slow]);
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("run/control.sock");
    let served = Engine::builder(directory.path().join("state")).start()?;
    let daemon = Daemon::start(served, &socket)?;

    let app = connect(&socket).await?;
    let session = app.session(SessionConfiguration::new(NAME)?).await?;
    let onlooker = connect(&socket).await?;
    let watched = onlooker.observe(NAME).await?;
    let mut events = watched.events().await?;

    let target = directory.path().join("data.bin");
    let request = DownloadRequest::new(&server.url("/data.bin"), &target)?;
    session.start_download(request).await?;
    watch(&mut events, Some(1)).await?;
    daemon.stop().await;
    Ok(())
}

async fn connect(socket: &Path) -> Result<Engine, longhaul::Error> {
    Engine::connector().socket(socket).connect().await
}
