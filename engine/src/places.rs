//! The places of an engine: how many tasks run at once in all its sessions together.

use std::collections::VecDeque;

use crate::id::SessionId;

/// The places of an engine. Sessions that want one and find none wait in line; nobody passes them.
#[derive(Clone, Debug)]
pub struct Places {
    tasks_max: u32,
    running: u32,
    /// Sessions that have a task for a place, the first one first.
    line: VecDeque<SessionId>,
}

impl Places {
    /// So many places, none of them taken; 0 counts as 1.
    #[must_use]
    pub fn new(tasks_max: u32) -> Self {
        Self {
            tasks_max: tasks_max.max(1),
            running: 0,
            line: VecDeque::new(),
        }
    }

    /// Takes a place for a task of this session; when there is none for it, the session waits in
    /// line.
    pub fn take(&mut self, session: &SessionId) -> bool {
        let position = self.line.iter().position(|waiting| waiting == session);
        let ahead = position.unwrap_or(self.line.len());
        if ahead < self.free() {
            if let Some(position) = position {
                self.line.remove(position);
            }
            self.running += 1;
            return true;
        }
        if position.is_none() {
            self.line.push_back(session.clone());
        }
        false
    }

    /// Gives a place back.
    pub fn release(&mut self) {
        assert!(self.running > 0, "a place was freed twice");
        self.running -= 1;
    }

    /// A session has no task for a place any more.
    pub fn leave(&mut self, session: &SessionId) {
        self.line.retain(|waiting| waiting != session);
    }

    /// The sessions for which there is a place now: each must [take](Places::take) it or
    /// [leave](Places::leave) the line, else the place stays empty.
    pub fn called(&self) -> impl Iterator<Item = &SessionId> {
        self.line.iter().take(self.free())
    }

    /// Whether all places are taken.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.running >= self.tasks_max
    }

    fn free(&self) -> usize {
        usize::try_from(self.tasks_max.saturating_sub(self.running)).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(name: &str) -> SessionId {
        SessionId::new(name).expect("a name")
    }

    fn called(places: &Places) -> Vec<String> {
        places.called().map(ToString::to_string).collect()
    }

    #[test]
    fn sessions_take_turns_at_a_full_engine() {
        let (a, b, c) = (session("a"), session("b"), session("c"));
        let mut places = Places::new(2);
        assert!(places.take(&a) && places.take(&a) && places.is_full());
        assert!(!places.take(&a) && !places.take(&b) && !places.take(&c) && !places.take(&b));
        places.release();
        assert_eq!(called(&places), ["a"]);
        assert!(!places.take(&b), "a came first");
        assert!(places.take(&a));
        assert!(!places.take(&a), "its next task waits behind the others");
        places.release();
        places.release();
        assert_eq!(called(&places), ["b", "c"]);
        assert!(places.take(&c), "there is one for each of them");
        assert!(!places.take(&a));
        assert!(places.take(&b));
    }

    #[test]
    fn who_leaves_the_line_makes_room() {
        let (a, b) = (session("a"), session("b"));
        let mut places = Places::new(1);
        assert!(places.take(&a) && !places.take(&a) && !places.take(&b));
        places.leave(&a);
        places.release();
        assert_eq!(called(&places), ["b"]);
        assert!(places.take(&b));
        assert!(called(&places).is_empty());
    }
}
