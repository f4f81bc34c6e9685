//! How what goes wrong is named, and which answers are errors. The numbers are those of `NSURLError`.

use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::Duration;

use longhaul::{DownloadRequest, Engine, Error, FailureKind, Outcome, UploadRequest};
use longhaul_support::hostile;
use longhaul_support::script::{Framing, Reply};
use longhaul_support::server::Server;

use super::super::stage::{CONTENT, PATH, Stage, configuration, failure, failure_of, finished};
use crate::bench::{MIB, run};

/// How a download of what the server scripts fails.
fn fails_with(replies: impl IntoIterator<Item = Reply>) -> FailureKind {
    let stage = Stage::with(replies);
    let kind = run(failure_of(&stage, stage.request("a")));
    assert!(!stage.bench.file("a").exists());
    kind
}

/// swift-corelibs-foundation, NSURLError: badURL (-1000) and unsupportedURL (-1002).
#[test]
fn what_is_no_http_url_is_refused_before_there_is_a_task() {
    for url in [
        "",
        "file:///etc/passwd",
        "foobar://a.b/c",
        "/a/b",
        "http://",
    ] {
        let refused = DownloadRequest::new(url, "/a").unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{url}: {refused:?}");
    }
}

/// swift-corelibs-foundation, NSURLError: backgroundSessionInUseByAnotherProcess (-996).
#[test]
fn a_state_directory_that_another_engine_has_is_in_use() {
    let stage = Stage::new();
    run(async {
        let (engine, _session) = stage.open().await;
        match Engine::builder(stage.bench.state()).start() {
            Err(Error::StateInUse { path, pid }) => {
                assert!(path.ends_with("state"), "{}", path.display());
                assert_eq!(pid, Some(std::process::id()));
            }
            other => panic!("{other:?}"),
        }
        engine.shutdown().await;
        stage.engine().await.shutdown().await;
    });
}

/// swift-corelibs-foundation, NSURLError: backgroundSessionWasDisconnected (-997).
#[test]
fn a_handle_of_an_engine_that_has_stopped_says_so() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let task = session.download_task(stage.request("a")).await.unwrap();
        engine.shutdown().await;
        let stopped = Error::Stopped { reason: None };
        assert_eq!(task.state().await, Err(stopped.clone()));
        let refused = session.start_download(stage.request("b")).await;
        assert_eq!(refused.unwrap_err(), stopped);
    });
}

/// swift-corelibs-foundation, NSURLError: cancelled (-999).
#[test]
fn a_task_that_was_cancelled_has_not_failed() {
    let stage = Stage::with([Reply::normal().stall_at(MIB)]);
    run(async {
        let (engine, session) = stage.open().await;
        let task = stage.started(&session, "a").await;
        task.cancel().await.unwrap();
        assert_eq!(task.finished().await, Ok(Outcome::Cancelled));
        engine.shutdown().await;
    });
}

/// swift-corelibs-foundation, NSURLError: timedOut (-1001).
#[test]
fn a_server_that_falls_silent_has_timed_out() {
    let stage = Stage::with([Reply::normal().stall_at(MIB)]);
    run(async {
        let impatient = configuration().retries_max(0);
        let timeout = Duration::from_millis(200);
        let impatient = impatient.timeout_for_request(timeout).unwrap();
        let (engine, session) = stage.open_as(impatient).await;
        let task = stage.start(&session, "a").await;
        let outcome = task.finished().await.unwrap();
        assert_eq!(failure(&outcome).kind(), FailureKind::TimedOut);
        engine.shutdown().await;
    });
}

/// swift-corelibs-foundation, NSURLError: cannotFindHost (-1003) and dnsLookupFailed (-1006).
#[test]
fn a_host_that_has_no_address_can_not_be_resolved() {
    let stage = Stage::new();
    // RFC 6761: no name beneath it ever has one.
    let request = DownloadRequest::new("http://no-such-host.invalid/", stage.bench.file("a"));
    let kind = run(failure_of(&stage, request.unwrap()));
    assert_eq!(kind, FailureKind::Resolve);
}

