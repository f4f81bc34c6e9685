//! What a script finds around it, and what becomes of its mistakes.

use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::server::Server;

use crate::bench::Bench;

#[test]
fn a_script_finds_its_surroundings() {
    let table = [
        ("console.log(Script.env)", "index"),
        ("console.log(Script.args)", "[\"a\",\"b c\"]"),
        (
            "console.log(1, 'two', [3], { four: 5 }, null, undefined)",
            "1 two [3] {\"four\":5} null undefined",
        ),
        ("console.log(new TypeError('no'))", "TypeError: no"),
        ("console.log(await Promise.resolve(1))", "1"),
        (
            "console.log((await BackgroundURLSession.getDownloadTasks()).length)",
            "0",
        ),
        (
            "setTimeout((a) => console.log('later', a), 1, 2); console.log('now')",
            "now\nlater 2",
        ),
        (
            "clearTimeout(setTimeout(() => console.log('never'), 3600_000))",
            "",
        ),
        (
            "const data = Data.fromBase64String('AAEC'); console.log(data, data.size)",
            "Data(3 bytes) 3",
        ),
        (
            "console.log(Data.fromBase64String('AAEC').toBase64String())",
            "AAEC",
        ),
    ];
    let bench = Bench::new();
    for (script, expected) in table {
        let ended = bench.run_source(script, &["a", "b c"]);
        assert_eq!(ended.lines().join("\n"), expected, "{script}");
    }
}

#[test]
fn what_a_script_does_not_catch_is_told_and_is_a_failure() {
    let table = [
        ("throw new Error('top')", "Error: top"),
        ("Promise.reject(new Error('rejected'))", "Error: rejected"),
        (
            "setTimeout(() => { throw new Error('in a callback') })",
            "Error: in a callback",
        ),
        (
            "setTimeout(async () => { throw new Error('awaited') })",
            "Error: awaited",
        ),
        (
            "await new Promise(() => {})",
            "waits for something that can not come",
        ),
        ("const", "SyntaxError"),
        (
            "BackgroundURLSession.startDownload()",
            "needs an object of options",
        ),
        (
            "BackgroundURLSession.startDownload({ url: 'http://x/' })",
            "needs the string \"destination\"",
        ),
        (
            "BackgroundURLSession.startDownload({ url: 'ftp://x/', destination: 'a' })",
            "http",
        ),
        (
            "BackgroundURLSession.startDownload({ url: 'http://x/', destination: 'a', headers: { Range: 'bytes=0-' } })",
            "Range",
        ),
        (
            "BackgroundURLSession.startDownload({ url: 'http://x/', destination: 'a', notifyOnFinished: 'yes' })",
            "needs \"notifyOnFinished\"",
        ),
        (
            "BackgroundURLSession.resumeDownload({ destination: 'a', resumeData: 'AA' })",
            "needs the Data",
        ),
        (
            "BackgroundURLSession.resumeDownload({ destination: 'a', resumeData: Data.fromBase64String('AA==') })",
            "resume data",
        ),
        (
            "BackgroundURLSession.startUpload({ filePath: 'a' })",
            "needs the string \"toURL\"",
        ),
        (
            "BackgroundURLSession.startUpload({ filePath: 'a', toURL: 'http://x/', method: 'GET' })",
            "method",
        ),
        (
            "BackgroundURLSession.startUpload({ filePath: 'a', toURL: 'http://x/', method: 5 })",
            "\"method\"",
        ),
        ("BackgroundURLSession.resumeUpload({})", "needs the Data"),
        (
            "BackgroundURLSession.resumeUpload({ resumeData: Data.fromBase64String('AA==') })",
            "resume data",
        ),
    ];
    let bench = Bench::new();
    for (script, expected) in table {
        let ended = bench.run_source(script, &[]);
        assert!(ended.failure().contains(expected), "{script}: {ended:?}");
    }
}

#[test]
fn what_is_caught_is_no_failure() {
    let bench = Bench::new();
    let ended = bench.run_source(
        "try { BackgroundURLSession.startDownload({}) } catch (error) { console.log('caught') }
         const rejected = Promise.reject(new Error('late'));
         await rejected.catch((error) => console.log(error.message));",
        &[],
    );
    assert_eq!(ended.lines(), ["caught", "late"]);
}

#[test]
fn a_callback_that_throws_harms_no_other() {
    let content = Content::new(5, 1000);
    let server = Server::start();
    server.serve("/file", Resource::new(content));
    let bench = Bench::new();
    let ended = bench.run_source(
        "const [url, destination] = Script.args;
         const task = BackgroundURLSession.startDownload({ url, destination });
         task.onFinishDownload = () => { throw new Error('mine') };
         task.onComplete = (error) => console.log('complete', error);",
        &[&server.url("/file"), &bench.text("file")],
    );
    assert!(ended.failure().contains("Error: mine"));
    assert_eq!(ended.stdout, "complete null\n");
    content.verify_file(&bench.path("file")).unwrap();
}

#[test]
fn a_callback_that_is_set_after_the_end_is_called_and_the_same_task_is_the_same_object() {
    let server = Server::start();
    server.serve("/file", Resource::new(Content::new(5, 1000)));
    let bench = Bench::new();
    let ended = bench.run_source(
        "const [url, destination] = Script.args;
         const task = BackgroundURLSession.startDownload({ url, destination });
         const [same] = await BackgroundURLSession.getDownloadTasks();
         console.log(same === task, task.onComplete);
         await new Promise((resolve) => (task.onComplete = resolve));
         console.log(task.state);
         const info = await new Promise((resolve) => (task.onFinishDownload = (_, info) => resolve(info)));
         console.log(info.destination === destination);
         task.suspend(); task.resume(); task.cancel();
         console.log(await task.cancelByProducingResumeData(), task.state);",
        &[&server.url("/file"), &bench.text("file")],
    );
    assert_eq!(
        ended.lines(),
        ["true undefined", "completed", "true", "null completed"]
    );
}
