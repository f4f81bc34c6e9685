//! Faults of single requests, and of the server as a whole.

use std::io::ErrorKind;
use std::thread;

use longhaul_support::client::Call;
use longhaul_support::gate::Gate;
use longhaul_support::uploads::{
    Behaviour, Concurrency, Fault, Location, Rejection, Step, UploadServer,
};

use super::{CONTENT, Dialect, TARGET, assert_stored, bytes, located, open, send, wait_for_bytes};

const TUS: Dialect = Dialect::Tus;
const SIX: Dialect = Dialect::Ietf(6);

/// A server with one unfinished upload, and its URL.
fn begun(dialect: Dialect, behaviour: Behaviour) -> (UploadServer, String) {
    let server = UploadServer::start(behaviour);
    let url = dialect.created(&server);
    (server, url)
}

#[test]
fn an_upload_is_busy_as_often_as_the_test_wants() {
    for dialect in [TUS, SIX] {
        let (server, url) = begun(dialect, Behaviour::tusd());
        server.inject(Fault::status(423).on(Step::Append).times(3));
        let all = bytes(0, CONTENT.len());
        let append = || send(dialect.append(&url, 0, true), &all).head.status;
        assert_eq!([append(), append(), append()], [423; 3], "{dialect:?}");
        assert_eq!(dialect.offset(&url), Some(0));
        assert_eq!(append(), 204, "{dialect:?}");
        assert_stored(&server);
    }
}

#[test]
fn a_body_is_cut_where_the_test_wants() {
    for (fault, error) in [
        (Fault::cut_at(300_000), ErrorKind::UnexpectedEof),
        (Fault::reset_at(300_000), ErrorKind::ConnectionReset),
    ] {
        let (server, url) = begun(SIX, Behaviour::ietf(6));
        server.inject(fault.on(Step::Append));
        // What the server has asked for, and one byte more.
        let mut talk = open(SIX.append(&url, 0, true), CONTENT.len());
        talk.write(&bytes(0, 300_001)).expect("it is sent");
        let ended = talk.answer().expect_err("no answer").kind();
        assert!(
            ended == error || ended == ErrorKind::ConnectionReset,
            "{ended}"
        );
        assert_eq!(SIX.offset(&url), Some(300_000));
        assert!(server.requests()[1].is_cut);
    }
}

#[test]
fn an_answer_is_withheld_although_all_is_done() {
    for (fault, error) in [
        (Fault::withhold(), ErrorKind::UnexpectedEof),
        (Fault::withhold_reset(), ErrorKind::ConnectionReset),
    ] {
        let (server, url) = begun(SIX, Behaviour::ietf(6));
        server.inject(fault.on(Step::Append));
        let lost = SIX.append(&url, 0, true).send(&bytes(0, CONTENT.len()));
        assert_eq!(lost.expect_err("no answer").kind(), error);
        assert_stored(&server);
        let request = &server.requests()[1];
        assert_eq!((request.status, request.is_finished), (None, true));
    }
}

#[test]
fn a_success_may_acknowledge_less_than_was_sent() {
    for dialect in [TUS, SIX] {
        let (server, url) = begun(dialect, Behaviour::tusd());
        server.inject(Fault::acknowledge_at(300_000).on(Step::Append));
        let part = send(dialect.append(&url, 0, true), &bytes(0, CONTENT.len())).head;
        assert_eq!(
            (part.status, part.number("upload-offset")),
            (204, Some(300_000)),
            "{dialect:?}"
        );
        assert_eq!(part.field("connection"), Some("close"));
        let upload = server.only_upload();
        assert!(!upload.is_complete && upload.offset_bytes == 300_000);
    }
}

