//! Uploads: of files, told of as they go, and what their resume data is worth.

use std::fs;

use longhaul::{
    AnyTask, Credentials, Disposition, Error, FailureKind, Outcome, Renewal, ResumeData,
    ResumeDataError, Session, UploadProtocol, UploadRequest,
};
use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::script::Reply;

use super::super::stage::{
    CONTENT, Stage, Told, Witness, attend, completed, configuration, failure,
};
use crate::bench::{MIB, SECRET, next_end, run};

const INBOX: &str = "/inbox";

/// A server whose inbox gives these answers, and the request that sends the file to it.
fn outgoing(replies: impl IntoIterator<Item = Reply>) -> (Stage, UploadRequest) {
    let stage = Stage::new();
    stage.server.script(INBOX, replies);
    CONTENT.write_file(&stage.bench.file("f")).unwrap();
    let url = stage.server.url(INBOX);
    let request = UploadRequest::new(&url, stage.bench.file("f")).unwrap();
    let request = request.protocol(UploadProtocol::Plain).unwrap();
    (stage, request)
}

fn is_uploaded(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Uploaded(_))
}

/// Resume data of an upload that its server has not answered.
async fn left(stage: &Stage, session: &Session, request: UploadRequest) -> ResumeData {
    let task = session.start_upload(request).await.unwrap();
    let length = CONTENT.len();
    stage
        .server
        .wait_for(|requests| requests.iter().any(|it| it.body_received == length));
    let data = task.cancel_by_producing_resume_data().await.unwrap();
    data.expect("its file is known")
}

/// Foundation, NSURLSession.h: URLSession:task:didSendBodyData:totalBytesSent:totalBytesExpectedToSend:.
#[test]
fn an_upload_is_told_of_in_the_order_of_foundation() {
    let (stage, request) = outgoing([Reply::status(201)]);
    run(async {
        let (engine, session) = stage.open().await;
        session.set_rate_limit(Some(8 * MIB)).await.unwrap();
        let (witness, heard) = Witness::new();
        let guard = attend(&session, witness).await;
        let task = session.start_upload(request).await.unwrap().id();
        let told = heard.until_told(&Told::AllFinished);
        guard.detach().await;
        engine.shutdown().await;
        let place = |told: &Told| match told {
            Told::Sent(of, progress) => {
                assert_eq!((*of, progress.total_bytes), (task, Some(CONTENT.len())));
                assert!((1..=CONTENT.len()).contains(&progress.sent_bytes));
                0
            }
            Told::Measured(..) => 1,
            Told::Completed(_, outcome) if is_uploaded(outcome) => 2,
            Told::AllFinished => 3,
            other => panic!("{other:?}"),
        };
        let mut places: Vec<_> = told.iter().map(place).collect();
        assert!(places.is_sorted(), "{told:?}");
        places.dedup();
        assert_eq!(places, [0, 1, 2, 3], "{told:?}");
    });
}

/// swift-corelibs-foundation, test_simpleUploadWithDelegate.
#[test]
fn a_file_is_sent_byte_for_byte_and_its_end_tells_how_many_these_were() {
    let (stage, request) = outgoing([Reply::status(200).body("thanks")]);
    run(async {
        let (engine, session) = stage.open().await;
        let request = request.method("PUT").unwrap();
        let outcome = session.start_upload(request).await.unwrap().await.unwrap();
        let Outcome::Uploaded(uploaded) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!((uploaded.status, uploaded.bytes), (200, CONTENT.len()));
        assert_eq!(uploaded.response, b"thanks");
        engine.shutdown().await;
    });
    let sent = stage.server.requests().remove(0);
    assert_eq!(sent.method, "PUT");
    assert_eq!(*sent.body, CONTENT.bytes(0..CONTENT.len()));
}

/// swift-corelibs-foundation, test_postWithEmptyBody.
#[test]
fn an_empty_file_has_a_length_and_no_type_that_nobody_gave_it() {
    let (stage, request) = outgoing([Reply::status(201)]);
    fs::write(stage.bench.file("f"), "").unwrap();
    run(async {
        let (engine, session) = stage.open().await;
        let outcome = session.start_upload(request).await.unwrap().await.unwrap();
        assert!(is_uploaded(&outcome), "{outcome:?}");
        engine.shutdown().await;
    });
    let sent = stage.server.requests().remove(0);
    assert_eq!(sent.header("content-length"), Some("0"));
    assert_eq!(sent.header("content-type"), None);
}

/// Foundation, NSURLSession.h: getAllTasksWithCompletionHandler, on tasks of both kinds.
#[test]
fn uploads_and_downloads_are_found_together() {
    let (stage, request) = outgoing([Reply::status(201)]);
    run(async {
        let (engine, session) = stage.open().await;
        let upload = session.upload_task(request).await.unwrap().id();
        let download = session
            .download_task(stage.request("a"))
            .await
            .unwrap()
            .id();
        let tasks = session.get_all_tasks().await.unwrap();
        let kinds = tasks.iter().map(|task| match task {
            AnyTask::Upload(task) => (true, task.id()),
            AnyTask::Download(task) => (false, task.id()),
            other => panic!("{other:?}"),
        });
        assert!(kinds.eq([(true, upload), (false, download)]));
        engine.shutdown().await;
    });
}