/// swift-corelibs-foundation, NSURLError: cannotConnectToHost (-1004).
#[test]
fn a_port_where_nobody_listens_can_not_be_connected_to() {
    let (stage, gone) = (Stage::new(), Server::start());
    let url = gone.url(PATH);
    drop(gone);
    let request = DownloadRequest::new(&url, stage.bench.file("a")).unwrap();
    let kind = run(failure_of(&stage, request));
    assert_eq!(kind, FailureKind::Connect);
}

/// swift-corelibs-foundation, NSURLError: networkConnectionLost (-1005).
#[test]
fn a_connection_that_breaks_is_lost() {
    for reply in [
        Reply::hang_up(),
        Reply::reset(),
        Reply::normal().truncate_at(MIB),
    ] {
        assert_eq!(fails_with([reply]), FailureKind::Disconnected);
    }
}

/// swift-corelibs-foundation, test_httpRedirectionExceededMaxRedirects: httpTooManyRedirects (-1007).
#[test]
fn twenty_redirects_are_followed_and_not_one_more() {
    for (redirects, arrives) in [(20, true), (21, false)] {
        let stage = Stage::new();
        for number in 1..redirects {
            let to = Reply::redirect(302, &format!("/{}", number + 1));
            stage.server.script(&format!("/{number}"), [to]);
        }
        stage
            .server
            .script(&format!("/{redirects}"), [Reply::redirect(302, PATH)]);
        run(async {
            let (engine, session) = stage.open().await;
            let task = session.start_download(stage.request_for("/1", "a")).await;
            let outcome = task.unwrap().finished().await.unwrap();
            if arrives {
                finished(&outcome);
            } else {
                assert_eq!(failure(&outcome).kind(), FailureKind::Redirect);
            }
            engine.shutdown().await;
        });
        assert_eq!(stage.asked(PATH), usize::from(arrives));
    }
}

/// swift-corelibs-foundation, test_illegalHTTPServerResponses: badServerResponse (-1011).
#[test]
fn an_answer_that_is_no_http_is_a_bad_one() {
    for (name, reply) in hostile::protocol_errors() {
        assert_eq!(fails_with([reply]), FailureKind::Protocol, "{name}");
    }
}

/// swift-corelibs-foundation, NSURLError: userAuthenticationRequired (-1013).
#[test]
fn a_server_that_does_not_take_the_credentials_asks_in_vain() {
    let stage = Stage::with([Reply::status(401).header("WWW-Authenticate", "Basic realm=\"r\"")]);
    run(async {
        use longhaul::{Event, Fact};
        let (engine, session) = stage.open().await;
        let mut events = session.events().await.unwrap();
        let request = stage.request("a").credentials("user", "wrong");
        let task = session.start_download(request).await.unwrap();
        while let Some(event) = events.next().await {
            match event {
                Event::Fact(fact) if matches!(fact.fact, Fact::Challenged { .. }) => {
                    let default = longhaul::Disposition::PerformDefaultHandling;
                    task.answer_challenge(default).await.unwrap();
                }
                Event::Fact(_) => break,
                _ => {}
            }
        }
        let outcome = task.finished().await.unwrap();
        assert_eq!(failure(&outcome).kind(), FailureKind::Authentication);
        engine.shutdown().await;
    });
}

/// swift-corelibs-foundation, NSURLError: fileDoesNotExist (-1100).
#[test]
fn an_upload_of_a_file_that_is_not_there_fails() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        let missing = UploadRequest::new(&stage.server.url(PATH), stage.bench.file("no"));
        let task = session.start_upload(missing.unwrap()).await.unwrap();
        let outcome = task.finished().await.unwrap();
        assert_eq!(failure(&outcome).kind(), FailureKind::SourceMissing);
        engine.shutdown().await;
    });
    assert_eq!(stage.asked(PATH), 0);
}

/// swift-corelibs-foundation, NSURLError: cannotCreateFile (-3000), cannotOpenFile, cannotMoveFile.
#[test]
fn a_place_where_no_file_can_be_made_is_an_error_of_the_file() {
    let stage = Stage::new();
    fs::write(stage.bench.file("file"), "").unwrap();
    let request = stage.request("file/beneath");
    let kind = run(failure_of(&stage, request));
    assert_eq!(kind, FailureKind::File);
}

