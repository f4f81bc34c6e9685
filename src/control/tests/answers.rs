//! Every call, answered once.

use longhaul_engine::authorization_challenge::Disposition;
use longhaul_engine::conditions::Conditions;
use longhaul_engine::control::{
    Acknowledge, AdjustTask, AnswerChallenge, AskedAnew, AtClient, AtRefreshTask, AtRoot, AtTask,
    CameToForeground, CloseSession, CompleteRefresh, DecideBegin, DiscardResumeData, ForgetWait,
    GetConditions, GetEngine, GetSession, GetTask, InvalidateSession, IsDrained, ListSessions,
    ListTasks, ListenForRefresh, NextAwaitingBegin, ResumeTask, SetConditions, SetDelegate,
    SetDesired, SetEngineRateLimit, SetSessionRateLimit, Shutdown, WaitForEnd,
};
use longhaul_engine::delayed_request::DelayedRequest;
use longhaul_engine::event::Fact;
use longhaul_engine::id::Sequence;
use longhaul_engine::resume_data::ResumeData;
use longhaul_engine::session::{Invalidation, SessionState};
use longhaul_engine::task::{Adjustment, Outcome, Priority, TaskState};
use longhaul_support::gate::Gate;
use longhaul_support::script::Reply;

use super::*;
use crate::blocking::block_on;

#[test]
fn every_call_is_answered() {
    block_on(async {
        let stage = Stage::new();
        let mut app = stage.app(11).await;
        ask_the_engine(&stage).await;
        stage.open(&app, "s").await.unwrap();
        ask_the_client(&stage, &app).await;
        ask_the_session(&stage).await;
        ask_of_tasks(&stage).await;
        resume_a_task(&stage, &mut app).await;
        end_the_session(&stage, &app).await;
        let names = Control::routes().iter().map(|route| route.name);
        let missing: Vec<_> = names
            .filter(|it| !stage.asked.borrow().contains(it))
            .collect();
        assert_eq!(missing, [""; 0]);
    });
}

async fn ask_the_engine(stage: &Stage) {
    let engine = stage.ask(AtRoot, GetEngine {}).await.unwrap();
    assert_eq!(engine.pid, std::process::id());
    assert_eq!(engine.state_dir, stage.dir.path().join("state"));
    assert_eq!(engine.version, env!("CARGO_PKG_VERSION"));
    let known = stage.ask(AtRoot, GetConditions {}).await.unwrap();
    assert_eq!(known, engine.conditions);
    let conditions = Conditions {
        is_online: Some(true),
        ..Conditions::default()
    };
    let now = stage
        .ask(AtRoot, SetConditions { conditions })
        .await
        .unwrap();
    assert_eq!(now.is_online, Some(true));
    let call = SetEngineRateLimit {
        bytes_per_second: None,
    };
    stage.ask(AtRoot, call).await.unwrap();
}

async fn ask_the_client(stage: &Stage, app: &App) {
    let client = || AtClient(app.id.clone());
    let session = || AtClientSession(app.id.clone(), id("s"));
    let delegate = |is_there| stage.ask(session(), SetDelegate { is_there });
    delegate(true).await.unwrap();
    delegate(false).await.unwrap();
    stage.ask(client(), CameToForeground {}).await.unwrap();
    let listen = |is_listening| stage.ask(client(), ListenForRefresh { is_listening });
    listen(true).await.unwrap();
    listen(false).await.unwrap();
    let at = AtRefreshTask(app.id.clone(), 1);
    let none = stage.ask(at, CompleteRefresh {}).await;
    assert_eq!(none, Err(Problem::RefreshExpired));
    stage.ask(client(), ForgetWait { wait: 5 }).await.unwrap();
}

async fn ask_the_session(stage: &Stage) {
    let session = || AtSession(id("s"));
    let listed = stage.ask(AtRoot, ListSessions {}).await.unwrap();
    let document = stage.ask(session(), GetSession {}).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&document));
    assert_eq!(
        (document.session, document.state),
        (id("s"), SessionState::Open)
    );
    assert_eq!((document.live_tasks, document.ended_tasks), (0, 0));
    let heard = Sequence::default();
    assert_eq!(stage.ask(session(), IsDrained { heard }).await, Ok(true));
    let call = SetSessionRateLimit {
        bytes_per_second: Some(1_000_000_000),
    };
    stage.ask(session(), call).await.unwrap();
    let after = TaskId::default();
    let next = stage.ask(session(), NextAwaitingBegin { after }).await;
    assert_eq!(next, Ok(None));
}

