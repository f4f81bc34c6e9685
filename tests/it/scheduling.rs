//! When and how fast tasks run, as an app decides it through the library.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use longhaul::{
    ConditionReporter, ConditionSource, Conditions, Constraint, DelayedRequest, DownloadRequest,
    DownloadTask, Engine, Outcome, Phase, QueueReason, Session, SessionConfiguration,
};
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::server::Server;

use crate::bench::{Bench, run};

const CONTENT: Content = Content::new(181, 100_000);
const METERED: Conditions = Conditions {
    is_online: None,
    is_metered: Some(true),
    is_constrained: None,
    is_on_battery: None,
};

/// An app's own source, which knows one thing from the start.
struct Known(Conditions);

impl ConditionSource for Known {
    fn start(&mut self, reporter: ConditionReporter) {
        reporter.report(self.0);
    }
}

fn engine(bench: &Bench, knows: Conditions) -> Engine {
    Engine::builder(bench.state())
        .conditions(Box::new(Known(knows)))
        .tasks_max(NonZeroU32::MIN)
        .start()
        .unwrap()
}

async fn session(engine: &Engine) -> Session {
    let configuration = SessionConfiguration::new("com.example.scheduling").unwrap();
    engine.session(configuration).await.unwrap()
}

fn request(bench: &Bench, server: &Server, name: &str) -> DownloadRequest {
    let path = format!("/{name}");
    server.serve(&path, Resource::new(CONTENT));
    DownloadRequest::new(&server.url(&path), bench.file(name)).unwrap()
}

/// Waits for the phase by the events of the task, which come when it changes.
async fn until(task: &DownloadTask, expected: &Phase) {
    let mut events = task.events().await.unwrap();
    while task.phase().await.unwrap() != *expected {
        events.next().await.expect("the task lives");
    }
}

fn assert_finished(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
}

#[test]
fn an_apps_own_source_holds_a_task_and_its_word_by_hand_goes_before_it() {
    run(async {
        let (bench, server) = (Bench::new(), Server::start());
        let engine = engine(&bench, METERED);
        let session = session(&engine).await;
        assert_eq!(engine.conditions(), Conditions::default(), "nobody looked");
        let request = request(&bench, &server, "f").allows_expensive_network_access(false);
        let task = session.start_download(request).await.unwrap();
        let held = Phase::Queued(QueueReason::Unmet(Constraint::Unmetered));
        until(&task, &held).await;
        assert_eq!(engine.conditions(), METERED);
        let why = task.why().await.unwrap();
        assert_eq!(why.phase, held);
        assert!(why.to_string().contains("metered"), "{why}");
        engine.set_conditions(Conditions {
            is_metered: Some(false),
            ..METERED
        });
        assert_finished(&task.finished().await.unwrap());
        bench.assert_file("f", CONTENT);
    });
}

#[test]
fn a_task_for_tomorrow_explains_its_wait_and_one_for_yesterday_does_not_wait() {
    run(async {
        let (bench, server) = (Bench::new(), Server::start());
        let engine = engine(&bench, Conditions::default());
        let session = session(&engine).await;
        let day = Duration::from_secs(24 * 60 * 60);
        let now = SystemTime::now();
        let tomorrow = request(&bench, &server, "tomorrow").earliest_begin_date(now + day);
        let tomorrow = session.start_download(tomorrow).await.unwrap();
        let yesterday = request(&bench, &server, "yesterday").earliest_begin_date(now - day);
        let yesterday = session.start_download(yesterday).await.unwrap();
        assert_finished(&yesterday.finished().await.unwrap());
        let phase = tomorrow.phase().await.unwrap();
        assert_eq!(
            phase,
            Phase::Queued(QueueReason::NotBefore((now + day).into()))
        );
        let why = tomorrow.why().await.unwrap().to_string();
        assert!(why.contains("GMT"), "{why}");
        // Nobody has asked, so the word changes nothing.
        tomorrow.decide_begin(DelayedRequest::Cancel).await.unwrap();
        assert_eq!(tomorrow.phase().await.unwrap(), phase);
        tomorrow.cancel().await.unwrap();
        assert_eq!(tomorrow.finished().await.unwrap(), Outcome::Cancelled);
    });
}

#[test]
fn rates_and_priorities_change_while_tasks_live_and_nonsense_is_refused() {
    run(async {
        let (bench, server) = (Bench::new(), Server::start());
        let engine = engine(&bench, Conditions::default());
        let session = session(&engine).await;
        engine.set_rate_limit(Some(1)).unwrap();
        let slow = request(&bench, &server, "slow")
            .rate_limit_bytes(10)
            .unwrap();
        let slow = session.start_download(slow).await.unwrap();
        server.wait_for(|requests| requests.len() == 1);
        let waits = session.start_download(request(&bench, &server, "waits"));
        let waits = waits.await.unwrap();
        assert_eq!(
            waits.phase().await.unwrap(),
            Phase::Queued(QueueReason::EngineLimit)
        );
        waits.set_priority(1.0).await.unwrap();
        session.set_rate_limit(Some(1_000_000_000)).await.unwrap();
        slow.set_rate_limit(None).await.unwrap();
        engine.set_rate_limit(None).unwrap();
        for task in [&slow, &waits] {
            assert_finished(&task.finished().await.unwrap());
        }
        assert!(engine.set_rate_limit(Some(0)).is_err());
        assert!(session.set_rate_limit(Some(0)).await.is_err());
        assert!(slow.set_rate_limit(Some(0)).await.is_err());
    });
}
