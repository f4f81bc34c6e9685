//! What a task took: the times of its phases, its redirects and its bytes.

use longhaul::{TaskMetrics, Timestamp};
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use super::super::stage::{CONTENT, PATH, Stage, configuration};
use crate::bench::{MIB, next_end, run};

/// What downloads of this path took, one after the other, in one session.
fn measured(stage: &Stage, paths: &[&str]) -> Vec<TaskMetrics> {
    run(async {
        let (engine, session) = stage.open_as(configuration().retries_max(0)).await;
        let mut events = session.events().await.unwrap();
        let mut measured = Vec::new();
        for (name, path) in paths.iter().enumerate() {
            let request = stage.request_for(path, &name.to_string());
            session.start_download(request).await.unwrap();
            measured.push(next_end(&mut events).await.1);
        }
        engine.shutdown().await;
        measured
    })
}

/// Foundation, NSURLSession.h: NSURLSessionTaskTransactionMetrics, the order of its dates.
#[test]
fn the_phases_of_a_request_follow_one_another() {
    let stage = Stage::new();
    let told = measured(&stage, &[PATH]).remove(0);
    let [whole] = &told.transactions[..] else {
        panic!("{told:?}")
    };
    let times = [
        Some(whole.fetch_start),
        whole.domain_lookup_start,
        whole.domain_lookup_end,
        whole.connect_start,
        whole.connect_end,
        whole.request_start,
        whole.request_end,
        whole.response_start,
        whole.response_end,
    ];
    assert!(!times.contains(&None) && times.is_sorted(), "{told:?}");
    assert_eq!(whole.status, Some(200));
    // Without TLS there is no handshake.
    assert_eq!(
        (whole.is_secure, whole.secure_connection_start),
        (false, None)
    );
}

/// Foundation, NSURLSession.h: taskInterval.
#[test]
fn the_interval_of_a_task_reaches_from_its_making_to_its_end() {
    let stage = Stage::new();
    let before = Timestamp::from(std::time::SystemTime::now());
    let told = measured(&stage, &[PATH]).remove(0);
    let after = Timestamp::from(std::time::SystemTime::now());
    let whole = &told.transactions[0];
    let times = [
        Some(before),
        Some(told.created_at),
        Some(whole.fetch_start),
        whole.response_end,
        Some(told.ended_at),
        Some(after),
    ];
    assert!(!times.contains(&None) && times.is_sorted(), "{told:?}");
}

/// Foundation, NSURLSession.h: redirectCount.
#[test]
fn redirects_are_counted_and_each_is_a_transaction_of_its_own() {
    let stage = Stage::new();
    stage.server.script("/1", [Reply::redirect(302, "/2")]);
    stage.server.script("/2", [Reply::redirect(302, PATH)]);
    let told = measured(&stage, &["/1"]).remove(0);
    assert_eq!((told.redirect_count, told.transaction_count), (2, 3));
    let statuses: Vec<_> = told.transactions.iter().map(|it| it.status).collect();
    assert_eq!(statuses, [Some(302), Some(302), Some(200)]);
}

/// Foundation, NSURLSession.h: isReusedConnection, domainLookupStartDate and connectStartDate.
#[test]
fn on_a_reused_connection_nothing_is_looked_up_nor_connected() {
    let stage = Stage::new();
    stage.server.script("/from", [Reply::redirect(302, PATH)]);
    let told = measured(&stage, &["/from"]).remove(0);
    let [first, second] = &told.transactions[..] else {
        panic!("{told:?}")
    };
    assert!(!first.is_reused_connection && first.connect_start.is_some());
    assert!(second.is_reused_connection, "{second:?}");
    let phases = [
        second.domain_lookup_start,
        second.domain_lookup_end,
        second.connect_start,
        second.connect_end,
    ];
    assert_eq!(phases, [None; 4]);
    assert!(second.request_start.is_some());
}

/// Foundation, NSURLSession.h: NSURLSessionTaskTransactionMetrics, on an attempt that did not connect.
#[test]
fn a_phase_that_was_not_ended_has_a_beginning_alone_and_those_after_it_have_nothing() {
    let stage = Stage::new();
    let gone = Server::start();
    stage
        .server
        .script("/from", [Reply::redirect(302, &gone.url(PATH))]);
    drop(gone);
    let told = measured(&stage, &["/from"]).remove(0);
    let last = told.transactions.last().unwrap();
    assert!(last.connect_start.is_some(), "{last:?}");
    let later = [
        last.connect_end,
        last.request_start,
        last.request_end,
        last.response_start,
        last.response_end,
    ];
    assert_eq!(later, [None; 5], "{last:?}");
    assert_eq!(last.status, None);
}

/// Foundation, NSURLSession.h: countOfResponseBodyBytesReceived and countOfResponseHeaderBytesReceived.
#[test]
fn the_bytes_of_head_and_body_are_counted_for_each_request() {
    let stage = Stage::with([Reply::normal().truncate_at(MIB), Reply::normal()]);
    let told = run(async {
        let (engine, session) = stage.open().await;
        let mut events = session.events().await.unwrap();
        stage.start(&session, "a").await;
        let told = next_end(&mut events).await.1;
        engine.shutdown().await;
        told
    });
    let bodies: Vec<_> = told
        .transactions
        .iter()
        .map(|it| it.response_body_bytes)
        .collect();
    assert_eq!(bodies, [MIB, CONTENT.len() - MIB]);
    assert!(
        told.transactions
            .iter()
            .all(|it| it.response_header_bytes > 0)
    );
}

/// Foundation, NSURLSession.h: remoteAddress and remotePort.
#[test]
fn the_server_that_answered_is_named_with_its_port() {
    let (stage, other) = (Stage::new(), Server::start());
    other.serve(PATH, Resource::new(CONTENT));
    stage
        .server
        .script("/from", [Reply::redirect(302, &other.url(PATH))]);
    let told = measured(&stage, &["/from"]).remove(0);
    let places: Vec<_> = told
        .transactions
        .iter()
        .map(|it| it.remote_address.clone())
        .collect();
    let expected = [stage.server.address(), other.address()];
    assert_eq!(places, expected.map(|place| Some(place.to_string())));
}
