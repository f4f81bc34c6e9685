//! Uploads of scripts: each function of the document, with and without a restart.

use std::path::Path;

use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::log::Request;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, MIB};

/// So small that no server is asked what it supports before it is sent.
const CONTENT: Content = Content::new(47, MIB - 7);

/// A server with these answers, and a file to be sent to it.
fn inbox(bench: &Bench, replies: impl IntoIterator<Item = Reply>) -> Server {
    let server = Server::start();
    server.script("/inbox", replies);
    CONTENT.write_file(&bench.path("file")).unwrap();
    server
}

fn is_whole(request: &Request) -> bool {
    *request.body == CONTENT.bytes(0..CONTENT.len())
}

#[test]
fn start_upload_posts_or_does_as_it_is_told_and_hears_of_the_end() {
    for (method, expected) in [(None, "POST"), (Some("PUT"), "PUT")] {
        let bench = Bench::new();
        let server = inbox(&bench, [Reply::status(201)]);
        let (url, file) = (server.url("/inbox"), bench.text("file"));
        let arguments: Vec<&str> = [file.as_str(), &url].into_iter().chain(method).collect();
        let ended = bench.run("start_upload.js", &arguments);
        assert_eq!(ended.lines().pop(), Some("complete"));
        let requests = server.requests();
        assert_eq!((requests.len(), requests[0].method.as_str()), (1, expected));
        assert!(is_whole(&requests[0]));
        let kind = requests[0].header("content-type");
        assert_eq!(kind, Some("application/octet-stream"));
        assert_eq!(bench.run("get_upload_tasks.js", &[]).lines(), ["0 uploads"]);
    }
}

#[test]
fn an_upload_that_failed_is_an_error_of_the_callback() {
    let bench = Bench::new();
    let challenge = Reply::status(401).header("WWW-Authenticate", "Basic realm=\"x\"");
    for (reply, expected) in [(Reply::status(413), "413"), (challenge, "cancelled")] {
        let server = inbox(&bench, [reply]);
        let (url, file) = (server.url("/inbox"), bench.text("file"));
        let ended = bench.run("start_upload.js", &[&file, &url]);
        assert!(ended.status.success(), "{ended:?}");
        assert!(ended.stderr.contains("failed: Error"), "{ended:?}");
        assert!(ended.stderr.contains(expected), "{ended:?}");
    }
}

#[test]
fn a_killed_upload_is_taken_back_and_sent_again() {
    let bench = Bench::new();
    let never = Gate::new();
    let unanswered = Reply::status(201).hold_head(&never);
    let server = inbox(&bench, [unanswered, Reply::status(201)]);
    let (url, file) = (server.url("/inbox"), bench.text("file"));
    let mut process = bench.start(Path::new("start_upload.js"), &[&file, &url]);
    server.wait_for(|requests| requests.iter().any(is_whole));
    assert!(process.kill().unwrap().code().is_none());

    let ended = bench.run("get_upload_tasks.js", &[]);
    assert_eq!(
        ended.lines(),
        [
            "1 uploads",
            "URLSessionUploadTask(1) is running",
            "URLSessionUploadTask(1) complete",
        ]
    );
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(is_whole(&requests[1]));
    let ended = bench.run_source(
        "console.log((await BackgroundURLSession.getDownloadTasks()).length)",
        &[],
    );
    assert_eq!(ended.lines(), ["0"]);
}

#[test]
fn resume_upload_sends_the_file_of_a_failed_task_again() {
    for (replies, expected) in [
        (vec![Reply::status(201)], "complete"),
        (
            vec![Reply::status(413), Reply::status(201)],
            "complete at last",
        ),
        (vec![Reply::status(413), Reply::status(413)], "failed again"),
    ] {
        let bench = Bench::new();
        let requests = replies.len();
        let server = inbox(&bench, replies);
        let (url, file) = (server.url("/inbox"), bench.text("file"));
        let ended = bench.run("resume_upload.js", &[&file, &url]);
        assert_eq!(ended.lines(), [expected]);
        assert_eq!(server.requests().len(), requests);
        assert!(is_whole(server.requests().last().unwrap()));
    }
}

#[test]
fn a_suspended_upload_waits_for_a_later_script_to_resume_it() {
    let bench = Bench::new();
    let never = Gate::new();
    let server = inbox(&bench, [Reply::status(201).hold_head(&never)]);
    let (url, file) = (server.url("/inbox"), bench.text("file"));
    let ended = bench.run_source(
        "const [filePath, toURL] = Script.args;
         const task = BackgroundURLSession.startUpload({ filePath, toURL });
         task.suspend();
         console.log(task.state);",
        &[&file, &url],
    );
    assert_eq!(ended.lines(), ["suspended"]);
    server.script("/inbox", [Reply::status(201)]);

    let ended = bench.run("get_upload_tasks.js", &[]);
    let lines = ended.lines();
    assert_eq!(lines[1], "URLSessionUploadTask(1) is suspended");
    assert_eq!(lines[2], "URLSessionUploadTask(1) complete");
    assert!(is_whole(server.requests().last().unwrap()));
}
