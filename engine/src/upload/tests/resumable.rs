//! Whole uploads to servers that do as they should, in each protocol.

use super::*;
use crate::upload::protocol::{Capability, Evidence, TusExtensions};
use crate::upload::{Protocol, Remote, Unheard, UploadProtocol};

const MIB: u64 = 1024 * 1024;

fn field<'a>(ask: &'a Ask, name: &str) -> Option<&'a str> {
    let mut fields = ask.headers.iter();
    fields.find(|(n, _)| n == name).map(|(_, v)| v.as_str())
}

fn speaking(protocol: UploadProtocol, method: &str) -> UploadSpec {
    UploadSpec {
        protocol,
        method: method.to_owned(),
        ..spec()
    }
}

/// The rest of an upload whose last answer came: its body, and the file once more.
fn finish(driver: &mut Driver, actions: &[Action], length: u64) -> Outcome {
    assert_eq!(kinds(actions), ["receive"]);
    driver.feed(Input::Received(Vec::new()));
    outcome(&driver.feed(Input::Inspected(Ok(source(length)))))
}

#[test]
fn a_server_of_tus_is_found_out_and_gets_the_file_in_a_place_of_its_own() {
    let (mut driver, ask) = Driver::asking(speaking(UploadProtocol::Auto, "PUT"), 3 * MIB);
    assert_eq!((ask.method.as_str(), ask.body), ("OPTIONS", None));
    assert_eq!(field(&ask, "upload-draft-interop-version"), Some("6"));
    assert_eq!(field(&ask, "tus-resumable"), None);
    let answer = head(
        204,
        &[
            ("tus-version", "1.0.0,0.2.2"),
            ("tus-extension", "creation,termination"),
        ],
    );
    let actions = driver.answer_after(ask.request, answer, 0);
    let expected = TusExtensions {
        creation: true,
        termination: true,
        ..TusExtensions::default()
    };
    assert_eq!(actions[1], Action::Remember(Capability::Tus(expected)));
    assert_eq!(driver.agreed[0].protocol, Protocol::Tus);
    assert_eq!(driver.agreed[0].evidence, Evidence::Options);
    let ask = sole_ask(&actions);
    assert_eq!(ask.method, "POST");
    assert_eq!(field(&ask, "upload-length"), Some("3145728"));
    assert_eq!(ask.body.map(|body| body.length), Some(0));

    // Where it is is on record before any byte goes there, and that its end may be missed.
    let made = head(201, &[("location", "/files/1")]);
    let actions = driver.answer_after(ask.request, made, 0);
    assert_eq!(kinds(&actions), ["drain", "record"]);
    let known = record(&actions);
    let remote = known.remote.expect("a place");
    assert_eq!(remote.url.as_str(), "https://origin.example/files/1");
    assert_eq!(known.unheard, Unheard::Completion);
    let ask = sole_ask(&driver.feed(Input::Recorded(Ok(()))));
    assert_eq!((ask.method.as_str(), &ask.url), ("PATCH", &remote.url));
    assert_eq!(field(&ask, "upload-offset"), Some("0"));
    assert_eq!(
        field(&ask, "content-type"),
        Some("application/offset+octet-stream")
    );
    let taken = head(204, &[("upload-offset", "3145728")]);
    let actions = driver.answer_after(ask.request, taken, 3 * MIB);
    let Outcome::Uploaded(done) = finish(&mut driver, &actions, 3 * MIB) else {
        panic!("it was uploaded")
    };
    assert_eq!((done.status, done.bytes), (204, 3 * MIB));
    assert_eq!(done.headers, [("upload-offset".into(), "3145728".into())]);
}

#[test]
fn a_server_of_the_draft_is_found_out_and_the_place_is_made_before_bytes_flow() {
    let (mut driver, ask) = Driver::asking(speaking(UploadProtocol::Auto, "POST"), 3 * MIB);
    let answer = head(
        200,
        &[("upload-limit", "min-size=0, max-append-size=2097152")],
    );
    let ask = sole_ask(&driver.answer_after(ask.request, answer, 0));
    assert_eq!(ask.method, "POST");
    assert_eq!(field(&ask, "upload-complete"), Some("?0"));
    assert_eq!(field(&ask, "upload-length"), Some("3145728"));
    assert_eq!(ask.body.map(|body| body.length), Some(0));
    let made = head(201, &[("location", "up/1"), ("upload-complete", "?0")]);
    driver.answer_after(ask.request, made, 0);
    let ask = sole_ask(&driver.feed(Input::Recorded(Ok(()))));
    assert_eq!(
        (ask.method.as_str(), ask.url.as_str()),
        ("PATCH", "https://origin.example/up/1")
    );
    assert_eq!(field(&ask, "upload-complete"), Some("?0"));
    assert_eq!(
        field(&ask, "content-type"),
        Some("application/partial-upload")
    );
    assert_eq!(ask.body.map(|body| body.length), Some(2 * MIB));
    let part = head(204, &[("upload-offset", "2097152")]);
    let actions = driver.answer_after(ask.request, part, 2 * MIB);
    assert_eq!(record(&actions).unheard, Unheard::Completion);
    let ask = sole_ask(&driver.feed(Input::Recorded(Ok(()))));
    assert_eq!(field(&ask, "upload-complete"), Some("?1"));
    assert_eq!(field(&ask, "upload-offset"), Some("2097152"));
    let taken = head(200, &[("upload-complete", "?1")]);
    let actions = driver.answer_after(ask.request, taken, MIB);
    assert!(matches!(
        finish(&mut driver, &actions, 3 * MIB),
        Outcome::Uploaded(_)
    ));
}