#[test]
fn an_upload_is_lost_or_shrinks_at_the_moment_the_test_wants() {
    for dialect in [TUS, SIX] {
        let (server, url) = begun(dialect, Behaviour::tusd());
        server.inject(Fault::regress_to(100_000).on(Step::Status));
        server.inject(Fault::forget(410).from_offset(300_000));
        send(dialect.append(&url, 0, false), &bytes(0, 200_000));
        assert_eq!(dialect.offset(&url), Some(100_000), "{dialect:?}");
        send(
            dialect.append(&url, 100_000, false),
            &bytes(100_000, 300_000),
        );
        let gone = send(dialect.append(&url, 300_000, false), b"x").head.status;
        assert_eq!(gone, 410, "{dialect:?}");
        assert_eq!(dialect.status(&url).status, 410, "{dialect:?}");
        assert_eq!(server.only_upload().offset_bytes, 300_000);
    }
}

#[test]
fn an_answer_may_lie_about_the_offset_and_the_end() {
    for (dialect, field, value) in [
        (SIX, "upload-complete", "?1"),
        (TUS, "upload-length", "200000"),
    ] {
        let (server, url) = begun(dialect, Behaviour::tusd());
        server.inject(Fault::claim_complete().on(Step::Append));
        server.inject(Fault::claim_offset(7).on(Step::Status));
        let short = send(dialect.append(&url, 0, false), &bytes(0, 200_000)).head;
        assert_eq!((short.status, short.field(field)), (204, Some(value)));
        assert_eq!(short.number("upload-offset"), Some(200_000));
        assert_eq!(dialect.offset(&url), Some(7));
        assert_eq!(dialect.offset(&url), Some(200_000));
        assert!(!server.only_upload().is_complete);
    }
}

#[test]
fn a_target_may_refuse_what_has_come_whole() {
    let behaviour = Behaviour::ietf(6).with_completion().outcome(422, b"no");
    let server = UploadServer::start(behaviour);
    let put = SIX.telling(SIX.call("PUT", &server.url(TARGET)), true);
    let answer = send(put, &bytes(0, CONTENT.len()));
    assert_eq!(answer.head.status, 422);
    assert_eq!(answer.head.field("upload-complete"), Some("?1"));
    assert_eq!(answer.body, b"no");
}

#[test]
fn locations_come_in_every_form() {
    for (location, beginning) in [
        (Location::Absolute, "http://127.0.0.1:"),
        (Location::Path, "/uploads/"),
        (Location::Network, "//127.0.0.1:"),
        (
            Location::Under("http://other".into()),
            "http://other/uploads/",
        ),
    ] {
        let server = UploadServer::start(Behaviour::ietf(6).location(location.clone()));
        let target = server.url(TARGET);
        let created = send(SIX.create(&target, CONTENT.len()), b"");
        let said = created.head.field("location").expect("a Location");
        assert!(said.starts_with(beginning), "{said}");
        assert_eq!(created.interim[0].field("location"), Some(said));
        if !matches!(location, Location::Under(_)) {
            let url = located(&target, &created.head);
            send(SIX.append(&url, 0, true), &bytes(0, CONTENT.len()));
            assert_stored(&server);
        }
    }
}

#[test]
fn a_redirect_leads_to_another_place_of_the_same_server() {
    for status in [307, 308] {
        let (server, url) = begun(SIX, Behaviour::ietf(6));
        let moved = url.replace("/uploads/", "/moved/");
        server.inject(Fault::redirect(status, &moved).on(Step::Append));
        let first = send(SIX.append(&url, 0, true), &bytes(0, CONTENT.len())).head;
        assert_eq!(
            (first.status, first.field("location")),
            (status, Some(&*moved))
        );
        send(SIX.append(&moved, 0, true), &bytes(0, CONTENT.len()));
        assert_stored(&server);
    }
}

