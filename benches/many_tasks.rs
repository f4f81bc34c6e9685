//! What 100,000 tasks cost that wait: `cargo bench --bench many_tasks` for their turn, and
//! `cargo bench --bench many_tasks -- delayed` for a time that is not the same for any two of them.
//!
//! They are made in one call while one task runs against a server that never answers, found again by a
//! new engine, listed, and cancelled with one word. Memory is what the kernel says of this process,
//! over the engine with its one running task. The result is one JSON object on stdout.

#![allow(
    clippy::print_stdout,
    reason = "the result of a measurement goes there"
)]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use longhaul::{DownloadRequest, Engine, Event, Fact, Session, SessionConfiguration};
use longhaul_support::gate::Gate;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

const TASKS: usize = 100_000;

/// Until the first delayed task begins: no run of this takes as long.
const FIRST_DELAY: Duration = Duration::from_secs(3600);

/// Between two delayed tasks.
const DELAY_STEP: Duration = Duration::from_millis(10);

/// The names of the tasks' URLs and files are about as long as real ones.
const NAME: &str = "an-ordinary-name-of-a-file-to-be-downloaded";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (server, never) = (Server::start(), Gate::new());
    let directory = tempfile::tempdir()?;
    let state = directory.path().join("state");
    let (engine, session) = open(&state).await?;

    // The one that runs is there before the first look, with its connection and its buffers.
    server.script(
        "/first",
        [
            Reply::normal().hold_head(&never),
            Reply::normal().hold_head(&never),
        ],
    );
    let first = DownloadRequest::new(&server.url("/first"), directory.path().join("first"))?;
    drop(session.start_download(first).await?);
    server.wait_for(|requests| requests.len() == 1);
    let idle = resident_kib()?;

    let is_delayed = std::env::args().any(|argument| argument == "delayed");
    let requests = requests(&server, directory.path(), is_delayed)?;
    let started = Instant::now();
    let results = session.start_downloads(requests).await?;
    let enqueue_ms = started.elapsed().as_millis();
    let made = results.iter().filter(|result| result.is_ok()).count();
    drop(results);
    let queued = resident_kib()?;
    engine.shutdown().await;
    drop((session, engine));
    let store_bytes = fs::metadata(state.join("store.redb"))?.len();

    let started = Instant::now();
    let (engine, session) = open(&state).await?;
    let reopen_ms = started.elapsed().as_millis();
    server.wait_for(|requests| requests.len() == 2);
    let reopened = resident_kib()?;
    let started = Instant::now();
    let listed = session.get_download_tasks().await?.len();
    let list_ms = started.elapsed().as_millis();

    let started = Instant::now();
    let mut events = session.events().await?;
    session.invalidate_and_cancel().await?;
    let cancel_answer_ms = started.elapsed().as_millis();
    let mut last = None;
    while let Some(event) = events.next().await {
        if let Event::Fact(fact) = event {
            last = Some(fact);
        }
    }
    let cancel_ms = started.elapsed().as_millis();
    let last = last.ok_or("no fact was told")?;
    if last.fact != Fact::BecameInvalid || made != TASKS || listed != TASKS + 1 {
        return Err(format!("{made} made, {listed} listed, the last fact is {last:?}").into());
    }
    session.acknowledge(last.sequence).await?;
    let peak = status_kib("VmHWM")?;
    println!(
        "{{\"tasks\":{TASKS},\"delayed\":{is_delayed},\"enqueue_ms\":{enqueue_ms},\"reopen_ms\":{reopen_ms},\
         \"list_ms\":{list_ms},\"cancel_answer_ms\":{cancel_answer_ms},\"cancel_ms\":{cancel_ms},\
         \"store_bytes\":{store_bytes},\"idle_kib\":{idle},\"queued_kib\":{queued},\
         \"reopened_kib\":{reopened},\"peak_kib\":{peak}}}"
    );
    engine.shutdown().await;
    Ok(())
}

async fn open(state: &Path) -> Result<(Engine, Session)> {
    let engine = Engine::builder(state).start()?;
    let configuration = SessionConfiguration::new("bench")?.tasks_max(1)?;
    let session = engine.session(configuration).await?;
    Ok((engine, session))
}

fn requests(server: &Server, directory: &Path, is_delayed: bool) -> Result<Vec<DownloadRequest>> {
    let mut begin = SystemTime::now() + FIRST_DELAY;
    let mut requests = Vec::with_capacity(TASKS);
    for number in 0..TASKS {
        let name = format!("{NAME}-{number}.bin");
        let url = server.url(&format!("/downloads/{name}"));
        let mut request = DownloadRequest::new(&url, directory.join(name))?;
        if is_delayed {
            begin += DELAY_STEP;
            request = request.earliest_begin_date(begin);
        }
        requests.push(request);
    }
    Ok(requests)
}

fn resident_kib() -> Result<u64> {
    status_kib("VmRSS")
}

/// A field of `/proc/self/status` in KiB (proc(5)).
fn status_kib(field: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .ok_or_else(|| format!("/proc/self/status has no {field}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
