//! Resume data as an app uses it: in another session, after the state directory is gone, once, and
//! never with a secret in it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use longhaul::{
    Collision, DownloadRequest, DownloadTask, Engine, Error, Event, NotificationTitles, Outcome,
    ResumeData, ResumeDataError, ResumeRequest, Session, SessionConfiguration,
};
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, MIB, SECRET, run};

const PATH: &str = "/a.bin";
const CONTENT: Content = Content::new(301, 4 * MIB + 9);

async fn open(state: &Path, identifier: &str) -> (Engine, Session) {
    let engine = Engine::builder(state).start().unwrap();
    let configuration = SessionConfiguration::new(identifier).unwrap();
    let session = engine.session(configuration).await.unwrap();
    (engine, session)
}

fn server() -> Server {
    let server = Server::start();
    server.serve(PATH, Resource::new(CONTENT));
    server
}

/// A download full of secrets that has got a mebibyte, and whose next answer is a whole one.
async fn begun(bench: &Bench, session: &Session, server: &Server) -> DownloadTask {
    server.script(PATH, [Reply::normal().stall_at(MIB), Reply::normal()]);
    let url = format!("{}?signature={SECRET}", server.url(PATH));
    let request = DownloadRequest::new(&url, bench.file("a.bin")).unwrap();
    let request = request.header("X-Key", SECRET).unwrap();
    let request = request.credentials("me", SECRET);
    let task = session.start_download(request).await.unwrap();
    let mut events = task.events().await.unwrap();
    loop {
        match events.next().await.expect("it has not ended") {
            Event::Progress { .. } => return task,
            Event::Fact(fact) => panic!("it has ended: {fact:?}"),
            _ => {}
        }
    }
}

/// Resume data of a download with some bytes, and nothing else running.
async fn left(bench: &Bench, session: &Session, server: &Server) -> ResumeData {
    let task = begun(bench, session, server).await;
    let data = task.cancel_by_producing_resume_data().await.unwrap();
    data.expect("there are bytes and an entity tag")
}

/// The file beside the target whose name ends like this.
fn hidden(bench: &Bench, end: &str) -> PathBuf {
    let names = bench.names();
    let name = names.iter().find(|name| name.ends_with(end));
    bench.file(name.unwrap_or_else(|| panic!("no {end} in {names:?}")))
}

fn refused(result: Result<DownloadTask, Error>) -> ResumeDataError {
    match result {
        Err(Error::ResumeData(error)) => error,
        other => panic!("{other:?}"),
    }
}

async fn assert_finishes(task: &DownloadTask, bench: &Bench, name: &str) {
    match task.finished().await.unwrap() {
        Outcome::Finished(file) => assert_eq!(file.bytes, CONTENT.len()),
        other => panic!("{other:?}"),
    }
    bench.assert_file(name, CONTENT);
}

#[test]
fn resume_data_goes_on_in_another_session_and_the_bytes_are_not_fetched_again() {
    let (bench, server) = (Bench::new(), server());
    run(async {
        let (engine, session) = open(&bench.state(), "first").await;
        let task = begun(&bench, &session, &server).await;
        let data = task.cancel_by_producing_resume_data().await.unwrap();
        let data = data.expect("there are bytes and an entity tag");
        let outcome = Outcome::CancelledResumable(data.clone());
        assert_eq!(task.finished().await.unwrap(), outcome);
        let again = task.cancel_by_producing_resume_data().await.unwrap();
        assert_eq!(again.as_ref(), Some(&data));

        let other = SessionConfiguration::new("second").unwrap();
        let other = engine.session(other).await.unwrap();
        let kept = ResumeData::from_bytes(data.as_bytes().to_vec()).unwrap();
        let next = other
            .resume_download(kept, bench.file("b.bin"))
            .await
            .unwrap();
        assert_finishes(&next, &bench, "b.bin").await;
        engine.shutdown().await;
    });
    let request = server.requests_for(PATH).pop().unwrap();
    assert!(
        request.range().is_some_and(|(from, _)| from > 0),
        "{request:?}"
    );
    assert!(request.header("if-range").is_some() && request.header("x-key") == Some(SECRET));
    assert_eq!(bench.names(), ["b.bin"]);
}

