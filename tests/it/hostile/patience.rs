//! Answers that mean "not now", and connections that break: tried again, as the server asked.

use std::time::{Duration, Instant, SystemTime};

use longhaul::{DownloadRequest, Engine, Outcome, SessionConfiguration};
use longhaul_support::content::Content;
use longhaul_support::date::http_date;
use longhaul_support::gate::Gate;
use longhaul_support::hostile;
use longhaul_support::resource::Resource;
use longhaul_support::script::{Framing, Reply};

use super::{HELD, PATH, each, long_content, serving};
use crate::bench::{Bench, MIB};
use crate::face::block_on;

#[test]
fn a_retry_after_is_obeyed_in_seconds_and_as_a_date() {
    // A date has whole seconds: one that is two seconds away asks for more than one.
    let date = || http_date(SystemTime::now() + Duration::from_secs(2));
    let cases = vec![
        ("429 in seconds", (429, "1".to_owned())),
        ("503 in seconds", (503, "1".to_owned())),
        ("429 with a date", (429, date())),
        ("503 with a date", (503, date())),
    ];
    each(cases, |(status, value)| {
        let content = Content::new(1, 100_000);
        let (server, url) = serving(Resource::new(content));
        let busy = Reply::status(status).header("Retry-After", &value);
        server.script(PATH, [busy, Reply::normal()]);
        let bench = Bench::new();
        let began = Instant::now();
        let ended = bench.run(&[&url]);
        let waited = began.elapsed();
        ended.expect(0).says("trying again in");
        ended.says(&format!("the server answered {status}"));
        assert!(waited >= Duration::from_secs(1), "only {waited:?}");
        assert_eq!(server.requests_for(PATH).len(), 2);
        bench.assert_only("a.bin", content);
    });
}

#[test]
fn a_server_that_errs_twice_is_asked_a_third_time() {
    let content = Content::new(2, 70_000);
    let (server, url) = serving(Resource::new(content));
    server.script(
        PATH,
        [Reply::status(500), Reply::status(500), Reply::normal()],
    );
    let bench = Bench::new();
    bench
        .run(&[&url])
        .expect(0)
        .says("500 (internal server error); trying again");
    assert_eq!(server.requests_for(PATH).len(), 3);
    bench.assert_only("a.bin", content);
}

#[test]
fn a_body_that_ends_early_is_gone_on_with_where_it_ended() {
    let offset = 2 * MIB + 5;
    let cases = hostile::truncations(offset);
    each(cases, |reply| {
        let content = long_content(3);
        let (server, url) = serving(Resource::new(content));
        server.script(PATH, [reply, Reply::normal()]);
        let bench = Bench::new();
        bench.run(&[&url]).expect(0).says("trying again in");
        let requests = server.requests_for(PATH);
        assert_eq!(requests.len(), 2, "{requests:#?}");
        // A RST may take with it what the client has not read; a FIN never does.
        let from = requests[1].range().map_or(0, |(from, _)| from);
        assert!(
            from <= requests[0].body_sent && from <= offset,
            "{requests:#?}"
        );
        assert_eq!(requests[1].header("if-range").is_some(), from > 0);
        bench.assert_only("a.bin", content);
    });
}

#[test]
fn a_clean_cut_costs_not_a_byte() {
    let content = long_content(4);
    let (server, url) = serving(Resource::new(content));
    let cuts = [3 * MIB, MIB + 1, 4096].map(|at| Reply::normal().truncate_at(at));
    server.script(PATH, cuts.into_iter().chain([Reply::normal()]));
    let bench = Bench::new();
    bench.run(&[&url]).expect(0);
    assert_eq!(server.bytes_served(PATH), content.len());
    bench.assert_only("a.bin", content);
}

#[test]
fn a_connection_that_breaks_before_the_answer_is_made_again() {
    let cases = vec![("FIN", Reply::hang_up()), ("RST", Reply::reset())];
    each(cases, |reply| {
        let content = Content::new(5, 1000);
        let (server, url) = serving(Resource::new(content));
        server.script(PATH, [reply, Reply::normal()]);
        let bench = Bench::new();
        bench.run(&[&url]).expect(0).says("trying again in");
        bench.assert_only("a.bin", content);
    });
}

