//! What must hold at every step and at the end.

use std::path::Path;

use super::disk::{ERROR, FOREIGN, Image, Version};
use super::server::{digest_of, field, parse_range};
use super::world::World;
use crate::checkpoint::{Checkpoint, Stage};
use crate::checksum::Digest;
use crate::download::{Ask, News};
use crate::failure::FailureKind;
use crate::http::validator::Validator;
use crate::limits::RESTARTS_MAX;
use crate::recovery::Found;
use crate::session::Durability;
use crate::task::{Desired, Finished, Outcome};

impl World {
    /// No claim exceeds what is durable under its own rule, and all held bytes are of the version
    /// that the validator names.
    pub(super) fn check_claims(&self, checkpoint: &Checkpoint) {
        let Some(part) = &checkpoint.part else {
            assert!(
                checkpoint.spans.is_empty(),
                "bytes of no file: {checkpoint:?}"
            );
            return;
        };
        let inode = part.identity.inode;
        let written = checkpoint
            .spans
            .iter()
            .filter(|span| span.written > span.start);
        let Some(first) = written.clone().next() else {
            return;
        };
        if self.life.as_ref().is_none_or(|life| life.part.is_none()) {
            // The file is being removed, or it could not be looked at and the claims are old ones.
            let old = self
                .store
                .checkpoint
                .as_ref()
                .map(|checkpoint| &checkpoint.spans);
            let is_cancelled = self.is_cancelled();
            assert!(
                is_cancelled || old == Some(&checkpoint.spans),
                "new claims of a closed file"
            );
            return;
        }
        assert_eq!(
            self.disk.named(&part.path),
            Some(inode),
            "bytes of a file that is not there"
        );
        let (live, durable) = (self.disk.live(inode), self.disk.durable(inode));
        let version = live
            .version_at(first.start)
            .expect("a claim of bytes that are not there");
        for span in written {
            assert!(
                live.is_pure(span.start, span.written, version),
                "written {span:?} claims too much or splices: {live:?}"
            );
            assert!(
                durable.is_pure(span.start, span.synced, version),
                "synced {span:?} claims too much: {durable:?}"
            );
            if span.synced > span.start {
                let durable_name = self.disk.durably_named(&part.path);
                assert_eq!(
                    durable_name,
                    Some(inode),
                    "synced bytes of a file without a name"
                );
            }
        }
        match &checkpoint.validator {
            Validator::Tag(tag) => assert_eq!(Some(tag.to_string()), self.server.tag(version)),
            Validator::Date {
                last_modified_s, ..
            } => {
                assert_eq!(Some(*last_modified_s), self.server.modified_s(version));
            }
            Validator::None => {}
        }
    }

    /// A file gets its name only after the store knows it.
    pub(super) fn check_announced(&self, target: &Path) {
        let checkpoint = self
            .store
            .checkpoint
            .as_ref()
            .expect("published unannounced");
        let stage = Stage::Finishing(target.to_owned());
        assert_eq!(checkpoint.stage, stage, "published unannounced");
        let is_synced = checkpoint
            .spans
            .iter()
            .all(|span| span.end == Some(span.synced));
        assert!(
            is_synced || self.rules.durability == Durability::Process,
            "announced unsynced"
        );
    }

    /// Notes what the first request after this recovery must ask for.
    pub(super) fn expect_to_go_on(&mut self, checkpoint: &Checkpoint, found: &Found) {
        let (Found::Part(found), Some(part)) = (found, &checkpoint.part) else {
            return;
        };
        let is_same_life = part.token == found.token;
        let may_go_on = checkpoint.validator.if_range().is_some();
        if !may_go_on || (is_same_life && found.tails_match.contains(&false)) {
            return;
        }
        let mark = |span: &crate::checkpoint::SpanRecord| match is_same_life {
            true => span.written,
            false => span.synced,
        };
        let held: u64 = checkpoint
            .spans
            .iter()
            .map(|span| mark(span) - span.start)
            .sum();
        let is_missing = |span: &&crate::checkpoint::SpanRecord| span.end != Some(mark(span));
        if held > 0 && found.length >= checkpoint.spans.iter().map(mark).max().unwrap_or(0) {
            let open = checkpoint
                .spans
                .iter()
                .filter(is_missing)
                .map(mark)
                .collect();
            self.life.as_mut().expect("it recovers").goes_on_at = Some(open);
        }
    }

