//! Resume data: its bytes, and tasks that are made of it once.

use longhaul_engine::checkpoint::{Checkpoint, Stage};
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::id::{Sequence, SessionId, TaskId};
use longhaul_engine::limits::RESUME_DATA_BYTES_MAX;
use longhaul_engine::resume_data::{ResumeData, ResumeDataError};
use longhaul_engine::task::{DownloadSpec, Outcome};
use longhaul_engine::upload::UploadCheckpoint;

use super::samples::{
    CREATED_AT, acknowledge, adopt, close, finished, full_checkpoint, full_spec, full_token,
    full_upload, full_upload_checkpoint, one, put_session, record, register, registered, session,
    spec, store_in,
};
use super::scenario::check;
use crate::resume::{RESUME_MAGIC, ResumeToken, Ticket, TicketId};
use crate::{Change, Effect, Refusal, Store};

const URL: &str = "http://h.example/file";

fn token(number: u8) -> ResumeToken {
    ResumeToken {
        ticket: TicketId([number; 16]),
        ..full_token()
    }
}

fn resume(session: &SessionId, spec: DownloadSpec, token: &ResumeToken) -> Change {
    Change::Resume {
        session: session.clone(),
        spec: Box::new(spec.into()),
        checkpoint: Box::new(full_checkpoint().into()),
        ticket: token.claim(),
        created_at: CREATED_AT,
    }
}

fn progress(store: &Store, session: &SessionId, task: u64) -> Option<Checkpoint> {
    let known = store.task(session, TaskId::new(task)).unwrap()?.1;
    known.map(|known| known.into_download().unwrap())
}

/// A task that failed with bytes, which it left as this resume data too.
fn failed(store: &mut Store, session: &SessionId, token: &ResumeToken) -> TaskId {
    let task = registered(store, session, spec(URL, "/out"));
    one(store, record(session, task, full_checkpoint())).unwrap();
    let data = token.encode().unwrap();
    let failure = Failure::new(FailureKind::NoSpace, "full").with_resume_data(Some(data));
    one(store, close(session, task, Outcome::Failed(failure))).unwrap();
    task
}

#[test]
fn what_is_no_resume_data_is_told_from_what_is_damaged_or_newer() {
    let good = full_token().encode().unwrap();
    assert!(ResumeToken::decode(&good) == Ok(full_token()));
    let decode = |bytes: Vec<u8>| ResumeToken::decode(&ResumeData::from_bytes(bytes).unwrap());
    for bytes in [&b""[..], b"{\"url\": 1}", &RESUME_MAGIC[1..], &[0; 4096]] {
        assert_eq!(decode(bytes.to_vec()), Err(ResumeDataError::NotResumeData));
    }
    for length in RESUME_MAGIC.len()..good.as_bytes().len() {
        let torn = decode(good.as_bytes()[..length].to_vec());
        assert_eq!(torn, Err(ResumeDataError::Torn), "{length} bytes");
    }
    for at in RESUME_MAGIC.len()..good.as_bytes().len() {
        let mut bytes = good.as_bytes().to_vec();
        bytes[at] ^= 1;
        assert_eq!(decode(bytes), Err(ResumeDataError::Torn), "byte {at}");
    }
    let record = good.as_bytes()[RESUME_MAGIC.len()..].to_vec();
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[record[0], 2]);
    hasher.update(&record[6..]);
    let crc = hasher.finalize().to_le_bytes();
    let newer = [RESUME_MAGIC, &[record[0], 2], &crc, &record[6..]].concat();
    let refusal = ResumeDataError::Newer { found: 2, known: 1 };
    assert_eq!(decode(newer), Err(refusal));
}

#[test]
fn resume_data_holds_the_longest_path_and_shows_no_key() {
    let long = ResumeToken {
        path: "/".repeat(4095).into(),
        ..full_token()
    };
    let data = long.encode().unwrap();
    assert!(data.as_bytes().len() <= RESUME_DATA_BYTES_MAX);
    assert!(ResumeToken::decode(&data) == Ok(long.clone()));
    assert!(!format!("{long:?}").contains("165"), "a byte of the key");
    let too_long = ResumeToken {
        path: "/".repeat(RESUME_DATA_BYTES_MAX).into(),
        ..full_token()
    };
    assert!(too_long.encode().is_err());
}

#[test]
fn a_ticket_comes_back_as_it_was() {
    for ticket in [
        Ticket::Download(full_spec(), full_checkpoint()),
        Ticket::Upload(full_upload(), full_upload_checkpoint()),
    ] {
        let bytes = ticket.encode().unwrap();
        assert!(Ticket::decode(&bytes) == Ok(ticket));
        assert_eq!(Ticket::decode(&bytes[1..]), Err(ResumeDataError::Torn));
    }
}

#[test]
fn a_ticket_makes_one_task_as_long_as_that_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, a) = store_in(directory.path());
    let b = session("b");
    one(&mut store, put_session(&b)).unwrap();
    let first = TaskId::new(1);
    let made = one(&mut store, resume(&a, spec(URL, "/one"), &token(1)));
    assert_eq!(made, Ok(Effect::Registered(first)));
    assert_eq!(
        store.ticket_holder(TicketId([1; 16])).unwrap(),
        Some((a.clone(), first))
    );
    assert_eq!(
        store.spent_ticket(&a, first).unwrap(),
        Some(full_token().path)
    );
    // The second comes in the same commit too.
    for session in [&a, &b] {
        let again = one(&mut store, resume(session, spec(URL, "/two"), &token(1)));
        assert_eq!(again, Err(Refusal::TicketUsed));
    }
    let kept = progress(&store, &a, 1).unwrap();
    assert_eq!(
        (kept.stage, kept.attempts_failed, kept.retry),
        (Stage::Transferring, 0, None)
    );
    assert_eq!(kept.spans, full_checkpoint().spans);

    one(&mut store, close(&a, first, finished("/one"))).unwrap();
    let again = one(&mut store, resume(&b, spec(URL, "/two"), &token(1)));
    assert_eq!(again, Err(Refusal::TicketUsed), "it has ended and is known");
    one(&mut store, acknowledge(&a, 1)).unwrap();
    assert_eq!(store.ticket_holder(TicketId([1; 16])).unwrap(), None);
    check(&store);
}

