//! The life of a session: whose it is, how it ends, and what is told when its store was damaged.

use std::fs;

use longhaul::{
    AnyTask, DownloadRequest, DownloadTask, Engine, EngineBuilder, Error, Event, Fact, Outcome,
    Sequence, Session, SessionConfiguration, SessionState, TaskState,
};
use longhaul_support::content::Content;
use longhaul_support::gate::Gate;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, MIB, next_fact, run};

const PATH: &str = "/a.bin";
const CONTENT: Content = Content::new(103, 2 * MIB + 3);
const NAME: &str = "com.example.life";

fn builder(bench: &Bench) -> EngineBuilder {
    Engine::builder(bench.state())
}

async fn open(engine: &Engine) -> Session {
    let configuration = SessionConfiguration::new(NAME).unwrap();
    engine.session(configuration).await.unwrap()
}

fn serve() -> Server {
    let server = Server::start();
    server.serve(PATH, Resource::new(CONTENT));
    server
}

fn request(bench: &Bench, server: &Server, name: &str) -> DownloadRequest {
    DownloadRequest::new(&server.url(PATH), bench.file(name)).unwrap()
}

/// The facts that were not acknowledged, up to and with the first that is meant.
async fn facts_until(session: &Session, is_meant: impl Fn(&Fact) -> bool) -> Vec<(Sequence, Fact)> {
    let mut events = session.events().await.unwrap();
    let mut facts: Vec<(Sequence, Fact)> = Vec::new();
    while facts.last().is_none_or(|(_, fact)| !is_meant(fact)) {
        let fact = next_fact(&mut events).await;
        facts.push((fact.sequence, fact.fact));
    }
    facts
}

fn in_use(opened: Result<Session, Error>) -> bool {
    matches!(opened, Err(Error::SessionInUse { session, .. }) if session == NAME)
}

async fn again(engine: &Engine) -> Result<Session, Error> {
    engine
        .session(SessionConfiguration::new(NAME).unwrap())
        .await
}

#[test]
fn a_session_has_one_owner_until_its_last_handle_is_dropped() {
    let (bench, server) = (Bench::new(), serve());
    let gate = Gate::new();
    server.script(PATH, [Reply::normal().hold_head(&gate)]);
    run(async {
        let engine = builder(&bench).start().unwrap();
        let session = open(&engine).await;
        let task = session
            .start_download(request(&bench, &server, "a"))
            .await
            .unwrap();
        let events = task.events().await.unwrap();
        let refused = again(&engine).await.unwrap_err();
        assert!(refused.to_string().contains("; use that one"), "{refused}");
        let clone = session.clone();
        drop(session);
        assert!(in_use(again(&engine).await), "a clone lives");
        drop(clone);
        assert!(in_use(again(&engine).await), "a task lives");
        drop(task);
        assert!(in_use(again(&engine).await), "a stream of events lives");
        drop(events);

        // Nobody is there, and the task goes on.
        gate.open();
        server.wait_for(|requests| requests.first().is_some_and(|request| request.is_finished));
        let session = open(&engine).await;
        let facts = facts_until(&session, |fact| fact.task().is_some()).await;
        let tasks = session.get_all_tasks().await.unwrap();
        assert_eq!(Some(tasks[0].id()), facts[0].1.task());
        engine.shutdown().await;
    });
    bench.assert_file("a", CONTENT);
}

