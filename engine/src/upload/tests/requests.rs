//! What is asked: the file's record first, then one request with the whole of it.

use super::*;
use crate::limits::EXPECT_CONTINUE_BYTES_MIN;
use crate::upload::RequestBody;

#[test]
fn no_byte_is_sent_before_the_file_is_on_record() {
    let (mut driver, actions) = Driver::start(spec());
    assert_eq!(kinds(&actions), ["inspect"]);
    let actions = driver.feed(Input::Inspected(Ok(source(LENGTH))));
    assert_eq!(kinds(&actions), ["record"]);
    let expected = UploadCheckpoint {
        source: Some(source(LENGTH)),
        ..UploadCheckpoint::default()
    };
    assert_eq!(record(&actions), expected);
    let ask = sole_ask(&driver.feed(Input::Recorded(Ok(()))));
    assert_eq!((ask.method.as_str(), ask.url), ("PUT", spec().url));
    let body = RequestBody {
        offset: 0,
        length: LENGTH,
        expects_continue: false,
    };
    assert_eq!(ask.body, Some(body));
}

#[test]
fn a_record_that_fails_sends_nothing_and_ends_the_machine() {
    let (mut driver, _) = Driver::start(spec());
    driver.feed(Input::Inspected(Ok(source(LENGTH))));
    let actions = driver.feed(Input::Recorded(Err(failure(FailureKind::Store))));
    assert_eq!(actions, [Action::Exit(Exit::Fenced)]);
}

#[test]
fn a_later_attempt_sends_the_same_file_from_its_first_byte_and_never_another() {
    let known = UploadCheckpoint {
        source: Some(source(LENGTH)),
        attempts_failed: 2,
        ..UploadCheckpoint::default()
    };
    let again = |found| {
        let known = Some(known.clone());
        let (mut driver, _) =
            Driver::start_with(spec(), SessionRules::default(), known, Desired::Running);
        driver.feed(Input::Inspected(found))
    };
    let ask = sole_ask(&again(Ok(source(LENGTH))));
    assert_eq!(ask.body.map(|body| body.length), Some(LENGTH));
    assert_eq!(
        failed_kind(&again(Ok(source(LENGTH + 1)))),
        FailureKind::SourceChanged
    );
    for kind in [FailureKind::SourceMissing, FailureKind::File] {
        assert_eq!(failed_kind(&again(Err(failure(kind)))), kind);
    }
}

#[test]
fn a_large_body_waits_for_the_servers_word_and_goes_without_when_it_refuses_to_give_it() {
    for (length, expects) in [
        (0, false),
        (EXPECT_CONTINUE_BYTES_MIN - 1, false),
        (EXPECT_CONTINUE_BYTES_MIN, true),
    ] {
        let (mut driver, ask) = Driver::asking(spec(), length);
        let body = ask.body.expect("a body");
        assert_eq!(body.expects_continue, expects, "{length}");
        let actions = driver.answer_after(ask.request, head(417, &[]), 0);
        if expects {
            assert_eq!(kinds(&actions), ["drain", "ask"]);
            let again = sole_ask(&actions);
            assert!(!again.body.expect("a body").expects_continue);
            let actions = driver.answer_after(again.request, head(417, &[]), 0);
            assert_eq!(failed_kind(&actions), FailureKind::Status(417));
        } else {
            assert_eq!(failed_kind(&actions), FailureKind::Status(417), "{length}");
        }
    }
}

#[test]
fn fields_of_session_and_task_go_along() {
    let mut spec = spec();
    spec.headers = vec![("content-type".into(), "text/plain".into())];
    let rules = SessionRules {
        headers: vec![("x-of-session".into(), "1".into())],
        ..SessionRules::default()
    };
    let (_, ask) = Driver::asking_with(spec, rules, LENGTH);
    let names: Vec<_> = ask.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-of-session", "content-type"]);
}
