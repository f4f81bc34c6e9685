//! Ends that leave resume data, and those that leave none.

use super::*;
use crate::resume_data::ResumeData;

fn data() -> ResumeData {
    ResumeData::from_bytes(vec![7]).expect("it is short")
}

fn rules() -> SessionRules {
    SessionRules {
        resume_data_on_failure: true,
        ..SessionRules::default()
    }
}

#[test]
fn a_cancelled_upload_leaves_resume_data_once_its_file_is_on_record() {
    for result in [Ok(data()), Err(failure(FailureKind::NoSpace))] {
        let (mut driver, _) = Driver::asking(spec(), LENGTH);
        let actions = driver.feed(Input::Want(Desired::CancelledResumable));
        assert_eq!(kinds(&actions), ["stop", "seal"]);
        for late in [Desired::Cancelled, Desired::Suspended, Desired::Running] {
            let actions = driver.feed(Input::Want(late));
            assert!(actions.is_empty(), "it is about to end: {late:?}");
        }
        let expected = match &result {
            Ok(data) => Outcome::CancelledResumable(data.clone()),
            Err(_) => Outcome::Cancelled,
        };
        let actions = driver.feed(Input::Sealed(result));
        assert_eq!(actions, [Action::Close(expected)]);
        assert!(driver.feed(Input::Sealed(Ok(data()))).is_empty());
    }
}

#[test]
fn a_record_that_is_under_way_is_awaited_before_it_is_sealed() {
    let (mut driver, _) = Driver::start(spec());
    driver.feed(Input::Inspected(Ok(source(LENGTH))));
    let actions = driver.feed(Input::Want(Desired::CancelledResumable));
    assert!(actions.is_empty());
    let actions = driver.feed(Input::Recorded(Ok(())));
    assert_eq!(actions, [Action::Seal]);

    let (mut driver, ask) = Driver::asking(spec(), LENGTH);
    driver.answer(ask.request, head(503, &[]));
    driver.feed(Input::Want(Desired::CancelledResumable));
    let actions = driver.feed(Input::Recorded(Ok(())));
    assert_eq!(actions, [Action::Seal]);
}

#[test]
fn a_file_that_nobody_has_looked_at_leaves_nothing() {
    let cancelled = [Action::Close(Outcome::Cancelled)];
    let (mut driver, _) = Driver::start(spec());
    let actions = driver.feed(Input::Want(Desired::CancelledResumable));
    assert_eq!(actions, cancelled);
    for (known, expected) in [
        (UploadCheckpoint::default(), &cancelled[..]),
        (
            UploadCheckpoint {
                source: Some(source(LENGTH)),
                ..UploadCheckpoint::default()
            },
            &[Action::Seal],
        ),
    ] {
        let wish = Desired::CancelledResumable;
        let (_, actions) = Driver::start_with(spec(), rules(), Some(known), wish);
        assert_eq!(actions, expected);
    }
}

#[test]
fn a_failure_that_another_try_may_mend_leaves_resume_data_when_the_session_asks_for_it() {
    let table = [
        (FailureKind::Status(404), true),
        (FailureKind::Tls, true),
        (FailureKind::File, true),
        (FailureKind::SourceChanged, false),
        (FailureKind::SourceMissing, false),
        (FailureKind::InvalidRequest, false),
    ];
    for (kind, is_worth_it) in table {
        for rules in [rules(), SessionRules::default()] {
            let wants = rules.resume_data_on_failure;
            let (mut driver, ask) = Driver::asking_with(spec(), rules, LENGTH);
            let input = match kind {
                FailureKind::Status(status) => Input::Head {
                    request: ask.request,
                    head: head(status, &[]),
                    sent: 10,
                },
                _ => Input::AskFailed {
                    request: ask.request,
                    failure: failure(kind),
                    sent: 10,
                },
            };
            let mut actions = driver.feed(input);
            if wants && is_worth_it {
                assert_eq!(kinds(&actions), ["stop", "seal"], "{kind:?}");
                actions = driver.feed(Input::Sealed(Ok(data())));
            }
            let Outcome::Failed(failure) = outcome(&actions) else {
                panic!("{actions:?}")
            };
            assert_eq!(failure.kind(), kind);
            let expected = (wants && is_worth_it).then(data);
            assert_eq!(failure.resume_data(), expected.as_ref(), "{kind:?}");
        }
    }
}

#[test]
fn a_failure_before_the_file_was_looked_at_leaves_nothing() {
    let (mut driver, _) = Driver::start_with(spec(), rules(), None, Desired::Running);
    let actions = driver.feed(Input::Inspected(Err(failure(FailureKind::File))));
    assert_eq!(failed_kind(&actions), FailureKind::File);
}
