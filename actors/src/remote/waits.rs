//! Who waits for the ends of which tasks.
//!
//! The daemon is asked once for each task. It answers on the stream of the client, under a number that
//! is new with each asking: an end that was told twice, or of an earlier connection, finds nobody.

use std::collections::HashMap;
use std::rc::Rc;

use longhaul_engine::control::{ForgetWait, WaitForEnd};
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::task::Outcome;

use super::calls::{Connection, at_client};
use super::convert;
use super::orders::EndReply;
use super::question::{Question, Unanswered};
use super::thread::Client;
use super::turns::Turn;
use super::wire::Unheard;
use crate::local::CallError;

/// A task of a session.
pub(super) type TaskKey = (SessionId, TaskId);

/// All waits of one client.
#[derive(Debug, Default)]
pub(super) struct Waits {
    by_task: HashMap<TaskKey, Wait>,
    by_number: HashMap<u64, TaskKey>,
    last: u64,
}

#[derive(Debug, Default)]
struct Wait {
    /// The numbers that the daemon may answer under.
    numbers: Vec<u64>,
    replies: Vec<EndReply>,
    /// The connection on which the daemon has taken it, once it has.
    known_on: Option<u64>,
}

impl Waits {
    /// Adds one who waits; whether the daemon has to be asked.
    fn add(&mut self, task: &TaskKey, reply: EndReply) -> bool {
        let is_first = !self.by_task.contains_key(task);
        let wait = self.by_task.entry(task.clone()).or_default();
        wait.replies.push(reply);
        is_first
    }

    /// A number to ask under.
    fn number(&mut self, task: &TaskKey) -> u64 {
        self.last += 1;
        if let Some(wait) = self.by_task.get_mut(task) {
            wait.numbers.push(self.last);
            self.by_number.insert(self.last, task.clone());
        }
        self.last
    }

    /// Tells the end of a task to all who wait for it.
    pub(super) fn resolve(&mut self, task: &TaskKey, end: &Result<Outcome, CallError>) {
        for reply in self.remove(task) {
            // Who waited may be gone.
            let _ = reply.send(end.clone());
        }
    }

    /// The same, by the number that the daemon was asked under.
    pub(super) fn resolve_number(&mut self, number: u64, end: &Result<Outcome, CallError>) {
        if let Some(task) = self.by_number.get(&number).cloned() {
            self.resolve(&task, end);
        }
    }

    fn remove(&mut self, task: &TaskKey) -> Vec<EndReply> {
        let Some(wait) = self.by_task.remove(task) else {
            return Vec::new();
        };
        for number in &wait.numbers {
            self.by_number.remove(number);
        }
        wait.replies
    }

    /// Drops those who wait no longer; the numbers that the daemon may forget when nobody is left.
    fn prune(&mut self, task: &TaskKey) -> Vec<u64> {
        let Some(wait) = self.by_task.get_mut(task) else {
            return Vec::new();
        };
        wait.replies.retain(|reply| !reply.is_closed());
        if !wait.replies.is_empty() {
            return Vec::new();
        }
        let numbers = wait.numbers.clone();
        self.remove(task);
        numbers
    }

    /// The tasks that an earlier connection was asked for.
    pub(super) fn known(&self) -> Vec<TaskKey> {
        let known = |(task, wait): (&TaskKey, &Wait)| wait.known_on.map(|_| task.clone());
        self.by_task.iter().filter_map(known).collect()
    }

    /// The daemon has taken the wait on this connection.
    fn is_known(&mut self, task: &TaskKey, connection: u64) {
        if let Some(wait) = self.by_task.get_mut(task) {
            wait.known_on = wait.known_on.max(Some(connection));
        }
    }

    /// Whether the daemon of this connection has to be asked (again).
    fn is_unknown_on(&self, task: &TaskKey, connection: u64) -> bool {
        let wait = self.by_task.get(task);
        wait.is_some_and(|wait| wait.known_on < Some(connection))
    }
}

impl Client {
    /// Has the daemon tell the end of a task, on the stream.
    pub(super) fn wait_for(self: &Rc<Self>, task: TaskKey, reply: EndReply, turn: Turn) {
        if !self.waits.borrow_mut().add(&task, reply) {
            return;
        }
        // Who asks for the state of the task next relies on being told of an end that comes after it.
        let hold = self.turns.hold(turn);
        let client = Rc::clone(self);
        actix_rt::spawn(async move {
            let asked = client.ask_wait(&task).await;
            drop(hold);
            if let Err(why) = asked {
                let error = convert::call_error(&why);
                client.waits.borrow_mut().resolve(&task, &Err(error));
            }
        });
    }

