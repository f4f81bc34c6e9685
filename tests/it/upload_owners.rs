//! What the owner of an upload answers, adjusts, hears of its requests, and takes away as resume data.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use longhaul::{
    Credentials, Disposition, Engine, Error, Fact, FailureKind, NotificationTitles, Outcome, Phase,
    Renewal, ResumeData, ResumeDataError, ResumeUploadRequest, Session, SessionConfiguration,
    UploadProtocol, UploadRequest, UploadTask,
};
use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, MIB, SECRET, next_fact};
use crate::face::block_on;

const PATH: &str = "/inbox";
const CONTENT: Content = Content::new(311, 2 * MIB + 5);

async fn open(state: &Path, identifier: &str) -> (Engine, Session) {
    let engine = Engine::builder(state).start().unwrap();
    let configuration = SessionConfiguration::new(identifier).unwrap();
    let configuration = configuration.resume_data_on_failure(true);
    let session = engine.session(configuration).await.unwrap();
    (engine, session)
}

/// A server with these answers, and an upload full of secrets to it.
fn inbox(bench: &Bench, replies: impl IntoIterator<Item = Reply>) -> (Server, UploadRequest) {
    let server = Server::start();
    server.script(PATH, replies);
    CONTENT.write_file(&bench.file("f")).unwrap();
    let url = format!("{}?signature={SECRET}", server.url(PATH));
    let request = UploadRequest::new(&url, bench.file("f")).unwrap();
    let request = request.protocol(UploadProtocol::Plain).unwrap();
    (server, request.header("X-Key", SECRET).unwrap())
}

fn wants(scheme: &str) -> Reply {
    Reply::status(401).header("WWW-Authenticate", scheme)
}

/// Resume data of an upload that a server has got and not answered.
async fn left(bench: &Bench, session: &Session) -> (ResumeData, Server) {
    let gate = Gate::new();
    let replies = [Reply::status(201).hold_head(&gate), Reply::status(201)];
    let (server, request) = inbox(bench, replies);
    let request = request.method("PUT").unwrap();
    let task = session.start_upload(request).await.unwrap();
    server.wait_for(|requests| requests.iter().any(is_whole));
    let data = task.cancel_by_producing_resume_data().await.unwrap();
    let data = data.expect("its file is on record");
    let outcome = Outcome::CancelledResumable(data.clone());
    assert_eq!(task.finished().await.unwrap(), outcome);
    let again = task.cancel_by_producing_resume_data().await.unwrap();
    assert_eq!(again.as_ref(), Some(&data));
    (data, server)
}

fn is_whole(request: &longhaul_support::log::Request) -> bool {
    *request.body == CONTENT.bytes(0..CONTENT.len())
}

fn ticket(bench: &Bench) -> PathBuf {
    let names = bench.names();
    let name = names.iter().find(|name| name.ends_with(".resume"));
    bench.file(name.unwrap_or_else(|| panic!("no ticket in {names:?}")))
}

fn refused(result: Result<UploadTask, Error>) -> ResumeDataError {
    match result {
        Err(Error::ResumeData(error)) => error,
        other => panic!("{other:?}"),
    }
}

async fn assert_arrives(task: &UploadTask, server: &Server) {
    let outcome = task.finished().await.unwrap();
    assert!(matches!(outcome, Outcome::Uploaded(_)), "{outcome:?}");
    let last = server.requests().pop().unwrap();
    assert!(is_whole(&last) && last.method == "PUT");
    assert_eq!(last.header("x-key"), Some(SECRET));
}