/// swift-corelibs-foundation, NSURLError: secureConnectionFailed (-1200).
#[test]
fn a_server_that_does_not_speak_tls_fails_the_handshake() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let speaks_plainly = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        // Until the client has hung up.
        io::copy(&mut stream, &mut io::sink()).unwrap();
    });
    let stage = Stage::new();
    let request = DownloadRequest::new(&url, stage.bench.file("a")).unwrap();
    let kind = run(failure_of(&stage, request));
    assert_eq!(kind, FailureKind::Tls);
    speaks_plainly.join().unwrap();
}

/// swift-corelibs-foundation, test_httpNotFound: a status is an answer. Failing with it is the default.
#[test]
fn the_body_of_an_error_status_is_the_file_of_who_wants_it() {
    let stage = Stage::with([Reply::status(404), Reply::status(404), Reply::normal()]);
    run(async {
        let (engine, session) = stage.open().await;
        let task = stage.start(&session, "a").await;
        let outcome = task.finished().await.unwrap();
        assert_eq!(failure(&outcome).kind(), FailureKind::Status(404));
        let delivering = || stage.request("a").deliver_error_body(true);
        let task = session.start_download(delivering()).await.unwrap();
        let outcome = task.finished().await.unwrap();
        let told = finished(&outcome);
        assert_eq!(told.status, 404);
        assert_eq!(fs::read(&told.path).unwrap(), b"status 404\n");
        fs::remove_file(&told.path).unwrap();
        let task = session.start_download(delivering()).await.unwrap();
        assert_eq!(finished(&task.finished().await.unwrap()).status, 200);
        engine.shutdown().await;
    });
    stage.assert_file("a");
}

/// swift-corelibs-foundation, test_outOfRangeButCorrectlyFormattedHTTPCode, which is not followed.
#[test]
fn a_status_above_599_is_a_bad_answer() {
    let odd = Reply::raw("HTTP/1.1 999 Odd\r\nContent-Length: 3\r\n\r\nodd");
    assert_eq!(fails_with([odd]), FailureKind::Protocol);
}

/// swift-corelibs-foundation, test_missingContentLengthButStillABody.
#[test]
fn a_body_without_a_length_is_taken_and_its_end_is_said_to_be_unproven() {
    let stage = Stage::with([Reply::normal().framing(Framing::Close)]);
    run(async {
        let (engine, session) = stage.open().await;
        let outcome = stage.start(&session, "a").await.finished().await.unwrap();
        assert!(finished(&outcome).length_unverified);
        engine.shutdown().await;
    });
    stage.assert_file("a");
}

/// swift-corelibs-foundation, test_httpHeaderValueWithoutWhitespace and its kind.
#[test]
fn a_field_whose_value_follows_the_colon_at_once_is_understood() {
    let reply = "HTTP/1.1 200 OK\r\nContent-Length:5\r\n\r\nhello";
    let stage = Stage::with([Reply::raw(reply)]);
    run(async {
        let (engine, session) = stage.open().await;
        let outcome = stage.start(&session, "a").await.finished().await.unwrap();
        assert_eq!(finished(&outcome).bytes, 5);
        engine.shutdown().await;
    });
    assert_eq!(fs::read(stage.bench.file("a")).unwrap(), b"hello");
}

/// swift-corelibs-foundation, test_basicAuthRequest.
#[test]
fn the_right_credentials_open_the_door() {
    use longhaul_support::auth::Auth;
    use longhaul_support::resource::Resource;
    let stage = Stage::new();
    let auth = Auth::basic("user", "passwd");
    stage
        .server
        .serve(PATH, Resource::new(CONTENT).protected_by(auth));
    run(async {
        let (engine, session) = stage.open().await;
        let request = stage.request("a").credentials("user", "passwd");
        let task = session.start_download(request).await.unwrap();
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    stage.assert_file("a");
}
