//! An app that was away: its download ended meanwhile, and its delegate hears of it when it is back.
//!
//! Run it with `cargo run --release --example delegate`. It downloads from a server that it starts
//! itself.

#![allow(
    clippy::print_stdout,
    reason = "an example talks to the person before it"
)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use longhaul::{
    Delegate, DownloadRequest, Engine, Finished, Outcome, Session, SessionConfiguration, TaskId,
};
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::server::Server;

const CONTENT: Content = Content::new(8, 1024 * 1024);

/// What the app does about its downloads. Its methods are called on a thread of their own.
struct App {
    is_over: Sender<()>,
}

impl Delegate for App {
    fn did_finish_downloading(&self, task: TaskId, file: &Finished) {
        println!("task {task}: {} bytes are there", file.bytes);
    }

    // When this has returned, the end is acknowledged. A kill before that, and it is told again.
    fn did_complete(&self, task: TaskId, outcome: &Outcome) {
        match outcome {
            Outcome::Finished(_) => println!("task {task} is complete"),
            other => println!("task {task} ended otherwise: {other:?}"),
        }
    }

    fn session_finished_events(&self) {
        println!("that was all");
        // The program may have ended.
        let _ = self.is_over.send(());
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start();
    server.serve("/data.bin", Resource::new(CONTENT));
    let directory = tempfile::tempdir()?;

    // The first life: nobody listens, and the app goes away when the file has come.
    let (engine, session) = open(directory.path()).await?;
    let target = directory.path().join("data.bin");
    let task = session
        .start_download(DownloadRequest::new(&server.url("/data.bin"), &target)?)
        .await?;
    task.finished().await?;
    engine.shutdown().await;
    println!("the app was away");

    // The second life: the session is found by its name, and its delegate hears what it missed.
    let (engine, session) = open(directory.path()).await?;
    let (is_over, over) = channel();
    let guard = session.set_delegate(Arc::new(App { is_over })).await?;
    over.recv()?;
    guard.detach().await;
    assert!(session.get_download_tasks().await?.is_empty());
    engine.shutdown().await;
    CONTENT.verify_file(&target)?;
    Ok(())
}

async fn open(directory: &Path) -> Result<(Engine, Session), longhaul::Error> {
    let engine = Engine::builder(directory.join("state")).start()?;
    let configuration = SessionConfiguration::new("com.example.delegate")?;
    let session = engine.session(configuration).await?;
    Ok((engine, session))
}
