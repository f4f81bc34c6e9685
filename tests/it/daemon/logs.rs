//! What the daemon logs: within spans of stable names, and never a secret.

use longhaul::{DownloadRequest, Engine, Outcome, SessionConfiguration};
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::server::Server;

use super::stage::Stage;
use crate::bench::{MIB, SECRET, run};

const PATH: &str = "/a.bin";
const CONTENT: Content = Content::new(313, MIB);

#[test]
fn logs_name_the_session_and_the_task_and_hold_no_secret() {
    let (server, stage) = (Server::start(), Stage::new());
    server.serve(PATH, Resource::new(CONTENT));
    let daemon = stage.start_with(&["-vvv"]);
    run(async {
        let connecting = Engine::connector().socket(&daemon.socket).connect();
        let engine = connecting.await.unwrap();
        let configuration = SessionConfiguration::new("logged").unwrap();
        let configuration = configuration.header("X-Session", SECRET).unwrap();
        let session = engine.session(configuration).await.unwrap();
        let url = format!("{}?signature={SECRET}", server.url(PATH));
        let request = DownloadRequest::new(&url, stage.bench.file("a.bin")).unwrap();
        let request = request.header("X-Task", SECRET).unwrap();
        let task = session.start_download(request.credentials("u", SECRET));
        let ended = task.await.unwrap().finished().await.unwrap();
        assert!(matches!(ended, Outcome::Finished(_)), "{ended:?}");
        engine.shutdown().await;
    });
    let ended = daemon.end(&stage, "TERM");
    for span in [
        "request{call=\"OpenSession\"",
        "transfer{session=logged task=1}",
    ] {
        assert!(ended.stderr.contains(span), "{span}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
}