    /// What a request asks for, and what it carries.
    pub(super) fn check_ask(&mut self, ask: &Ask) {
        let origin = self.spec.url.clone();
        let life = self.life.as_mut().expect("only a living machine asks");
        if life.known.insert(ask.conn) {
            assert_eq!(
                ask.url, origin,
                "the first request goes to the original place"
            );
        }
        if ask.url.host() != origin.host() {
            life.away.insert(ask.conn);
        }
        if life.away.contains(&ask.conn) {
            for secret in ["cookie", "authorization"] {
                assert_eq!(field(ask, secret), None, "{secret} crosses an origin");
            }
        }
        let range = field(ask, "range").and_then(parse_range);
        if let Some(places) = life.goes_on_at.take() {
            let goes_on = range.is_some_and(|(from, _)| places.contains(&from));
            assert!(
                goes_on,
                "what is held is fetched again: {ask:?}, must go on at {places:?}"
            );
            self.summary.went_on += 1;
        }
        let Some((from, until)) = range else { return };
        self.summary.part_asks += 1;
        let if_range = field(ask, "if-range");
        assert!(
            if_range.is_some() || self.spec.allow_unvalidated_resume,
            "a part is asked for of whatever version is there"
        );
        self.check_that_nothing_is_asked_twice(from, until, if_range);
    }

    fn check_that_nothing_is_asked_twice(
        &self,
        from: u64,
        until: Option<u64>,
        if_range: Option<&str>,
    ) {
        let Some(checkpoint) = &self.store.checkpoint else {
            return;
        };
        let Some(part) = &checkpoint.part else { return };
        let open = self.life.as_ref().and_then(|life| life.part);
        let is_of_it = open == Some(part.identity.inode)
            && checkpoint.validator.if_range().as_deref() == if_range
            && part.token == self.token();
        if !is_of_it {
            return;
        }
        let image = self.disk.live(part.identity.inode);
        for span in &checkpoint.spans {
            let (start, end) = (
                span.start.max(from),
                span.written.min(until.unwrap_or(u64::MAX)),
            );
            let is_held = super::perform::tail(image, span.start, span.written) == span.tail;
            assert!(
                start >= end || !is_held,
                "{from}..{until:?} is held already: {checkpoint:?}"
            );
        }
    }

    pub(super) fn check_news(&mut self, news: &News) {
        let now = self.now;
        let life = self.life.as_mut().expect("only a living machine tells");
        if let News::Progress(progress) = news {
            let pause = life.told_at.map(|at| now.since(at).as_millis());
            assert!(
                pause.is_none_or(|ms| ms >= 100),
                "progress is told too often"
            );
            assert!(
                progress
                    .total_bytes
                    .is_none_or(|total| progress.received_bytes <= total)
            );
            life.told_at = Some(now);
        }
    }

    /// A final name is a stranger's file or one whole version; with `Durability::Process` a power
    /// cut may break a file that was not announced.
    pub(super) fn check_names(&self) {
        for (path, inode) in self.disk.names() {
            if !is_part(path) && !self.is_damaged {
                self.check_whole(path, self.disk.live(inode), None);
            }
        }
    }

