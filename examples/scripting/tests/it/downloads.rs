//! Downloads of scripts: each function of the document, with and without a restart.

use std::path::Path;

use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, MIB};

const CONTENT: Content = Content::new(31, 8 * MIB);

/// A server with the file, whose first answers are these and whose others are as they should be.
fn server(replies: impl IntoIterator<Item = Reply>) -> Server {
    let server = Server::start();
    server.serve("/file", Resource::new(CONTENT));
    server.script("/file", replies.into_iter().chain([Reply::normal()]));
    server
}

/// Slow enough that there is progress to tell.
fn paced() -> Reply {
    Reply::normal().bytes_per_second(16 * MIB)
}

#[test]
fn start_download_reports_progress_and_where_the_file_is() {
    let gate = Gate::new();
    let server = server([paced().hold_at(4 * MIB, &gate)]);
    let bench = Bench::new();
    let file = bench.text("file");
    let mut process = bench.start(
        Path::new("start_download.js"),
        &[&server.url("/file"), &file],
    );
    server.wait_for(|requests| requests.iter().any(|it| it.body_sent >= 4 * MIB));
    assert!(!bench.path("file").exists());
    gate.open();
    assert!(
        process
            .wait(crate::bench::PATIENCE)
            .unwrap()
            .unwrap()
            .success()
    );

    let stdout = process.stdout().unwrap();
    let mut lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines.pop(), Some("complete"));
    assert_eq!(lines.pop(), Some(format!("saved: {file}").as_str()));
    assert!(
        !lines.is_empty() && lines.iter().all(|line| line.ends_with(" %")),
        "{lines:?}"
    );
    CONTENT.verify_file(&bench.path("file")).unwrap();
    let request = &server.requests_for("/file")[0];
    assert_eq!(request.header("user-agent"), Some("scripting example"));
}

#[test]
fn a_download_that_failed_is_an_error_of_both_callbacks() {
    let server = server([Reply::status(404)]);
    let bench = Bench::new();
    let arguments = [server.url("/file"), bench.text("file")];
    let ended = bench.run_source(
        "const [url, destination] = Script.args;
         const task = BackgroundURLSession.startDownload({ url, destination });
         task.onFinishDownload = (error, info) => console.log(error instanceof Error, info);
         task.onComplete = (error) => console.log(error.message);",
        &[&arguments[0], &arguments[1]],
    );
    let lines = ended.lines();
    assert_eq!(lines[0], "true null");
    assert!(lines[1].contains("404"), "{lines:?}");
    assert!(!bench.path("file").exists());
}

#[test]
fn a_server_that_wants_credentials_makes_the_task_fail() {
    let challenge = Reply::status(401).header("WWW-Authenticate", "Basic realm=\"x\"");
    let server = server(vec![challenge; 3]);
    let bench = Bench::new();
    let ended = bench.run(
        "start_download.js",
        &[&server.url("/file"), &bench.text("file")],
    );
    assert!(ended.status.success());
    assert!(ended.stderr.contains("credentials"), "{ended:?}");
}

#[test]
fn a_killed_download_is_taken_back_and_goes_on_where_it_was() {
    let slow = Reply::normal().bytes_per_second(4 * MIB).stall_at(7 * MIB);
    let server = server([slow]);
    let bench = Bench::new();
    let arguments = [server.url("/file"), bench.text("file")];
    let script = Path::new("start_download.js");
    bench.kill_after(
        (&server, "/file", 4 * MIB),
        script,
        &[&arguments[0], &arguments[1]],
    );
    assert!(!bench.path("file").exists());

    let ended = bench.run("get_download_tasks.js", &[]);
    let saved = format!("URLSessionDownloadTask(1) saved: {}", arguments[1]);
    assert_eq!(
        ended.lines(),
        [
            "1 downloads",
            "URLSessionDownloadTask(1) is running",
            &saved,
            "URLSessionDownloadTask(1) complete",
        ]
    );
    CONTENT.verify_file(&bench.path("file")).unwrap();
    let requests = server.requests_for("/file");
    let (from, _) = requests.last().unwrap().range().unwrap();
    assert!(from >= MIB, "it went on at {from}");

    let ended = bench.run("get_download_tasks.js", &[]);
    assert_eq!(ended.lines(), ["0 downloads"]);
}

