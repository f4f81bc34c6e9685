//! Documents that are no good, and what is never shown.

use longhaul_engine::control::{
    AdjustTask, AnswerChallenge, AtRoot, AtTask, DecideBegin, GetSession, GetTask, IsDrained,
    ListSessions, ListTasks, ResumeTask, SetConditions, SetDesired, SetEngineRateLimit,
    SetSessionRateLimit, WaitForEnd,
};
use longhaul_engine::launch::LaunchCommand;

use super::*;
use crate::blocking::block_on;

const DOWNLOAD: &str = r#"{"requests":[{"request":{"kind":"download","url":"https://h/a",
    "destination":{"kind":"file","value":"/t/a"}}}]}"#;
const UPLOAD: &str = r#"{"requests":[{"request":{"kind":"upload","url":"https://h/a",
    "source":"/t/a"}}]}"#;

/// A good document with one part of it made a bad one.
fn broken(good: &str, part: &str, bad: &str) -> String {
    assert!(good.contains(part), "{part} is not in {good}");
    good.replacen(part, bad, 1)
}

fn bad_downloads() -> Vec<String> {
    let option = |text: &str| broken(DOWNLOAD, r#""kind":"download","#, text);
    let with = |member: &str| option(&format!(r#""kind":"download",{member},"#));
    vec![
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        r#"{"requests":3}"#.to_owned(),
        broken(DOWNLOAD, "https://h/a", "ftp://h/a"),
        broken(DOWNLOAD, "https://h/a", ""),
        broken(DOWNLOAD, "/t/a", "t/a"),
        broken(DOWNLOAD, "/t/a", "/"),
        broken(DOWNLOAD, "/t/a", "/t/\\u0000"),
        broken(
            DOWNLOAD,
            r#""kind":"file","value":"/t/a""#,
            r#""kind":"directory","value":"t""#,
        ),
        with(r#""connections":0"#),
        with(r#""connections":17"#),
        with(r#""headers":[["Range","bytes=0-"]]"#),
        with(r#""headers":[["X","a\r\nY: b"]]"#),
        with(r#""digests":["sha-256=00"]"#),
        with(r#""options":{"rate_limit_bytes":0}"#),
        with(r#""options":{"challenge_statuses":[401]}"#),
        with(r#""options":{"notify_on_finished":{"success":"","failure":"f"}}"#),
        with(&format!(
            r#""options":{{"description":"{}"}}"#,
            "x".repeat(4097)
        )),
        broken(DOWNLOAD, "}}}]}", r#"}},"desired":"cancelled"}]}"#),
    ]
}

fn bad_uploads() -> Vec<String> {
    let with = |member: &str| {
        let text = format!(r#""kind":"upload",{member},"#);
        broken(UPLOAD, r#""kind":"upload","#, &text)
    };
    vec![
        broken(UPLOAD, "/t/a", "a"),
        with(r#""method":"GET""#),
        with(r#""method":"PUT / HTTP/1.1\r\nA: b""#),
        with(r#""protocol":{"kind":"ietf","interop":2}"#),
        with(r#""protocol":{"kind":"auto"},"place":"https://h/files/1""#),
        with(r#""metadata":[["a b","c"]]"#),
        with(r#""metadata":[["a","b"],["a","c"]]"#),
        with(&format!(r#""metadata":[["a","{}"]]"#, "x".repeat(4096))),
        with(r#""headers":[["Content-Length","5"]]"#),
    ]
}

fn bad_rules() -> Vec<String> {
    let rules = |text: &str| format!(r#"{{"rules":{{{text}}}}}"#);
    let proxy = |host: &str, port: u32| {
        rules(&format!(
            r#""proxy":{{"kind":"http","host":"{host}","port":{port}}}"#
        ))
    };
    vec![
        rules(r#""timeout_for_request_ms":0"#),
        rules(r#""timeout_for_resource_ms":18446744073709551615"#),
        rules(r#""timeout_for_connect_ms":0"#),
        rules(r#""retry_base_ms":2,"retry_cap_ms":1"#),
        rules(r#""redirects_max":21"#),
        rules(r#""tasks_max":0"#),
        rules(r#""tasks_per_host_max":257"#),
        rules(r#""ca_certificates_pem":"bm8=""#),
        rules(r#""rate_limit_bytes":0"#),
        rules(r#""user_agent":"a\nb""#),
        rules(r#""headers":[["Host","h"]]"#),
        rules(
            r#""credentials":[{"origin":"https://h/a","credentials":{"kind":"bearer","value":"t"}}]"#,
        ),
        rules(r#""launch_command":{"argv":[],"cwd":"/"}"#),
        rules(r#""launch_command":{"argv":["a"],"cwd":"b"}"#),
        proxy("a/b", 1),
        proxy("u@h", 1),
        proxy("h:1", 1),
        proxy("h#", 1),
        proxy("", 1),
        proxy("h", 0),
        DOWNLOAD.replace("/t/a", "t/a"),
    ]
}

/// Asserts that a call is refused with 400, and says the next step without repeating a secret.
async fn refused<C: Call>(stage: &Stage, at: &C::At, sent: &str) {
    let path = at.fill(C::PATH);
    let problem = match stage.ask_raw::<C>(&path, sent.as_bytes()).await {
        Err(problem) => problem,
        Ok(answer) => panic!("{} {sent}: {answer:?}", C::NAME),
    };
    let text = problem.to_string();
    assert_eq!(problem.status(), 400, "{} {sent}: {text}", C::NAME);
    assert!(
        text.contains(';'),
        "{} {sent}: {text} names no next step",
        C::NAME
    );
    assert!(!text.contains("hush"), "{}: {text}", C::NAME);
}

#[test]
fn bad_documents_are_refused_with_the_next_step_and_change_nothing() {
    block_on(async {
        let stage = Stage::new();
        let app = stage.app(11).await;
        stage.open(&app, "s").await.unwrap();
        let (session, task) = (AtSession(id("s")), AtTask(id("s"), TaskId::new(1)));
        for text in bad_downloads().iter().chain(&bad_uploads()) {
            let text = text.replace('\n', " ");
            refused::<StartTasks>(&stage, &session, &text).await;
        }
        for text in bad_rules() {
            let at = AtClientSession(app.id.clone(), id("new"));
            refused::<OpenSession>(&stage, &at, &text.replace('\n', " ")).await;
        }
        let at = longhaul_engine::control::AtClient(app.id.clone());
        refused::<WaitForEnd>(&stage, &at, r#"{"wait":"hush","session":"s","task":1}"#).await;
        refused::<SetEngineRateLimit>(&stage, &AtRoot, r#"{"bytes_per_second":0}"#).await;
        refused::<SetSessionRateLimit>(&stage, &session, r#"{"bytes_per_second":0}"#).await;
        refused::<SetConditions>(&stage, &AtRoot, r#"{"conditions":{"is_online":"hush"}}"#).await;
        refused::<IsDrained>(&stage, &session, "heard=x").await;
        refused::<IsDrained>(&stage, &session, "").await;
        refused::<SetDesired>(&stage, &task, r#"{"desired":"more"}"#).await;
        let adjustment = r#"{"adjustment":{"kind":"rate_limit","value":0}}"#;
        refused::<AdjustTask>(&stage, &task, adjustment).await;
        let resumed = r#"{"data":"AA==","anew":{"kind":"download","destination":"a"}}"#;
        refused::<ResumeTask>(&stage, &session, resumed).await;
        let headers = r#"[["Range","hush"]]"#;
        let renewal =
            format!(r#"{{"disposition":{{"kind":"use_credential","headers":{headers}}}}}"#);
        refused::<AnswerChallenge>(&stage, &task, &renewal).await;
        let decision = format!(
            r#"{{"decision":{{"kind":"use_new_request","url":"https://h/a","headers":{headers}}}}}"#
        );
        refused::<DecideBegin>(&stage, &task, &decision).await;
        assert_eq!(stage.ask(session, ListTasks {}).await, Ok(Vec::new()));
        assert_eq!(stage.ask(AtRoot, ListSessions {}).await.unwrap().len(), 1);
        assert_eq!(stage.control.counts().sessions, 1);
    });
}

#[test]
fn paths_that_name_nothing_are_told_so() {
    block_on(async {
        let stage = Stage::new();
        let raw = stage
            .ask_raw::<GetTask>("/v1/sessions/s/tasks/x", b"")
            .await;
        assert_eq!(raw.unwrap_err().status(), 400);
        let raw = stage.ask_raw::<GetSession>("/v1/sessions/%00", b"").await;
        assert_eq!(raw.unwrap_err().status(), 400);
        let none = stage.ask(AtSession(id("s")), GetSession {}).await;
        assert_eq!(none, Err(Problem::NoSuchSession { session: id("s") }));
        let app = stage.app(1).await;
        stage.open(&app, "s").await.unwrap();
        let task = TaskId::new(9);
        let none = stage.ask(AtTask(id("s"), task), GetTask {}).await;
        assert_eq!(none, Err(Problem::NoSuchTask { task }));
        let missing = id("t");
        let events = stage.control.events(&missing, EventsQuery::default());
        let none = events.await.map(|_| ()).unwrap_err();
        assert_eq!(none, Problem::NoSuchSession { session: id("t") });
    });
}

#[test]
fn a_document_by_hand_needs_no_more_than_what_has_no_default() {
    block_on(async {
        let stage = Stage::new();
        let app = stage.app(11).await;
        let path = AtClientSession(app.id.clone(), id("s")).fill(OpenSession::PATH);
        stage.ask_raw::<OpenSession>(&path, b"").await.unwrap();
        let path = AtSession(id("s")).fill(StartTasks::PATH);
        for (text, target) in [(DOWNLOAD, "download"), (UPLOAD, "upload")] {
            let file = stage.dir.path().join(target);
            let text = text
                .replace('\n', " ")
                .replace("/t/a", &file.display().to_string());
            let text = broken(&text, "}]}", r#","desired":"suspended"}]}"#);
            let made = stage
                .ask_raw::<StartTasks>(&path, text.as_bytes())
                .await
                .unwrap();
            let made: Vec<StartDocument> = serde_json::from_slice(&made).unwrap();
            assert!(
                matches!(made.as_slice(), [StartDocument::Task(_)]),
                "{made:?}"
            );
        }
        let tasks = stage.ask(AtSession(id("s")), ListTasks {}).await.unwrap();
        let [_, upload] = tasks.as_slice() else {
            panic!("{tasks:?}");
        };
        let Spec::Upload(spec) = &upload.request else {
            panic!("{upload:?}");
        };
        let named = ("filename".to_owned(), "upload".to_owned());
        assert_eq!(
            (spec.method.as_str(), &spec.metadata),
            ("POST", &vec![named])
        );
    });
}

#[test]
fn answers_hold_no_secret() {
    block_on(async {
        let stage = Stage::new();
        let app = stage.app(11).await;
        let command = LaunchCommand::new(["app"], "/").and_then(|it| it.variable("KEY", "hush"));
        let rules = SessionRules {
            launch_command: Some(command.unwrap()),
            headers: vec![("Authorization".to_owned(), "hush".to_owned())],
            ..SessionRules::default()
        };
        stage.open_with(&app, "s", opening(rules)).await.unwrap();
        let url = "https://user:hush@h/a";
        let download = DownloadRequest::new(url, stage.dir.path().join("a"))
            .and_then(|it| it.header("Cookie", "hush"))
            .unwrap();
        let upload = crate::UploadRequest::new(url, stage.dir.path().join("b"))
            .and_then(|it| it.header("Cookie", "hush"))
            .and_then(|it| it.upload_url("https://h/hush", crate::UploadProtocol::Tus))
            .unwrap();
        let specs = [Spec::Download(download.spec), Spec::Upload(upload.spec)];
        for request in specs {
            let request = RequestDocument {
                request,
                adopts: false,
                desired: Desired::Suspended,
            };
            let task = stage.start("s", request).await;
            let path = AtTask(id("s"), task).fill(GetTask::PATH);
            let shown = stage.ask_raw::<GetTask>(&path, b"").await.unwrap();
            assert!(!String::from_utf8(shown).unwrap().contains("hush"));
        }
        let path = AtSession(id("s")).fill(ListTasks::PATH);
        let shown = stage.ask_raw::<ListTasks>(&path, b"").await.unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert!(
            shown.contains("Cookie") && !shown.contains("hush"),
            "{shown}"
        );
        let shown = stage
            .ask_raw::<ListSessions>("/v1/sessions", b"")
            .await
            .unwrap();
        let shown = String::from_utf8(shown).unwrap();
        assert!(shown.contains("KEY") && !shown.contains("hush"), "{shown}");
    });
}
