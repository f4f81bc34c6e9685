//! Delayed tasks and their owner's word: who is asked, once, what each answer does, and what a kill
//! in the middle of the question leaves.

use std::collections::VecDeque;
use std::env;
use std::io::{BufRead as _, BufReader, Write as _, stdout};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use longhaul::{
    DelayedRequest, Delegate, DelegateGuard, DownloadRequest, DownloadTask, Engine, HttpUrl,
    NewRequest, Outcome, Phase, Session, SessionConfiguration, TaskId, Timestamp, UploadProtocol,
    UploadRequest,
};
use longhaul_support::gate::Gate;
use longhaul_support::log::{PATIENCE, Request};
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use super::{CONTENT, PATH, completed, serve, until_all_finished};
use super::{Recorder, Told};
use crate::bench::{Bench, SECRET};
use crate::face::{block_on, open};

const OTHER: &str = "/other";
const NAME: &str = "com.example.delayed";

/// A delegate's way to answer one question.
type Answer = Box<dyn FnOnce() -> DelayedRequest + Send>;

/// Answers each question with the next of its answers, and passes on what it is told.
struct Decides {
    asked: Sender<TaskId>,
    answers: Mutex<VecDeque<Answer>>,
    recorder: Recorder,
}

impl Decides {
    fn new(answers: Vec<Answer>) -> (Arc<Self>, Receiver<TaskId>, Receiver<Told>) {
        let (asked, questions) = channel();
        let (told, heard) = channel();
        let decides = Self {
            asked,
            answers: Mutex::new(answers.into()),
            recorder: Recorder(told),
        };
        (Arc::new(decides), questions, heard)
    }
}

impl Delegate for Decides {
    fn will_begin_delayed_request(&self, task: TaskId) -> DelayedRequest {
        self.asked.send(task).unwrap();
        let answer = self.answers.lock().unwrap().pop_front();
        answer.map_or(DelayedRequest::ContinueLoading, |answer| answer())
    }

    fn did_complete(&self, task: TaskId, outcome: &Outcome) {
        self.recorder.did_complete(task, outcome);
    }

    fn session_finished_events(&self) {
        self.recorder.session_finished_events();
    }
}

fn says(decision: DelayedRequest) -> Answer {
    Box::new(move || decision)
}

/// Does not answer before it is let go.
fn lingers(decision: DelayedRequest) -> (Sender<()>, Answer) {
    let (let_go, is_let_go) = channel();
    let answer = Box::new(move || {
        is_let_go.recv().unwrap();
        decision
    });
    (let_go, answer)
}

fn url_of(text: &str) -> HttpUrl {
    DownloadRequest::new(text, "x").unwrap().url().clone()
}

fn asks_for(url: &str, headers: &[(&str, &str)]) -> DelayedRequest {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    DelayedRequest::UseNewRequest(NewRequest {
        url: url_of(url),
        headers: headers.iter().map(owned).collect(),
    })
}

fn past() -> Timestamp {
    (SystemTime::now() - Duration::from_secs(3600)).into()
}

fn delayed(bench: &Bench, url: &str, name: &str) -> DownloadRequest {
    let request = DownloadRequest::new(url, bench.file(name)).unwrap();
    request.earliest_begin_date(past())
}

async fn start_all(session: &Session, requests: Vec<DownloadRequest>) -> Vec<DownloadTask> {
    let tasks = session.start_downloads(requests).await.unwrap();
    tasks.into_iter().map(Result::unwrap).collect()
}

async fn open_with(state: &Path, delegate: Arc<dyn Delegate>) -> (Engine, Session, DelegateGuard) {
    let engine = Engine::builder(state).start().unwrap();
    let configuration = SessionConfiguration::new(NAME).unwrap();
    let opened = engine.session_with_delegate(configuration, delegate).await;
    let (session, guard) = opened.unwrap();
    (engine, session, guard)
}

fn paths(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(|it| it.path.as_str()).collect()
}

