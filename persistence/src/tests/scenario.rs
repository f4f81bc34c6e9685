//! A seeded life of a store, what it looks like after each commit, and what must hold of any store.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_engine::authorization_challenge::{Disposition, Renewal};
use longhaul_engine::checkpoint::Checkpoint;
use longhaul_engine::delayed_request::{DelayedRequest, NewRequest};
use longhaul_engine::event::Fact;
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::session::{Invalidation, SessionState};
use longhaul_engine::task::{Adjustment, Desired, Destination, Outcome, Priority};
use redb::{ReadableDatabase, ReadableTable, TableHandle};

use super::disk::{Disk, Random};
use super::samples::{
    adopt, awaiting, close, finished, full_checkpoint, full_rules, put_session, record, register,
    session, spec, url,
};
use crate::codec::decode;
use crate::records::TargetV1;
use crate::tables::{CHECKPOINTS, EPOCH, EVENTS, META, SESSIONS, STATES, TARGETS, TASKS};
use crate::{Change, Store};

/// All rows of a store but the epoch: two stores with equal images have the same history.
pub(super) type Image = BTreeMap<(String, Vec<u8>, u64), Vec<u8>>;

/// The commits of a life, which may well be refused in part.
pub(super) fn commits(seed: u64) -> Vec<Vec<Change>> {
    let mut random = Random::new(seed);
    let mut commits = vec![vec![put_session(&session("a")), put_session(&session("b"))]];
    for _ in 0..12 {
        let count = 1 + random.below(6);
        commits.push((0..count).map(|_| change(&mut random)).collect());
    }
    commits
}

fn change(random: &mut Random) -> Change {
    let session = session(["a", "a", "b"][random.below(3) as usize]);
    let task = TaskId::new(1 + random.below(10));
    let desired =
        [Desired::Running, Desired::Suspended, Desired::Cancelled][random.below(3) as usize];
    match random.below(16) {
        0..4 => {
            let url = format!("http://h.example/{}", random.below(2));
            let mut spec = spec(&url, &format!("/out/{}", random.below(5)));
            if random.below(4) == 0 {
                spec.destination = Destination::Directory("/out".into());
            }
            spec.length = [None, Some(7)][random.below(2) as usize];
            match random.below(2) {
                0 => register(&session, spec),
                _ => adopt(&session, spec, desired),
            }
        }
        4 => match random.below(3) {
            0 => Change::Adjust {
                session,
                task,
                adjustment: Adjustment::Priority(Priority::HIGH),
            },
            1 => {
                let url = url(&format!("http://h.example/{}", random.below(3)));
                let headers = Vec::new();
                let decision = DelayedRequest::UseNewRequest(NewRequest { url, headers });
                Change::DecideBegin {
                    session,
                    task,
                    decision,
                }
            }
            _ => Change::SetDesired {
                session,
                task,
                desired,
            },
        },
        5..8 => {
            // Long names make rows of several pages, so that the file grows.
            let name = "n".repeat([1, 200, 9_000][random.below(3) as usize]);
            let bases = [Checkpoint::default(), full_checkpoint(), awaiting()];
            let base = bases[random.below(3) as usize].clone();
            record(
                &session,
                task,
                Checkpoint {
                    file_name: Some(name),
                    ..base
                },
            )
        }
        8..12 => {
            let failure = Failure::new(FailureKind::Disconnected, "gone");
            let outcomes = [
                finished("/out/0"),
                Outcome::Failed(failure),
                Outcome::Cancelled,
            ];
            close(&session, task, outcomes[random.below(3) as usize].clone())
        }
        12 | 13 => Change::Acknowledge {
            session,
            up_to: Sequence::new(random.below(6)),
        },
        14 => match random.below(8) {
            0 | 1 => Change::RemoveSession { session },
            2 => Change::Invalidate {
                session,
                how: Invalidation::FinishTasks,
            },
            3 => Change::Invalidate {
                session,
                how: Invalidation::CancelTasks,
            },
            4 | 5 => renew(&session, task, random.below(4)),
            _ => Change::Forget { session, task },
        },
        _ => Change::PutSession {
            id: session,
            rules: Box::new(full_rules()),
        },
    }
}

/// One of the four answers; a new URL is that of another task.
fn renew(session: &SessionId, task: TaskId, number: u64) -> Change {
    let signed = Renewal::default().with_url("http://h.example/1").unwrap();
    let dispositions = [
        Disposition::UseCredential(signed),
        Disposition::PerformDefaultHandling,
        Disposition::RejectProtectionSpace,
        Disposition::Cancel,
    ];
    let disposition = dispositions[number as usize].clone();
    Change::Renew {
        session: session.clone(),
        task,
        disposition: Box::new(disposition),
    }
}

/// The images of an undisturbed life: before the first commit and after each one.
pub(super) fn images(commits: &[Vec<Change>]) -> Vec<Image> {
    let mut store = Store::open_backend(Disk::default()).unwrap();
    let mut images = vec![image(&store)];
    for changes in commits {
        store.commit(changes).unwrap();
        check(&store);
        images.push(image(&store));
    }
    images
}

