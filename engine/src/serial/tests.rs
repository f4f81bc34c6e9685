//! Every form is read back as it was written.

use std::fmt::Debug;
use std::time::Duration;

use proptest::prelude::*;
use serde::de::DeserializeOwned;

use super::*;
use crate::event::{Event, Fact, NumberedFact};
use crate::failure::FailureKind;
use crate::id::{Sequence, TaskId};
use crate::resume_data::ResumeDataError;
use crate::session::SessionRules;
use crate::task::{Destination, Outcome, Phase, QueueReason, Spec};
use crate::time::Timestamp;

/// Writes a value, compares it with what is promised for /v1, and reads it back.
fn assert_form<T>(value: &T, promised: &str)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let written = serde_json::to_string(value).expect("it is written");
    assert_eq!(written, promised);
    assert_eq!(
        serde_json::from_str::<T>(&written).ok().as_ref(),
        Some(value)
    );
}

#[test]
fn the_forms_of_version_1_stay_as_they_are() {
    let at = Timestamp::from_unix_ms(7);
    let failure = Failure::new(FailureKind::Status(404), "gone");
    assert_form(
        &failure,
        r#"{"kind":"status","value":404,"message":"gone","resume_data":null}"#,
    );
    assert_form(
        &Failure::new(FailureKind::Connect, "no"),
        r#"{"kind":"connect","message":"no","resume_data":null}"#,
    );
    assert_form(
        &Phase::Queued(QueueReason::NotBefore(at)),
        r#"{"kind":"queued","value":{"kind":"not_before","value":7}}"#,
    );
    assert_form(&Phase::Finishing, r#"{"kind":"finishing"}"#);
    assert_form(
        &Event::Fact(NumberedFact {
            sequence: Sequence::new(3),
            fact: Fact::Completed {
                task: TaskId::new(1),
                outcome: Outcome::Failed(failure),
                metrics: None,
            },
        }),
        concat!(
            r#"{"kind":"fact","sequence":3,"fact":{"kind":"completed","task":1,"#,
            r#""outcome":{"kind":"failed","value":{"kind":"status","value":404,"#,
            r#""message":"gone","resume_data":null}},"metrics":null}}"#
        ),
    );
}

#[test]
fn a_path_that_is_no_text_survives() {
    use std::os::unix::ffi::OsStringExt;

    let odd = PathBuf::from(std::ffi::OsString::from_vec(b"/a\xff".to_vec()));
    assert_form(
        &Destination::File(odd.clone()),
        r#"{"kind":"file","value":{"base64":"L2H/"}}"#,
    );
    assert_form(
        &ResumeDataError::Stale(odd.clone()),
        r#"{"kind":"stale","value":{"base64":"L2H/"}}"#,
    );
    assert_form(
        &Outcome::Skipped(odd),
        r#"{"kind":"skipped","value":{"base64":"L2H/"}}"#,
    );
}

#[test]
fn what_is_left_out_has_its_default() {
    let rules = serde_json::from_str::<SessionRules>(r#"{"unknown": 1}"#);
    assert!(rules.is_ok_and(|rules| rules == SessionRules::default()));
    let text =
        r#"{"kind":"download","url":"http://a/b","destination":{"kind":"file","value":"/b"}}"#;
    let spec: Spec = serde_json::from_str(text).expect("a download");
    let Spec::Download(spec) = spec else {
        panic!("it is an upload: {spec:?}");
    };
    assert_eq!((spec.connections, spec.headers.len()), (1, 0));
}

#[test]
fn a_request_by_hand_needs_no_kind_and_its_destination_is_the_path_of_a_file() {
    let read = |text: &str| serde_json::from_str::<Spec>(text);
    let whole =
        r#"{"kind":"download","url":"http://a/b","destination":{"kind":"file","value":"/b"}}"#;
    let whole = read(whole).expect("a download");
    for short in [
        r#"{"url":"http://a/b","destination":"/b"}"#,
        r#"{"destination":"/b","url":"http://a/b","kind":"download"}"#,
        r#"{"destination":{"value":"/b","kind":"file"},"url":"http://a/b"}"#,
    ] {
        assert_eq!(read(short).ok().as_ref(), Some(&whole), "{short}");
    }
    let into = read(r#"{"url":"http://a/b","destination":{"kind":"directory","value":"/d"}}"#);
    assert_eq!(
        into.expect("a download").destination(),
        Some(&Destination::Directory("/d".into()))
    );
    let upload = read(r#"{"url":"http://a/b","source":"/b","kind":"upload"}"#);
    assert!(matches!(upload, Ok(Spec::Upload(_))), "{upload:?}");
    for (wrong, said) in [
        (r#"{"url":"http://a/b"}"#, "missing field `destination`"),
        (r#"{"destination":"/b"}"#, "missing field `url`"),
        (
            r#"{"kind":"upload","url":"http://a/b","destination":"/b"}"#,
            "missing field `source`",
        ),
        (
            r#"{"kind":"move","url":"http://a/b"}"#,
            "unknown variant `move`",
        ),
        (
            r#"{"url":"http://a/b","destination":7}"#,
            "the path of a file",
        ),
        (
            r#"{"url":"http://a/b","destination":{"kind":"tape","value":"/b"}}"#,
            "`tape`",
        ),
        ("[]", "a request"),
    ] {
        let error = read(wrong).expect_err(wrong).to_string();
        assert!(error.contains(said), "{wrong}: {error}");
    }
}

#[test]
fn what_can_not_be_meant_is_refused() {
    for text in [r#""ftp://a""#, r#""http://u:hush@a/""#, r#""""#] {
        let error = serde_json::from_str::<HttpUrl>(text).expect_err("no such url");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
    assert!(serde_json::from_str::<Priority>("1001").is_err());
    assert!(serde_json::from_str::<SessionId>(r#""""#).is_err());
    assert!(serde_json::from_str::<Digest>(r#""sha-256=00""#).is_err());
    assert!(serde_json::from_str::<ResumeData>(r#""%""#).is_err());
}

proptest! {
    #[test]
    fn milliseconds_come_back_equal(ms in any::<u64>()) {
        let rules = SessionRules {
            timeout_for_request: Duration::from_millis(ms),
            ..SessionRules::default()
        };
        let written = serde_json::to_string(&rules).expect("it is written");
        let read = serde_json::from_str::<SessionRules>(&written);
        prop_assert!(read.is_ok_and(|read| read == rules));
    }

    #[test]
    fn any_path_comes_back_equal(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let path = path_of(bytes).expect("Unix takes any bytes");
        let written = serde_json::to_string(&Destination::File(path.clone())).expect("written");
        let read = serde_json::from_str::<Destination>(&written);
        prop_assert_eq!(read.ok(), Some(Destination::File(path)));
    }
}