#[test]
fn an_upload_whose_token_has_expired_waits_through_a_restart_and_goes_on_with_a_new_one() {
    block_on(async {
        let bench = Bench::new();
        let replies = [wants("Bearer"), wants("Bearer"), Reply::status(201)];
        let (server, request) = inbox(&bench, replies);
        let (engine, session) = open(&bench.state(), "s").await;
        let mut events = session.events().await.unwrap();
        let task = session
            .start_upload(request.bearer_token("old"))
            .await
            .unwrap();
        let first = next_fact(&mut events).await;
        let Fact::Challenged { challenge, .. } = &first.fact else {
            panic!("{first:?}")
        };
        assert_eq!(
            (challenge.status, challenge.scheme.as_str()),
            (401, "Bearer")
        );
        engine.shutdown().await;

        let (engine, session) = open(&bench.state(), "s").await;
        let mut events = session.events().await.unwrap();
        assert_eq!(
            next_fact(&mut events).await,
            first,
            "the same, and nothing new"
        );
        let found = session.get_upload_tasks().await.unwrap().remove(0);
        assert_eq!(found.id(), task.id());
        assert_eq!(found.phase().await, Ok(Phase::AwaitingAuthorization));
        let token = |text: &str| {
            let credentials = Credentials::bearer(text);
            Disposition::UseCredential(Renewal::default().with_credentials(credentials))
        };
        found.answer_challenge(token("wrong")).await.unwrap();
        match next_fact(&mut events).await.fact {
            Fact::Challenged { challenge, .. } => assert_eq!(challenge.previous_failures, 1),
            other => panic!("{other:?}"),
        }
        let no_field = vec![("Range".to_owned(), SECRET.to_owned())];
        let no_field = Disposition::UseCredential(Renewal::default().with_headers(no_field));
        let refused = found.answer_challenge(no_field).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
        found.answer_challenge(token("new")).await.unwrap();
        match next_fact(&mut events).await.fact {
            Fact::Completed {
                outcome: Outcome::Uploaded(_),
                metrics,
                ..
            } => {
                let metrics = metrics.expect("it was asked");
                assert_eq!(metrics.transaction_count, 3);
                let last = metrics.transactions.last().expect("of this process");
                assert_eq!(last.request_body_bytes, CONTENT.len());
                assert_eq!(last.status, Some(201));
                assert!(last.request_end <= last.response_start, "{last:?}");
            }
            other => panic!("{other:?}"),
        }
        let requests = server.requests();
        let shown: Vec<_> = requests
            .iter()
            .map(|it| it.header("authorization"))
            .collect();
        let expected = ["Bearer old", "Bearer wrong", "Bearer new"].map(Some);
        assert_eq!(shown, expected);
        engine.shutdown().await;
    });
}

#[test]
fn a_status_that_was_named_is_a_challenge_and_another_url_answers_it() {
    block_on(async {
        let bench = Bench::new();
        let (server, request) = inbox(&bench, [Reply::status(403)]);
        server.script("/anew", [Reply::status(201)]);
        let (engine, session) = open(&bench.state(), "s").await;
        let mut events = session.events().await.unwrap();
        let request = request.challenge_on_status(&[403, 410]).unwrap();
        let task = session.start_upload(request).await.unwrap();
        let told = next_fact(&mut events).await.fact;
        assert!(matches!(told, Fact::Challenged { .. }), "{told:?}");
        let anew = Renewal::default().with_url(&server.url("/anew")).unwrap();
        task.answer_challenge(Disposition::UseCredential(anew))
            .await
            .unwrap();
        assert!(matches!(task.await, Ok(Outcome::Uploaded(_))));
        assert!(is_whole(&server.requests_for("/anew")[0]));
        engine.shutdown().await;
    });
}

#[test]
fn an_upload_tells_why_it_waits_and_takes_other_options_while_it_does() {
    block_on(async {
        let bench = Bench::new();
        let (server, request) = inbox(&bench, [Reply::status(201)]);
        let (engine, session) = open(&bench.state(), "s").await;
        let task = session.upload_task(request).await.unwrap();
        assert_eq!(task.why().await.unwrap().phase, Phase::Suspended);
        task.set_priority(0.9).await.unwrap();
        task.set_rate_limit(Some(100_000_000)).await.unwrap();
        assert!(matches!(
            task.set_rate_limit(Some(0)).await,
            Err(Error::Invalid(_))
        ));
        task.resume().await.unwrap();
        assert!(matches!(task.finished().await, Ok(Outcome::Uploaded(_))));
        assert_eq!(server.requests().len(), 1);
        engine.shutdown().await;
    });
}

#[test]
fn resume_data_goes_on_after_the_state_directory_was_deleted_and_is_used_once() {
    block_on(async {
        let bench = Bench::new();
        let (engine, session) = open(&bench.state(), "s").await;
        let (data, server) = left(&bench, &session).await;
        engine.shutdown().await;
        drop((engine, session));
        fs::remove_dir_all(bench.state()).unwrap();

        let elsewhere = bench.outputs().join("elsewhere");
        let (engine, session) = open(&elsewhere, "t").await;
        let kept = || ResumeData::from_bytes(data.as_bytes().to_vec()).unwrap();
        let next = session.resume_upload(kept()).await.unwrap();
        assert_eq!(next.source(), bench.file("f"));
        let used = refused(session.resume_upload(kept()).await);
        assert_eq!(used, ResumeDataError::Used);
        assert_arrives(&next, &server).await;
        let snapshots = session.upload_snapshots().await.unwrap();
        assert_eq!(snapshots[0].task.id(), next.id());
        engine.shutdown().await;
        assert_eq!(bench.names(), ["f"]);
    });
}