#[test]
fn resume_data_goes_on_after_the_state_directory_was_deleted() {
    let (bench, server) = (Bench::new(), server());
    run(async {
        let (engine, session) = open(&bench.state(), "s").await;
        let data = left(&bench, &session, &server).await;
        engine.shutdown().await;
        drop((engine, session));
        fs::remove_dir_all(bench.state()).unwrap();

        let elsewhere = bench.outputs().join("elsewhere");
        let (engine, session) = open(&elsewhere, "s").await;
        let next = session.resume_download(data, bench.file("a.bin")).await;
        assert_finishes(&next.unwrap(), &bench, "a.bin").await;
        engine.shutdown().await;
    });
    let request = server.requests_for(PATH).pop().unwrap();
    assert!(
        request.range().is_some_and(|(from, _)| from > 0),
        "{request:?}"
    );
    assert_eq!(bench.names(), ["a.bin"]);
}

#[test]
fn resume_data_goes_on_to_another_device() {
    let memory = Path::new("/dev/shm");
    let (bench, server) = (Bench::new(), server());
    let elsewhere = tempfile::tempdir_in(if memory.is_dir() {
        memory
    } else {
        Path::new("/tmp")
    });
    let elsewhere = elsewhere.unwrap();
    run(async {
        let (engine, session) = open(&bench.state(), "s").await;
        let data = left(&bench, &session, &server).await;
        let target = elsewhere.path().join("b.bin");
        let next = session.resume_download(data, &target).await.unwrap();
        assert!(matches!(
            next.finished().await.unwrap(),
            Outcome::Finished(_)
        ));
        CONTENT.verify_file(&target).unwrap();
        engine.shutdown().await;
    });
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn neither_the_resume_data_nor_its_files_nor_any_error_shows_a_secret() {
    let (bench, server) = (Bench::new(), server());
    run(async {
        let (engine, session) = open(&bench.state(), "s").await;
        let data = left(&bench, &session, &server).await;
        let holds = |bytes: &[u8]| {
            bytes
                .windows(SECRET.len())
                .any(|it| it == SECRET.as_bytes())
        };
        let ticket = hidden(&bench, ".resume");
        assert!(!holds(data.as_bytes()) && !holds(&fs::read(&ticket).unwrap()));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(&ticket), mode(&hidden(&bench, ".part"))),
            (0o600, 0o600)
        );
        let request = ResumeRequest::new(data.clone(), "x").unwrap();
        assert!(!format!("{data:?} {request:?}").contains(SECRET));

        let key = data
            .as_bytes()
            .windows(32)
            .any(|it| fs::read(&ticket).unwrap().ends_with(it));
        assert!(!key, "the ticket does not hold its own key");
        fs::write(&ticket, vec![7; 300]).unwrap();
        let error = refused(session.resume_download(data, bench.file("b")).await);
        assert!(matches!(error, ResumeDataError::Foreign(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains(SECRET));
        engine.shutdown().await;
    });
}

#[test]
fn resume_data_of_no_use_is_refused_for_its_own_reason_with_the_next_step() {
    let (bench, server) = (Bench::new(), server());
    run(async {
        let (engine, session) = open(&bench.state(), "s").await;
        let data = left(&bench, &session, &server).await;
        let resume = async |bytes: &[u8]| {
            let data = ResumeData::from_bytes(bytes.to_vec()).unwrap();
            refused(session.resume_download(data, bench.file("b")).await)
        };
        let good = data.as_bytes();
        let mut torn = good.to_vec();
        *torn.last_mut().unwrap() ^= 1;
        assert_eq!(resume(b"not at all").await, ResumeDataError::NotResumeData);
        assert_eq!(resume(&torn).await, ResumeDataError::Torn);
        assert_eq!(resume(&good[..good.len() - 9]).await, ResumeDataError::Torn);
        assert!(ResumeData::from_bytes(vec![0; 8193]).is_err());

        // The part is another file by the same name.
        let part = hidden(&bench, ".part");
        let (kept, copy) = (bench.file("kept"), bench.file("copy"));
        fs::copy(&part, &copy).unwrap();
        fs::rename(&part, &kept).unwrap();
        fs::rename(&copy, &part).unwrap();
        assert!(matches!(resume(good).await, ResumeDataError::Stale(_)));
        fs::remove_file(&part).unwrap();
        let gone = resume(good).await;
        assert!(matches!(gone, ResumeDataError::Stale(_)), "{gone:?}");
        assert!(
            gone.to_string().contains("; start the transfer anew"),
            "{gone}"
        );
        fs::rename(&kept, &part).unwrap();

        let next = session.resume_download(data.clone(), bench.file("b")).await;
        let used = refused(session.resume_download(data.clone(), bench.file("c")).await);
        assert_eq!(used, ResumeDataError::Used);
        assert_finishes(&next.unwrap(), &bench, "b").await;
        session
            .acknowledge(longhaul::Sequence::new(2))
            .await
            .unwrap();
        let late = refused(session.resume_download(data, bench.file("c")).await);
        assert!(matches!(late, ResumeDataError::Stale(_)), "{late:?}");
        engine.shutdown().await;
    });
    assert_eq!(bench.names(), ["b"]);
}

#[test]
fn one_token_used_twice_at_once_makes_one_task_and_one_refusal() {
    let (bench, server) = (Bench::new(), server());
    run(async {
        let (engine, session) = open(&bench.state(), "s").await;
        let elsewhere = bench.outputs().join("elsewhere");
        let (other_engine, other) = open(&elsewhere, "s").await;
        let data = left(&bench, &session, &server).await;
        let results = tokio::join!(
            session.resume_download(data.clone(), bench.file("b")),
            session.resume_download(data.clone(), bench.file("c")),
            other.resume_download(data.clone(), bench.file("d")),
        );
        let results: Vec<_> = [results.0, results.1, results.2].into();
        let (made, not): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!((made.len(), not.len()), (1, 2), "{not:?}");
        let outcome = made[0].as_ref().unwrap().finished().await.unwrap();
        assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
        engine.shutdown().await;
        other_engine.shutdown().await;
    });
    let names = bench.names();
    assert_eq!(names.len(), 1, "{names:?}");
    bench.assert_file(&names[0], CONTENT);
}

#[test]
fn a_download_without_bytes_or_validator_leaves_nothing_to_go_on_with() {
    let (bench, server) = (Bench::new(), Server::start());
    server.serve(PATH, Resource::new(CONTENT).without_validators());
    server.script(PATH, [Reply::normal().stall_at(MIB)]);
    run(async {
        let (engine, session) = open(&bench.state(), "s").await;
        let task = begun(&bench, &session, &server).await;
        assert_eq!(task.cancel_by_producing_resume_data().await, Ok(None));
        assert_eq!(task.finished().await.unwrap(), Outcome::Cancelled);
        let url = server.url("/missing");
        let request = DownloadRequest::new(&url, bench.file("b")).unwrap();
        let task = session.start_download(request).await.unwrap();
        task.finished().await.unwrap();
        assert_eq!(task.cancel_by_producing_resume_data().await, Ok(None));
        engine.shutdown().await;
    });
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn what_is_discarded_is_gone_and_the_options_of_a_new_request_count() {
    let (bench, server) = (Bench::new(), server());
    server.script(
        PATH,
        [Reply::normal().stall_at(MIB), Reply::normal().stall_at(MIB)],
    );
    run(async {
        let (engine, session) = open(&bench.state(), "s").await;
        let data = left(&bench, &session, &server).await;
        assert_eq!(bench.names().len(), 2);
        session.discard_resume_data(data.clone()).await.unwrap();
        session.discard_resume_data(data).await.unwrap();
        assert_eq!(bench.names(), [""; 0]);

        let data = left(&bench, &session, &server).await;
        fs::write(bench.file("taken"), "mine").unwrap();
        let to_taken = || ResumeRequest::new(data.clone(), bench.file("taken")).unwrap();
        let error = session.resume_download_with(to_taken()).await.unwrap_err();
        assert!(
            matches!(&error, Error::Invalid(text) if text.contains("exists")),
            "{error:?}"
        );
        let titles = |text: &str| NotificationTitles {
            success: text.to_owned(),
            failure: "failed".to_owned(),
        };
        let too_long = to_taken().notify_on_finished(titles(&"x".repeat(513)));
        assert!(matches!(too_long, Err(Error::Invalid(_))));
        let request = to_taken().collision(Collision::Overwrite);
        let request = request.notify_on_finished(titles("done")).unwrap();
        let next = session.resume_download_with(request).await.unwrap();
        let used = session.discard_resume_data(data).await;
        assert_eq!(used, Err(Error::ResumeData(ResumeDataError::Used)));
        assert_finishes(&next, &bench, "taken").await;
        engine.shutdown().await;
    });
    assert_eq!(bench.names(), ["taken"]);
}
