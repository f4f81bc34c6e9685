//! What a delegate answers to a challenge, when that can not be sent.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use longhaul::{
    Challenge, Credentials, Delegate, Disposition, DownloadRequest, Outcome, Phase, Renewal, TaskId,
};
use longhaul_support::auth::Auth;
use longhaul_support::log::PATIENCE;
use longhaul_support::resource::Resource;
use longhaul_support::server::Server;

use super::{CONTENT, PATH};
use crate::bench::{Bench, SECRET};
use crate::face::{block_on, open};

/// Answers every challenge with a field that only the engine may set.
struct Careless(Sender<TaskId>);

impl Delegate for Careless {
    fn did_receive_challenge(&self, task: TaskId, _: &Challenge) -> Disposition {
        // The test may have heard enough.
        let _ = self.0.send(task);
        let headers = vec![("Range".to_owned(), "bytes=5-".to_owned())];
        Disposition::UseCredential(Renewal::default().with_headers(headers))
    }
}

#[test]
fn an_answer_with_a_field_that_only_the_engine_may_set_is_not_taken_and_the_task_waits_on() {
    let (bench, server) = (Bench::new(), Server::start());
    server.serve(
        PATH,
        Resource::new(CONTENT).protected_by(Auth::bearer(SECRET)),
    );
    let (told, heard) = channel();
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let guard = session
            .set_delegate(Arc::new(Careless(told)))
            .await
            .unwrap();
        let request = DownloadRequest::new(&server.url(PATH), bench.file("a")).unwrap();
        let task = session.start_download(request).await.unwrap();
        assert_eq!(heard.recv_timeout(PATIENCE), Ok(task.id()));
        guard.detach().await;
        assert_eq!(
            task.snapshot().await.unwrap().phase,
            Phase::AwaitingAuthorization
        );
        assert_eq!(server.requests().len(), 1, "nothing was sent again");

        let good = Renewal::default().with_credentials(Credentials::bearer(SECRET));
        let good = Disposition::UseCredential(good);
        task.answer_challenge(good).await.unwrap();
        let outcome = task.finished().await.unwrap();
        assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
        let has_range = |seen: &longhaul_support::log::Request| seen.header("range").is_some();
        assert!(!server.requests().iter().any(has_range));
        engine.shutdown().await;
    });
}