#[test]
fn neither_the_resume_data_nor_its_ticket_nor_any_error_shows_a_secret() {
    block_on(async {
        let bench = Bench::new();
        let (engine, session) = open(&bench.state(), "s").await;
        let (data, _server) = left(&bench, &session).await;
        let holds = |bytes: &[u8]| {
            let mut windows = bytes.windows(SECRET.len());
            windows.any(|it| it == SECRET.as_bytes())
        };
        let ticket = ticket(&bench);
        assert!(!holds(data.as_bytes()) && !holds(&fs::read(&ticket).unwrap()));
        let mode = fs::metadata(&ticket).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let request = ResumeUploadRequest::new(data.clone());
        assert!(!format!("{request:?}").contains(SECRET));
        fs::write(&ticket, vec![7; 300]).unwrap();
        let error = refused(session.resume_upload(data).await);
        assert!(matches!(error, ResumeDataError::Foreign(_)), "{error:?}");
        assert!(!format!("{error} {error:?}").contains(SECRET));
        engine.shutdown().await;
    });
}

#[test]
fn resume_data_of_no_use_is_refused_for_its_own_reason() {
    block_on(async {
        let bench = Bench::new();
        let (engine, session) = open(&bench.state(), "s").await;
        let (data, server) = left(&bench, &session).await;
        let other = session.resume_download(data.clone(), bench.file("g")).await;
        assert_eq!(
            other.unwrap_err(),
            Error::ResumeData(ResumeDataError::OfAnUpload)
        );
        let resume = async |bytes: &[u8]| {
            let data = ResumeData::from_bytes(bytes.to_vec()).unwrap();
            refused(session.resume_upload(data).await)
        };
        let good = data.as_bytes();
        let mut torn = good.to_vec();
        *torn.last_mut().unwrap() ^= 1;
        assert_eq!(resume(b"not at all").await, ResumeDataError::NotResumeData);
        assert_eq!(resume(&torn).await, ResumeDataError::Torn);

        // Another file by the name, then none, then the very one again.
        let (file, kept) = (bench.file("f"), bench.file("kept"));
        fs::rename(&file, &kept).unwrap();
        assert_eq!(resume(good).await, ResumeDataError::Stale(file.clone()));
        CONTENT.write_file(&file).unwrap();
        let stale = resume(good).await;
        assert_eq!(stale, ResumeDataError::Stale(file.clone()));
        assert!(stale.to_string().contains("; start the transfer anew"));
        fs::rename(&kept, &file).unwrap();
        let next = session.resume_upload(data.clone()).await.unwrap();
        assert_arrives(&next, &server).await;

        let (unused, _server) = left(&bench, &session).await;
        session.discard_resume_data(unused.clone()).await.unwrap();
        assert_eq!(bench.names(), ["f"]);
        let gone = resume(unused.as_bytes()).await;
        assert!(matches!(gone, ResumeDataError::Stale(_)), "{gone:?}");
        engine.shutdown().await;
    });
}

#[test]
fn a_failed_upload_leaves_resume_data_that_a_later_task_goes_on_with() {
    block_on(async {
        let bench = Bench::new();
        let (engine, session) = open(&bench.state(), "s").await;
        let (server, request) = inbox(&bench, [Reply::status(413), Reply::status(201)]);
        let request = request.method("PUT").unwrap();
        let task = session.start_upload(request).await.unwrap();
        let Outcome::Failed(failure) = task.finished().await.unwrap() else {
            panic!("it must fail")
        };
        assert_eq!(failure.kind(), FailureKind::Status(413));
        let data = failure.resume_data().expect("its file is as it was");
        let titles = |text: &str| NotificationTitles {
            success: text.to_owned(),
            failure: "lost".to_owned(),
        };
        let request = || ResumeUploadRequest::new(data.clone());
        let too_long = request().notify_on_finished(titles(&"x".repeat(513)));
        assert!(matches!(too_long, Err(Error::Invalid(_))));
        let request = request().notify_on_finished(titles("sent")).unwrap();
        let next = session.resume_upload_with(request).await.unwrap();
        assert_arrives(&next, &server).await;
        assert_eq!(bench.names(), ["f"]);
        engine.shutdown().await;
    });
}

#[test]
fn an_upload_that_is_held_by_a_rate_limit_says_so() {
    block_on(async {
        let bench = Bench::new();
        let (server, request) = inbox(&bench, [Reply::status(201)]);
        let (engine, session) = open(&bench.state(), "s").await;
        let request = request.rate_limit_bytes(50_000).unwrap();
        let started = Instant::now();
        let task = session.start_upload(request).await.unwrap();
        while task.why().await.unwrap().slowed_by.is_none() {
            std::future::ready(()).await;
        }
        task.set_rate_limit(None).await.unwrap();
        let done = task.finished().await;
        assert!(matches!(done, Ok(Outcome::Uploaded(_))), "{done:?}");
        // With the limit it takes 40 s.
        assert!(started.elapsed() < Duration::from_secs(30));
        assert!(is_whole(&server.requests()[0]));
        engine.shutdown().await;
    });
}
