//! The run queue of a session: whose turn it is, under a total and a per-host limit.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::id::TaskId;
use crate::task::Priority;

/// The run queue of a session. The task of the highest priority goes first, whatever its host.
/// Among equal ones hosts take turns, so that one with many tasks does not hold up the others, and
/// within a host tasks run in the order in which they came.
///
/// Every operation takes logarithmic time: 100,000 tasks may wait and be taken out again.
#[derive(Clone, Debug, Default)]
pub struct RunQueue {
    tasks_max: u32,
    per_host_max: u32,
    running: u32,
    hosts: HashMap<Arc<str>, HostQueue>,
    /// Hosts that have a waiting task and a free place, the next one first.
    turns: BTreeMap<Turn, Arc<str>>,
    /// Where each waiting task is within its host.
    places: HashMap<TaskId, Place>,
    next_number: u64,
}

#[derive(Clone, Debug, Default)]
struct HostQueue {
    waiting: BTreeSet<(Place, TaskId)>,
    running: u32,
    /// Its key in `turns`, while it is there.
    turn: Option<Turn>,
    /// When its last turn was given: the next one is after those of all who have waited longer.
    number: u64,
}

/// The order of hosts: by the priority of their first task, then by how long they have waited.
type Turn = (Reverse<Priority>, u64);

/// The order within a host: by priority, then by age.
type Place = (Reverse<Priority>, u64);

impl RunQueue {
    /// An empty queue with these limits; a limit of 0 counts as 1.
    #[must_use]
    pub fn new(tasks_max: u32, per_host_max: u32) -> Self {
        Self {
            tasks_max: tasks_max.max(1),
            per_host_max: per_host_max.max(1),
            ..Self::default()
        }
    }

    /// Puts a task behind those of its host and priority. One that waits already stays where it is.
    pub fn push(&mut self, host: &str, task: TaskId, priority: Priority) {
        if self.places.contains_key(&task) {
            return;
        }
        let place = (Reverse(priority), self.number());
        self.insert(host, task, place);
    }

    /// Takes a waiting task out; `false` when it does not wait here.
    pub fn remove(&mut self, host: &str, task: TaskId) -> bool {
        let Some(place) = self.places.remove(&task) else {
            return false;
        };
        if let Some(queue) = self.hosts.get_mut(host) {
            queue.waiting.remove(&(place, task));
        }
        self.settle(host);
        true
    }

    /// Gives a waiting task another priority; its age stays. One that does not wait is left alone.
    pub fn set_priority(&mut self, host: &str, task: TaskId, priority: Priority) {
        let age = self.places.get(&task).map(|(_, age)| *age);
        if let Some(age) = age
            && self.remove(host, task)
        {
            self.insert(host, task, (Reverse(priority), age));
        }
    }

    /// The task whose turn it is, when a place is free. It goes on waiting.
    #[must_use]
    pub fn next(&self) -> Option<TaskId> {
        let host = self.turns.values().next().filter(|_| self.is_ready())?;
        let (_, task) = self.hosts.get(host)?.waiting.first()?;
        Some(*task)
    }

    /// The task whose turn it is, when a place is free; it counts as running until
    /// [`RunQueue::release`].
    pub fn pop(&mut self) -> Option<TaskId> {
        let task = self.next()?;
        let host = self.turns.values().next().map(Arc::clone)?;
        assert!(self.take(&host, task), "a task waits for its own host");
        Some(task)
    }

    /// Lets a waiting task run, whose turn was foreseen ([`RunQueue::successors`]); it counts as running
    /// until [`RunQueue::release`]. `false` when it does not wait here.
    pub fn take(&mut self, host: &str, task: TaskId) -> bool {
        let Some(place) = self.places.remove(&task) else {
            return false;
        };
        let number = self.number();
        if let Some(queue) = self.hosts.get_mut(host) {
            queue.number = number;
            queue.waiting.remove(&(place, task));
            queue.running += 1;
            self.running += 1;
        }
        self.settle(host);
        true
    }

    /// The tasks whose turn comes next, at most `tasks_max` of them, in about their order: what is
    /// pushed, removed or released meanwhile changes it. They go on waiting.
    #[must_use]
    pub fn upcoming(&self, tasks_max: usize) -> Vec<TaskId> {
        let in_turn = self.turns.values().filter_map(|host| self.hosts.get(host));
        let mut tasks = in_order(in_turn, tasks_max);
        if tasks.len() < tasks_max {
            // Hosts whose places are all taken come when one of their own tasks ends.
            let full = self.hosts.values().filter(|queue| queue.turn.is_none());
            tasks.extend(in_order(full, tasks_max - tasks.len()));
        }
        tasks
    }

    /// The tasks that take over one place after the other as long as only their host has waiting tasks,
    /// at most `tasks_max` of them; none when several hosts have, because these take turns. They go on
    /// waiting.
    #[must_use]
    pub fn successors(&self, tasks_max: usize) -> Vec<TaskId> {
        let in_turn = self.turns.values().filter_map(|host| self.hosts.get(host));
        let mut waiting = in_turn.chain(self.hosts.values());
        match waiting.find(|queue| !queue.waiting.is_empty()) {
            Some(queue) if queue.waiting.len() == self.places.len() => {
                let first = queue.waiting.iter().take(tasks_max);
                first.map(|(_, task)| *task).collect()
            }
            Some(_) | None => Vec::new(),
        }
    }