#[test]
fn a_delayed_task_begins_as_its_delegate_says_and_is_asked_about_once() {
    let (bench, server) = (Bench::new(), serve([]));
    server.serve(OTHER, Resource::new(CONTENT));
    server.script("/inbox", [Reply::status(500)]);
    server.script("/outbox", [Reply::status(201)]);
    CONTENT.write_file(&bench.file("source")).unwrap();
    let other = asks_for(&server.url(OTHER), &[("X-Signed", "anew")]);
    let outbox = asks_for(&server.url("/outbox"), &[]);
    let answers = [DelayedRequest::ContinueLoading, other];
    let answers = answers.into_iter().chain([DelayedRequest::Cancel, outbox]);
    let (delegate, asked, heard) = Decides::new(answers.map(says).collect());
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let guard = session.set_delegate(delegate).await.unwrap();
        let mut ids = Vec::new();
        for name in ["continues", "changes", "ends"] {
            let request = delayed(&bench, &server.url(PATH), name);
            let task = session.start_download(request).await.unwrap();
            ids.push(task.id());
            assert_eq!(asked.recv_timeout(PATIENCE), Ok(task.id()));
        }
        let upload = UploadRequest::new(&server.url("/inbox"), bench.file("source")).unwrap();
        let upload = upload.protocol(UploadProtocol::Plain).unwrap();
        let upload = upload.earliest_begin_date(past());
        ids.push(session.start_upload(upload).await.unwrap().id());
        assert_eq!(asked.recv_timeout(PATIENCE), Ok(ids[3]));

        let mut told = Vec::new();
        while completed(&told).len() < ids.len() {
            told.extend(until_all_finished(&heard));
        }
        let outcome = |id: &TaskId| {
            let of = |told: &Told| match told {
                Told::Completed(task, outcome) if task == id => Some(outcome.clone()),
                _ => None,
            };
            told.iter().find_map(of).unwrap()
        };
        assert!(matches!(outcome(&ids[0]), Outcome::Finished(_)));
        assert!(matches!(outcome(&ids[1]), Outcome::Finished(_)));
        assert_eq!(outcome(&ids[2]), Outcome::Cancelled);
        assert!(matches!(outcome(&ids[3]), Outcome::Uploaded(_)));
        guard.detach().await;
        engine.shutdown().await;
    });
    assert_eq!(asked.try_iter().count(), 0, "nobody is asked twice");
    let requests = server.requests();
    let mut all = paths(&requests);
    all.sort_unstable();
    assert_eq!(all, [PATH, OTHER, "/outbox"]);
    let changed = requests.iter().find(|it| it.path == OTHER).unwrap();
    assert_eq!(changed.header("x-signed"), Some("anew"));
    for name in ["continues", "changes"] {
        bench.assert_file(name, CONTENT);
    }
}

#[test]
fn a_new_request_that_can_not_be_made_and_a_panic_leave_a_delayed_task_its_own() {
    let gate = Gate::new();
    let (bench, server) = (Bench::new(), serve([]));
    server.serve(OTHER, Resource::new(CONTENT));
    server.script(OTHER, [Reply::normal().hold_head(&gate)]);
    let broken = asks_for(&server.url(OTHER), &[("X-Two\r\nX-Lines", SECRET)]);
    let claimed = asks_for(&server.url(OTHER), &[]);
    let panics: Answer = Box::new(|| panic!("an ordered panic"));
    let answers = vec![says(broken), says(claimed), panics];
    let (delegate, asked, heard) = Decides::new(answers);
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let guard = session.set_delegate(delegate).await.unwrap();
        let holder = DownloadRequest::into_directory(&server.url(OTHER), bench.files()).unwrap();
        let holder = session.start_download(holder).await.unwrap();
        server.wait_for(|requests| requests.len() == 1);

        // In a directory the claim is for the address, which the holder has.
        let claims = DownloadRequest::into_directory(&server.url(PATH), bench.files()).unwrap();
        let requests = vec![
            delayed(&bench, &server.url(PATH), "broken"),
            claims.earliest_begin_date(past()),
            delayed(&bench, &server.url(PATH), "panics"),
        ];
        let tasks = start_all(&session, requests).await;
        let mut told = Vec::new();
        while completed(&told).len() < tasks.len() {
            told.push(heard.recv_timeout(PATIENCE).unwrap());
        }
        let finished = |told: &Told| matches!(told, Told::Completed(_, Outcome::Finished(_)));
        assert!(told.iter().all(finished), "{told:?}");
        gate.open();
        holder.cancel().await.unwrap();
        guard.detach().await;
        engine.shutdown().await;
        let ids: Vec<_> = tasks.iter().map(DownloadTask::id).collect();
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), ids);
    });
    assert_eq!(server.requests_for(PATH).len(), 3);
    assert_eq!(server.requests_for(OTHER).len(), 1);
}

#[test]
fn while_one_question_is_open_the_others_wait_and_each_is_asked_in_its_turn() {
    let (bench, server) = (Bench::new(), serve([]));
    let (let_go, answer) = lingers(DelayedRequest::ContinueLoading);
    let (delegate, asked, heard) = Decides::new(vec![answer]);
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let guard = session.set_delegate(delegate).await.unwrap();
        let names: Vec<_> = (0..20).map(|number| number.to_string()).collect();
        let request = |name: &String| delayed(&bench, &server.url(PATH), name);
        let tasks = start_all(&session, names.iter().map(request).collect()).await;
        assert_eq!(asked.recv_timeout(PATIENCE), Ok(tasks[0].id()));
        for task in &tasks {
            assert_eq!(task.phase().await, Ok(Phase::AwaitingBegin));
        }
        assert_eq!(server.requests().len(), 0);
        // One that ends otherwise meanwhile is not asked about any more.
        tasks[7].cancel().await.unwrap();
        let_go.send(()).unwrap();
        let mut told = Vec::new();
        while completed(&told).len() < tasks.len() {
            told.extend(until_all_finished(&heard));
        }
        let all_but_one = tasks.iter().map(DownloadTask::id);
        let all_but_one: Vec<_> = all_but_one.filter(|id| *id != tasks[7].id()).collect();
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), all_but_one[1..]);
        guard.detach().await;
        engine.shutdown().await;
    });
    assert_eq!(server.requests().len(), 19);
}

