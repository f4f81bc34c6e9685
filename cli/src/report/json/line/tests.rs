//! Tests of the shapes that scripts rely on.

use std::path::Path;

use super::*;

fn text(line: &Line<'_>) -> String {
    serde_json::to_string(line).unwrap()
}

fn about() -> About {
    About {
        task: Some(7),
        url: "http://h/a?sig=…".to_owned(),
    }
}

const PROGRESS: Progress = Progress {
    received_bytes: 5,
    sent_bytes: 4,
    acknowledged_bytes: 3,
    total_bytes: None,
};

const TALLY: Tally = Tally {
    transfers: 4,
    finished: 2,
    skipped: 1,
    failed: 1,
    kept_bytes: 9,
};

#[test]
fn the_shape_of_a_downloads_lines_is_stable() {
    let finished = Finished {
        path: "/d/a".into(),
        bytes: 5,
        length_unverified: false,
        status: 200,
    };
    let destination = Destination::File("/d/a".into());
    let table = [
        (
            Line::Run {
                schema: 1,
                count: Count::new(Kind::Downloads, 4),
                state: "/s",
            },
            r#"{"event":"run","schema":1,"downloads":4,"state":"/s"}"#,
        ),
        (
            Line::Started {
                about: about(),
                file: File::new(Place::Destination(&destination)),
            },
            r#"{"event":"started","task":7,"url":"http://h/a?sig=…","destination":"/d/a"}"#,
        ),
        (
            Line::Failed {
                about: about(),
                code: "status",
                message: "the server answered 404",
                exit_code: 8,
                is_resumable: false,
            },
            r#"{"event":"failed","task":7,"url":"http://h/a?sig=…","code":"status","message":"the server answered 404","exit_code":8,"is_resumable":false}"#,
        ),
        (
            Line::Progress {
                task: 7,
                moved: Moved::new(Kind::Downloads, PROGRESS),
            },
            r#"{"event":"progress","task":7,"received_bytes":5,"total_bytes":null}"#,
        ),
        (
            Line::Finished {
                about: about(),
                end: End::downloaded(&finished),
            },
            r#"{"event":"finished","task":7,"url":"http://h/a?sig=…","path":"/d/a","bytes":5,"length_unverified":false,"status":200}"#,
        ),
        (
            Line::Summary {
                totals: Totals::new(Kind::Downloads, TALLY),
                exit_code: 8,
                is_resumable: true,
            },
            r#"{"event":"summary","downloads":4,"finished":2,"skipped":1,"failed":1,"received_bytes":9,"exit_code":8,"is_resumable":true}"#,
        ),
    ];
    for (line, expected) in table {
        assert_eq!(text(&line), expected);
    }
}

#[test]
fn the_shape_of_an_uploads_lines_is_stable() {
    let uploaded = Uploaded {
        status: 201,
        bytes: 5,
        headers: [("ETag", "\"x\""), ("Via", "a"), ("via", "b")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        response: b"made\n".to_vec(),
    };
    let negotiated = Negotiated {
        protocol: Protocol::Ietf { interop: 6 },
        evidence: Evidence::Interim,
    };
    let table = [
        (
            Line::Run {
                schema: 1,
                count: Count::new(Kind::Uploads, 1),
                state: "/s",
            },
            r#"{"event":"run","schema":1,"uploads":1,"state":"/s"}"#,
        ),
        (
            Line::Started {
                about: about(),
                file: File::new(Place::Source(Path::new("/d/a"))),
            },
            r#"{"event":"started","task":7,"url":"http://h/a?sig=…","source":"/d/a"}"#,
        ),
        (
            Line::Negotiated {
                about: about(),
                spoken: Spoken::new(negotiated),
            },
            r#"{"event":"negotiated","task":7,"url":"http://h/a?sig=…","protocol":"ietf","interop":6,"evidence":"interim","is_resumable":true}"#,
        ),
        (
            Line::Progress {
                task: 7,
                moved: Moved::new(Kind::Uploads, PROGRESS),
            },
            r#"{"event":"progress","task":7,"sent_bytes":4,"acknowledged_bytes":3,"total_bytes":null}"#,
        ),
        (
            Line::Finished {
                about: about(),
                end: End::uploaded(&uploaded),
            },
            r#"{"event":"finished","task":7,"url":"http://h/a?sig=…","bytes":5,"status":201,"headers":{"etag":["\"x\""],"via":["a","b"]},"body":"made\n","body_is_cut":false}"#,
        ),
        (
            Line::Summary {
                totals: Totals::new(Kind::Uploads, TALLY),
                exit_code: 0,
                is_resumable: false,
            },
            r#"{"event":"summary","uploads":4,"finished":2,"failed":1,"acknowledged_bytes":9,"exit_code":0,"is_resumable":false}"#,
        ),
    ];
    for (line, expected) in table {
        assert_eq!(text(&line), expected);
    }
}

#[test]
fn an_answer_that_is_no_text_is_coded_and_one_at_the_limit_is_called_cut() {
    let uploaded = Uploaded {
        status: 200,
        bytes: 0,
        headers: Vec::new(),
        response: vec![0xff; RESPONSE_BODY_BYTES_MAX],
    };
    let line = Line::Finished {
        about: about(),
        end: End::uploaded(&uploaded),
    };
    let json = serde_json::to_value(&line).unwrap();
    let coded = json["body_base64"].as_str().unwrap();
    assert_eq!(BASE64_STANDARD.decode(coded).unwrap(), uploaded.response);
    assert_eq!(
        (&json["body"], &json["body_is_cut"]),
        (&serde_json::Value::Null, &true.into())
    );
}
