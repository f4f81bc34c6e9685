//! What the runs went through, and how one is told.

use crate::checkpoint::Checkpoint;

/// What the runs of a test went through: a model that never crashes proves nothing.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) finished: u64,
    pub(super) failed: u64,
    pub(super) cancelled: u64,
    pub(super) handed_over: u64,
    pub(super) resumed: u64,
    pub(super) skipped: u64,
    pub(super) kills: u64,
    pub(super) power_cuts: u64,
    pub(super) went_on: u64,
    pub(super) part_asks: u64,
    pub(super) found_published: u64,
    pub(super) honest_finishes: u64,
    pub(super) errors_delivered: u64,
    pub(super) answered: u64,
    pub(super) answered_half_way: u64,
}

impl Summary {
    pub(super) fn add(&mut self, other: &Self) {
        self.finished += other.finished;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.handed_over += other.handed_over;
        self.resumed += other.resumed;
        self.skipped += other.skipped;
        self.kills += other.kills;
        self.power_cuts += other.power_cuts;
        self.went_on += other.went_on;
        self.part_asks += other.part_asks;
        self.found_published += other.found_published;
        self.honest_finishes += other.honest_finishes;
        self.errors_delivered += other.errors_delivered;
        self.answered += other.answered;
        self.answered_half_way += other.answered_half_way;
    }

    pub(super) fn check_that_nothing_was_missed(&self) {
        for (name, count) in [
            ("finished", self.finished),
            ("failed", self.failed),
            ("cancelled", self.cancelled),
            ("left resume data", self.handed_over),
            ("went on with resume data", self.resumed),
            ("skipped", self.skipped),
            ("kills", self.kills),
            ("power cuts", self.power_cuts),
            ("went on from a record", self.went_on),
            ("asked for a part", self.part_asks),
            ("found published after a crash", self.found_published),
            ("finished in an honest world", self.honest_finishes),
            ("delivered the body of an error", self.errors_delivered),
            ("answered a challenge", self.answered),
            ("answered one with bytes held", self.answered_half_way),
        ] {
            assert!(
                count >= 20,
                "only {count} times in all runs: {name}; {self:?}"
            );
        }
    }
}

/// A checkpoint in one short line.
pub(super) fn brief(checkpoint: &Checkpoint) -> String {
    let spans: Vec<String> = checkpoint
        .spans
        .iter()
        .map(|span| {
            let end = span
                .end
                .map_or_else(|| "?".to_owned(), |end| end.to_string());
            format!("{}s{}w{}..{end}", span.start, span.synced, span.written)
        })
        .collect();
    let part = checkpoint
        .part
        .as_ref()
        .map(|part| (part.identity.inode, part.token.boot[0]));
    format!(
        "{:?} total {:?} {:?} (inode, boot) {part:?} [{}] attempts {} restarts {}",
        checkpoint.stage,
        checkpoint.total,
        checkpoint.validator,
        spans.join(" "),
        checkpoint.attempts_failed,
        checkpoint.restarts
    )
}