/// Foundation, NSURLSession.h: URLSession:task:didReceiveChallenge:, for an upload.
#[test]
fn an_upload_whose_challenge_is_answered_is_sent() {
    let asks = Reply::status(401).header("WWW-Authenticate", "Bearer");
    let (stage, request) = outgoing([asks, Reply::status(201)]);
    run(async {
        let (engine, session) = stage.open().await;
        let (witness, heard) = Witness::new();
        let witness = witness.answering(|| {
            let token = Credentials::bearer(SECRET);
            Disposition::UseCredential(Renewal::default().with_credentials(token))
        });
        let guard = attend(&session, witness).await;
        session.start_upload(request).await.unwrap();
        let told = heard.until_told(&Told::AllFinished);
        assert!(matches!(&told[0], Told::Challenged(_, asked) if asked.status == 401));
        assert!(is_uploaded(completed(&told)[0].1), "{told:?}");
        guard.detach().await;
        engine.shutdown().await;
    });
}

/// Foundation, NSURLSession.h: countOfRequestBodyBytesSent.
#[test]
fn the_bytes_of_an_upload_are_counted_for_each_request() {
    let (stage, request) = outgoing([Reply::redirect(307, "/moved")]);
    stage.server.script("/moved", [Reply::status(201)]);
    run(async {
        let (engine, session) = stage.open().await;
        let mut events = session.events().await.unwrap();
        session.start_upload(request).await.unwrap();
        let (_, metrics) = next_end(&mut events).await;
        assert_eq!(metrics.redirect_count, 1);
        let last = metrics.transactions.last().unwrap();
        assert_eq!(last.request_body_bytes, CONTENT.len());
        assert_eq!(last.status, Some(201));
        engine.shutdown().await;
    });
}

/// Apple, uploadTask(withResumeData:).
#[test]
fn an_upload_goes_on_with_its_resume_data_and_sends_the_same_file() {
    let gate = Gate::new();
    let held = Reply::status(201).hold_head(&gate);
    let (stage, request) = outgoing([held, Reply::status(201)]);
    run(async {
        let (engine, session) = stage.open().await;
        // Foundation sends a POST again whose answer was lost; here its owner must say so.
        let data = left(&stage, &session, request.repeatable()).await;
        let task = session.resume_upload(data).await.unwrap();
        assert_eq!(task.source(), stage.bench.file("f"));
        assert!(is_uploaded(&task.finished().await.unwrap()));
        engine.shutdown().await;
    });
    let last = stage.server.requests().pop().unwrap();
    assert_eq!(*last.body, CONTENT.bytes(0..CONTENT.len()));
}

/// Apple, uploadTask(withResumeData:): the file must still exist and be unmodified.
#[test]
fn resume_data_of_an_upload_whose_file_is_gone_or_another_is_refused() {
    const OTHER: Content = Content::new(905, 2 * MIB + 7);
    let gate = Gate::new();
    let held = || Reply::status(201).hold_head(&gate);
    let (stage, request) = outgoing([held(), held()]);
    let file = stage.bench.file("f");
    run(async {
        let (engine, session) = stage.open().await;
        let data = left(&stage, &session, request).await;
        let stale = Error::ResumeData(ResumeDataError::Stale(file.clone()));
        fs::remove_file(&file).unwrap();
        let refused = session.resume_upload(data.clone()).await;
        assert_eq!(refused.unwrap_err(), stale, "it is gone");
        OTHER.write_file(&file).unwrap();
        let refused = session.resume_upload(data).await;
        assert_eq!(refused.unwrap_err(), stale, "it is another");
        engine.shutdown().await;
    });
}

/// Apple, uploadTask(withResumeData:): nil when the resume data is invalid.
#[test]
fn resume_data_of_a_download_is_none_of_an_upload() {
    let gate = Gate::new();
    let held = Reply::status(201).hold_head(&gate);
    let (stage, request) = outgoing([held]);
    run(async {
        let (engine, session) = stage.open().await;
        let none = ResumeData::from_bytes(b"not resume data".to_vec()).unwrap();
        let refused = session.resume_upload(none).await.unwrap_err();
        assert_eq!(refused, Error::ResumeData(ResumeDataError::NotResumeData));
        let data = left(&stage, &session, request).await;
        let refused = session.resume_download(data, stage.bench.file("b")).await;
        let expected = Error::ResumeData(ResumeDataError::OfAnUpload);
        assert_eq!(refused.unwrap_err(), expected);
        engine.shutdown().await;
    });
}

/// Apple, URLError.uploadTaskResumeData.
#[test]
fn an_upload_that_fails_has_resume_data_in_its_failure() {
    let (stage, request) = outgoing([Reply::status(413), Reply::status(201)]);
    run(async {
        let configuration = configuration().resume_data_on_failure(true);
        let (engine, session) = stage.open_as(configuration).await;
        let outcome = session.start_upload(request).await.unwrap().await.unwrap();
        let failure = failure(&outcome);
        assert_eq!(failure.kind(), FailureKind::Status(413));
        let data = failure.resume_data().cloned().expect("its file is known");
        let task = session.resume_upload(data).await.unwrap();
        assert!(is_uploaded(&task.finished().await.unwrap()));
        engine.shutdown().await;
    });
}