#[test]
fn credentials_are_wanted_and_may_change() {
    let (server, url) = begun(TUS, Behaviour::tus());
    server.require("Bearer one");
    let append = |token: &str| {
        let append = TUS.append(&url, 0, false).field("Authorization", token);
        send(append, &bytes(0, CONTENT.len())).head
    };
    server.require("Bearer two");
    let refused = append("Bearer one");
    assert_eq!(
        (refused.status, refused.field("www-authenticate")),
        (401, Some("Bearer realm=\"uploads\""))
    );
    assert_eq!(TUS.status(&url).status, 401);
    assert_eq!(append("Bearer two").status, 204);
    assert_stored(&server);
}

#[test]
fn a_refusal_comes_at_once_or_after_the_body() {
    for (rejection, received) in [
        (Rejection::AtOnce, 0),
        (Rejection::Abrupt, 0),
        (Rejection::AfterBody, CONTENT.len()),
    ] {
        let (server, url) = begun(TUS, Behaviour::tus().rejection(rejection));
        let mut talk = open(TUS.append(&url, 5, false), CONTENT.len());
        if rejection == Rejection::AfterBody {
            talk.write(&bytes(0, CONTENT.len())).expect("it is sent");
        }
        let answer = talk.answer().expect("an answer");
        assert_eq!(answer.head.status, 409, "{rejection:?}");
        assert_eq!(server.requests()[1].body_received, received);
        let is_closed = answer.head.field("connection") == Some("close");
        assert_eq!(is_closed, rejection != Rejection::AfterBody);
        // Whether the server still listens to a client that has not yet looked.
        let piece = bytes(0, CONTENT.len() / 20);
        let is_heard = match rejection {
            Rejection::AtOnce => (0..20).all(|_| talk.write(&piece).is_ok()),
            Rejection::Abrupt => (0..10_000).all(|_| talk.write(&piece).is_ok()),
            Rejection::AfterBody => continue,
        };
        assert_eq!(is_heard, rejection == Rejection::AtOnce);
    }
}

#[test]
fn a_new_request_takes_over_from_one_that_hangs_or_is_told_to_wait() {
    for (concurrency, status) in [(Concurrency::TakesOver, 200), (Concurrency::Locked, 423)] {
        let (server, url) = begun(TUS, Behaviour::tus().concurrency(concurrency));
        let mut talk = open(TUS.append(&url, 0, false), CONTENT.len());
        talk.write(&bytes(0, 300_000)).expect("it is sent");
        wait_for_bytes(&server, 300_000);
        let head = TUS.status(&url);
        assert_eq!(head.status, status, "{concurrency:?}");
        if concurrency == Concurrency::TakesOver {
            assert_eq!(head.number("upload-offset"), Some(300_000));
            assert!(talk.answer().is_err(), "the first one has ended");
        } else {
            talk.write(&bytes(300_000, CONTENT.len()))
                .expect("it goes on");
            assert_eq!(talk.answer().expect("an answer").head.status, 204);
        }
    }
}

#[test]
fn a_gate_holds_a_head_a_body_or_an_answer() {
    let (head, body, answer) = (Gate::new(), Gate::new(), Gate::new());
    let rest = bytes(400_000, CONTENT.len());
    let (server, url) = begun(TUS, Behaviour::tus());
    server.inject(Fault::hold_head(&head).on(Step::Status));
    server.inject(Fault::hold_at(100_000, &body).on(Step::Append));
    server.inject(Fault::hold_answer(&answer).on(Step::Append));
    thread::scope(|scope| {
        let status = scope.spawn(|| TUS.offset(&url));
        server.wait_for(|requests| requests.len() == 2);
        assert!(!server.requests()[1].is_finished);
        head.open();
        assert_eq!(status.join().expect("no panic"), Some(0));

        let append = scope.spawn(|| send(TUS.append(&url, 0, false), &bytes(0, 400_000)));
        wait_for_bytes(&server, 100_000);
        body.open();
        assert_eq!(append.join().expect("no panic").head.status, 204);

        let append = scope.spawn(|| send(TUS.append(&url, 400_000, false), &rest));
        server.wait_for(|_| server.only_upload().is_complete);
        answer.open();
        assert_eq!(append.join().expect("no panic").head.status, 204);
    });
    assert_stored(&server);
}