#[test]
fn a_task_is_made_suspended_and_waits_through_a_restart_until_it_is_resumed() {
    let (bench, server) = (Bench::new(), serve());
    run(async {
        let engine = builder(&bench).start().unwrap();
        let session = open(&engine).await;
        let waits = session
            .download_task(request(&bench, &server, "waits"))
            .await
            .unwrap();
        assert_eq!(waits.state().await.unwrap(), TaskState::Suspended);
        let refused = session
            .download_task(request(&bench, &server, "waits"))
            .await;
        assert!(
            matches!(refused, Err(Error::TargetInUse { .. })),
            "{refused:?}"
        );
        let goes = session
            .start_download(request(&bench, &server, "goes"))
            .await
            .unwrap();
        goes.finished().await.unwrap();
        assert_eq!(
            server.requests().len(),
            1,
            "nothing was asked for the other"
        );
        engine.shutdown().await;

        let engine = builder(&bench).start().unwrap();
        let session = open(&engine).await;
        let tasks = session.get_download_tasks().await.unwrap();
        let waits = tasks
            .into_iter()
            .find(|task| task.id() == waits.id())
            .unwrap();
        assert_eq!(waits.state().await.unwrap(), TaskState::Suspended);
        waits.resume().await.unwrap();
        assert!(matches!(
            waits.finished().await.unwrap(),
            Outcome::Finished(_)
        ));
        engine.shutdown().await;
    });
    bench.assert_file("waits", CONTENT);
}

#[test]
fn an_app_that_comes_back_finds_its_tasks_by_name_and_hears_what_it_missed() {
    let (bench, server) = (Bench::new(), serve());
    run(async {
        let engine = builder(&bench).start().unwrap();
        let session = open(&engine).await;
        let mut tasks = Vec::new();
        for name in ["a", "b", "c"] {
            tasks.push(
                session
                    .download_task(request(&bench, &server, name))
                    .await
                    .unwrap(),
            );
        }
        tasks[0].resume().await.unwrap();
        tasks[0].finished().await.unwrap();
        tasks[1].cancel().await.unwrap();
        tasks[1].finished().await.unwrap();
        // Nobody listened, and the app ends.
        engine.shutdown().await;
        let ids: Vec<_> = tasks.iter().map(DownloadTask::id).collect();

        let engine = builder(&bench).start().unwrap();
        let session = open(&engine).await;
        let found: Vec<_> = session.get_all_tasks().await.unwrap();
        assert_eq!(found.iter().map(AnyTask::id).collect::<Vec<_>>(), ids);
        let missed = facts_until(&session, |fact| fact.task() == Some(ids[1])).await;
        let told: Vec<_> = missed
            .iter()
            .map(|(_, fact)| fact.task().unwrap())
            .collect();
        assert_eq!(told, ids[..2], "each once, in their order");
        engine.shutdown().await;
    });
}

#[test]
fn a_session_that_finishes_takes_no_new_task_and_its_end_is_its_last_event() {
    let (bench, server) = (Bench::new(), serve());
    let gate = Gate::new();
    server.script(PATH, [Reply::normal().hold_head(&gate)]);
    run(async {
        let engine = builder(&bench).start().unwrap();
        let session = open(&engine).await;
        let task = session
            .start_download(request(&bench, &server, "a"))
            .await
            .unwrap();
        assert_eq!(session.state().await.unwrap(), SessionState::Open);
        session.finish_tasks_and_invalidate().await.unwrap();
        session.finish_tasks_and_invalidate().await.unwrap();
        let refused = session
            .start_download(request(&bench, &server, "b"))
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("; acknowledge its last fact"),
            "{refused}"
        );
        engine.shutdown().await;

        // The next process finds it as it was, and lets the rest go on.
        server.script(PATH, []);
        let engine = builder(&bench).start().unwrap();
        let session = open(&engine).await;
        let refused = session.download_task(request(&bench, &server, "b")).await;
        assert!(
            matches!(refused, Err(Error::Invalidated { .. })),
            "{refused:?}"
        );
        let mut events = session.events().await.unwrap();
        let mut facts = Vec::new();
        while let Some(event) = events.next().await {
            if let Event::Fact(fact) = event {
                facts.push(fact);
            }
        }
        assert_eq!(facts.len(), 2, "{facts:?}");
        assert_eq!(facts[0].fact.task(), Some(task.id()));
        assert_eq!(facts[1].fact, Fact::BecameInvalid);
        assert_eq!(session.state().await.unwrap(), SessionState::Invalid);

        session.acknowledge(facts[1].sequence).await.unwrap();
        let gone = |result: Result<(), Error>| matches!(result, Err(Error::Invalidated { .. }));
        assert!(gone(session.state().await.map(|_| ())));
        assert!(gone(session.finish_tasks_and_invalidate().await));
        assert!(gone(session.get_all_tasks().await.map(|_| ())));
        assert!(gone(session.events().await.map(|_| ())));

        // The name is free, whoever still holds the old handles; and these do not touch the new one.
        let new = open(&engine).await;
        assert_eq!(new.state().await.unwrap(), SessionState::Open);
        assert!(new.get_all_tasks().await.unwrap().is_empty());
        let task = new
            .start_download(request(&bench, &server, "b"))
            .await
            .unwrap();
        task.finished().await.unwrap();
        session.acknowledge(facts[1].sequence).await.unwrap();
        let facts = facts_until(&new, |fact| fact.task().is_some()).await;
        assert_eq!((facts.len(), facts[0].0), (1, Sequence::new(1)));
        engine.shutdown().await;
    });
    gate.open();
    bench.assert_file("a", CONTENT);
}

