//! A thousand small files with one call: `cargo run --release --example many_downloads`.
//!
//! `start_downloads` records all tasks in one transaction. From then on each of them is found again
//! after a crash, and the engine runs as many at once as the session allows.

#![allow(
    clippy::print_stdout,
    reason = "an example talks to the person before it"
)]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use longhaul::{
    DownloadRequest, Engine, Event, Fact, NumberedFact, Outcome, Session, SessionConfiguration,
};
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::server::Server;
use tempfile::TempDir;

const FILES: u64 = 1000;
const FILE_BYTES: u64 = 64 * 1024;

/// Files at once. They all come from one host, so both limits of the session are this.
const AT_ONCE: u32 = 16;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start();
    for number in 0..FILES {
        server.serve(&format!("/{number}"), Resource::new(content(number)));
    }
    let directory = tempfile::tempdir()?;
    let engine = Engine::builder(directory.path().join("state")).start()?;
    let configuration = SessionConfiguration::new("com.example.many")?
        .tasks_max(AT_ONCE)?
        .tasks_per_host_max(AT_ONCE)?;
    let session = engine.session(configuration).await?;

    let began = Instant::now();
    let requests = (0..FILES)
        .map(|number| {
            DownloadRequest::new(&server.url(&format!("/{number}")), file(&directory, number))
        })
        .collect::<Result<Vec<_>, _>>()?;
    // There is an answer for each request; one that is refused does not hinder the others.
    for answer in session.start_downloads(requests).await? {
        answer?;
    }
    let recorded = began.elapsed();
    wait_for_all(&session).await?;
    let took = began.elapsed();
    engine.shutdown().await;

    for number in 0..FILES {
        content(number).verify_file(&file(&directory, number))?;
    }
    println!("{FILES} tasks were recorded in {} ms", recorded.as_millis());
    println!(
        "{FILES} files of {FILE_BYTES} bytes came in {} ms, {:.0} files/s, every byte compared",
        took.as_millis(),
        FILES as f64 / took.as_secs_f64()
    );
    Ok(())
}

/// Waits until every task has ended, with one line of progress for all on a terminal.
async fn wait_for_all(session: &Session) -> Result<(), Box<dyn Error>> {
    let bar = ProgressBar::new(FILES);
    bar.set_style(ProgressStyle::with_template(
        "{bar:40} {pos} of {len} files, {per_sec}, {elapsed}",
    )?);
    // What ended before we listen is told too: a fact waits until it is acknowledged.
    let mut events = session.events().await?;
    while let Some(event) = events.next().await {
        let Event::Fact(NumberedFact {
            sequence,
            fact: Fact::Completed { task, outcome, .. },
        }) = event
        else {
            continue;
        };
        let Outcome::Finished(_) = outcome else {
            return Err(format!("task {task} ended otherwise: {outcome:?}").into());
        };
        bar.inc(1);
        if bar.position() == FILES {
            bar.finish_and_clear();
            // One acknowledgement for all facts up to this one.
            return Ok(session.acknowledge(sequence).await?);
        }
    }
    Err("the engine stopped before all downloads ended".into())
}

fn content(number: u64) -> Content {
    Content::new(number, FILE_BYTES)
}

fn file(directory: &TempDir, number: u64) -> PathBuf {
    directory.path().join(format!("{number}.bin"))
}
