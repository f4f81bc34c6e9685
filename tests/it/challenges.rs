//! Servers that want other credentials, or another URL, in the middle of a download: what the owner
//! hears, what each answer leads to, and that no byte is fetched twice.

use std::time::Duration;

use longhaul::{
    Challenge, Credentials, Disposition, DownloadRequest, DownloadTask, Engine, Events, Fact,
    FailureKind, Outcome, Phase, Renewal, Sequence, Session, SessionConfiguration,
};
use longhaul_support::auth::Auth;
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, MIB, SECRET, next_end, next_fact, run};

const PATH: &str = "/a.bin";

/// Where another URL of the same file leads.
const SIGNED_ANEW: &str = "/anew/a.bin";

const CONTENT: Content = Content::new(301, 4 * MIB + 9);

/// What the first answer brings before it is cut: all of it is held while the task waits.
const HELD: u64 = 2 * MIB + 5;

fn configuration() -> SessionConfiguration {
    let second = Duration::from_secs(1);
    SessionConfiguration::new("com.example.test")
        .unwrap()
        .retry_delay(second / 100, second)
        .unwrap()
}

async fn open(bench: &Bench, configuration: SessionConfiguration) -> (Engine, Session) {
    let engine = Engine::builder(bench.state()).start().unwrap();
    let session = engine.session(configuration).await.unwrap();
    (engine, session)
}

/// A server that sends the first [`HELD`] bytes to anybody and the rest to who shows this.
fn expiring(auth: Auth) -> Server {
    let server = Server::start();
    server.serve(PATH, Resource::new(CONTENT));
    let cut = Reply::normal().truncate_at(HELD);
    let then = Reply::of(Resource::new(CONTENT).protected_by(auth));
    server.script(PATH, [cut, then]);
    server
}

fn request(bench: &Bench, server: &Server) -> DownloadRequest {
    DownloadRequest::new(&server.url(PATH), bench.file("a.bin")).unwrap()
}

/// The next challenge of the session, with its place.
async fn challenge(events: &mut Events) -> (Sequence, Challenge) {
    let fact = next_fact(events).await;
    match fact.fact {
        Fact::Challenged { challenge, .. } => (fact.sequence, challenge),
        other => panic!("not a challenge: {other:?}"),
    }
}

/// Bytes of the file that were sent, over all answers and places.
fn file_bytes(server: &Server) -> u64 {
    let requests = server.requests();
    let of_file = requests.iter().filter(|request| {
        let status = request.status.unwrap_or_default();
        (200..300).contains(&status)
    });
    of_file.map(|request| request.body_sent).sum()
}

async fn waits(task: &DownloadTask) -> bool {
    task.phase().await.unwrap() == Phase::AwaitingAuthorization
}

fn token(text: &str) -> Disposition {
    let credentials = Credentials::bearer(text);
    Disposition::UseCredential(Renewal::default().with_credentials(credentials))
}

#[test]
fn a_token_that_expires_half_way_is_replaced_after_a_restart_and_no_byte_comes_twice() {
    let (bench, server) = (Bench::new(), expiring(Auth::bearer(SECRET)));
    run(async {
        let (engine, session) = open(&bench, configuration()).await;
        let mut events = session.events().await.unwrap();
        let old = request(&bench, &server).bearer_token("old");
        session.start_download(old).await.unwrap();
        let told = challenge(&mut events).await;
        let expected = Challenge {
            host: server.address().to_string(),
            status: 401,
            scheme: "Bearer".to_owned(),
            realm: None,
            previous_failures: 0,
        };
        assert_eq!(told.1, expected);
        engine.shutdown().await;

        let (engine, session) = open(&bench, configuration()).await;
        let mut events = session.events().await.unwrap();
        assert_eq!(challenge(&mut events).await, told, "it is told again");
        let task = session.get_download_tasks().await.unwrap().remove(0);
        assert!(waits(&task).await);
        assert_eq!(task.progress().await.unwrap().received_bytes, HELD);
        session.acknowledge(told.0).await.unwrap();
        let answer = token(SECRET);
        assert!(!format!("{answer:?}").contains(SECRET));
        task.answer_challenge(answer).await.unwrap();
        let (outcome, _) = next_end(&mut events).await;
        assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
        engine.shutdown().await;
    });
    bench.assert_file("a.bin", CONTENT);
    assert_eq!(file_bytes(&server), CONTENT.len(), "no byte came twice");
    let last = server.requests_for(PATH).pop().unwrap();
    assert_eq!(last.range(), Some((HELD, None)));
}