#[test]
fn an_end_that_a_killed_script_had_not_taken_care_of_is_told_to_the_next() {
    // The script is killed within the callback for the end.
    let server = server([]);
    server.script("/mark", [Reply::status(200).body("x").stall_at(0)]);
    let bench = Bench::new();
    let arguments = [server.url("/file"), bench.text("file"), server.url("/mark")];
    let script = bench.script(
        "const [url, destination, mark] = Script.args;
         const task = BackgroundURLSession.startDownload({ url, destination });
         task.onComplete = () => {
           BackgroundURLSession.startDownload({ url: mark, destination: `${destination}.mark` });
           for (;;) {}
         };",
    );
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    bench.kill_after((&server, "/mark", 0), &script, &texts);
    CONTENT.verify_file(&bench.path("file")).unwrap();

    let ended = bench.run_source(
        "const tasks = await BackgroundURLSession.getDownloadTasks();
         console.log(tasks.map((task) => task.state));
         tasks[0].onComplete = (error) => console.log('complete', error, tasks[0].state);
         tasks[1].cancel();",
        &[],
    );
    assert_eq!(
        ended.lines(),
        ["[\"completed\",\"running\"]", "complete null completed"]
    );
}

#[test]
fn a_suspended_download_waits_for_a_later_script_to_resume_it() {
    let gate = Gate::new();
    let server = server([paced().hold_at(4 * MIB, &gate)]);
    let bench = Bench::new();
    let arguments = [server.url("/file"), bench.text("file")];
    let ended = bench.run("suspend_download.js", &[&arguments[0], &arguments[1]]);
    assert_eq!(ended.lines(), ["URLSessionDownloadTask(1) is suspended"]);
    assert!(!bench.path("file").exists());

    let ended = bench.run("get_download_tasks.js", &[]);
    let lines = ended.lines();
    assert_eq!(lines[1], "URLSessionDownloadTask(1) is suspended");
    assert_eq!(lines[3], "URLSessionDownloadTask(1) complete");
    CONTENT.verify_file(&bench.path("file")).unwrap();
    let requests = server.requests_for("/file");
    assert!(requests[1].range().is_some(), "its bytes were lost");
}

#[test]
fn resume_data_goes_on_in_a_later_script_into_another_file_and_once() {
    let gate = Gate::new();
    let server = server([paced().hold_at(4 * MIB, &gate)]);
    let bench = Bench::new();
    let (url, first) = (server.url("/file"), bench.text("first"));
    let cancelled = bench.run("cancel_download.js", &[&url, &first]);
    let data = cancelled.lines()[0];

    let second = bench.text("second");
    let ended = bench.run("resume_download.js", &[data, &second]);
    assert_eq!(ended.lines(), [format!("saved: {second}")]);
    CONTENT.verify_file(&bench.path("second")).unwrap();
    assert!(!bench.path("first").exists());
    let requests = server.requests_for("/file");
    assert!(requests[1].range().is_some(), "its bytes were lost");

    let ended = bench.run("resume_download.js", &[data, &bench.text("third")]);
    assert!(ended.failure().contains("resume data"), "{ended:?}");
    assert!(!bench.path("third").exists());
}

#[test]
fn resume_data_goes_on_in_the_same_script_and_the_cancelled_task_hears_of_its_end() {
    let gate = Gate::new();
    let server = server([paced().hold_at(4 * MIB, &gate)]);
    let bench = Bench::new();
    let (url, file) = (server.url("/file"), bench.text("file"));
    let ended = bench.run_source(
        "const [url, destination] = Script.args;
         const task = BackgroundURLSession.startDownload({ url, destination });
         await new Promise((resolve) => (task.onProgress = resolve));
         const ended = new Promise((resolve) => (task.onComplete = resolve));
         const resumeData = await task.cancelByProducingResumeData();
         const error = await ended;
         console.log(error.message, error.resumeData.size === resumeData.size);
         const again = BackgroundURLSession.resumeDownload({ resumeData, destination });
         again.resume();
         again.onComplete = (error) => console.log(error, again.id !== task.id);",
        &[&url, &file],
    );
    assert_eq!(ended.lines(), ["the task was cancelled true", "null true"]);
    CONTENT.verify_file(&bench.path("file")).unwrap();
}