#[test]
fn a_session_without_tasks_ends_at_once_and_its_name_can_be_used_again_and_again() {
    let bench = Bench::new();
    run(async {
        let engine = builder(&bench).start().unwrap();
        for round in 0..20 {
            let session = open(&engine).await;
            match round % 2 {
                0 => session.finish_tasks_and_invalidate().await.unwrap(),
                _ => session.invalidate_and_cancel().await.unwrap(),
            }
            let facts = facts_until(&session, |fact| *fact == Fact::BecameInvalid).await;
            assert_eq!((facts.len(), facts[0].0), (1, Sequence::new(1)), "{round}");
            session.acknowledge(facts[0].0).await.unwrap();
        }
        engine.shutdown().await;
    });
}

#[test]
fn a_damaged_store_is_an_error_or_a_loss_that_every_session_hears_of() {
    let (bench, server) = (Bench::new(), serve());
    run(async {
        let engine = builder(&bench).start().unwrap();
        let session = open(&engine).await;
        let task = session
            .start_download(request(&bench, &server, "a"))
            .await
            .unwrap();
        task.finished().await.unwrap();
        engine.shutdown().await;
        drop((session, engine));
        let store = bench.state().join("store.redb");
        let mut bytes = fs::read(&store).unwrap();
        let kept = bytes.len() / 3;
        bytes.truncate(kept);
        fs::write(&store, &bytes).unwrap();

        let refused = builder(&bench).start().unwrap_err().to_string();
        assert!(refused.contains("store.redb is damaged"), "{refused}");
        let engine = builder(&bench)
            .recreate_damaged_store(true)
            .start()
            .unwrap();
        let aside = bench.state().join("store.redb.damaged-1");
        assert!(
            fs::read(aside).unwrap().len() >= kept,
            "nothing of it is deleted"
        );
        let session = open(&engine).await;
        let new = session
            .start_download(request(&bench, &server, "b"))
            .await
            .unwrap();
        assert!(new.id() > task.id(), "no number is used twice");
        let facts = facts_until(&session, |fact| fact.task().is_some()).await;
        assert_eq!((facts.len(), &facts[0].1), (2, &Fact::StateLost));
        session.acknowledge(facts[1].0).await.unwrap();
        engine.shutdown().await;

        let engine = builder(&bench)
            .recreate_damaged_store(true)
            .start()
            .unwrap();
        let session = open(&engine).await;
        session.finish_tasks_and_invalidate().await.unwrap();
        let facts = facts_until(&session, |fact| *fact == Fact::BecameInvalid).await;
        assert_eq!(facts.len(), 1, "the loss is told once: {facts:?}");
        engine.shutdown().await;
    });
}