#[test]
fn an_upload_that_is_made_of_a_ticket_knows_its_file_and_place_and_no_attempt_before() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, a) = store_in(directory.path());
    let first = registered(&mut store, &a, full_upload());
    let resume = || Change::Resume {
        session: a.clone(),
        spec: Box::new(full_upload().into()),
        checkpoint: Box::new(full_upload_checkpoint().into()),
        ticket: token(1).claim(),
        created_at: CREATED_AT,
    };
    let refusal = Refusal::TargetInUse {
        session: a.clone(),
        task: first,
    };
    let made = one(&mut store, resume());
    assert_eq!(made, Err(refusal), "the first request lives");
    one(&mut store, close(&a, first, Outcome::Cancelled)).unwrap();
    let made = one(&mut store, resume());
    let second = TaskId::new(2);
    assert_eq!(made, Ok(Effect::Registered(second)));
    assert_eq!(one(&mut store, resume()), Err(Refusal::TicketUsed));
    let expected = UploadCheckpoint {
        source: full_upload_checkpoint().source,
        remote: full_upload_checkpoint().remote,
        unheard: full_upload_checkpoint().unheard,
        ..UploadCheckpoint::default()
    };
    let known = store.task(&a, second).unwrap().unwrap().1.unwrap();
    assert_eq!(known.into_upload(), Some(expected));
    assert!(!store.tasks(&a, Some(first), 1).unwrap()[0].awaiting_authorization);
    assert_eq!(store.facts(&a, Sequence::default(), 9).unwrap().len(), 1);
    check(&store);
}

#[test]
fn one_ticket_used_twice_in_one_commit_makes_one_task() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, a) = store_in(directory.path());
    let changes = ["/one", "/two"].map(|path| resume(&a, spec(URL, path), &token(1)));
    let answers = store.commit(&changes).unwrap();
    let made = Ok(Effect::Registered(TaskId::new(1)));
    assert_eq!(answers, [made, Err(Refusal::TicketUsed)]);
}

#[test]
fn a_resumed_task_does_not_take_the_target_of_a_live_one() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, a) = store_in(directory.path());
    let live = registered(&mut store, &a, spec(URL, "/out"));
    let refusal = Refusal::TargetInUse {
        session: a.clone(),
        task: live,
    };
    let resumed = || resume(&a, spec(URL, "/out"), &token(1));
    assert_eq!(one(&mut store, resumed()), Err(refusal));
    assert_eq!(
        store.ticket_holder(TicketId([1; 16])).unwrap(),
        None,
        "it can be used still"
    );
    one(&mut store, close(&a, live, Outcome::Cancelled)).unwrap();
    assert_eq!(
        one(&mut store, resumed()),
        Ok(Effect::Registered(TaskId::new(2)))
    );
    let nobody = resume(&session("nobody"), spec(URL, "/x"), &token(2));
    assert_eq!(
        one(&mut store, nobody),
        Err(Refusal::NoSuchSession(session("nobody")))
    );
}

#[test]
fn the_part_of_a_failure_that_left_resume_data_is_nobodys_to_remove() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, a) = store_in(directory.path());
    failed(&mut store, &a, &token(1));
    let Ok(Effect::Forgotten(forgotten)) = one(&mut store, acknowledge(&a, 1)) else {
        panic!("it is not forgotten");
    };
    assert_eq!(forgotten.parts, []);
    check(&store);
}

#[test]
fn the_bytes_of_a_failure_go_to_its_next_task_or_to_its_resume_data() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, a) = store_in(directory.path());
    failed(&mut store, &a, &token(1));
    let next = adopt(
        &a,
        spec(URL, "/out"),
        longhaul_engine::task::Desired::Running,
    );
    let heir = TaskId::new(2);
    assert_eq!(one(&mut store, next), Ok(Effect::Registered(heir)));
    assert_eq!(
        progress(&store, &a, 2).unwrap().spans,
        full_checkpoint().spans
    );
    assert_eq!(
        store.spent_ticket(&a, heir).unwrap(),
        Some(full_token().path)
    );
    let late = one(&mut store, resume(&a, spec(URL, "/new"), &token(1)));
    assert_eq!(late, Err(Refusal::TicketUsed));
    one(&mut store, close(&a, heir, Outcome::Cancelled)).unwrap();

    let other = failed(&mut store, &a, &token(2));
    one(&mut store, resume(&a, spec(URL, "/new"), &token(2))).unwrap();
    let next = adopt(
        &a,
        spec(URL, "/out"),
        longhaul_engine::task::Desired::Running,
    );
    assert_eq!(
        one(&mut store, next),
        Ok(Effect::Registered(TaskId::new(other.get() + 2)))
    );
    assert_eq!(
        progress(&store, &a, other.get() + 2),
        None,
        "it begins from zero"
    );
    check(&store);
}

#[test]
fn a_ticket_is_no_destination() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, a) = store_in(directory.path());
    one(&mut store, resume(&a, spec(URL, "/one"), &token(1))).unwrap();
    let path = full_token().path;
    let path = path.to_str().unwrap_or("/srv/ticket");
    let made = one(&mut store, register(&a, spec(URL, path)));
    assert_eq!(made, Ok(Effect::Registered(TaskId::new(2))));
}
