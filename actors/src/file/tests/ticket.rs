//! Tickets: who can open them, what they show, and what becomes of them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use longhaul_engine::checkpoint::{Checkpoint, SpanRecord};
use longhaul_engine::checksum::blake3;
use longhaul_engine::http::authorization::Credentials;
use longhaul_engine::id::TaskId;
use longhaul_engine::resume_data::{ResumeData, ResumeDataError};
use longhaul_engine::safe_url::parse_http_url;
use longhaul_engine::task::{Collision, Destination, DownloadSpec, TaskOptions};
use longhaul_persistence::{ResumeToken, Ticket};

use super::super::part::PartFile;
use super::super::place::ticket_path;
use super::super::ticket::{OpenTicket, check_part, remove, seal};
use super::Bench;

const SECRET: &str = "hush-4711";
const BYTES: &[u8] = b"some of the bytes";

fn spec(bench: &Bench) -> DownloadSpec {
    let url = format!("https://host.example/a?signature={SECRET}");
    DownloadSpec {
        url: parse_http_url(&url).unwrap().url,
        destination: Destination::File(bench.target()),
        collision: Collision::Fail,
        headers: vec![("X-Key".to_owned(), SECRET.to_owned())],
        credentials: Some(Credentials::Bearer(SECRET.to_owned())),
        digests: Vec::new(),
        length: None,
        connections: 1,
        allow_unvalidated_resume: false,
        allow_encoded: false,
        allow_downgrade: false,
        options: TaskOptions::default(),
        accept_error_status: false,
    }
}

fn checkpoint(part: &PartFile) -> Checkpoint {
    let written = BYTES.len() as u64;
    Checkpoint {
        total: Some(100),
        part: Some(part.record().unwrap()),
        spans: vec![SpanRecord {
            start: 0,
            end: Some(100),
            written,
            synced: 0,
            tail: blake3(BYTES),
        }],
        ..Checkpoint::default()
    }
}

/// A part with bytes, its ticket, where that lies, and the resume data.
fn sealed(bench: &Bench) -> (PartFile, Ticket, PathBuf, ResumeData) {
    let part = bench.part_with(BYTES);
    let ticket = Ticket::Download(spec(bench), checkpoint(&part));
    let path = ticket_path(part.path(), TaskId::new(7), &bench.fallback());
    let data = seal(&path, &ticket).unwrap();
    (part, ticket, path, data)
}

