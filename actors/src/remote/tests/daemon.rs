//! A daemon as far as the client needs one: what it has committed survives its death, the rest does
//! not, and it loses answers and cuts streams when it is told to.

use std::io::{self, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use longhaul_engine::conditions::Conditions;
use longhaul_engine::control::{
    ClientEvent, ClientId, EngineDocument, EventsQuery, Problem, SessionEvent,
};
use longhaul_engine::event::{Event, Fact};
use longhaul_engine::id::TaskId;
use longhaul_engine::task::Progress;
use longhaul_engine::time::Timestamp;
use serde::Serialize;

use super::http::{self, Asked};
use super::state::{Held, State, json};

/// How long a write may wait for a reader before the reader counts as one that does not read.
const STUCK_AFTER: Duration = Duration::from_millis(300);

/// The daemon, its socket, and what it keeps.
pub(super) struct Daemon {
    shared: Arc<Shared>,
    socket: PathBuf,
    _directory: tempfile::TempDir,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Streams wait for this alone: there may be many whose readers have gone.
    told: Condvar,
}

impl Daemon {
    pub(super) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let state = State {
            api: 1,
            ..State::default()
        };
        let daemon = Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: Condvar::new(),
                told: Condvar::new(),
            }),
            socket: directory.path().join("control.sock"),
            _directory: directory,
        };
        daemon.restart();
        daemon
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Everything but what it has committed is gone, in this moment.
    pub(super) fn kill(&self) {
        std::fs::remove_file(&self.socket).expect("it was there");
        self.update(|state| {
            state.is_up = false;
            state.life += 1;
            state.clients.clear();
            state.owner = None;
            state.waits.clear();
            (state.delegate, state.listening) = (false, false);
            for connection in state.connections.drain(..) {
                // The other side may have gone first.
                let _ = connection.shutdown(Shutdown::Both);
            }
        });
    }

    pub(super) fn restart(&self) {
        let listener = UnixListener::bind(&self.socket).expect("a socket");
        let life = self.update(|state| {
            state.is_up = true;
            state.life
        });
        let shared = Arc::clone(&self.shared);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let shared = Arc::clone(&shared);
                let connection = connection.expect("a connection");
                if shared.lock().life != life {
                    return;
                }
                thread::spawn(move || shared.serve(connection, life));
            }
        });
    }

    pub(super) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.shared.update(change)
    }

    /// Waits until something is so, and takes what is asked for.
    pub(super) fn wait<T>(&self, mut look: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut found = None;
        let is_missing = |state: &mut State| {
            found = look(state);
            found.is_none()
        };
        let Shared { state, changed, .. } = &*self.shared;
        let state = state.lock().expect("no test panicked");
        let waited = changed.wait_timeout_while(state, super::LIMIT, is_missing);
        drop(waited.expect("no test panicked"));
        found.expect("it comes")
    }

    /// Commits the end of a task and tells it.
    pub(super) fn end(&self, task: u64) {
        self.update(|state| state.end(TaskId::new(task)));
    }

    /// Waits until a call of this name was asked, and forgets it; its body.
    pub(super) fn wait_asked(&self, name: &str) -> String {
        self.wait(|state| {
            let place = state.asked.iter().position(|(asked, _)| asked == name)?;
            Some(state.asked.remove(place).1)
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if !thread::panicking() && self.update(|state| state.is_up) {
            self.kill();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panicked")
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let told = |state: &State| (state.life, state.facts.last().map(|fact| fact.sequence));
        let before = told(&state);
        let changed = change(&mut state);
        if told(&state) != before {
            self.told.notify_all();
        }
        self.changed.notify_all();
        changed
    }

    /// One connection to its end, which may come from either side.
    fn serve(&self, mut stream: UnixStream, life: u64) {
        {
            let mut state = self.lock();
            if state.life != life {
                return;
            }
            state
                .connections
                .push(stream.try_clone().expect("a socket"));
        }
        let mut buffer = stream.try_clone().expect("a socket");
        while let Ok(Some(asked)) = http::read(&mut buffer) {
            if self.handle(&mut stream, &asked, life).is_err() {
                let _ = stream.shutdown(Shutdown::Both);
                return;
            }
        }
    }

    fn handle(&self, stream: &mut UnixStream, asked: &Asked, life: u64) -> io::Result<()> {
        let name = name_of(asked);
        let text = String::from_utf8_lossy(&asked.body).into_owned();
        self.update(|state| state.asked.push((name.to_owned(), text)));
        let refused = self.update(|state| {
            let place = state
                .refuses
                .iter()
                .position(|(refused, _)| *refused == name)?;
            Some(state.refuses.remove(place).1)
        });
        if let Some(problem) = refused {
            return http::answer(stream, problem.status(), &json(&problem).expect("JSON"));
        }
        match name {
            "clients" => return self.attend(stream, life),
            "events" => return self.tell_events(stream, asked, life),
            _ => {}
        }
        self.hold_up(name, Held::Undone);
        let (answer, is_lost) = self.update(|state| {
            if asked.parts[0] == "clients" && !state.clients.contains_key(&asked.parts[1]) {
                return (Err(Problem::NoSuchClient), false);
            }
            let place = state.loses.iter().position(|lost| *lost == name);
            let is_lost = place.map(|place| state.loses.remove(place)).is_some();
            (state.answer(name, asked), is_lost)
        });
        if is_lost {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        self.hold_up(name, Held::Unanswered);
        match answer {
            Ok(body) => http::answer(stream, 200, &body),
            Err(problem) => http::answer(stream, problem.status(), &json(&problem).expect("JSON")),
        }
    }

    fn hold_up(&self, name: &'static str, at: Held) {
        let is_held = |state: &mut State| state.holds.contains(&(name, at));
        let waited = self.changed.wait_while(self.lock(), is_held);
        drop(waited.expect("no test panicked"));
    }

    /// The stream of one client.
    fn attend(&self, stream: &mut UnixStream, life: u64) -> io::Result<()> {
        let (client, engine) = self.update(|state| {
            state.clients_ever += 1;
            let client = format!("{:032x}", state.clients_ever);
            state.clients.insert(client.clone(), Vec::new());
            (client, engine(state.api))
        });
        http::begin_stream(stream)?;
        let welcome = ClientEvent::Welcome {
            client: ClientId(client.clone()),
            engine,
        };
        stream.write_all(&http::chunk(event(&welcome).as_bytes()))?;
        loop {
            let told = {
                let mut state = self.lock();
                loop {
                    if state.life != life {
                        return Err(io::ErrorKind::ConnectionReset.into());
                    }
                    match state.clients.get_mut(&client) {
                        Some(events) if !events.is_empty() => break std::mem::take(events),
                        Some(_) => state = self.changed.wait(state).expect("no test panicked"),
                        None => return Err(io::ErrorKind::ConnectionReset.into()),
                    }
                }
            };
            for told in &told {
                stream.write_all(&http::chunk(event(told).as_bytes()))?;
            }
        }
    }

    /// One stream of events: what it tells is decided by what is committed, as far as it was not heard.
    fn tell_events(&self, stream: &mut UnixStream, asked: &Asked, life: u64) -> io::Result<()> {
        let query: EventsQuery = serde_urlencoded::from_str(&asked.query).expect("a query");
        let (mut cut, news) = self.update(|state| {
            state.streams += 1;
            (state.cuts.pop(), state.news)
        });
        stream.set_write_timeout(Some(STUCK_AFTER))?;
        http::begin_stream(stream)?;
        let mut send = |told: &SessionEvent| -> io::Result<()> {
            let text = event(told);
            let bytes = text.as_bytes();
            let bytes = match &mut cut {
                Some(cut) if *cut < bytes.len() => {
                    stream.write_all(&http::chunk(&bytes[..*cut]))?;
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
                Some(cut) => {
                    *cut -= bytes.len();
                    bytes
                }
                None => bytes,
            };
            self.write_all(stream, &http::chunk(bytes))
        };
        send(&SessionEvent::Listening)?;
        for received_bytes in 0..news {
            send(&told(progress(received_bytes)))?;
            self.update(|state| state.told_news += 1);
        }
        let mut heard = query.after.unwrap_or_default();
        loop {
            let fact = {
                let mut state = self.lock();
                loop {
                    if state.life != life {
                        return Err(io::ErrorKind::ConnectionReset.into());
                    }
                    let next = state.facts.iter().find(|fact| fact.sequence > heard);
                    if let Some(fact) = next {
                        break fact.clone();
                    }
                    state = self.told.wait(state).expect("no test panicked");
                }
            };
            heard = fact.sequence;
            let is_last = fact.fact == Fact::BecameInvalid;
            send(&told(Event::Fact(fact)))?;
            if is_last {
                send(&SessionEvent::Over)?;
                return Err(io::ErrorKind::ConnectionReset.into());
            }
        }
    }

    /// Writes all of it, and notes when nobody reads.
    fn write_all(&self, stream: &mut UnixStream, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match stream.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.update(|state| state.is_stuck = true);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn name_of(asked: &Asked) -> &'static str {
    let parts: Vec<_> = asked.parts.iter().map(String::as_str).collect();
    match (asked.method.as_str(), parts.as_slice()) {
        ("POST", ["clients"]) => "clients",
        ("PUT", ["clients", _, "sessions", _]) => "open",
        ("DELETE", ["clients", _, "sessions", _]) => "close",
        ("PUT", ["clients", _, "sessions", _, "delegate"]) => "delegate",
        ("POST", ["clients", _, "waits"]) => "wait",
        ("POST", ["clients", _, "waits", "forget"]) => "forget",
        ("PUT", ["clients", _, "refresh"]) => "refresh",
        ("POST", ["clients", _, "refresh", _, "complete"]) => "complete",
        ("POST", ["clients", _, "foreground"]) => "foreground",
        ("GET", ["sessions", _, "events"]) => "events",
        ("GET", ["sessions", _]) => "session",
        ("POST", ["sessions", _, "tasks"]) => "start",
        ("POST", ["sessions", _, "resume"]) => "resume",
        ("GET", ["sessions", _, "tasks"]) => "tasks",
        ("GET", ["sessions", _, "tasks", _]) => "task",
        ("PUT", ["sessions", _, "tasks", _, "desired"]) => "desired",
        ("POST", ["sessions", _, "acknowledge"]) => "acknowledge",
        ("PUT", ["conditions"]) => "conditions",
        ("PUT", ["rate-limit"]) => "rate-limit",
        (method, parts) => panic!("{method} {parts:?} is not played"),
    }
}

fn engine(api: u32) -> EngineDocument {
    EngineDocument {
        version: "0.0.0".to_owned(),
        api,
        pid: 1,
        state_dir: "/".into(),
        started_at: Timestamp::default(),
        conditions: Conditions::default(),
    }
}

pub(super) fn progress(received_bytes: u64) -> Event {
    let progress = Progress {
        received_bytes,
        ..Progress::default()
    };
    Event::Progress {
        task: TaskId::new(1),
        progress,
    }
}

fn told(told: Event) -> SessionEvent {
    SessionEvent::Told { told }
}

/// An event as it goes over the wire.
fn event(event: &impl Serialize) -> String {
    format!("data: {}\n\n", serde_json::to_string(event).expect("JSON"))
}
