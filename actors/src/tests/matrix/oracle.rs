//! What must be true of every run, whatever crashed in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use longhaul_engine::event::{Event, Fact, NumberedFact};
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::task::Outcome;
use longhaul_persistence::Store;

use crate::desktop::Notice;
use crate::tests::bench::{Bench, FAILURE, SUCCESS, ending, facts_of};

/// Bytes that one crash may make us fetch again of one task: what was not recorded yet (a mebibyte
/// that is new, or what came in 100 ms or 1 s before), and what was on its way.
const TWICE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What a scenario leaves.
pub(super) struct Story {
    pub(super) bench: Bench,
    pub(super) session: SessionId,
    pub(super) tasks: Vec<Told>,
    /// What each subscriber heard; all began before anything was acknowledged, or began a new life.
    pub(super) heard: Vec<Vec<Event>>,
    /// What callers were told of outcomes.
    pub(super) outcomes: Vec<(TaskId, Outcome)>,
    /// The last fact that was acknowledged.
    pub(super) acknowledged: Sequence,
}

/// A task of the scenario and how it must have ended.
pub(super) struct Told {
    pub(super) task: TaskId,
    /// Where it was fetched from.
    pub(super) at: &'static str,
    /// The name of its target.
    pub(super) name: String,
    pub(super) body: Arc<[u8]>,
    pub(super) connections: usize,
    /// How often its owner was asked for credentials; a crash may have it asked once more, because a
    /// wish that was not answered is repeated.
    pub(super) challenges: usize,
    pub(super) outcome: Outcome,
}

/// Judges a run in which so many crashes were ordered.
pub(super) fn judge(story: &Story, crashes: usize) {
    for task in &story.tasks {
        judge_task(story, task, crashes);
    }
    let is_whole = |task: &&Told| matches!(task.outcome, Outcome::Finished(_));
    let mut whole: Vec<_> = story
        .tasks
        .iter()
        .filter(is_whole)
        .map(|task| task.name.clone())
        .collect();
    whole.sort();
    assert_eq!(
        story.bench.files(),
        whole,
        "finished files and nothing else"
    );
    let tickets = story.bench.sources();
    let is_ticket = |name: &&String| name.ends_with(".resume");
    assert_eq!(tickets.iter().find(is_ticket), None, "a ticket leaks");
    for heard in &story.heard {
        judge_events(heard);
    }
    judge_store(story);
}

fn judge_task(story: &Story, told: &Told, crashes: usize) {
    let Told { at, name, body, .. } = told;
    judge_bytes(story, told);
    judge_depot(story, told, crashes);
    judge_challenges(story, told, crashes);
    judge_notices(story, told, crashes);
    judge_ending(story, told);
    if story.bench.server.1.is_open(at) || story.bench.server.2.is_open(at) {
        return;
    }
    let open_max = story.bench.server.open_max(at);
    assert!(
        open_max <= told.connections,
        "{open_max} requests at once for {name}"
    );
    let twice = story.bench.server.sent_bytes(at).saturating_sub(body.len());
    let allowed = TWICE_BYTES_MAX * crashes + TWICE_BYTES_MAX / 8;
    assert!(
        twice <= allowed,
        "{twice} bytes of {name} came twice, allowed are {allowed}"
    );
}

/// What a person was told: each end at most once, and without a crash surely. Tasks may be of files
/// of one name.
fn judge_notices(story: &Story, told: &Told, crashes: usize) {
    let notices = story.bench.notices();
    let of_name = |notice: &&Notice| notice.body == told.name;
    let notices: Vec<_> = notices.iter().filter(of_name).collect();
    let namesakes = story.tasks.iter().filter(|other| other.name == told.name);
    let titles: Vec<_> = namesakes.filter_map(title_of).collect();
    let most = titles.len();
    let least = if crashes == 0 { most } else { 0 };
    assert!(
        (least..=most).contains(&notices.len()),
        "a person was told of {}: {notices:?}",
        told.name
    );
    assert!(
        notices
            .iter()
            .all(|notice| titles.contains(&&*notice.title))
    );
}

/// What a person is told under, if at all.
const fn title_of(told: &Told) -> Option<&'static str> {
    match &told.outcome {
        Outcome::Finished(_) | Outcome::Uploaded(_) | Outcome::Skipped(_) => Some(SUCCESS),
        Outcome::Failed(_) => Some(FAILURE),
        Outcome::Cancelled | Outcome::CancelledResumable(_) => None,
    }
}

