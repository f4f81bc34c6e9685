//! What a delegate is told for each fact and each piece of news, and what its panics cost.

use std::sync::Mutex;

use longhaul_engine::authorization_challenge::Disposition;
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::task::Finished;

use super::*;
use crate::blocking::block_on;
use crate::{Engine, SessionConfiguration};

const TASK: TaskId = TaskId::new(7);

/// Writes down what it is told, and panics in the method of this name.
#[derive(Default)]
struct Recorder {
    told: Mutex<Vec<&'static str>>,
    panics_in: &'static str,
}

impl Recorder {
    fn tell(&self, method: &'static str) {
        self.told.lock().unwrap().push(method);
        assert_ne!(method, self.panics_in, "an ordered panic");
    }
}

impl Delegate for Recorder {
    fn did_receive_challenge(&self, task: TaskId, challenge: &Challenge) -> Disposition {
        assert_eq!((task, challenge.status), (TASK, 401));
        self.tell("challenge");
        Disposition::PerformDefaultHandling
    }

    fn will_begin_delayed_request(&self, _: TaskId) -> DelayedRequest {
        self.tell("begin");
        DelayedRequest::Cancel
    }

    fn did_resume_at_offset(&self, task: TaskId, offset: u64, total_bytes: Option<u64>) {
        assert_eq!((task, offset, total_bytes), (TASK, 3, Some(5)));
        self.tell("resumed");
    }

    fn did_write_data(&self, _: TaskId, _: Progress) {
        self.tell("wrote");
    }

    fn did_finish_downloading(&self, _: TaskId, file: &Finished) {
        assert_eq!(file.bytes, 5);
        self.tell("finished");
    }

    fn did_finish_collecting_metrics(&self, _: TaskId, metrics: &TaskMetrics) {
        assert_eq!(metrics.transaction_count, 2);
        self.tell("metrics");
    }

    fn did_complete(&self, _: TaskId, _: &Outcome) {
        self.tell("completed");
    }

    fn session_finished_events(&self) {
        self.tell("all");
    }

    fn did_become_invalid(&self) {
        self.tell("invalid");
    }

    fn state_lost(&self) {
        self.tell("lost");
    }
}

/// Tells a delegate that panics in this method these events; what it heard, and whether what it
/// was told may not be acknowledged. The events are made up: the session is empty.
fn tell(events: &[Event], panics_in: &'static str) -> (Vec<&'static str>, bool) {
    let directory = tempfile::tempdir().unwrap();
    block_on(async {
        let engine = Engine::builder(directory.path()).start().unwrap();
        let configuration = SessionConfiguration::new("s").unwrap();
        let session = engine.session(configuration).await.unwrap();
        let handle = (**session.link()).clone();
        let recorder = Arc::new(Recorder {
            panics_in,
            ..Recorder::default()
        });
        let incoming = Incoming::new(handle.subscribe(None).await.unwrap());
        let delegate: Arc<dyn Delegate> = Arc::clone(&recorder) as _;
        let mut dispatcher = Dispatcher::new(handle, incoming, delegate, Arc::default());
        for event in events {
            match event.clone() {
                Event::Fact(fact) => dispatcher.tell_fact(fact).await,
                news => dispatcher.tell_news(news).await,
            }
        }
        engine.shutdown().await;
        let told = recorder.told.lock().unwrap().clone();
        (told, dispatcher.caller.is_withholding)
    })
}

fn fact(fact: Fact) -> Event {
    Event::Fact(NumberedFact {
        sequence: Sequence::new(1),
        fact,
    })
}

fn ended(outcome: Outcome, metrics: Option<Box<TaskMetrics>>) -> Event {
    fact(Fact::Completed {
        task: TASK,
        outcome,
        metrics,
    })
}

fn finished() -> Event {
    let file = Finished {
        path: "/a".into(),
        bytes: 5,
        length_unverified: false,
        status: 200,
    };
    let metrics = TaskMetrics {
        transaction_count: 2,
        ..TaskMetrics::default()
    };
    ended(Outcome::Finished(file), Some(Box::new(metrics)))
}

fn challenged() -> Event {
    let challenge = Challenge {
        host: "a".to_owned(),
        status: 401,
        scheme: String::new(),
        realm: None,
        previous_failures: 0,
    };
    fact(Fact::Challenged {
        task: TASK,
        challenge,
    })
}

#[test]
fn each_event_is_told_by_its_methods_in_their_order() {
    let failure = Failure::new(FailureKind::NoSpace, "full");
    let resumed = Event::Resumed {
        task: TASK,
        held_bytes: 3,
        total_bytes: Some(5),
    };
    let phase = |phase| Event::PhaseChanged { task: TASK, phase };
    let progress = Event::Progress {
        task: TASK,
        progress: Progress::default(),
    };
    let cases: [(Event, &[&str]); 11] = [
        (finished(), &["finished", "metrics", "completed"]),
        (ended(Outcome::Skipped("/a".into()), None), &["completed"]),
        (ended(Outcome::Failed(failure), None), &["completed"]),
        (ended(Outcome::Cancelled, None), &["completed"]),
        (challenged(), &["challenge"]),
        (fact(Fact::StateLost), &["lost"]),
        (fact(Fact::BecameInvalid), &["invalid"]),
        (resumed, &["resumed"]),
        // Of a task that does not wait for it any more.
        (phase(Phase::AwaitingBegin), &[]),
        (phase(Phase::Transferring), &[]),
        // Of a task that is forgotten already.
        (progress, &[]),
    ];
    for (event, methods) in cases {
        let (told, is_withholding) = tell(std::slice::from_ref(&event), "");
        assert_eq!(told, methods, "{event:?}");
        assert!(!is_withholding, "{event:?}");
    }
}

#[test]
fn an_invalid_session_has_finished_its_events_and_then_nothing_more_is_told() {
    let events = [finished(), fact(Fact::BecameInvalid)];
    let (told, _) = tell(&events, "");
    assert_eq!(told, ["finished", "metrics", "completed", "all", "invalid"]);
}

#[test]
fn a_panic_hinders_no_other_method_and_only_one_for_a_fact_holds_back_acknowledgements() {
    let resumed = Event::Resumed {
        task: TASK,
        held_bytes: 3,
        total_bytes: Some(5),
    };
    let events = [
        fact(Fact::StateLost),
        challenged(),
        resumed,
        finished(),
        fact(Fact::BecameInvalid),
    ];
    let all = [
        "lost",
        "challenge",
        "resumed",
        "finished",
        "metrics",
        "completed",
        "all",
        "invalid",
    ];
    for method in all {
        let (told, is_withholding) = tell(&events, method);
        assert_eq!(told, all, "a panic in {method}");
        assert_eq!(is_withholding, method != "resumed", "a panic in {method}");
    }
}
