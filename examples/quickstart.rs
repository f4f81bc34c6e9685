//! A download that is killed half way and goes on: `cargo run --release --example quickstart`.
//!
//! Two processes play. The parent (no argument) starts a small web server, starts itself again as a
//! child that downloads from it, kills the child with SIGKILL when half of the file has come, starts
//! the same child once more, and checks what lies on the disk in the end. Everything happens on this
//! machine, in a directory that is removed afterwards.

#![allow(
    clippy::print_stdout,
    reason = "an example talks to the person before it"
)]

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use longhaul::{DownloadRequest, Engine, Event, Fact, NumberedFact, Outcome, SessionConfiguration};
use longhaul_support::content::Content;
use longhaul_support::log::Request;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

const MIB: u64 = 1024 * 1024;

/// What the server has: pseudo-random bytes, so that every wrong one is noticed.
const CONTENT: Content = Content::new(2026, 256 * MIB);

/// Slow enough to watch.
const BYTES_PER_SECOND: u64 = 96 * MIB;

/// What the kill may cost: progress is recorded every 100 ms, and some MiB are always on their way
/// through the sockets. The rest is for a machine that is busy with other things.
const FETCHED_TWICE_MAX: u64 = CONTENT.len() / 4;

const PATH: &str = "/big.bin";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => watch(),
        [url, directory, checksum] => {
            // Any executor does; the engine has threads of its own.
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            runtime.block_on(download(url, Path::new(directory), checksum))
        }
        _ => Err("this example takes no arguments".into()),
    }
}

// ---------------------------------------------------------------------------------------------
// The child: this is all that a program needs.

/// Downloads `url` into `directory`. Started again after a kill, it does the same, and the engine
/// goes on where the last record of the dead process says.
async fn download(url: &str, directory: &Path, checksum: &str) -> Result<(), Box<dyn Error>> {
    // The same state directory and the same name at every start: that is how it finds its task.
    let engine = Engine::builder(directory.join("state")).start()?;
    let session = engine
        .session(SessionConfiguration::new("quickstart")?)
        .await?;

    // `adopt_existing` means: if this download exists already, take it over with its bytes.
    let request = DownloadRequest::new(url, directory.join("big.bin"))?
        .checksum(checksum)?
        .adopt_existing(true);
    let task = session.start_download(request).await?;

    let mut events = task.events().await?;
    while let Some(event) = events.next().await {
        match event {
            // News: how far it is. The parent reads these lines.
            Event::Progress { progress, .. } => println!("{}", progress.received_bytes),
            // The one terminal fact. It would be told again at every start until we acknowledge it.
            Event::Fact(NumberedFact {
                sequence,
                fact: Fact::Completed { outcome, .. },
            }) => {
                session.acknowledge(sequence).await?;
                engine.shutdown().await;
                return match outcome {
                    Outcome::Finished(_) => Ok(()),
                    other => Err(format!("it ended otherwise: {other:?}").into()),
                };
            }
            _ => {}
        }
    }
    Err("the engine stopped before the download ended".into())
}

// ---------------------------------------------------------------------------------------------
// The parent: a server, the kill, and the proof.

/// Lets the child download, kills it half way, lets it go on, and checks everything.
fn watch() -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let directory = tempfile::tempdir()?;
    let server = Server::start();
    server.serve(PATH, Resource::new(CONTENT));
    server.script(PATH, [Reply::normal().bytes_per_second(BYTES_PER_SECOND)]);
    let target = directory.path().join("big.bin");
    let (total, half) = (CONTENT.len(), CONTENT.len() / 2);
    let sha256 = CONTENT.sha256_hex();
    let mut child = Command::new(std::env::current_exe()?);
    child.arg(server.url(PATH)).arg(directory.path());
    child.arg(format!("sha-256={sha256}"));

    let screen = Screen::new(total);
    screen.line(&format!("a child process downloads {}", HumanBytes(total)));
    let killed = run(&mut child, &screen, Some(half))?;
    if killed.success() || target.exists() {
        return Err(
            "the download was over before the kill; the machine is too slow or fast".into(),
        );
    }
    let first_life = server.bytes_served(PATH);
    screen.line(&format!(
        "killed with SIGKILL when {} had been sent; nothing is under the final name",
        HumanBytes(first_life)
    ));

    screen.line("the same program is started again");
    let ended = run(&mut child, &screen, None)?;
    screen.end();
    if !ended.success() {
        return Err(format!("the second run failed: {ended}").into());
    }

    // The server knows what was asked for: the second run begins where the held bytes end.
    let requests = server.requests_for(PATH);
    let held = requests.get(1).and_then(Request::range);
    let held = held.map(|(first, _)| first).ok_or("it did not resume")?;
    let fetched = server.bytes_served(PATH);
    let twice = fetched - total;
    println!(
        "held:           {}, by the record of the killed process",
        size(held)
    );
    println!("fetched then:   {}, the rest", size(total - held));
    println!(
        "fetched twice:  {}, unrecorded or unread at the kill",
        size(twice)
    );
    if held == 0 || twice > FETCHED_TWICE_MAX {
        return Err(format!("it fetched {twice} bytes twice").into());
    }
    // The engine has compared the digest before it gave the file its name; we compare the bytes.
    CONTENT.verify_file(&target)?;
    println!("sha-256:        {sha256}, equal, and every byte compared");
    println!("all of it took  {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Runs the child and shows its progress, until it ends or has `kill_at` bytes. Then it is killed:
/// on Unix `Child::kill` is SIGKILL, which no process can see coming.
fn run(
    command: &mut Command,
    screen: &Screen,
    kill_at: Option<u64>,
) -> Result<ExitStatus, Box<dyn Error>> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let output = child
        .stdout
        .take()
        .ok_or("the child has no standard output")?;
    for line in BufReader::new(output).lines() {
        let received: u64 = line?.parse()?;
        screen.progress(received);
        if kill_at.is_some_and(|limit| received >= limit) {
            child.kill()?;
            break;
        }
    }
    Ok(child.wait()?)
}

fn size(bytes: u64) -> String {
    format!("{bytes} bytes ({})", HumanBytes(bytes))
}

/// Lines for everybody, and a progress bar where there is a terminal.
struct Screen {
    bar: ProgressBar,
}

impl Screen {
    fn new(total: u64) -> Self {
        // It hides itself when standard error is no terminal.
        let bar = ProgressBar::new(total);
        let style = "{bar:40} {percent:>3}% {bytes:>11} {bytes_per_sec:>13}";
        bar.set_style(
            ProgressStyle::with_template(style)
                .expect("the template is well formed")
                .progress_chars("=> "),
        );
        Self { bar }
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| println!("{text}"));
    }

    fn progress(&self, received: u64) {
        self.bar.set_position(received);
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