#[test]
fn a_silent_server_is_left_after_the_idle_timeout() {
    let content = long_content(6);
    let (server, url) = serving(Resource::new(content));
    server.script(PATH, [Reply::normal().stall_at(MIB), Reply::normal()]);
    let bench = Bench::new();
    bench
        .run(&[&url, "--idle-timeout", "300ms"])
        .expect(0)
        .says("no byte came for 300 ms");
    let requests = server.requests_for(PATH);
    assert_eq!(requests[1].range(), Some((MIB, None)));
    bench.assert_only("a.bin", content);
}

#[test]
fn retries_that_bring_nothing_come_to_an_end() {
    let cases = vec![
        ("500", (Reply::status(500), 8, "status", "500")),
        ("429", (Reply::status(429), 8, "status", "429")),
        (
            "FIN",
            (Reply::hang_up(), 4, "disconnected", "the connection broke"),
        ),
        (
            "RST",
            (Reply::reset(), 4, "disconnected", "the connection broke"),
        ),
    ];
    each(cases, |(reply, code, name, words)| {
        let (server, url) = serving(Resource::new(Content::new(7, 1000)));
        server.script(PATH, [reply]);
        let bench = Bench::new();
        bench
            .run(&[&url, "--retry", "1"])
            .expect(code)
            .says(words)
            .says("given up after 1 retry");
        assert_eq!(server.requests_for(PATH).len(), 2);
        bench.assert_nothing();
        let ended = bench.run(&[&url, "--retry", "0", "--json"]);
        let failed = ended.expect(code).json_event("failed");
        assert_eq!(failed["code"], name);
        assert_eq!(failed["exit_code"], code);
        bench.assert_nothing();
    });
}

#[test]
fn a_server_that_does_not_exist_is_a_network_error() {
    // The port was free a moment ago, and nobody listens on it any more.
    let (server, url) = serving(Resource::new(Content::new(8, 1)));
    drop(server);
    let bench = Bench::new();
    bench
        .run(&[&url, "--retry", "0"])
        .expect(4)
        .says("no connection to 127.0.0.1");
    bench.assert_nothing();
}

#[test]
fn the_time_for_retries_ends_a_run_and_keeps_what_is_there() {
    let content = long_content(9);
    let (server, url) = serving(Resource::new(content));
    let busy = Reply::status(503).header("Retry-After", "600");
    server.script(PATH, [Reply::normal().truncate_at(MIB), busy]);
    let bench = Bench::new();
    let ended = bench.run(&[&url, "--retry-max-time", "1500ms"]);
    ended
        .expect(12)
        .says("--retry-max-time")
        .says("run the same command again to resume");
    server.script(PATH, []);
    bench.run(&[&url]).expect(0);
    assert_eq!(server.requests_for(PATH)[2].range(), Some((MIB, None)));
    bench.assert_only("a.bin", content);
}

#[test]
fn the_last_bytes_of_a_chunked_answer_are_there_before_its_end_is_seen() {
    let content = long_content(9);
    let (bench, gate) = (Bench::new(), Gate::new());
    let (server, url) = serving(Resource::new(content));
    let chunked = Reply::normal().framing(Framing::Chunked);
    let rest = content.len() - HELD;
    let still = chunked.hold_at(rest, &gate);
    server.script(PATH, [Reply::normal().truncate_at(HELD), still]);
    let began = Instant::now();
    block_on(async {
        let engine = Engine::builder(bench.state()).start().unwrap();
        let configuration = SessionConfiguration::new("s").unwrap();
        let session = engine.session(configuration).await.unwrap();
        let request = DownloadRequest::new(&url, bench.file("a.bin")).unwrap();
        let task = session.start_download(request).await.unwrap();
        let mut events = task.events().await.unwrap();
        while task.progress().await.unwrap().received_bytes < content.len() {
            events.next().await.expect("the task has not ended");
        }
        // Nobody waited until the server was silent for too long.
        assert!(began.elapsed() < Duration::from_secs(30));
        gate.open();
        let outcome = task.finished().await.unwrap();
        assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
        engine.shutdown().await;
    });
    assert_eq!(server.requests_for(PATH).len(), 2);
    bench.assert_file("a.bin", content);
}