#[test]
fn a_104_makes_the_callers_own_request_resumable_and_is_on_record_before_more_bytes_go() {
    let (mut driver, ask) = Driver::asking(speaking(UploadProtocol::Auto, "POST"), 3 * MIB);
    let actions = driver.answer_after(ask.request, head(404, &[]), 0);
    assert_eq!(kinds(&actions), ["drain", "record"]);
    assert_eq!(record(&actions).unheard, Unheard::Creation);
    let ask = sole_ask(&driver.feed(Input::Recorded(Ok(()))));
    assert_eq!(ask.method, "POST");
    assert_eq!(field(&ask, "upload-complete"), Some("?1"));
    let key = field(&ask, "idempotency-key").map(str::len);
    assert_eq!(key, Some(34), "16 bytes in quotes");
    let request = ask.request;
    let named = head(
        104,
        &[
            ("upload-draft-interop-version", "6"),
            ("location", "https://origin.example/up/1"),
        ],
    );
    let actions = driver.feed(Input::Interim {
        request,
        head: named,
    });
    assert_eq!(kinds(&actions), ["remember", "record"]);
    let known = record(&actions);
    assert_eq!(known.unheard, Unheard::Completion);
    let protocol = known.remote.as_ref().map(|remote| remote.protocol);
    assert_eq!(protocol, Some(Protocol::Ietf { interop: 6 }));
    assert_eq!(
        driver.feed(Input::Recorded(Ok(()))),
        [Action::Proceed(request)]
    );

    // The connection breaks; the next transfer asks how much is there and sends the rest.
    let actions = driver.feed(Input::AskFailed {
        request,
        failure: failure(FailureKind::Disconnected),
        sent: 2 * MIB,
    });
    let known = record(&actions);
    assert_eq!(known.unheard, Unheard::Nothing, "not all had gone");
    let (mut driver, _) = Driver::start_with(
        speaking(UploadProtocol::Auto, "POST"),
        SessionRules::default(),
        Some(known),
        Desired::Running,
    );
    let ask = sole_ask(&driver.feed(Input::Inspected(Ok(source(3 * MIB)))));
    assert_eq!((ask.method.as_str(), ask.body), ("HEAD", None));
    let held = head(
        204,
        &[("upload-offset", "2000000"), ("upload-complete", "?0")],
    );
    driver.answer_after(ask.request, held, 0);
    let ask = sole_ask(&driver.feed(Input::Recorded(Ok(()))));
    assert_eq!(field(&ask, "upload-offset"), Some("2000000"));
    let body = ask.body.expect("the rest");
    assert_eq!((body.offset, body.length), (2_000_000, 3 * MIB - 2_000_000));
    let taken = head(204, &[("upload-offset", "3145728")]);
    let actions = driver.answer_after(ask.request, taken, body.length);
    assert!(matches!(
        finish(&mut driver, &actions, 3 * MIB),
        Outcome::Uploaded(_)
    ));
}

#[test]
fn a_cancelled_upload_is_removed_at_its_server_before_it_ends() {
    let remote = Remote {
        protocol: Protocol::Tus,
        url: parse_http_url("https://origin.example/files/1")
            .expect("a URL")
            .url,
        acknowledged: 5,
        limits: UploadLimits::default(),
        expires_at: None,
        can_terminate: true,
        checksum: None,
        piece_max: None,
    };
    let known = UploadCheckpoint {
        source: Some(source(LENGTH)),
        remote: Some(remote),
        ..UploadCheckpoint::default()
    };
    let (mut driver, actions) = Driver::start_with(
        spec(),
        SessionRules::default(),
        Some(known),
        Desired::Cancelled,
    );
    let ask = sole_ask(&actions);
    assert_eq!((ask.method.as_str(), ask.body), ("DELETE", None));
    let actions = driver.answer_after(ask.request, head(503, &[]), 0);
    assert_eq!(kinds(&actions), ["stop"]);
    let due = driver.machine.poll_timeout().expect("it is asked again");
    assert_eq!(due.as_unix_ms(), driver.now_ms + 1000);
    driver.now_ms = due.as_unix_ms();
    let ask = sole_ask(&driver.feed(Input::Tick));
    let actions = driver.answer_after(ask.request, head(204, &[]), 0);
    assert_eq!(outcome(&actions), Outcome::Cancelled);
}