    fn check_whole(&self, path: &Path, image: &Image, known: Option<&Finished>) {
        let version = image.version_at(0);
        if version == Some(FOREIGN) {
            return;
        }
        let version = version.unwrap_or_else(|| self.empty_version(&self.spec.digests));
        let length = self
            .server
            .length_of(version)
            .expect("a version that was served");
        let is_prefix = image.is_pure(0, image.length, version) && image.length <= length;
        // A close that cut the body cannot be told from its end.
        let may_be_cut = known.map_or_else(|| self.may_be_cut(), |known| known.length_unverified);
        assert!(
            is_prefix && (image.length == length || may_be_cut),
            "{} is no version of the resource: {image:?} {:?}",
            path.display(),
            self.server.lengths
        );
        if known.is_none() && self.has_other_wishes {
            // It may have got its name before the owner expected something else of it.
            return;
        }
        for digest in &self.spec.digests {
            assert_eq!(*digest, digest_of(version), "published without its digest");
        }
    }

    fn may_be_cut(&self) -> bool {
        self.store
            .checkpoint
            .as_ref()
            .is_some_and(|checkpoint| checkpoint.length_unverified)
    }

    /// A version without bytes, or the first one, which is then found not to be empty.
    pub(super) fn empty_version(&self, digests: &[Digest]) -> Version {
        let expected = |at: usize| {
            let version = Version::try_from(at).expect("there are few versions");
            let is_right = digests.iter().all(|digest| *digest == digest_of(version));
            self.server.lengths[at] == 0 && is_right
        };
        let at = (0..self.server.lengths.len())
            .find(|at| expected(*at))
            .unwrap_or(0);
        Version::try_from(at).expect("there are few versions")
    }

    pub(super) fn check_after_power_cut(&mut self) {
        if self.rules.durability == Durability::Process {
            self.is_damaged = true;
        }
        self.was_cut_after_end = self.store.outcome.is_some();
        self.check_names();
    }