    /// Frees the place of a task of this host that [`RunQueue::pop`] or [`RunQueue::take`] had given out.
    pub fn release(&mut self, host: &str) {
        let Some(queue) = self.hosts.get_mut(host) else {
            return;
        };
        assert!(
            queue.running > 0 && self.running > 0,
            "a place was freed twice"
        );
        queue.running -= 1;
        self.running -= 1;
        self.settle(host);
    }

    /// Whether a task waits that this queue would let run now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.is_full() && !self.turns.is_empty()
    }

    /// Whether the total limit is what keeps waiting tasks waiting.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.running >= self.tasks_max
    }

    /// Whether as many tasks of this host run as may.
    #[must_use]
    pub fn is_host_full(&self, host: &str) -> bool {
        self.hosts
            .get(host)
            .is_some_and(|queue| queue.running >= self.per_host_max)
    }

    fn insert(&mut self, host: &str, task: TaskId, place: Place) {
        if !self.hosts.contains_key(host) {
            let number = self.number();
            let new = HostQueue {
                number,
                ..HostQueue::default()
            };
            self.hosts.insert(Arc::from(host), new);
        }
        if let Some(queue) = self.hosts.get_mut(host) {
            queue.waiting.insert((place, task));
            self.places.insert(task, place);
        }
        self.settle(host);
    }

    const fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Gives a host the turn that it should have after a change, and forgets one that is done.
    fn settle(&mut self, host: &str) {
        let Some((name, queue)) = self.hosts.get_key_value(host) else {
            return;
        };
        let first = queue.waiting.first().map(|((priority, _), _)| *priority);
        let may_run = queue.running < self.per_host_max;
        let turn = first
            .filter(|_| may_run)
            .map(|priority| (priority, queue.number));
        if queue.turn != turn {
            if let Some(old) = &queue.turn {
                self.turns.remove(old);
            }
            if let Some(new) = turn {
                self.turns.insert(new, Arc::clone(name));
            }
        }
        if queue.waiting.is_empty() && queue.running == 0 {
            self.hosts.remove(host);
        } else if let Some(queue) = self.hosts.get_mut(host) {
            queue.turn = turn;
        }
    }
}