#[test]
fn a_held_upload_may_be_taken_over_and_a_held_request_ends_with_the_server() {
    let (server, url) = begun(TUS, Behaviour::tus());
    server.inject(Fault::hold_at(100_000, &Gate::new()).on(Step::Append));
    let mut talk = open(TUS.append(&url, 0, false), CONTENT.len());
    talk.write(&bytes(0, 200_000)).expect("it is sent");
    wait_for_bytes(&server, 100_000);
    let rest = bytes(100_000, CONTENT.len());
    assert_eq!(
        send(TUS.append(&url, 100_000, false), &rest).head.status,
        204
    );
    assert_stored(&server);
    // A hang here fails the whole run.
    drop(server);
    assert!(talk.answer().is_err());
}

#[test]
fn damage_is_stored_unless_a_checksum_tells() {
    let (server, url) = begun(TUS, Behaviour::tus());
    server.inject(Fault::damage().on(Step::Append).times(2));
    let sha1_of_hello = "sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=";
    let append = TUS.append(&url, 0, false);
    let told = append.field("Upload-Checksum", sha1_of_hello);
    assert_eq!(send(told, b"hello").head.status, 460);
    let all = bytes(0, CONTENT.len());
    assert_eq!(send(TUS.append(&url, 0, false), &all).head.status, 204);
    let upload = server.only_upload();
    assert!(upload.is_complete && upload.verify(&CONTENT).is_err());
}

#[test]
fn a_method_may_be_blocked_while_another_stands_for_it() {
    let (server, url) = begun(TUS, Behaviour::tus());
    server.inject(Fault::status(405).method("PATCH").always());
    let all = bytes(0, CONTENT.len());
    for _ in 0..2 {
        assert_eq!(send(TUS.append(&url, 0, false), &all).head.status, 405);
    }
    let instead = TUS
        .call("POST", &url)
        .field("X-HTTP-Method-Override", "PATCH")
        .field("Upload-Offset", 0)
        .field("Content-Type", "application/offset+octet-stream");
    assert_eq!(send(instead, &all).head.status, 204);
    assert_stored(&server);
}

#[test]
fn other_answers_and_no_answers_can_be_given() {
    let server = UploadServer::start(Behaviour::plain());
    let url = server.url(TARGET);
    server.inject(Fault::conflict());
    server.inject(Fault::raw("no head at all"));
    server.inject(Fault::status(413).field("X-Limit", "7").body(b"long"));
    server.inject(Fault::cut_at(0));
    let put = || Call::new("PUT", &url).send(b"x");
    assert_eq!(put().expect("an answer").head.status, 409);
    assert_eq!(
        put().expect_err("no answer").kind(),
        ErrorKind::UnexpectedEof
    );
    let refused = put().expect("an answer");
    assert_eq!(
        (refused.head.status, &refused.body[..]),
        (413, &b"long"[..])
    );
    assert_eq!(refused.head.field("x-limit"), Some("7"));
    assert!(put().is_err());
    assert_eq!(put().expect("an answer").head.status, 200);
}

#[test]
fn a_server_that_goes_away_comes_back_with_its_uploads() {
    let (mut server, url) = begun(TUS, Behaviour::tus());
    let mut talk = open(TUS.append(&url, 0, false), CONTENT.len());
    talk.write(&bytes(0, 300_000)).expect("it is sent");
    wait_for_bytes(&server, 300_000);
    server.go_away();
    assert!(talk.answer().is_err());
    assert!(
        TUS.call("HEAD", &url).send(b"").is_err(),
        "somebody is there"
    );
    server.come_back();
    assert_eq!(TUS.offset(&url), Some(300_000));
    send(
        TUS.append(&url, 300_000, false),
        &bytes(300_000, CONTENT.len()),
    );
    assert_stored(&server);
    assert!(server.connections() >= 4);
}