#[test]
fn a_delegate_that_is_let_go_answers_its_last_question_and_the_other_tasks_just_begin() {
    let (bench, server) = (Bench::new(), serve([]));
    let (let_go, answer) = lingers(DelayedRequest::Cancel);
    let (delegate, asked, _) = Decides::new(vec![answer]);
    block_on(async {
        let (engine, session) = open(&bench.state()).await;
        let guard = session.set_delegate(delegate).await.unwrap();
        let request = |name: &str| delayed(&bench, &server.url(PATH), name);
        let tasks = start_all(&session, vec![request("cancelled"), request("begins")]).await;
        assert_eq!(asked.recv_timeout(PATIENCE), Ok(tasks[0].id()));
        drop(guard);
        let_go.send(()).unwrap();
        assert_eq!(tasks[0].finished().await, Ok(Outcome::Cancelled));
        let outcome = tasks[1].finished().await.unwrap();
        assert!(matches!(outcome, Outcome::Finished(_)), "{outcome:?}");
        engine.shutdown().await;
    });
    assert_eq!(asked.try_iter().count(), 0);
    bench.assert_file("begins", CONTENT);
}

/// This process is the app, and its files lie here; see [`PLACE_SEPARATOR`].
const APP_VARIABLE: &str = "LONGHAUL_DELAYED_APP";

/// Between the directory and the address of the server.
const PLACE_SEPARATOR: &str = " ";

/// The test that is the app when [`APP_VARIABLE`] is set.
const APP: &str = "delegate::delayed::an_app_that_is_killed_while_it_is_asked_is_asked_again";

/// What the app prints for each question.
const ASKED: &str = "asked ";

/// The tasks of the app.
const TASKS: usize = 4;

#[test]
fn an_app_that_is_killed_while_it_is_asked_is_asked_again() {
    if let Ok(place) = env::var(APP_VARIABLE) {
        let (state, url) = place.split_once(PLACE_SEPARATOR).unwrap();
        return app(Path::new(state), url);
    }
    let (bench, server) = (Bench::new(), serve([]));
    let asked_first = run_and_kill(&bench, &server);
    assert_eq!(asked_first.len(), 2, "the second question has no answer");

    let (delegate, asked, heard) = Decides::new(Vec::new());
    block_on(async {
        let (engine, session, guard) = open_with(&bench.state(), delegate).await;
        let tasks = session.get_download_tasks().await.unwrap();
        let ids: Vec<_> = tasks.iter().map(DownloadTask::id).collect();
        assert_eq!(ids.len(), TASKS);
        let as_text = ids.iter().map(ToString::to_string);
        let as_text: Vec<_> = as_text.collect();
        assert_eq!(asked_first, as_text[..2]);
        let mut told = Vec::new();
        while completed(&told).len() < TASKS {
            told.extend(until_all_finished(&heard));
        }
        // The first answer was recorded before the second question.
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), ids[1..]);
        guard.detach().await;
        engine.shutdown().await;
    });
    for number in 0..TASKS {
        bench.assert_file(&number.to_string(), CONTENT);
    }
}

/// Runs the app and kills it within its second question; which tasks it was asked about.
fn run_and_kill(bench: &Bench, server: &Server) -> Vec<String> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    let place = [bench.state().to_str().unwrap(), &server.url(PATH)].join(PLACE_SEPARATOR);
    let mut app = Command::new(env::current_exe().unwrap())
        .args(["--exact", APP])
        .env(APP_VARIABLE, place)
        .current_dir(bench.files())
        .stdin(Stdio::null())
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .unwrap();
    let lines = BufReader::new(ours).lines().map(Result::unwrap);
    let asked = lines.filter_map(|line| line.strip_prefix(ASKED).map(str::to_owned));
    let asked = asked.take(2).collect();
    app.kill().unwrap();
    app.wait().unwrap();
    asked
}

/// The app: it lets the first task begin, and never answers about the second.
fn app(state: &Path, url: &str) {
    struct Hangs(Mutex<usize>);
    impl Delegate for Hangs {
        fn will_begin_delayed_request(&self, task: TaskId) -> DelayedRequest {
            let mut count = self.0.lock().unwrap();
            *count += 1;
            // A line of its own, whatever the runner of tests prints.
            writeln!(stdout().lock(), "\n{ASKED}{task}").unwrap();
            if *count == 1 {
                return DelayedRequest::ContinueLoading;
            }
            loop {
                thread::park();
            }
        }
    }
    block_on(async {
        let delegate = Arc::new(Hangs(Mutex::new(0)));
        let (_engine, session, guard) = open_with(state, delegate).await;
        let request = |number: usize| {
            let request = DownloadRequest::new(url, number.to_string()).unwrap();
            request.earliest_begin_date(past())
        };
        start_all(&session, (0..TASKS).map(request).collect()).await;
        guard.ended().await;
    });
}