#[test]
fn a_ticket_opens_for_its_resume_data_and_shows_no_secret_to_anybody_else() {
    let bench = Bench::new();
    let (_, ticket, path, data) = sealed(&bench);
    let opened = OpenTicket::open(&data).unwrap();
    assert!(*opened.ticket() == ticket);
    assert_eq!(opened.token().path, path);
    let holds = |bytes: &[u8]| {
        bytes
            .windows(SECRET.len())
            .any(|it| it == SECRET.as_bytes())
    };
    assert!(!holds(data.as_bytes()), "in the resume data");
    assert!(!holds(&fs::read(&path).unwrap()), "in the ticket");
    assert!(
        holds(&ticket.encode().unwrap()),
        "the test looks for what is there"
    );
    assert!(!format!("{opened:?}{data:?}").contains(SECRET));
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn each_ticket_has_a_key_of_its_own() {
    let bench = Bench::new();
    let (_, ticket, path, first) = sealed(&bench);
    let before = fs::read(&path).unwrap();
    let second = seal(&path, &ticket).unwrap();
    assert_ne!(first, second);
    assert_ne!(before[24..], fs::read(&path).unwrap()[24..]);
    let stale = ResumeDataError::Stale(path);
    assert_eq!(OpenTicket::open(&first).map(|_| ()), Err(stale));
    assert!(OpenTicket::open(&second).is_ok());
}

#[test]
fn a_ticket_of_another_key_or_with_a_changed_byte_is_foreign() {
    let bench = Bench::new();
    let (_, _, path, data) = sealed(&bench);
    let foreign = Err(ResumeDataError::Foreign(path.clone()));
    let token = ResumeToken::decode(&data).unwrap();
    let other = ResumeToken {
        key: [1; 32],
        ..token
    };
    let opened = OpenTicket::open(&other.encode().unwrap()).map(|_| ());
    assert_eq!(opened, foreign);
    let good = fs::read(&path).unwrap();
    for at in [0, 7, 24, good.len() / 2, good.len() - 1] {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(OpenTicket::open(&data).map(|_| ()), foreign, "byte {at}");
    }
    for length in [0, 7, 23, 24, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        assert_eq!(
            OpenTicket::open(&data).map(|_| ()),
            foreign,
            "{length} bytes"
        );
    }
    fs::write(&path, &good).unwrap();
    assert!(OpenTicket::open(&data).is_ok());
}

#[test]
fn nobody_opens_a_ticket_that_is_open_or_was_removed() {
    let bench = Bench::new();
    let (part, _, path, data) = sealed(&bench);
    let first = OpenTicket::open(&data).unwrap();
    assert_eq!(
        OpenTicket::open(&data).map(|_| ()),
        Err(ResumeDataError::Used)
    );
    first.remove();
    let stale = Err(ResumeDataError::Stale(path.clone()));
    assert_eq!(OpenTicket::open(&data).map(|_| ()), stale);
    assert!(part.path().exists() && !path.exists());
    remove(&path);
    symlink(part.path(), &path).unwrap();
    assert_eq!(
        OpenTicket::open(&data).map(|_| ()),
        stale,
        "a link is not followed"
    );
}

#[test]
fn discarding_removes_the_part_and_the_ticket_and_no_file_of_others() {
    let bench = Bench::new();
    let (part, _, _, data) = sealed(&bench);
    OpenTicket::open(&data).unwrap().discard().unwrap();
    assert_eq!(bench.names(), [""; 0]);

    let (other, _, _, data) = sealed(&bench);
    fs::rename(other.path(), bench.target()).unwrap();
    fs::write(part.path(), "a stranger's").unwrap();
    OpenTicket::open(&data).unwrap().discard().unwrap();
    let name = part.path().file_name().unwrap().to_str().unwrap();
    assert_eq!(bench.names(), [name, "a.iso"]);
}

#[test]
fn a_part_that_is_gone_cut_or_changed_is_stale() {
    let bench = Bench::new();
    let part = bench.part_with(BYTES);
    let saved = checkpoint(&part);
    assert_eq!(check_part(&saved), Ok(()));
    let stale = Err(ResumeDataError::Stale(part.path().to_owned()));
    part.write_at(b"S", 0).unwrap();
    assert_eq!(check_part(&saved), stale, "changed");
    part.write_at(BYTES, 0).unwrap();
    part.set_len(3).unwrap();
    assert_eq!(check_part(&saved), stale, "cut");
    part.write_at(BYTES, 0).unwrap();
    assert_eq!(check_part(&saved), Ok(()));
    let copy = bench.target();
    fs::copy(part.path(), &copy).unwrap();
    fs::rename(&copy, part.path()).unwrap();
    assert_eq!(check_part(&saved), stale, "another file");
    fs::remove_file(part.path()).unwrap();
    assert_eq!(check_part(&saved), stale, "gone");
}

#[test]
fn a_ticket_that_can_not_be_written_is_a_failure_that_leaves_nothing() {
    let bench = Bench::new();
    let part = bench.part_with(BYTES);
    let ticket = Ticket::Download(spec(&bench), checkpoint(&part));
    let failure = seal(&bench.out().join("no/ticket"), &ticket).unwrap_err();
    assert!(failure.message().contains("no/ticket"), "{failure}");
    assert!(!failure.message().contains(SECRET), "{failure}");
    assert_eq!(bench.names().len(), 1);
}
