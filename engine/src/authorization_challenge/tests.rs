//! What answers make of a request, and what a challenge shows.

use std::path::PathBuf;

use super::*;
use crate::checkpoint::{Checkpoint, Stage, TaskCheckpoint};
use crate::limits::REJECTED_SCHEMES_MAX;
use crate::task::{Spec, TaskOptions, UploadSpec};
use crate::upload::{UploadCheckpoint, UploadStage};

const OLD: &str = "https://h.example/f?signed";

fn url(text: &str) -> HttpUrl {
    parse_http_url(text).expect("a URL").url
}

fn spec() -> Spec {
    let fields = [("Cookie", "hush"), ("accept-language", "en")];
    Spec::Upload(UploadSpec {
        url: url(OLD),
        source: PathBuf::from("/s"),
        protocol: crate::upload::UploadProtocol::Plain,
        place: None,
        is_repeatable: false,
        metadata: Vec::new(),
        checksum: None,
        method: "PUT".to_owned(),
        headers: fields.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec(),
        credentials: Some(Credentials::bearer("hush")),
        allow_downgrade: false,
        request_id: 0,
        is_adoptable: false,
        options: TaskOptions::default(),
    })
}

/// The two kinds of tasks wait alike.
fn both(challenge: &Challenge, answers: &Answers) -> [TaskCheckpoint; 2] {
    let challenge = || Box::new(challenge.clone());
    let answers = || answers.clone();
    [
        TaskCheckpoint::Download(Checkpoint {
            stage: Stage::AwaitingAuthorization(challenge()),
            answers: answers(),
            ..Checkpoint::default()
        }),
        TaskCheckpoint::Upload(UploadCheckpoint {
            stage: UploadStage::AwaitingAuthorization(challenge()),
            answers: answers(),
            ..UploadCheckpoint::default()
        }),
    ]
}

fn asked(status: u16, scheme: &str) -> Challenge {
    Challenge {
        host: "h.example:443".to_owned(),
        status,
        scheme: scheme.to_owned(),
        realm: None,
        previous_failures: 0,
    }
}

#[test]
fn what_a_renewal_does_not_name_stays_unless_the_origin_is_another() {
    let new_headers = vec![("X-Key".to_owned(), "k".to_owned())];
    type Row = (&'static str, Renewal, &'static str, usize, bool);
    let at = |text: &str| Renewal::default().with_url(text).expect("a URL");
    let table: [Row; 7] = [
        ("nothing", Renewal::default(), OLD, 2, true),
        (
            "the same origin",
            at("https://h.example/g"),
            "https://h.example/g",
            2,
            true,
        ),
        (
            "another host",
            at("https://g.example/f"),
            "https://g.example/f",
            1,
            false,
        ),
        (
            "another port",
            at("https://h.example:444/f"),
            "https://h.example:444/f",
            1,
            false,
        ),
        (
            "no TLS",
            at("http://h.example/f"),
            "http://h.example/f",
            1,
            false,
        ),
        (
            "another host with a login in its URL",
            at("https://u:p@g.example/f"),
            "https://g.example/f",
            1,
            true,
        ),
        (
            "another host with all of its own",
            at("https://g.example/f")
                .with_headers(new_headers.clone())
                .with_credentials(Credentials::bearer("new")),
            "https://g.example/f",
            1,
            true,
        ),
    ];
    for (name, renewal, expected, headers, has_credentials) in table {
        let is_given = renewal.headers.is_some();
        let answer = Disposition::UseCredential(renewal);
        let mut spec = spec();
        for mut known in both(&asked(401, "Bearer"), &Answers::default()) {
            let answered = answer.apply(&mut spec, &mut known);
            assert_eq!(answered, Answered::GoesOn, "{name}");
            assert_eq!(known.challenge(), None, "{name}");
            assert_eq!(known.answers_mut().unproven, 1, "{name}");
        }
        let Spec::Upload(spec) = spec else {
            panic!("it was an upload")
        };
        assert_eq!(spec.url.as_str(), expected, "{name}");
        assert_eq!(spec.headers.len(), headers, "{name}");
        assert_eq!(spec.headers == new_headers, is_given, "{name}");
        assert_eq!(spec.credentials.is_some(), has_credentials, "{name}");
    }
}

#[test]
fn an_answer_to_nothing_changes_nothing() {
    let dispositions = [
        Disposition::UseCredential(Renewal::default().with_headers(Vec::new())),
        Disposition::PerformDefaultHandling,
        Disposition::RejectProtectionSpace,
        Disposition::Cancel,
    ];
    for stage in [Stage::Transferring, Stage::Finishing(PathBuf::from("/f"))] {
        for disposition in &dispositions {
            let before = TaskCheckpoint::Download(Checkpoint {
                stage: stage.clone(),
                ..Checkpoint::default()
            });
            let (mut request, mut checkpoint) = (spec(), before.clone());
            let answered = disposition.apply(&mut request, &mut checkpoint);
            assert_eq!(answered, Answered::NotAsked, "{disposition:?}");
            assert!(request == spec() && checkpoint == before, "{disposition:?}");
        }
    }
}

#[test]
fn a_cancel_leaves_the_record_to_the_one_who_discards() {
    for mut known in both(&asked(401, "Basic"), &Answers::default()) {
        let before = known.clone();
        let answered = Disposition::Cancel.apply(&mut spec(), &mut known);
        assert_eq!(answered, Answered::Cancelled);
        assert!(known == before);
    }
}

#[test]
fn rejected_schemes_are_bounded() {
    let mut answers = Answers::default();
    for number in 0..REJECTED_SCHEMES_MAX + 5 {
        let challenge = asked(401, &format!("s{number}{}", "x".repeat(1000)));
        let [mut known, _] = both(&challenge, &answers);
        Disposition::RejectProtectionSpace.apply(&mut spec(), &mut known);
        answers = known.answers_mut().clone();
    }
    assert_eq!(answers.rejected_schemes.len(), REJECTED_SCHEMES_MAX);
    assert!(answers.is_default_handling, "nobody is asked for ever");
}

#[test]
fn a_challenge_shows_bounded_text_without_control_characters() {
    let offers = [
        challenge::Challenge::Other("y".repeat(1000)),
        challenge::Challenge::Basic {
            realm: format!("a\u{7}b{}", "\u{e9}".repeat(1000)),
        },
    ];
    let host = format!("https://{}/", "h".repeat(1000));
    for offered in [&offers[..1], &offers[..]] {
        let shown = Challenge::new(&url(&host), 401, offered, 0);
        assert!(shown.host.len() <= CHALLENGE_HOST_BYTES_MAX, "{shown:?}");
        assert!(shown.scheme.len() <= SCHEME_BYTES_MAX, "{shown:?}");
        let realm = shown.realm.unwrap_or_default();
        assert!(realm.len() <= REALM_BYTES_MAX, "{realm}");
        assert!(!realm.chars().any(char::is_control), "{realm}");
    }
}

#[test]
fn debug_of_an_answer_shows_no_secret() {
    let renewal = Renewal::default()
        .with_credentials(Credentials::login("hush", "hush"))
        .with_headers(vec![("hush".to_owned(), "hush".to_owned())])
        .with_url("https://h.example/f?s=hush")
        .expect("a URL");
    let shown = format!("{:?}", Disposition::UseCredential(renewal));
    assert!(!shown.contains("hush"), "{shown}");
}