    /// Asks until a daemon has taken the wait on the connection of now.
    async fn ask_wait(&self, task: &TaskKey) -> Result<(), Unanswered> {
        loop {
            let question = self.wait_question(task)?;
            let (_, on) = self.answer(&question).await?;
            self.waits.borrow_mut().is_known(task, on);
            // A connection that was lost since then may have been renewed without it.
            let now = self.connection().await?.number;
            if !self.waits.borrow().is_unknown_on(task, now) {
                return Ok(());
            }
        }
    }

    /// Asks a daemon that this process has become a client of anew.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn renew_wait(
        &self,
        task: TaskKey,
        connection: &Connection,
    ) -> Result<(), Unheard> {
        let Ok(question) = self.wait_question(&task) else {
            return Ok(());
        };
        match self.ask_once(&question, connection, false).await {
            Ok(_) => self.waits.borrow_mut().is_known(&task, connection.number),
            Err(Unheard::Refused(problem)) if !convert::is_passing(&problem) => {
                let error = convert::call_error(&Unanswered::Problem(problem));
                self.waits.borrow_mut().resolve(&task, &Err(error));
            }
            Err(lost) => return Err(lost),
        }
        Ok(())
    }

    /// A repeated asking has another number: the daemon may have taken the first.
    fn wait_question(&self, task: &TaskKey) -> Result<Question, Unanswered> {
        let mut waits = self.waits.borrow_mut();
        let mut call = || WaitForEnd {
            wait: waits.number(task),
            session: task.0.clone(),
            task: task.1,
        };
        let (first, again) = (call(), call());
        Question::new(&first, at_client)?.again(&again)
    }

    /// Lets the daemon forget a wait that nobody waits for.
    pub(super) fn forget_wait(self: &Rc<Self>, task: TaskKey) {
        for wait in self.waits.borrow_mut().prune(&task) {
            let Ok(question) = Question::new(&ForgetWait { wait }, at_client) else {
                continue;
            };
            let client = Rc::clone(self);
            actix_rt::spawn(async move {
                // A number that was never asked under is not known, and that is as good.
                if let Err(error) = client.answer(&question).await {
                    tracing::debug!(%error, "a wait was not forgotten");
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn key(task: u64) -> TaskKey {
        (SessionId::new("a").unwrap(), TaskId::new(task))
    }

    #[test]
    fn all_who_wait_for_a_task_are_told_once_and_the_daemon_is_asked_once() {
        let mut waits = Waits::default();
        let (one, mut one_told) = oneshot::channel();
        let (two, mut two_told) = oneshot::channel();
        assert!(waits.add(&key(7), one));
        let number = waits.number(&key(7));
        assert!(!waits.add(&key(7), two));
        waits.resolve_number(number + 1, &Ok(Outcome::Cancelled));
        assert!(one_told.try_recv().is_err(), "that is another number");
        waits.resolve_number(number, &Ok(Outcome::Cancelled));
        assert_eq!(one_told.try_recv(), Ok(Ok(Outcome::Cancelled)));
        assert_eq!(two_told.try_recv(), Ok(Ok(Outcome::Cancelled)));
        assert!(waits.by_task.is_empty() && waits.by_number.is_empty());
    }

    #[test]
    fn a_wait_is_forgotten_with_the_last_who_waits() {
        let mut waits = Waits::default();
        let (one, one_told) = oneshot::channel();
        let (two, two_told) = oneshot::channel();
        waits.add(&key(7), one);
        waits.add(&key(7), two);
        let number = waits.number(&key(7));
        drop(one_told);
        assert_eq!(waits.prune(&key(7)), [0; 0]);
        drop(two_told);
        assert_eq!(waits.prune(&key(7)), [number]);
        assert!(waits.by_task.is_empty() && waits.by_number.is_empty());
    }

    #[test]
    fn a_wait_is_asked_again_on_a_connection_that_does_not_know_it() {
        let mut waits = Waits::default();
        let (reply, _told) = oneshot::channel();
        waits.add(&key(7), reply);
        assert!(
            waits.known().is_empty(),
            "it is being asked for the first time"
        );
        waits.is_known(&key(7), 1);
        assert_eq!(waits.known(), [key(7)]);
        assert!(!waits.is_unknown_on(&key(7), 1));
        assert!(waits.is_unknown_on(&key(7), 2));
        waits.is_known(&key(7), 2);
        waits.is_known(&key(7), 1);
        assert!(!waits.is_unknown_on(&key(7), 2), "an answer that came late");
    }
}
