//! An app that fetches something every quarter of an hour while it is away: a download that begins
//! later, the call when it has come, and the budget of such calls (`WKURLSessionRefreshBackgroundTask`).
//!
//! Run it with `cargo run --release --example background_refresh --features test-util`. The half hour
//! in it takes two seconds at most, by a clock that it moves itself.

#![allow(
    clippy::print_stdout,
    reason = "an example talks to the person before it"
)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use longhaul::{
    Conditions, Delegate, DownloadRequest, Engine, LaunchReason, LaunchRules, Outcome, Phase,
    QueueReason, RefreshTask, Session, SessionConfiguration, TaskId, Timestamp, VirtualClock,
};
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::server::Server;

const CONTENT: Content = Content::new(15, 1024 * 1024);

const QUARTER: Duration = Duration::from_secs(15 * 60);

/// What the app does about its downloads, when it is there.
struct App {
    is_over: Sender<()>,
}

impl Delegate for App {
    fn did_complete(&self, task: TaskId, outcome: &Outcome) {
        match outcome {
            Outcome::Finished(file) => println!("  download {task}: {} bytes", file.bytes),
            other => println!("  download {task} ended otherwise: {other:?}"),
        }
    }

    fn session_finished_events(&self) {
        // The program may have ended.
        let _ = self.is_over.send(());
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start();
    server.serve("/news", Resource::new(CONTENT));
    let directory = tempfile::tempdir()?;
    let clock = VirtualClock::new();
    let engine = Engine::builder(directory.path().join("state"))
        .virtual_clock(clock)
        .start()?;
    // What a discretionary task waits for; without this the system is asked.
    engine.set_conditions(Conditions {
        is_online: Some(true),
        is_metered: Some(false),
        is_constrained: Some(false),
        is_on_battery: Some(false),
    });

    // The app schedules a download and goes away: it keeps no handle and no delegate.
    let first = directory.path().join("first");
    schedule(
        &open(&engine).await?,
        &server,
        &first,
        clock.now().after(QUARTER),
    )
    .await?;
    assert!(server.requests().is_empty() && !first.exists());
    println!("the app is away");

    clock.advance(QUARTER);
    let refresh = called(&engine).await?;
    let first_call = time_of(&refresh);
    CONTENT.verify_file(&first)?;

    // The app is back. While it handles what it missed, it schedules the next download, which ends
    // sooner than the app may be called again.
    let second = directory.path().join("second");
    let session = handle(&engine, &refresh).await?;
    refresh.set_task_completed().await?;
    let soon = clock.now().after(Duration::from_secs(60));
    schedule(&session, &server, &second, soon).await?;
    let task = session.get_download_tasks().await?.remove(0);
    drop(session);
    println!("the app is away");

    clock.advance(Duration::from_secs(60));
    task.finished().await?;
    drop(task);
    println!("the second download is there; the app is not called before its time");
    clock.advance(QUARTER);
    let refresh = called(&engine).await?;
    let between = time_of(&refresh).since(first_call);
    assert!(
        between >= LaunchRules::default().interval_min,
        "{between:?}"
    );
    handle(&engine, &refresh).await?;
    refresh.set_task_completed().await?;
    CONTENT.verify_file(&second)?;
    engine.shutdown().await;
    Ok(())
}

/// The session of this name, whoever opened it before.
async fn open(engine: &Engine) -> Result<Session, longhaul::Error> {
    let configuration = SessionConfiguration::new("com.example.news")?
        .is_discretionary(true)
        .session_sends_launch_events(true);
    engine.session(configuration).await
}

/// Makes a download that does not begin before this time.
async fn schedule(
    session: &Session,
    server: &Server,
    target: &Path,
    begin: Timestamp,
) -> Result<(), Box<dyn Error>> {
    let request = DownloadRequest::new(&server.url("/news"), target)?;
    let task = session
        .download_task(request.earliest_begin_date(begin))
        .await?;
    task.resume().await?;
    match task.phase().await? {
        Phase::Queued(QueueReason::NotBefore(at)) if at == begin => {
            println!("download {} is scheduled", task.id());
            Ok(())
        }
        other => Err(format!("it waits for something else: {other:?}").into()),
    }
}

/// Waits until the app is called.
async fn called(engine: &Engine) -> Result<RefreshTask, Box<dyn Error>> {
    let refresh = engine
        .next_refresh_task()
        .await
        .ok_or("the engine has stopped")?;
    assert_eq!(refresh.reason(), LaunchReason::Drained);
    println!("the app is called for {}", refresh.session_identifier());
    Ok(refresh)
}

/// When the app was called.
fn time_of(refresh: &RefreshTask) -> Timestamp {
    refresh.expires_at().before(LaunchRules::default().expiry)
}

/// Opens the session that the call is about and hears everything that was missed.
async fn handle(engine: &Engine, refresh: &RefreshTask) -> Result<Session, Box<dyn Error>> {
    let session = open(engine).await?;
    assert_eq!(session.identifier(), refresh.session_identifier());
    let (is_over, over) = channel();
    let guard = session.set_delegate(Arc::new(App { is_over })).await?;
    over.recv()?;
    guard.detach().await;
    Ok(session)
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_app_is_called_when_its_scheduled_download_has_come_and_within_its_budget() {
        super::main().unwrap();
    }
}