#[test]
fn a_signed_url_that_expires_half_way_is_replaced_and_no_byte_comes_twice() {
    for status in [403, 410] {
        let (bench, server) = (Bench::new(), Server::start());
        server.serve(PATH, Resource::new(CONTENT));
        let cut = Reply::normal().truncate_at(HELD);
        server.script(PATH, [cut, Reply::status(status)]);
        server.serve(SIGNED_ANEW, Resource::new(CONTENT));
        run(async {
            let (engine, session) = open(&bench, configuration()).await;
            let mut events = session.events().await.unwrap();
            let request = request(&bench, &server).header("X-Key", "k").unwrap();
            let request = request.challenge_on_status(&[403, 410]).unwrap();
            let task = session.start_download(request).await.unwrap();
            let (_, asked) = challenge(&mut events).await;
            assert_eq!((asked.status, asked.scheme.as_str()), (status, ""));
            let url = format!("{}?signature={SECRET}", server.url(SIGNED_ANEW));
            let renewal = Renewal::default().with_url(&url).unwrap();
            let answer = Disposition::UseCredential(renewal);
            task.answer_challenge(answer).await.unwrap();
            let (outcome, metrics) = next_end(&mut events).await;
            assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
            let statuses: Vec<_> = metrics.transactions.iter().map(|t| t.status).collect();
            assert_eq!(statuses, [Some(200), Some(status), Some(206)]);
            let again = session.get_download_tasks().await.unwrap().remove(0);
            assert_eq!(again.url().as_str(), url);
            engine.shutdown().await;
        });
        bench.assert_file("a.bin", CONTENT);
        assert_eq!(file_bytes(&server), CONTENT.len(), "no byte came twice");
        let anew = server.requests_for(SIGNED_ANEW);
        assert_eq!(anew.len(), 1);
        assert_eq!(anew[0].header("x-key"), Some("k"), "the origin is the same");
    }
}

#[test]
fn another_file_at_the_new_url_is_fetched_from_its_beginning() {
    const OTHER: Content = Content::new(302, 3 * MIB);
    let (bench, server) = (Bench::new(), Server::start());
    server.serve(PATH, Resource::new(CONTENT));
    let cut = Reply::normal().truncate_at(HELD);
    server.script(PATH, [cut, Reply::status(403)]);
    server.serve(SIGNED_ANEW, Resource::new(OTHER));
    run(async {
        let (engine, session) = open(&bench, configuration()).await;
        let mut events = session.events().await.unwrap();
        let request = request(&bench, &server).challenge_on_status(&[403]);
        let task = session.start_download(request.unwrap()).await.unwrap();
        challenge(&mut events).await;
        let renewal = Renewal::default().with_url(&server.url(SIGNED_ANEW));
        let answer = Disposition::UseCredential(renewal.unwrap());
        task.answer_challenge(answer).await.unwrap();
        next_end(&mut events).await;
        engine.shutdown().await;
    });
    bench.assert_file("a.bin", OTHER);
}

#[test]
fn each_other_disposition_ends_the_task_as_it_says() {
    let unauthorized = Some(FailureKind::Authentication);
    let table = [
        (Disposition::PerformDefaultHandling, unauthorized),
        (Disposition::RejectProtectionSpace, unauthorized),
        (Disposition::Cancel, None),
    ];
    for (disposition, expected) in table {
        let (bench, server) = (Bench::new(), expiring(Auth::basic("user", SECRET)));
        run(async {
            let (engine, session) = open(&bench, configuration()).await;
            let mut events = session.events().await.unwrap();
            let request = request(&bench, &server);
            let task = session.start_download(request.clone()).await.unwrap();
            let (_, asked) = challenge(&mut events).await;
            assert_eq!(asked.scheme, "Basic");
            assert!(asked.realm.is_some(), "{asked:?}");
            task.answer_challenge(disposition.clone()).await.unwrap();
            let kind = match task.finished().await.unwrap() {
                Outcome::Failed(failure) => Some(failure.kind()),
                Outcome::Cancelled => None,
                other => panic!("{disposition:?}: {other:?}"),
            };
            assert_eq!(kind, expected, "{disposition:?}");
            if expected.is_some() {
                // What a failed task held is of use to the next one.
                let again = request.credentials("user", SECRET).adopt_existing(true);
                let again = session.start_download(again).await.unwrap();
                again.finished().await.unwrap();
                bench.assert_file("a.bin", CONTENT);
                assert_eq!(file_bytes(&server), CONTENT.len(), "{disposition:?}");
            } else {
                assert!(bench.names().is_empty(), "{:?}", bench.names());
            }
            engine.shutdown().await;
        });
    }
}

#[test]
fn a_session_knows_what_an_origin_is_to_be_shown() {
    for (auth, credentials) in [
        (
            Auth::basic("user", SECRET),
            Credentials::login("user", SECRET),
        ),
        (
            Auth::digest_sha256("user", SECRET),
            Credentials::login("user", SECRET),
        ),
        (Auth::bearer(SECRET), Credentials::bearer(SECRET)),
    ] {
        let (bench, server) = (Bench::new(), Server::start());
        server.serve(PATH, Resource::new(CONTENT).protected_by(auth));
        let stranger = Server::start();
        stranger.script(PATH, [Reply::redirect(302, &server.url(PATH))]);
        run(async {
            let origin = server.url("/");
            let configuration = configuration().credentials(&origin, credentials).unwrap();
            assert!(!format!("{configuration:?}").contains(SECRET));
            let (engine, session) = open(&bench, configuration).await;
            let task = session.start_download(request(&bench, &server)).await;
            let outcome = task.unwrap().finished().await.unwrap();
            assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");

            // Whoever redirects there does not get in with our credentials.
            let lured = DownloadRequest::new(&stranger.url(PATH), bench.file("b.bin")).unwrap();
            let mut events = session.events().await.unwrap();
            next_end(&mut events).await;
            session.start_download(lured).await.unwrap();
            let (_, asked) = challenge(&mut events).await;
            assert_eq!(asked.host, server.address().to_string());
            engine.shutdown().await;
        });
        bench.assert_file("a.bin", CONTENT);
        let lured = server.requests_for(PATH).pop().unwrap();
        assert_eq!(lured.header("authorization"), None);
    }
}
