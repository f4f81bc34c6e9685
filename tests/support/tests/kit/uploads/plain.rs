//! An ordinary server.

use longhaul_support::client::Call;
use longhaul_support::uploads::{Behaviour, Protocol, UploadServer};

use super::{CONTENT, Dialect, TARGET, assert_stored, bytes, open, send};

#[test]
fn put_and_post_are_stored_and_other_methods_are_not_known() {
    for method in ["PUT", "POST"] {
        let server = UploadServer::start(Behaviour::plain());
        let url = server.url(TARGET);
        assert_eq!(send(Call::new("HEAD", &url), b"").head.status, 404);
        let answer = send(Call::new(method, &url), &bytes(0, CONTENT.len()));
        assert_eq!(
            (answer.head.status, &answer.body[..]),
            (200, &b"stored\n"[..])
        );
        assert_stored(&server);
        let stored = server.only_upload();
        assert_eq!(
            (stored.protocol, stored.target.as_str()),
            (Protocol::Plain, TARGET)
        );
        assert_eq!(send(Call::new("HEAD", &url), b"").head.status, 200);
        for other in ["PATCH", "OPTIONS", "DELETE"] {
            let refused = send(Call::new(other, &url), b"").head;
            assert_eq!(
                (refused.status, refused.field("allow")),
                (405, Some("PUT, POST"))
            );
        }
    }
}

#[test]
fn fields_of_resumable_uploads_mean_nothing_to_it() {
    let server = UploadServer::start(Behaviour::plain());
    let six = Dialect::Ietf(6);
    let put = six.telling(six.call("PUT", &server.url(TARGET)), true);
    let answer = send(put, &bytes(0, CONTENT.len()));
    assert_eq!((answer.head.status, answer.interim.len()), (200, 0));
    assert_eq!(answer.head.field("upload-complete"), None);
    assert_stored(&server);
}

#[test]
fn what_is_cut_is_never_seen() {
    let server = UploadServer::start(Behaviour::plain());
    let mut talk = open(Call::new("PUT", &server.url(TARGET)), CONTENT.len());
    talk.write(&bytes(0, 600_000)).expect("it is sent");
    talk.cut().expect("the server sees the cut");
    let cut = server.only_upload();
    assert!(!cut.is_complete && cut.gone == Some(404) && !cut.file.exists());
    assert_eq!(server.requests()[0].body_received, 600_000);
    assert_eq!(
        send(Call::new("HEAD", &server.url(TARGET)), b"")
            .head
            .status,
        404
    );
}

#[test]
fn the_target_answers_as_the_test_wants() {
    let refusing = Behaviour::plain()
        .outcome(422, b"no picture")
        .outcome_field("X-Reason", "format");
    let server = UploadServer::start(refusing);
    let answer = send(Call::new("POST", &server.url(TARGET)), b"text");
    assert_eq!(
        (answer.head.status, &answer.body[..]),
        (422, &b"no picture"[..])
    );
    assert_eq!(answer.head.field("x-reason"), Some("format"));
}

#[test]
fn a_log_entry_has_the_head_and_the_beginning_of_the_body() {
    let server = UploadServer::start(Behaviour::plain());
    let call = Call::new("POST", &server.url("/a?b=c")).field("X-Name", "value");
    send(call, &bytes(0, CONTENT.len()));
    let request = &server.wait_for(|requests| requests[0].is_finished)[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/a")
    );
    assert_eq!(request.query.as_deref(), Some("b=c"));
    assert_eq!(request.header("x-name"), Some("value"));
    assert_eq!(
        (request.status, request.is_cut, request.is_finished),
        (Some(200), false, true)
    );
    assert_eq!(request.body_received, CONTENT.len());
    assert_eq!(**request.body, bytes(0, 64 * 1024));
}
