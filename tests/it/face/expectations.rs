//! What a finished file came with, and what its owner expects of it when it asks again.

use longhaul::{
    DownloadRequest, Engine, Error, Event, FailureKind, Finished, Outcome, Phase,
    SessionConfiguration,
};
use longhaul_support::content::Content;
use longhaul_support::script::Reply;

use super::{CONTENT, PATH, block_on, open, request, serve};
use crate::bench::{Bench, MIB};

fn file(outcome: Outcome) -> Finished {
    match outcome {
        Outcome::Finished(file) => file,
        other => panic!("{other:?}"),
    }
}

fn failure(outcome: Outcome) -> FailureKind {
    match outcome {
        Outcome::Failed(failure) => failure.kind(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_body_of_an_error_is_never_mixed_with_what_was_held() {
    let (bench, (server, url)) = (Bench::new(), serve(CONTENT));
    let gone = Content::new(103, 2 * MIB);
    let script = [
        Reply::normal().truncate_at(3 * MIB),
        Reply::status(410)
            .body(gone.bytes(0..gone.len()))
            .truncate_at(MIB),
        Reply::status(410).body(gone.bytes(0..gone.len())),
    ];
    server.script(PATH, script);
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let delivering = request(&bench, &url).deliver_error_body(true);
        let task = session.start_download(delivering).await.unwrap();
        assert_eq!(file(task.finished().await.unwrap()).status, 410);
        engine.shutdown().await;
    });
    let ranges: Vec<_> = server
        .requests_for(PATH)
        .iter()
        .map(|r| r.range())
        .collect();
    assert_eq!(ranges, [None, Some((3 * MIB, None)), None]);
    bench.assert_file("a.bin", gone);
    assert_eq!(bench.names(), ["a.bin"]);
}

#[test]
fn who_opens_a_session_with_downloads_misses_nothing_of_them() {
    let (bench, (server, url)) = (Bench::new(), serve(CONTENT));
    let wrong = format!("sha-256={}", Content::new(104, 9).sha256_hex());
    server.script(
        PATH,
        [
            Reply::normal().truncate_at(3 * MIB),
            Reply::status(503).header("Retry-After", "80000"),
            Reply::normal(),
        ],
    );
    let configuration = || SessionConfiguration::new("com.example.test").unwrap();
    let start = async || {
        let engine = Engine::builder(bench.state()).start().unwrap();
        let adopting = || request(&bench, &url).adopt_existing(true);
        let other = DownloadRequest::new(&format!("{url}?other"), bench.file("a.bin")).unwrap();
        let requests = vec![adopting().checksum(&wrong).unwrap(), other];
        let opened = engine.session_with(configuration(), requests).await;
        (engine, opened.unwrap())
    };
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let mut events = session.events().await.unwrap();
        let task = session.start_download(request(&bench, &url)).await.unwrap();
        loop {
            let event = events.next().await.expect("the engine runs");
            if let Event::PhaseChanged { phase, .. } = event
                && let Phase::WaitingToRetry { cause, .. } = phase
                && cause.kind() == FailureKind::Status(503)
            {
                break;
            }
        }
        engine.shutdown().await;

        let (engine, mut opened) = start().await;
        let refused = opened.tasks.pop().unwrap();
        assert!(
            matches!(refused, Err(Error::TargetInUse { .. })),
            "{refused:?}"
        );
        let taken = opened.tasks.pop().unwrap().unwrap();
        assert_eq!(taken.id(), task.id());
        let kind = failure(taken.finished().await.unwrap());
        assert_eq!(kind, FailureKind::Integrity);
        let mut is_resumed = false;
        loop {
            match opened.events.next().await.expect("the engine runs") {
                Event::Resumed { held_bytes, .. } => is_resumed |= held_bytes == 3 * MIB,
                Event::Fact(_) => break,
                _ => {}
            }
        }
        assert!(is_resumed, "the news of the first moment are told too");
        engine.shutdown().await;
    });
    assert!(bench.names().is_empty());
}
