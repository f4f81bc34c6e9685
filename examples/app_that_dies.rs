//! An app that starts a download, dies, and is started again when its file is there:
//! `cargo run --release --example app_that_dies`.
//!
//! Three processes play, all of them this program. The stage (no argument) has a small web server and
//! starts the app. The app starts the daemon, hands a download to it and kills itself. The daemon fetches
//! the file and starts the app anew, which finds it and says so.

#![allow(
    clippy::print_stdout,
    reason = "an example talks to the person before it"
)]

use std::env;
use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use longhaul::{
    DownloadRequest, Engine, Event, Events, Fact, LaunchCommand, Outcome, Session,
    SessionConfiguration,
};
use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

const MIB: u64 = 1024 * 1024;

/// What the server has.
const CONTENT: Content = Content::new(2027, 32 * MIB);

const PATH: &str = "/film.bin";

/// The name under which the app finds its session again.
const NAME: &str = "com.example.app-that-dies";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let played = match words.as_slice() {
        [] => stage(),
        // The command's own `longhaul daemon`: an app that is installed uses that.
        ["daemon", ..] => return longhaul_cli::run_command(),
        ["app", directory] => app(Path::new(directory), None),
        ["app", directory, url] => app(Path::new(directory), Some(url)),
        _ => Err("this example takes no arguments".into()),
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

// ---------------------------------------------------------------------------------------------
// The app: this is all that a program needs.

/// One life of the app. With a URL it was started by a person, without one by the daemon.
#[tokio::main(flavor = "current_thread")]
async fn app(directory: &Path, url: Option<&str>) -> Result<(), Box<dyn Error>> {
    // Starts a daemon when none runs. It lives on without us.
    let engine = Engine::connector()
        .socket(directory.join("run/control.sock"))
        .state_dir(directory.join("state"))
        .program(env::current_exe()?)
        .spawn(true)
        .connect()
        .await?;

    // What the daemon is to run when everything has ended and we are not there.
    let program = env::current_exe()?.display().to_string();
    let command = LaunchCommand::new([&program, "app", &directory.display().to_string()], "/")?;
    let configuration = SessionConfiguration::new(NAME)?.launch_command(command);

    let Some(url) = url else {
        // We were called: there is a refresh task for us, to be completed when all is heard.
        let call = engine
            .next_refresh_task()
            .await
            .ok_or("the daemon is gone")?;
        let session = engine.session(configuration).await?;
        let end = heard(&session, &mut session.events().await?).await?;
        call.set_task_completed().await?;
        return tell(directory, &end);
    };
    let session = engine.session(configuration).await?;
    let request = DownloadRequest::new(url, directory.join("film.bin"))?;
    let task = session.start_download(request).await?;
    tell(
        directory,
        &format!("the app has started task {} and dies", task.id()),
    )?;
    // As if it had crashed: nothing is put in order.
    std::process::abort();
}

/// Waits for the end of the download, and acknowledges it: it is never told again then.
async fn heard(session: &Session, events: &mut Events) -> Result<String, Box<dyn Error>> {
    while let Some(event) = events.next().await {
        let Event::Fact(told) = event else { continue };
        if let Fact::Completed { task, outcome, .. } = told.fact {
            session.acknowledge(told.sequence).await?;
            return match outcome {
                Outcome::Finished(file) => Ok(format!(
                    "the app was started again; task {task} has left {} bytes for it",
                    file.bytes
                )),
                other => Err(format!("it ended otherwise: {other:?}").into()),
            };
        }
    }
    Err("the session was invalidated".into())
}

// ---------------------------------------------------------------------------------------------
// The stage: a server, the first start of the app, and the proof.

/// Tells the stage something, which prints it: the daemon gives its apps no terminal.
fn tell(directory: &Path, line: &str) -> Result<(), Box<dyn Error>> {
    let mut stage = UnixStream::connect(directory.join("stage.sock"))?;
    std::io::Write::write_all(&mut stage, line.as_bytes())?;
    Ok(())
}

fn stage() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let (server, gate) = (Server::start(), Gate::new());
    server.serve(PATH, Resource::new(CONTENT));
    // Half of the file comes while the app lives.
    server.script(PATH, [Reply::normal().hold_at(CONTENT.len() / 2, &gate)]);
    let listener = UnixListener::bind(directory.path().join("stage.sock"))?;

    let mut app = Command::new(env::current_exe()?);
    app.arg("app").arg(directory.path()).arg(server.url(PATH));
    let mut app = app.spawn()?;
    println!("{}", next_line(&listener)?);
    let status = app.wait()?;
    println!(
        "it is dead (signal {})",
        status.signal().unwrap_or_default()
    );

    gate.open();
    println!("{}", next_line(&listener)?);
    let expected = CONTENT.bytes(0..CONTENT.len());
    if std::fs::read(directory.path().join("film.bin"))? != expected {
        return Err("the file is not the server's".into());
    }
    println!(
        "every byte is the server's; it was asked {} time",
        server.requests().len()
    );
    stop_daemon(directory.path())
}

fn next_line(listener: &UnixListener) -> Result<String, Box<dyn Error>> {
    let (stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

/// Nobody else uses this one. An app leaves the daemon alone.
#[tokio::main(flavor = "current_thread")]
async fn stop_daemon(directory: &Path) -> Result<(), Box<dyn Error>> {
    let socket = directory.join("run/control.sock");
    let engine = Engine::connector().socket(&socket).connect().await?;
    engine.stop_daemon().await?;
    Ok(())
}
