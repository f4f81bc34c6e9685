//! Whose a session is, and what becomes of it when its client vanishes.

use longhaul_engine::control::{CloseSession, GetSession, ListTasks, SetDelegate};
use longhaul_engine::task::TaskState;

use super::*;
use crate::blocking::block_on;
use crate::control::client::SESSIONS_MAX;
use crate::control::clients::CLIENTS_MAX;
use crate::control::events::STREAMS_MAX;
use crate::{Fact, SessionConfiguration};

async fn owner_pid(stage: &Stage, session: &str) -> Option<u32> {
    let document = stage.ask(AtSession(id(session)), GetSession {}).await;
    document.unwrap().owner_pid
}

async fn is_attended(stage: &Stage, session: &str) -> bool {
    let document = stage.ask(AtSession(id(session)), GetSession {}).await;
    document.unwrap().is_attended
}

#[test]
fn a_session_belongs_to_one_client_until_it_gives_it_up_or_vanishes() {
    block_on(async {
        let stage = Stage::new();
        let (first, second) = (stage.app(11).await, stage.app(22).await);
        let in_use = |pid| Problem::SessionInUse {
            session: id("s"),
            pid: Some(pid),
        };
        assert_eq!(stage.open(&first, "s").await, Ok(Vec::new()));
        assert_eq!(
            stage.open(&first, "s").await,
            Ok(Vec::new()),
            "it is its own"
        );
        assert_eq!(stage.open(&second, "s").await, Err(in_use(11)));
        assert_eq!(owner_pid(&stage, "s").await, Some(11));
        let close =
            |app: &App| stage.ask(AtClientSession(app.id.clone(), id("s")), CloseSession {});
        close(&second).await.unwrap();
        assert_eq!(owner_pid(&stage, "s").await, Some(11), "it was not its own");
        close(&first).await.unwrap();
        assert_eq!(owner_pid(&stage, "s").await, None);
        assert_eq!(stage.open(&second, "s").await, Ok(Vec::new()));
        assert_eq!(stage.open(&first, "s").await, Err(in_use(22)));
        drop(second);
        assert_eq!(stage.open(&first, "s").await, Ok(Vec::new()));
        assert_eq!(owner_pid(&stage, "s").await, Some(11));
    });
}

#[test]
fn a_session_of_the_process_itself_is_nobody_elses() {
    block_on(async {
        let stage = Stage::new();
        let app = stage.app(11).await;
        let configuration = SessionConfiguration::new("s").unwrap();
        let session = stage.engine.session(configuration).await.unwrap();
        let refused = stage.open(&app, "s").await;
        assert!(
            matches!(refused, Err(Problem::SessionInUse { .. })),
            "{refused:?}"
        );
        drop(session);
        assert_eq!(stage.open(&app, "s").await, Ok(Vec::new()));
    });
}

#[test]
fn whatever_a_client_held_is_free_at_once_when_its_stream_ends() {
    block_on(async {
        let stage = Stage::new();
        let app = stage.app(11).await;
        let call = OpenSession {
            has_delegate: true,
            ..opening(SessionRules::default())
        };
        stage.open_with(&app, "s", call).await.unwrap();
        let task = stage.suspended("s", "a").await;
        let query = EventsQuery {
            client: Some(app.id.clone()),
            ..EventsQuery::default()
        };
        let mut events = stage.events("s", query).await;
        let counts = stage.control.counts();
        assert_eq!(
            (
                counts.clients,
                counts.sessions,
                counts.delegates,
                counts.event_streams
            ),
            (1, 1, 1, 1)
        );
        assert!(is_attended(&stage, "s").await);
        drop(app.stream);
        assert!(!is_attended(&stage, "s").await);
        assert_eq!(owner_pid(&stage, "s").await, None);
        let left = stage.control.counts();
        assert_eq!((left.clients, left.sessions, left.delegates), (0, 0, 0));
        let rest: Vec<_> = events.by_ref().collect().await;
        assert!(
            !rest.iter().any(|(_, event)| *event == SessionEvent::Over),
            "the session goes on: {rest:?}"
        );
        drop(events);
        assert_eq!(stage.control.counts(), super::super::Counts::default());
        let tasks = stage.ask(AtSession(id("s")), ListTasks {}).await.unwrap();
        assert_eq!(
            (tasks[0].task, tasks[0].state),
            (task, TaskState::Suspended)
        );
        let ended = App {
            id: app.id,
            stream: stage.app(12).await.stream,
        };
        let gone = stage.open(&ended, "s").await;
        assert_eq!(gone, Err(Problem::NoSuchClient));
    });
}

#[test]
fn only_the_owner_is_there_by_listening_and_by_its_delegate() {
    block_on(async {
        let stage = Stage::new();
        let (owner, other) = (stage.app(11).await, stage.app(22).await);
        let delegate = |app: &App, is_there| {
            let at = AtClientSession(app.id.clone(), id("s"));
            stage.ask(at, SetDelegate { is_there })
        };
        let refused = delegate(&owner, true).await.unwrap_err();
        assert_eq!(refused.status(), 400, "nobody has opened it");
        stage.open(&owner, "s").await.unwrap();
        let looking_on = EventsQuery {
            client: Some(other.id.clone()),
            ..EventsQuery::default()
        };
        let watched = stage.events("s", looking_on).await;
        assert!(!is_attended(&stage, "s").await, "somebody else looks on");
        let refused = delegate(&other, true).await;
        assert!(matches!(
            refused,
            Err(Problem::SessionInUse { pid: Some(11), .. })
        ));
        delegate(&owner, true).await.unwrap();
        delegate(&owner, true).await.unwrap();
        assert!(is_attended(&stage, "s").await);
        delegate(&owner, false).await.unwrap();
        assert!(!is_attended(&stage, "s").await, "it was one delegate");
        drop(watched);
    });
}

