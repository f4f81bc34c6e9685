//! The run queue of a session: whose turn it is, under a total and a per-host limit.

use std::collections::{HashMap, VecDeque};

use crate::id::TaskId;

/// The run queue of a session. Hosts take turns, so that one with many tasks does not hold up the
/// others; within a host tasks run in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct RunQueue {
    tasks_max: u32,
    per_host_max: u32,
    running: u32,
    hosts: HashMap<String, HostQueue>,
    /// Hosts that have a waiting task and a free place, in turn.
    turns: VecDeque<String>,
}

#[derive(Clone, Debug, Default)]
struct HostQueue {
    waiting: VecDeque<TaskId>,
    running: u32,
    has_turn: bool,
}

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

    /// Puts a task at the end of its host's queue.
    pub fn push(&mut self, host: &str, task: TaskId) {
        let queue = self.hosts.entry(host.to_owned()).or_default();
        queue.waiting.push_back(task);
        self.offer_turn(host);
    }

    /// Takes a waiting task out; `false` when it does not wait here.
    pub fn remove(&mut self, host: &str, task: TaskId) -> bool {
        let Some(queue) = self.hosts.get_mut(host) else {
            return false;
        };
        let before = queue.waiting.len();
        queue.waiting.retain(|waiting| *waiting != task);
        let removed = queue.waiting.len() < before;
        self.tidy(host);
        removed
    }

    /// The task whose turn it is, when a place is free; it counts as running until
    /// [`RunQueue::release`].
    pub fn pop(&mut self) -> Option<TaskId> {
        if self.running >= self.tasks_max {
            return None;
        }
        while let Some(host) = self.turns.pop_front() {
            let Some(queue) = self.hosts.get_mut(&host) else {
                continue;
            };
            queue.has_turn = false;
            if queue.running >= self.per_host_max {
                continue;
            }
            let Some(task) = queue.waiting.pop_front() else {
                continue;
            };
            queue.running += 1;
            self.running += 1;
            self.offer_turn(&host);
            return Some(task);
        }
        None
    }

    /// The tasks whose turn comes next, at most `tasks_max` of them, in about their order: what is
    /// pushed, removed or released meanwhile changes it. They go on waiting.
    #[must_use]
    pub fn upcoming(&self, tasks_max: usize) -> Vec<TaskId> {
        let in_turn = self.turns.iter().filter_map(|host| self.hosts.get(host));
        let mut tasks = in_order(in_turn.collect(), tasks_max);
        if tasks.len() < tasks_max {
            // Hosts whose places are all taken come when one of their own tasks ends.
            let full = self.hosts.values().filter(|queue| !queue.has_turn);
            tasks.extend(in_order(full.collect(), tasks_max - tasks.len()));
        }
        tasks
    }

    /// Frees the place of a task of this host that [`RunQueue::pop`] had given out.
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
        self.offer_turn(host);
        self.tidy(host);
    }

    /// Whether the total limit is what keeps waiting tasks waiting; else it is their host's.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.running >= self.tasks_max
    }

    fn offer_turn(&mut self, host: &str) {
        let Some(queue) = self.hosts.get_mut(host) else {
            return;
        };
        let eligible = !queue.waiting.is_empty() && queue.running < self.per_host_max;
        if eligible && !queue.has_turn {
            queue.has_turn = true;
            self.turns.push_back(host.to_owned());
        }
    }

    fn tidy(&mut self, host: &str) {
        if self
            .hosts
            .get(host)
            .is_some_and(|queue| queue.waiting.is_empty() && queue.running == 0)
        {
            self.hosts.remove(host);
            self.turns.retain(|turn| turn != host);
        }
    }
}

/// The waiting tasks of hosts that take turns, at most `tasks_max` of them.
fn in_order(hosts: Vec<&HostQueue>, tasks_max: usize) -> Vec<TaskId> {
    let deepest = hosts.iter().map(|host| host.waiting.len()).max();
    (0..deepest.unwrap_or(0))
        .flat_map(|depth| hosts.iter().filter_map(move |host| host.waiting.get(depth)))
        .take(tasks_max)
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> TaskId {
        TaskId::new(number)
    }

    #[test]
    fn hosts_take_turns_and_their_tasks_keep_their_order() {
        let mut queue = RunQueue::new(10, 10);
        for number in 0..3 {
            queue.push("a", id(number));
        }
        queue.push("b", id(10));
        let order: Vec<u64> = std::iter::from_fn(|| queue.pop())
            .map(TaskId::get)
            .collect();
        assert_eq!(order, [0, 10, 1, 2]);
    }

    #[test]
    fn upcoming_tasks_are_those_that_are_popped_next_and_go_on_waiting() {
        let mut queue = RunQueue::new(10, 10);
        assert_eq!(queue.upcoming(3), []);
        for number in 0..3 {
            queue.push("a", id(number));
        }
        queue.push("b", id(10));
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
    fn tasks_of_a_host_without_a_free_place_are_upcoming_too() {
        let mut queue = RunQueue::new(10, 1);
        for number in 0..3 {
            queue.push("a", id(number));
        }
        assert_eq!(queue.pop(), Some(id(0)));
        queue.push("b", id(10));
        assert_eq!(queue.upcoming(5), [id(10), id(1), id(2)]);
        assert_eq!(queue.upcoming(2), [id(10), id(1)]);
    }

    #[test]
    fn limits_hold_and_a_release_lets_the_next_one_run() {
        let mut queue = RunQueue::new(3, 2);
        for number in 0..4 {
            queue.push("a", id(number));
            queue.push("b", id(10 + number));
        }
        assert_eq!(std::iter::from_fn(|| queue.pop()).count(), 3);
        assert!(queue.is_full());
        queue.release("b");
        assert_eq!(
            queue.pop(),
            Some(id(11)),
            "host a has its two, so it is b's turn"
        );
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn a_removed_task_never_runs() {
        let mut queue = RunQueue::new(3, 2);
        queue.push("a", id(1));
        assert!(queue.remove("a", id(1)));
        assert!(!queue.remove("a", id(1)));
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn memory_of_hosts_that_are_done_is_given_back() {
        let mut queue = RunQueue::new(3, 2);
        for number in 0..1000 {
            let host = format!("host-{number}");
            queue.push(&host, id(number));
            assert_eq!(queue.pop(), Some(id(number)));
            queue.release(&host);
        }
        assert!(queue.hosts.is_empty() && queue.turns.is_empty());
    }
}