pub(super) fn image(store: &Store) -> Image {
    let transaction = store.database().begin_read().unwrap();
    let mut image = Image::new();
    for table in [META, SESSIONS, TARGETS] {
        for row in transaction.open_table(table).unwrap().iter().unwrap() {
            let (key, value) = row.unwrap();
            if key.value() != EPOCH {
                let place = (table.name().to_owned(), key.value().to_vec(), 0);
                image.insert(place, value.value().to_vec());
            }
        }
    }
    for table in [TASKS, STATES, CHECKPOINTS, EVENTS] {
        for row in transaction.open_table(table).unwrap().iter().unwrap() {
            let (key, value) = row.unwrap();
            let place = (
                table.name().to_owned(),
                key.value().0.to_vec(),
                key.value().1,
            );
            image.insert(place, value.value().to_vec());
        }
    }
    image
}

/// What holds of every store at every moment.
pub(super) fn check(store: &Store) {
    let mut known = BTreeSet::new();
    let mut live_targets = BTreeSet::new();
    for session in store.sessions().unwrap() {
        let mut ended = BTreeMap::new();
        for listed in store.tasks(&session, None, usize::MAX).unwrap() {
            let (task, checkpoint) = store.task(&session, listed.id).unwrap().unwrap();
            assert_eq!(listed.ended, task.outcome.is_some());
            let target = crate::records::target_key(
                task.spec.destination().expect("a download"),
                task.spec.url().as_str(),
            );
            match task.outcome {
                Some(outcome) => {
                    let may_keep =
                        matches!(&outcome, Outcome::Failed(why) if !why.kind().spoils_bytes());
                    assert!(
                        checkpoint.is_none() || may_keep,
                        "{session}/{}: ended with progress",
                        task.id
                    );
                    ended.insert(task.id, outcome);
                }
                None => {
                    assert_eq!(claimant(store, &target), Some((session.clone(), task.id)));
                    assert!(live_targets.insert(target), "two live tasks of one target");
                }
            }
            known.insert((session.clone(), task.id));
        }
        let facts = store
            .facts(&session, Sequence::default(), usize::MAX)
            .unwrap();
        assert!(facts.is_sorted_by(|one, next| one.sequence < next.sequence));
        let is_invalid = facts.last().map(|it| &it.fact) == Some(&Fact::BecameInvalid);
        let state = store.session_state(&session).unwrap();
        assert_eq!(state == Some(SessionState::Invalid), is_invalid);
        let is_live = listed_live(store, &session);
        assert!(
            !(is_invalid && is_live),
            "{session}: invalid, and a task lives"
        );
        assert!(
            is_live || state != Some(SessionState::Finishing),
            "{session}: it finishes without end"
        );
        let told: BTreeMap<_, _> = facts
            .into_iter()
            .filter_map(|it| match it.fact {
                Fact::Completed { task, outcome, .. } => Some((task, outcome)),
                Fact::Challenged { .. } | Fact::BecameInvalid => None,
                other @ Fact::StateLost => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told, ended, "{session}: each ended task has its one fact");
    }
    let keys = |table| {
        let rows = store
            .database()
            .begin_read()
            .unwrap()
            .open_table(table)
            .unwrap();
        let keys = rows
            .iter()
            .unwrap()
            .map(|row| owned(row.unwrap().0.value()));
        keys.collect::<BTreeSet<_>>()
    };
    assert_eq!(
        keys(TASKS),
        known,
        "no task outlives its session or its state"
    );
    assert_eq!(keys(STATES), known);
    assert!(keys(CHECKPOINTS).is_subset(&known));
    let targets = store
        .database()
        .begin_read()
        .unwrap()
        .open_table(TARGETS)
        .unwrap();
    for row in targets.iter().unwrap() {
        let claimant = claimant(store, row.unwrap().0.value()).unwrap();
        assert!(known.contains(&claimant), "a claim outlives its task");
    }
}

fn listed_live(store: &Store, session: &SessionId) -> bool {
    let listed = store.tasks(session, None, usize::MAX).unwrap();
    listed.iter().any(|task| !task.ended)
}

fn owned((session, number): (&[u8], u64)) -> (SessionId, TaskId) {
    (
        SessionId::new(std::str::from_utf8(session).unwrap()).unwrap(),
        TaskId::new(number),
    )
}

fn claimant(store: &Store, target: &[u8]) -> Option<(SessionId, TaskId)> {
    let targets = store
        .database()
        .begin_read()
        .unwrap()
        .open_table(TARGETS)
        .unwrap();
    let row = targets.get(target).unwrap()?;
    let record: TargetV1 = decode(row.value()).unwrap();
    Some((
        SessionId::new(record.session).unwrap(),
        TaskId::new(record.task),
    ))
}
