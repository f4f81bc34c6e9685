//! What 10,000 queued tasks cost over an idle engine in memory: `cargo bench --bench queued_tasks`.
//!
//! One task runs, against a server that never answers, and all others wait behind it. Memory is what
//! the kernel says of this process; the server is in it too, and has one connection all the time. The
//! result is one JSON object on stdout.

#![allow(
    clippy::print_stdout,
    reason = "the result of a measurement goes there"
)]

use std::error::Error;
use std::fs;

use longhaul::{DownloadRequest, Engine, SessionConfiguration, TaskState};
use longhaul_support::gate::Gate;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

const TASKS: usize = 10_000;

/// The names of the tasks' URLs and files are about as long as real ones.
const NAME: &str = "an-ordinary-name-of-a-file-to-be-downloaded";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (server, never) = (Server::start(), Gate::new());
    let directory = tempfile::tempdir()?;
    let engine = Engine::builder(directory.path().join("state")).start()?;
    let configuration = SessionConfiguration::new("bench")?.tasks_max(1)?;
    let session = engine.session(configuration).await?;

    // The one that runs is there before the first look, with its connection and its buffers.
    server.script("/first", [Reply::normal().hold_head(&never)]);
    let first = DownloadRequest::new(&server.url("/first"), directory.path().join("first"))?;
    let _running = session.start_download(first).await?;
    server.wait_for(|requests| requests.len() == 1);
    let idle = memory("VmRSS")?;

    let requests = (0..TASKS)
        .map(|number| {
            let name = format!("{NAME}-{number}.bin");
            let url = server.url(&format!("/downloads/{name}"));
            DownloadRequest::new(&url, directory.path().join(name))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let tasks = session
        .start_downloads(requests)
        .await?
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let with_handles = memory("VmRSS")?;

    let last = tasks.last().ok_or("there are no tasks")?;
    if last.state().await? != TaskState::Running {
        return Err("the last task does not wait for its turn".into());
    }
    drop(tasks);
    let without_handles = memory("VmRSS")?;
    // The kernel keeps these counters roughly, and each for itself.
    let peak = memory("VmHWM")?.max(with_handles);
    println!(
        "{{\"tasks\":{TASKS},\"idle_kib\":{idle},\"queued_kib\":{with_handles},\
         \"queued_without_handles_kib\":{without_handles},\"peak_kib\":{peak}}}"
    );
    engine.shutdown().await;
    Ok(())
}

/// A field of `/proc/self/status` in KiB (proc(5)).
fn memory(field: &str) -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .ok_or_else(|| format!("/proc/self/status has no {field}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