    pub(super) fn check_outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Finished(finished) => {
                self.summary.finished += 1;
                self.summary.errors_delivered += u64::from(finished.status >= 400);
                self.summary.honest_finishes += u64::from(self.is_honest);
                self.check_finished(finished);
                // Whatever a power cut had broken was made again.
                self.is_damaged = false;
            }
            Outcome::Failed(failure) => {
                self.summary.failed += 1;
                let is_unasked = failure.kind() == FailureKind::Authentication;
                assert!(
                    !is_unasked || self.was_refused,
                    "it failed without asking its owner: {failure}"
                );
                if failure.resume_data().is_some() {
                    assert!(self.rules.resume_data_on_failure, "nobody asked for it");
                    assert!(
                        !failure.kind().spoils_bytes(),
                        "spoiled bytes are handed over"
                    );
                    self.check_handed_over();
                }
            }
            Outcome::Cancelled => {
                self.summary.cancelled += 1;
                assert!(self.is_cancelled(), "nobody cancelled");
            }
            Outcome::CancelledResumable(_) => {
                assert_eq!(self.store.desired, Desired::CancelledResumable);
                self.check_handed_over();
            }
            Outcome::Uploaded(_) => panic!("nobody asked for {outcome:?}"),
            Outcome::Skipped(path) => {
                self.summary.skipped += 1;
                assert_ne!(*path, Path::new(""), "a skipped file has a name");
            }
        }
        if self.is_honest {
            self.check_honest_outcome(outcome);
        }
    }

    fn is_cancelled(&self) -> bool {
        matches!(
            self.store.desired,
            Desired::Cancelled | Desired::CancelledResumable
        )
    }

    /// What the owner got is what the store had, with bytes, and the file that it names is there; a
    /// file that could not be opened to look may be gone.
    fn check_handed_over(&mut self) {
        self.summary.handed_over += 1;
        let ticket = self.store.ticket.as_ref().expect("nothing was sealed");
        assert_eq!(Some(ticket), self.store.checkpoint.as_ref());
        let part = ticket.part.as_ref().expect("resume data of no file");
        let has_bytes = ticket.spans.iter().any(|span| span.written > span.start);
        assert!(has_bytes, "resume data of no bytes");
        let was_seen = self.life.as_ref().is_some_and(|life| life.part.is_some());
        let is_there = self.disk.named(&part.path) == Some(part.identity.inode);
        assert!(is_there || !was_seen, "the bytes are lost");
    }

    fn check_finished(&self, finished: &Finished) {
        let inode = self
            .disk
            .named(&finished.path)
            .expect("a finished file is there");
        let image = self.disk.live(inode);
        assert_ne!(
            image.version_at(0),
            Some(FOREIGN),
            "a stranger's file is called ours"
        );
        assert_eq!(
            image.length, finished.bytes,
            "the file has another length than announced"
        );
        if let Some(length) = self.spec.length {
            assert_eq!(finished.bytes, length, "not the length that was asked for");
        }
        self.check_whole(&finished.path, image, Some(finished));
        if let Some(version) = image.version_at(0) {
            let is_error = version == ERROR;
            assert_eq!(
                is_error,
                finished.status >= 400,
                "another status: {finished:?}"
            );
            assert!(
                !is_error || self.spec.accept_error_status,
                "nobody accepts an error"
            );
        }
        if self.rules.durability == Durability::Power {
            assert_eq!(
                self.disk.durable(inode),
                image,
                "announced before it was durable"
            );
            assert_eq!(
                self.disk.durably_named(&finished.path),
                Some(inode),
                "its name is not"
            );
        }
    }

    /// Only what is not the machine's fault keeps it from finishing in an honest world.
    fn check_honest_outcome(&self, outcome: &Outcome) {
        let is_expected_version = |version: Version| {
            self.spec
                .digests
                .iter()
                .all(|digest| *digest == digest_of(version))
        };
        let current = self.server.version();
        let is_wrong_file = !is_expected_version(current)
            || self
                .spec
                .length
                .is_some_and(|length| self.server.lengths[current as usize] != length);
        let is_taken = self.disk.names().any(|(path, inode)| {
            !is_part(path) && self.disk.live(inode).version_at(0) == Some(FOREIGN)
        });
        let is_right = match outcome {
            Outcome::Finished(_) => true,
            Outcome::Cancelled => self.is_cancelled(),
            Outcome::CancelledResumable(_) => self.store.desired == Desired::CancelledResumable,
            Outcome::Uploaded(_) => false,
            Outcome::Skipped(_) => is_taken,
            Outcome::Failed(failure) => match failure.kind() {
                FailureKind::Integrity => {
                    is_wrong_file || self.may_be_cut() || self.was_complete_before
                }
                FailureKind::TargetExists => is_taken,
                FailureKind::Unstable => self.restarts_before >= RESTARTS_MAX,
                kind => panic!("{kind:?} in an honest world: {failure}"),
            },
        };
        assert!(is_right, "{outcome:?} in an honest world");
    }

    /// The task has its one outcome, and nothing lies about that nobody will use.
    pub(super) fn check_end(&self) {
        let outcome = self
            .store
            .outcome
            .as_ref()
            .expect("an ended task has an outcome");
        let recorded = self
            .store
            .checkpoint
            .as_ref()
            .and_then(|checkpoint| checkpoint.part.as_ref());
        let is_kept = match outcome {
            Outcome::Finished(_)
            | Outcome::Uploaded(_)
            | Outcome::Skipped(_)
            | Outcome::Cancelled => false,
            Outcome::CancelledResumable(_) => true,
            Outcome::Failed(failure) => !matches!(
                failure.kind(),
                FailureKind::Integrity | FailureKind::Unstable | FailureKind::Status(416)
            ),
        };
        if self.was_cut_after_end {
            return;
        }
        for (path, inode) in self.disk.names() {
            let is_recorded = recorded.is_some_and(|part| part.identity.inode == inode);
            let is_orphan = !is_recorded && self.has_forgotten;
            assert!(
                is_kept || is_orphan || !is_part(path),
                "{} was left behind after {outcome:?}",
                path.display()
            );
        }
        self.check_no_ruin();
    }

    /// What a power cut broke before the task ended does not stay under the final name.
    fn check_no_ruin(&self) {
        for (path, inode) in self.disk.names().filter(|(path, _)| !is_part(path)) {
            self.check_whole(path, self.disk.live(inode), None);
        }
    }
}

fn is_part(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "part")
}