/// The waiting tasks of hosts that take turns, at most `tasks_max` of them: by priority, then a turn
/// each.
fn in_order<'a>(hosts: impl Iterator<Item = &'a HostQueue>, tasks_max: usize) -> Vec<TaskId> {
    let mut tasks: Vec<_> = hosts
        .take(tasks_max)
        .enumerate()
        .flat_map(|(host, queue)| {
            let first = queue.waiting.iter().take(tasks_max).enumerate();
            first.map(move |(depth, ((priority, _), task))| (*priority, depth, host, *task))
        })
        .collect();
    tasks.sort_unstable();
    tasks.truncate(tasks_max);
    tasks.into_iter().map(|(_, _, _, task)| task).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> TaskId {
        TaskId::new(number)
    }

    fn push(queue: &mut RunQueue, host: &str, number: u64) {
        queue.push(host, id(number), Priority::DEFAULT);
    }

    fn order(queue: &mut RunQueue) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop())
            .map(TaskId::get)
            .collect()
    }

    #[test]
    fn hosts_take_turns_and_their_tasks_keep_their_order() {
        let mut queue = RunQueue::new(10, 10);
        for number in 0..3 {
            push(&mut queue, "a", number);
        }
        push(&mut queue, "b", 10);
        assert_eq!(order(&mut queue), [0, 10, 1, 2]);
    }

    #[test]
    fn a_higher_priority_goes_first_whatever_its_host_and_age() {
        let mut queue = RunQueue::new(10, 10);
        push(&mut queue, "a", 0);
        queue.push("a", id(1), Priority::LOW);
        queue.push("b", id(2), Priority::LOW);
        queue.push("b", id(3), Priority::HIGH);
        queue.push("a", id(4), Priority::HIGH);
        push(&mut queue, "b", 5);
        assert_eq!(order(&mut queue), [4, 3, 0, 5, 1, 2]);
    }

    #[test]
    fn a_changed_priority_moves_a_task_and_keeps_its_age() {
        let mut queue = RunQueue::new(10, 10);
        for number in 0..4 {
            push(&mut queue, "a", number);
        }
        queue.set_priority("a", id(2), Priority::HIGH);
        queue.set_priority("a", id(0), Priority::LOW);
        queue.set_priority("a", id(0), Priority::DEFAULT);
        queue.set_priority("a", id(9), Priority::HIGH);
        assert_eq!(order(&mut queue), [2, 0, 1, 3]);
    }

    #[test]
    fn upcoming_tasks_are_those_that_are_popped_next_and_go_on_waiting() {
        let mut queue = RunQueue::new(10, 10);
        assert_eq!(queue.upcoming(3), []);
        for number in 0..3 {
            push(&mut queue, "a", number);
        }
        push(&mut queue, "b", 10);
        for tasks_max in 0..6 {
            let upcoming = queue.upcoming(tasks_max);
            let mut popped = queue.clone();
            let next: Vec<TaskId> = std::iter::from_fn(|| popped.pop())
                .take(tasks_max)
                .collect();
            assert_eq!(upcoming, next);
        }
    }

    #[test]
    fn a_task_that_is_taken_counts_as_one_that_was_popped() {
        let mut queue = RunQueue::new(2, 10);
        for number in 0..3 {
            push(&mut queue, "a", number);
            push(&mut queue, "b", 10 + number);
        }
        assert_eq!((queue.pop(), queue.pop()), (Some(id(0)), Some(id(10))));
        assert_eq!(queue.next(), None, "no place is free");
        // The place of one of a's goes to its next one.
        queue.release("a");
        assert_eq!(queue.next(), Some(id(1)));
        assert!(queue.take("a", id(1)));
        assert!(!queue.take("a", id(1)), "it waits no more");
        assert!(queue.is_full());
        queue.release("b");
        assert_eq!(queue.pop(), Some(id(11)), "a had its turn");
        queue.release("a");
        queue.release("b");
        assert_eq!(order(&mut queue), [2, 12]);
    }

    #[test]
    fn only_tasks_of_a_host_that_waits_alone_succeed_each_other() {
        let mut queue = RunQueue::new(10, 1);
        assert_eq!(queue.successors(5), []);
        for number in 0..3 {
            push(&mut queue, "a", number);
        }
        queue.push("a", id(9), Priority::HIGH);
        assert_eq!(queue.successors(2), [id(9), id(0)]);
        assert_eq!(queue.pop(), Some(id(9)));
        // Its host has no free place.
        assert_eq!(queue.successors(5), [id(0), id(1), id(2)]);
        push(&mut queue, "b", 10);
        assert_eq!(queue.successors(5), [], "two hosts take turns");
        assert_eq!(queue.pop(), Some(id(10)));
        assert_eq!(
            queue.successors(5),
            [id(0), id(1), id(2)],
            "b waits no more"
        );
    }

    #[test]
    fn tasks_of_a_host_without_a_free_place_are_upcoming_too() {
        let mut queue = RunQueue::new(10, 1);
        for number in 0..3 {
            push(&mut queue, "a", number);
        }
        assert_eq!(queue.pop(), Some(id(0)));
        push(&mut queue, "b", 10);
        assert_eq!(queue.upcoming(5), [id(10), id(1), id(2)]);
        assert_eq!(queue.upcoming(2), [id(10), id(1)]);
    }

    #[test]
    fn limits_hold_and_a_release_lets_the_next_one_run() {
        let mut queue = RunQueue::new(3, 2);
        for number in 0..4 {
            push(&mut queue, "a", number);
            push(&mut queue, "b", 10 + number);
        }
        assert_eq!(order(&mut queue).len(), 3);
        assert!(queue.is_full() && !queue.is_ready());
        assert!(queue.is_host_full("a") && !queue.is_host_full("b"));
        queue.release("b");
        assert!(queue.is_ready());
        assert_eq!(
            queue.pop(),
            Some(id(11)),
            "host a has its two, so it is b's turn"
        );
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn a_full_host_is_not_ready_until_it_has_a_place_again() {
        let mut queue = RunQueue::new(9, 1);
        push(&mut queue, "a", 1);
        push(&mut queue, "a", 2);
        assert_eq!(order(&mut queue), [1]);
        assert!(!queue.is_full() && !queue.is_ready());
        queue.release("a");
        assert!(queue.is_ready());
        assert_eq!(order(&mut queue), [2]);
    }

    #[test]
    fn a_removed_task_never_runs() {
        let mut queue = RunQueue::new(3, 2);
        push(&mut queue, "a", 1);
        push(&mut queue, "a", 1);
        assert!(queue.remove("a", id(1)));
        assert!(!queue.remove("a", id(1)));
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn a_hundred_thousand_tasks_come_and_go() {
        let count = 100_000;
        let mut queue = RunQueue::new(u32::MAX, u32::MAX);
        for number in 0..count {
            push(&mut queue, "a", number);
        }
        for number in (0..count).rev().step_by(2) {
            assert!(queue.remove("a", id(number)));
        }
        let left: Vec<u64> = (0..count).step_by(2).collect();
        assert_eq!(order(&mut queue), left);
        assert!(queue.places.is_empty());
    }

    #[test]
    fn memory_of_hosts_that_are_done_is_given_back() {
        let mut queue = RunQueue::new(3, 2);
        for number in 0..1000 {
            let host = format!("host-{number}");
            push(&mut queue, &host, number);
            assert_eq!(queue.pop(), Some(id(number)));
            queue.release(&host);
        }
        assert!(queue.hosts.is_empty() && queue.turns.is_empty() && queue.places.is_empty());
    }
}
