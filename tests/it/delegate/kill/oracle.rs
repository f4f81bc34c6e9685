//! What must be true of everything that an app has ever heard, over all of its lives.

use std::collections::{BTreeMap, BTreeSet};

use longhaul::TaskId;

/// What one task was told to have come to, life after life.
#[derive(Debug, Default)]
struct Told {
    /// The place among all tasks, in the order in which their ends were first heard.
    rank: usize,
    end: String,
    times: usize,
}

/// One life of the app.
#[derive(Debug)]
struct Run {
    /// The tasks that were not forgotten when it began.
    known: BTreeSet<TaskId>,
    messages: Vec<Message>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Message {
    Wrote(TaskId),
    Finished(TaskId),
    Completed(TaskId, String),
    All,
}

/// Everything that was written down, in its order.
#[derive(Debug)]
pub(super) struct Journal {
    runs: Vec<Run>,
}

impl Journal {
    pub(super) fn read(text: &str) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for line in text.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            if word == "run" {
                let known = rest.split_whitespace().map(number).collect();
                let messages = Vec::new();
                runs.push(Run { known, messages });
                continue;
            }
            let message = match word {
                "wrote" => Message::Wrote(number(rest)),
                "finished" => Message::Finished(number(rest)),
                "completed" => {
                    let (task, end) = rest.split_once(' ').unwrap();
                    Message::Completed(number(task), end.to_owned())
                }
                "all" => Message::All,
                other => panic!("{other}"),
            };
            runs.last_mut().unwrap().messages.push(message);
        }
        Self { runs }
    }

    pub(super) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// How many ends were told again.
    pub(super) fn repeated(&self) -> usize {
        let told = self.told();
        told.values().map(|told| told.times - 1).sum()
    }

    /// Whether everything that must hold does, for tasks that are to end so.
    pub(super) fn judge(&self, ends: &[(TaskId, String)]) -> Result<(), String> {
        let told = self.told();
        for (task, end) in ends {
            match told.get(task) {
                Some(told) if told.end == *end => {}
                other => return Err(format!("task {task} ended with {other:?}, not {end}")),
            }
        }
        if told.len() != ends.len() {
            return Err("a task was told of that nobody made".to_owned());
        }
        let mut heard = BTreeSet::new();
        for (index, run) in self.runs.iter().enumerate() {
            judge_run(run, &told, &mut heard, ends.len())
                .map_err(|why| format!("life {index}: {why}"))?;
        }
        // A life that knows no task any more has nothing to hear.
        let last = self.runs.iter().rev().find(|run| !run.known.is_empty());
        match last.and_then(|run| run.messages.last()) {
            Some(Message::All) => Ok(()),
            other => Err(format!("it ended after {other:?}")),
        }
    }

    fn told(&self) -> BTreeMap<TaskId, Told> {
        let mut told: BTreeMap<TaskId, Told> = BTreeMap::new();
        for message in self.runs.iter().flat_map(|run| &run.messages) {
            if let Message::Completed(task, end) = message {
                let rank = told.len();
                let told = told.entry(*task).or_insert_with(|| Told {
                    rank,
                    end: end.clone(),
                    times: 0,
                });
                told.times += 1;
            }
        }
        told
    }
}

/// `heard` are the ends that this life or an earlier one has heard.
fn judge_run(
    run: &Run,
    told: &BTreeMap<TaskId, Told>,
    heard: &mut BTreeSet<TaskId>,
    tasks: usize,
) -> Result<(), String> {
    for task in told.keys().filter(|task| !run.known.contains(task)) {
        if !heard.contains(task) {
            return Err(format!(
                "the end of task {task} was acknowledged and not told"
            ));
        }
    }
    let mut completed = BTreeSet::new();
    let mut last_rank = None;
    for (index, message) in run.messages.iter().enumerate() {
        if let Message::Wrote(task) | Message::Finished(task) | Message::Completed(task, _) =
            message
        {
            if completed.contains(task) {
                return Err(format!("{message:?} after the end"));
            }
            if !run.known.contains(task) {
                return Err(format!("{message:?} of a task that is forgotten"));
            }
        }
        match message {
            Message::Completed(task, end) => {
                let before = index.checked_sub(1).map(|index| &run.messages[index]);
                let has_file = before == Some(&Message::Finished(*task));
                if has_file != end.starts_with("finished") {
                    return Err(format!("{message:?} after {before:?}"));
                }
                if told[task].end != *end {
                    return Err(format!("{message:?}, and before that {:?}", told[task]));
                }
                let rank = Some(told[task].rank);
                if rank <= last_rank {
                    return Err(format!("{message:?} is out of order"));
                }
                last_rank = rank;
                completed.insert(*task);
                heard.insert(*task);
            }
            Message::All if heard.len() < tasks => {
                return Err(format!("all was told, and only {heard:?} had ended"));
            }
            Message::All | Message::Wrote(_) | Message::Finished(_) => {}
        }
    }
    Ok(())
}

fn number(text: &str) -> TaskId {
    TaskId::new(text.parse().unwrap())
}

/// A journal that breaks a rule, and the rule.
#[test]
fn the_oracle_sees_each_broken_promise() {
    let judge = |text: &str| {
        let ends = [(1, "failed"), (2, "finished with 5 bytes")];
        let ends = ends.map(|(task, end)| (TaskId::new(task), end.to_owned()));
        Journal::read(text).judge(&ends)
    };
    let whole = "run 1 2\nwrote 2\ncompleted 1 failed\nfinished 2\n\
                 completed 2 finished with 5 bytes\nall\n";
    let second = "finished 2\ncompleted 2 finished with 5 bytes\n";
    assert_eq!(judge(whole), Ok(()));
    let killed = format!("run 1 2\ncompleted 1 failed\nfinished 2\n{whole}");
    assert_eq!(judge(&killed), Ok(()));
    let acknowledged = format!("{whole}run\n");
    assert_eq!(judge(&acknowledged), Ok(()));
    for (broken, why) in [
        (whole.replace("completed 1 failed\n", ""), "ended with None"),
        (whole.replace("finished 2\n", ""), "after Some"),
        (whole.replace("all\n", "wrote 2\nall\n"), "after the end"),
        (
            whole.replace("all\n", "completed 1 failed\nall\n"),
            "after the end",
        ),
        (whole.replace("all\n", ""), "it ended after"),
        (whole.replace("all\n", "run\n"), "it ended after"),
        (whole.replace("wrote 2\n", "all\n"), "had ended"),
        (
            whole.replace("run 1 2", "run 2"),
            "acknowledged and not told",
        ),
        (format!("{whole}run\n{}", &whole[8..]), "forgotten"),
        (format!("run 1 2\ncompleted 1 other\n{whole}"), "not failed"),
        (
            format!("{whole}run 1 2\ncompleted 1 else\n"),
            "and before that",
        ),
        (
            format!("{whole}run 1 2\n{second}completed 1 failed\nall\n"),
            "out of order",
        ),
    ] {
        let judged = judge(&broken).unwrap_err();
        assert!(judged.contains(why), "{judged} for {why}:\n{broken}");
    }
}