#[test]
fn a_name_is_free_for_another_client_once_the_session_is_no_more() {
    block_on(async {
        let stage = Stage::new();
        let (first, second) = (stage.app(11).await, stage.app(22).await);
        stage.open(&first, "s").await.unwrap();
        let mut events = stage.events("s", EventsQuery::default()).await;
        let how = longhaul_engine::session::Invalidation::CancelTasks;
        let call = longhaul_engine::control::InvalidateSession { how };
        stage.ask(AtSession(id("s")), call).await.unwrap();
        let Some((Some(up_to), SessionEvent::Told { told })) = events.next().await else {
            panic!("nothing is told");
        };
        assert!(matches!(told, crate::Event::Fact(fact) if fact.fact == Fact::BecameInvalid));
        assert_eq!(events.next().await, Some((None, SessionEvent::Over)));
        assert_eq!(events.next().await, None);
        let call = longhaul_engine::control::Acknowledge { up_to };
        stage.ask(AtSession(id("s")), call).await.unwrap();
        assert_eq!(stage.open(&second, "s").await, Ok(Vec::new()));
        assert_eq!(owner_pid(&stage, "s").await, Some(22));
    });
}

#[test]
fn clients_are_limited_in_number_and_make_room_when_they_go() {
    let stage = Stage::new();
    let welcome = || stage.control.welcome(Hello::default(), Peer::default());
    let mut streams: Vec<_> = (0..CLIENTS_MAX).map(|_| welcome().unwrap()).collect();
    let refused = welcome().map(|_| ()).unwrap_err();
    assert_eq!(refused.status(), 429);
    streams.pop();
    assert!(welcome().is_ok());
    drop(streams);
    assert_eq!(stage.control.counts().clients, 0);
}

#[test]
fn tasks_are_made_with_the_session_and_taken_over_when_the_answer_was_lost() {
    block_on(async {
        let stage = Stage::new();
        let app = stage.app(11).await;
        let request = RequestDocument {
            desired: Desired::Suspended,
            ..stage.request("a")
        };
        let call = |is_repeated| OpenSession {
            requests: vec![request.clone(), request.clone()],
            is_repeated,
            ..opening(SessionRules::default())
        };
        let made = stage.open_with(&app, "s", call(false)).await.unwrap();
        let [
            StartDocument::Task(task),
            StartDocument::Problem(Problem::TargetInUse { .. }),
        ] = made.as_slice()
        else {
            panic!("{made:?}");
        };
        let again = stage.open_with(&app, "s", call(true)).await.unwrap();
        assert_eq!(
            again,
            [StartDocument::Task(*task), StartDocument::Task(*task)]
        );
    });
}

#[test]
fn what_one_client_may_have_is_limited() {
    block_on(async {
        let stage = Stage::new();
        let app = stage.app(11).await;
        let (stage_of, app_of) = (&stage, &app);
        let open = async |number: usize| stage_of.open(app_of, &number.to_string()).await;
        // All at once, and one too many.
        let opened = (0..=SESSIONS_MAX).map(open).collect::<Vec<_>>();
        let opened = futures_util::future::join_all(opened).await;
        let refused = opened.iter().filter(|it| it.is_err()).count();
        assert_eq!(refused, 1);
        for result in opened.into_iter().take(SESSIONS_MAX) {
            result.unwrap();
        }
        assert_eq!(stage.open(&app, "0").await, Ok(Vec::new()), "it is its own");
        assert_eq!(stage.open(&app, "more").await.unwrap_err().status(), 429);
        let delegate = |session: &str| {
            let at = AtClientSession(app.id.clone(), id(session));
            stage.ask(at, SetDelegate { is_there: true })
        };
        for number in 0..SESSIONS_MAX {
            delegate(&number.to_string()).await.unwrap();
        }
        assert_eq!(delegate("0").await, Ok(()), "it is there");
        assert_eq!(delegate("more").await.unwrap_err().status(), 400);
        drop(app);
        assert_eq!(stage.control.counts(), super::super::Counts::default());
    });
}

#[test]
fn streams_of_events_are_limited_also_when_all_are_asked_for_at_once() {
    block_on(async {
        let stage = Stage::new();
        let app = stage.app(11).await;
        stage.open(&app, "s").await.unwrap();
        let session = id("s");
        let ask = |_| stage.control.events(&session, EventsQuery::default());
        let mut streams = futures_util::future::join_all((0..=STREAMS_MAX).map(ask)).await;
        let refused = streams.pop().unwrap().map(drop).unwrap_err();
        assert_eq!(refused.status(), 429);
        assert!(streams.iter().all(Result::is_ok));
        streams.pop();
        assert!(ask(0).await.is_ok(), "one has made room");
        drop(streams);
        assert_eq!(stage.control.counts().event_streams, 0);
    });
}