async fn ask_of_tasks(stage: &Stage) {
    let task = stage.suspended("s", "a").await;
    let at = || AtTask(id("s"), task);
    let adjustment = Adjustment::Priority(Priority::HIGH);
    stage.ask(at(), AdjustTask { adjustment }).await.unwrap();
    let document = stage.ask(at(), GetTask {}).await.unwrap();
    assert_eq!(document.state, TaskState::Suspended);
    assert_eq!(document.request.options().priority, Priority::HIGH);
    let disposition = Disposition::Cancel;
    stage
        .ask(at(), AnswerChallenge { disposition })
        .await
        .unwrap();
    let decision = DelayedRequest::Cancel;
    stage.ask(at(), DecideBegin { decision }).await.unwrap();
    let listed = stage.ask(AtSession(id("s")), ListTasks {}).await.unwrap();
    assert_eq!(listed, [document]);
    let desired = Desired::Cancelled;
    stage.ask(at(), SetDesired { desired }).await.unwrap();
}

/// A task is cancelled with half of its bytes, and goes on as another one.
async fn resume_a_task(stage: &Stage, app: &mut App) {
    let gate = Gate::new();
    let content = Content::new(3, 4_000_000);
    let reply = Reply::of(Resource::new(content)).hold_at(3_000_000, &gate);
    stage.server.script("/half", [reply]);
    let task = stage.start("s", stage.request_of("half")).await;
    let mut events = stage
        .events(
            "s",
            EventsQuery {
                task: Some(task),
                ..EventsQuery::default()
            },
        )
        .await;
    let has_bytes = |event: &SessionEvent| match event {
        SessionEvent::Told {
            told: crate::Event::Progress { progress, .. },
        } => progress.received_bytes > 1_000_000,
        _ => false,
    };
    while !has_bytes(&events.next().await.unwrap().1) {}
    let call = WaitForEnd {
        wait: 1,
        session: id("s"),
        task,
    };
    stage.ask(AtClient(app.id.clone()), call).await.unwrap();
    let desired = Desired::CancelledResumable;
    stage
        .ask(AtTask(id("s"), task), SetDesired { desired })
        .await
        .unwrap();
    let data = loop {
        match app.told().await {
            ClientEvent::Ended {
                outcome: Outcome::CancelledResumable(data),
                ..
            } => break data,
            ClientEvent::Conditions(_) => {}
            other => panic!("{other:?}"),
        }
    };
    gate.open();
    stage.server.serve("/half", Resource::new(content));
    let call = ResumeTask {
        data: data.clone(),
        anew: AskedAnew::Download {
            destination: stage.dir.path().join("whole"),
            collision: None,
            notify_on_finished: None,
        },
        is_discretionary: true,
        is_repeated: false,
    };
    let resumed = stage.ask(AtSession(id("s")), call.clone()).await.unwrap();
    assert_eq!(resumed.file, stage.dir.path().join("whole"));
    let at = AtTask(id("s"), resumed.task);
    let mut made = stage.ask(at, GetTask {}).await.unwrap().request;
    assert!(made.options_mut().is_discretionary);
    let repeated = ResumeTask {
        is_repeated: true,
        ..call.clone()
    };
    let again = stage.ask(AtSession(id("s")), repeated).await;
    assert_eq!(again.as_ref(), Ok(&resumed), "its answer was lost");
    let used = stage.ask(AtSession(id("s")), call).await.unwrap_err();
    assert_eq!(used.status(), 422, "{used}");
    let none = ResumeData::from_bytes(vec![0; 8]).unwrap();
    let discarded = stage.ask(AtRoot, DiscardResumeData { data: none }).await;
    assert_eq!(discarded.unwrap_err().status(), 422);
}

async fn end_the_session(stage: &Stage, app: &App) {
    let session = || AtSession(id("s"));
    let mut events = stage.events("s", EventsQuery::default()).await;
    let how = Invalidation::CancelTasks;
    stage
        .ask(session(), InvalidateSession { how })
        .await
        .unwrap();
    let up_to = loop {
        match events.next().await {
            Some((
                Some(sequence),
                SessionEvent::Told {
                    told: crate::Event::Fact(told),
                },
            )) if told.fact == Fact::BecameInvalid => {
                break sequence;
            }
            Some(_) => {}
            None => panic!("the end is not told"),
        }
    };
    stage.ask(session(), Acknowledge { up_to }).await.unwrap();
    let at = AtClientSession(app.id.clone(), id("s"));
    stage.ask(at, CloseSession {}).await.unwrap();
    stage.ask(AtRoot, Shutdown {}).await.unwrap();
}
