//! The control API over an engine in this process, asked as a server would ask it.

mod answers;
mod documents;
mod owning;
mod refreshing;
mod waiting;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use futures_util::StreamExt;
use longhaul_engine::control::{
    AtClientSession, AtSession, Call, ClientEvent, ClientId, EventsQuery, Hello, OpenSession,
    Place, Problem, RequestDocument, SessionEvent, StartDocument, StartTasks,
};
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::session::SessionRules;
use longhaul_engine::task::{Desired, Spec};
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::server::Server;
use tempfile::TempDir;

use super::{ClientStream, Control, EventStream, Peer};
use crate::{DownloadRequest, Engine, LaunchRules, VirtualClock};

/// An engine that is asked, with what it fetches from and its directory.
struct Stage {
    control: Control,
    engine: Engine,
    clock: VirtualClock,
    server: Server,
    dir: TempDir,
    /// The names of the calls that were asked.
    asked: RefCell<HashSet<&'static str>>,
}

/// A client: who it is, and its stream.
struct App {
    id: ClientId,
    stream: ClientStream,
}

impl Stage {
    fn new() -> Self {
        Self::with(LaunchRules::default())
    }

    fn with(rules: LaunchRules) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = VirtualClock::new();
        let engine = Engine::builder(dir.path().join("state"))
            .launch_rules(rules)
            .virtual_clock(clock)
            .start()
            .unwrap();
        Self {
            control: Control::new(&engine).unwrap(),
            engine,
            clock,
            server: Server::start(),
            dir,
            asked: RefCell::default(),
        }
    }

    /// Asks as a server does that has found the route of the call.
    async fn ask<C: Call>(&self, at: C::At, call: C) -> Result<C::Answer, Problem> {
        let body = match C::METHOD {
            super::Method::Get => serde_urlencoded::to_string(&call).unwrap().into_bytes(),
            _ => serde_json::to_vec(&call).unwrap(),
        };
        let answer = self.ask_raw::<C>(&at.fill(C::PATH), &body).await?;
        Ok(serde_json::from_slice(&answer).unwrap())
    }

    /// Asks with any bytes as the body, or the query.
    async fn ask_raw<C: Call>(&self, path: &str, sent: &[u8]) -> Result<Vec<u8>, Problem> {
        let route = Control::routes().iter().find(|it| it.name == C::NAME);
        let route = route.unwrap();
        self.asked.borrow_mut().insert(route.name);
        let names = route
            .path
            .split('/')
            .map(|part| part.trim_matches(['{', '}']));
        let parts: HashMap<&str, &str> = names.zip(path.split('/')).collect();
        let (query, body) = match C::METHOD {
            super::Method::Get => (std::str::from_utf8(sent).unwrap(), &b""[..]),
            _ => ("", sent),
        };
        let part = |name: &str| parts.get(name).copied();
        let peer = Peer { pid: Some(1) };
        self.control.answer(route, part, query, body, peer).await
    }

    async fn app(&self, pid: u32) -> App {
        self.app_with(pid, Hello::default()).await
    }

    async fn app_with(&self, pid: u32, hello: Hello) -> App {
        let peer = Peer { pid: Some(pid) };
        let mut stream = self.control.welcome(hello, peer).unwrap();
        match stream.next().await {
            Some(ClientEvent::Welcome { client, engine }) => {
                assert_eq!(engine.api, super::api::API_VERSION);
                App { id: client, stream }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Opens a session for a client.
    async fn open(&self, app: &App, session: &str) -> Result<Vec<StartDocument>, Problem> {
        self.open_with(app, session, opening(SessionRules::default()))
            .await
    }

    async fn open_with(
        &self,
        app: &App,
        session: &str,
        call: OpenSession,
    ) -> Result<Vec<StartDocument>, Problem> {
        self.ask(AtClientSession(app.id.clone(), id(session)), call)
            .await
    }

    /// A request for a small file under this name, which the server has.
    fn request(&self, name: &str) -> RequestDocument {
        let resource = Resource::new(Content::new(7, 1000));
        self.server.serve(&format!("/{name}"), resource);
        self.request_of(name)
    }

    /// A request for a file that the server may have.
    fn request_of(&self, name: &str) -> RequestDocument {
        let url = self.server.url(&format!("/{name}"));
        let request = DownloadRequest::new(&url, self.dir.path().join(name)).unwrap();
        RequestDocument {
            request: Spec::Download(request.spec),
            adopts: false,
            desired: Desired::Running,
        }
    }

    /// Starts a task that stays suspended.
    async fn suspended(&self, session: &str, name: &str) -> TaskId {
        let request = RequestDocument {
            desired: Desired::Suspended,
            ..self.request(name)
        };
        self.start(session, request).await
    }

    async fn start(&self, session: &str, request: RequestDocument) -> TaskId {
        let call = StartTasks {
            requests: vec![request],
            is_repeated: false,
        };
        let started = self.ask(AtSession(id(session)), call).await.unwrap();
        match started.as_slice() {
            [StartDocument::Task(task)] => *task,
            other => panic!("{other:?}"),
        }
    }

    async fn events(&self, session: &str, query: EventsQuery) -> EventStream {
        let mut stream = self.control.events(&id(session), query).await.unwrap();
        assert_eq!(stream.next().await, Some((None, SessionEvent::Listening)));
        stream
    }
}

impl App {
    /// The next thing that it is told.
    async fn told(&mut self) -> ClientEvent {
        self.stream.next().await.expect("its stream goes on")
    }
}

/// Opens a session with these rules, and nothing in it.
fn opening(rules: SessionRules) -> OpenSession {
    OpenSession {
        rules,
        requests: Vec::new(),
        has_delegate: false,
        is_repeated: false,
    }
}

fn id(session: &str) -> SessionId {
    SessionId::new(session).unwrap()
}