/// What the one who wanted the bytes has.
fn judge_bytes(story: &Story, told: &Told) {
    let Told { at, name, body, .. } = told;
    let is_kept = story.bench.server.2.is_open(at);
    if let (Outcome::Uploaded(_), false) = (&told.outcome, is_kept) {
        let arrivals = story.bench.server.1.arrivals(at);
        let mut whole = arrivals.iter().filter(|arrival| arrival.bytes == **body);
        assert!(
            whole.any(|arrival| arrival.status == Some(201)),
            "the server has not said that it has {name}"
        );
    }
    match (&told.outcome, story.bench.file(name)) {
        (Outcome::Finished(_), file) => {
            assert!(
                file.as_deref() == Some(body),
                "{name} is not what the server sent"
            );
        }
        (_, file) => assert!(file.is_none(), "{name} exists"),
    }
}

/// What a server has that keeps what it got: a file once, whole; one that was cancelled not at all. A
/// crash may leave it an upload that it has made and we have not heard of.
fn judge_depot(story: &Story, told: &Told, crashes: usize) {
    let Told { at, name, body, .. } = told;
    if !story.bench.server.2.is_open(at) {
        return;
    }
    let kept = story.bench.server.2.kept(at);
    let (whole, others): (Vec<_>, Vec<_>) = kept.iter().partition(|kept| kept.is_complete);
    let expected = usize::from(matches!(told.outcome, Outcome::Uploaded(_)));
    assert_eq!(whole.len(), expected, "so often the server has {name}");
    assert!(
        whole.iter().all(|whole| whole.bytes == **body),
        "{name} is another file"
    );
    let left = others.iter().filter(|kept| !kept.is_removed).count();
    assert!(left <= crashes, "{left} uploads of {name} are left");
}

/// How often its owner was asked.
fn judge_challenges(story: &Story, told: &Told, crashes: usize) {
    let Told { task, name, .. } = told;
    let (_, asked) = split(all_facts(story));
    let asked: BTreeSet<_> = asked
        .iter()
        .filter(|fact| fact.fact.task() == Some(*task))
        .map(|fact| fact.sequence)
        .collect();
    assert!(
        (told.challenges..=told.challenges * (1 + crashes)).contains(&asked.len()),
        "{name} asked {} times",
        asked.len()
    );
}

/// That it has ended once, and that everybody heard the same.
fn judge_ending(story: &Story, told: &Told) {
    let Told { task, name, .. } = told;
    let (facts, _) = split(all_facts(story));
    let of_task: Vec<_> = facts
        .iter()
        .filter(|fact| fact.fact.task() == Some(*task))
        .map(ending)
        .collect();
    assert!(!of_task.is_empty(), "nobody was told of the end of {name}");
    let answers = story.outcomes.iter().filter(|(of, _)| of == task);
    for (_, outcome) in answers.chain(&of_task) {
        assert_eq!(*outcome, told.outcome, "{name} has one outcome");
    }
    let numbers: BTreeSet<_> = facts
        .iter()
        .filter(|fact| fact.fact.task() == Some(*task))
        .map(|fact| fact.sequence)
        .collect();
    assert_eq!(numbers.len(), 1, "{name} has one terminal fact");
}

fn all_facts(story: &Story) -> Vec<NumberedFact> {
    story
        .heard
        .iter()
        .flat_map(|heard| facts_of(heard))
        .collect()
}

/// The terminal facts, and the others.
fn split(facts: Vec<NumberedFact>) -> (Vec<NumberedFact>, Vec<NumberedFact>) {
    facts
        .into_iter()
        .partition(|fact| matches!(fact.fact, Fact::Completed { .. }))
}

fn judge_events(heard: &[Event]) {
    let mut ended = BTreeSet::new();
    let mut last = Sequence::default();
    for event in heard {
        assert!(
            !ended.contains(&None),
            "{event:?} came after the end of all"
        );
        assert!(
            !ended.contains(&event.task()),
            "{event:?} came after the end"
        );
        if let Event::Fact(fact) = event {
            assert!(fact.sequence > last, "{fact:?} came after {last:?}");
            last = fact.sequence;
            if matches!(fact.fact, Fact::Completed { .. }) {
                ended.insert(event.task());
            }
        }
    }
}

fn judge_store(story: &Story) {
    let store = Store::open(&story.bench.store_path()).expect("the store opens again");
    let facts = store
        .facts(&story.session, Sequence::default(), 100)
        .expect("a store");
    let mut expected = all_facts(story);
    expected.retain(|fact| fact.sequence > story.acknowledged);
    expected.sort_by_key(|fact| fact.sequence);
    expected.dedup();
    assert_eq!(facts, expected, "what was not acknowledged is kept");
    let kept: BTreeSet<_> = split(facts)
        .0
        .iter()
        .filter_map(|fact| fact.fact.task())
        .collect();
    for summary in store.tasks(&story.session, None, 100).expect("a store") {
        assert!(
            summary.ended && kept.contains(&summary.id),
            "{summary:?} is kept"
        );
    }
}
