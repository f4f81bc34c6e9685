//! Who waits for the ends of which tasks.
//!
//! The daemon is asked once for each task. It answers on the stream of the client, under the number of
//! the wait: to ask under it again changes nothing, and an end that was told twice finds nobody.

use std::collections::HashMap;
use std::rc::Rc;

use longhaul_engine::control::{ForgetWait, WaitForEnd};
use longhaul_engine::id::{SessionId, TaskId};
use longhaul_engine::task::Outcome;

use super::calls::{Connection, Patience, at_client};
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

#[derive(Debug)]
struct Wait {
    /// The number that the daemon answers under.
    number: u64,
    replies: Vec<EndReply>,
    /// The connection on which the daemon has taken it, once it has.
    known_on: Option<u64>,
}

impl Waits {
    /// Adds one who waits; for the first one the number to ask the daemon under.
    fn add(&mut self, task: &TaskKey, reply: EndReply) -> Option<u64> {
        if let Some(wait) = self.by_task.get_mut(task) {
            wait.replies.push(reply);
            return None;
        }
        self.last += 1;
        let wait = Wait {
            number: self.last,
            replies: vec![reply],
            known_on: None,
        };
        self.by_task.insert(task.clone(), wait);
        self.by_number.insert(self.last, task.clone());
        Some(self.last)
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
        self.by_number.remove(&wait.number);
        wait.replies
    }

    /// Drops those who wait no longer; the number that the daemon may forget when nobody is left.
    fn prune(&mut self, task: &TaskKey) -> Option<u64> {
        let wait = self.by_task.get_mut(task)?;
        wait.replies.retain(|reply| !reply.is_closed());
        if !wait.replies.is_empty() {
            return None;
        }
        let number = wait.number;
        self.remove(task);
        Some(number)
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

    /// The number to ask the daemon of this connection under, if it has to be asked (again).
    fn unknown_on(&self, task: &TaskKey, connection: u64) -> Option<u64> {
        let wait = self.by_task.get(task);
        let wait = wait.filter(|wait| wait.known_on < Some(connection));
        wait.map(|wait| wait.number)
    }
}

impl Client {
    /// Has the daemon tell the end of a task, on the stream.
    pub(super) fn wait_for(self: &Rc<Self>, task: TaskKey, reply: EndReply, turn: Turn) {
        let Some(number) = self.waits.borrow_mut().add(&task, reply) else {
            return;
        };
        // Who asks for the state of the task next relies on being told of an end that comes after it.
        let hold = self.turns.hold(turn);
        let mut patience = self.patience();
        let client = Rc::clone(self);
        actix_rt::spawn(async move {
            let asked = client.ask_wait(number, &task, &mut patience).await;
            drop(hold);
            if let Err(why) = asked {
                let error = convert::call_error(&why);
                client.waits.borrow_mut().resolve(&task, &Err(error));
                return;
            }
            // A connection that was lost since then may have been renewed without it.
            if let Ok(now) = client.connection().await
                && client.renew_wait(task, &now).await.is_err()
            {
                client.give_up(&now);
            }
        });
    }

    /// Asks until a daemon has taken the wait.
    async fn ask_wait(
        &self,
        number: u64,
        task: &TaskKey,
        patience: &mut Patience,
    ) -> Result<(), Unanswered> {
        let (_, on) = self.answer(&wait_question(number, task)?, patience).await?;
        self.waits.borrow_mut().is_known(task, on);
        Ok(())
    }

    /// Asks a daemon that this process has become a client of anew, if it was not asked yet.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn renew_wait(
        &self,
        task: TaskKey,
        connection: &Connection,
    ) -> Result<(), Unheard> {
        let number = self.waits.borrow().unknown_on(&task, connection.number);
        let question = number.and_then(|number| wait_question(number, &task).ok());
        let Some(question) = question else {
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

    /// Lets the daemon forget a wait that nobody waits for, once it knows of it.
    pub(super) fn forget_wait(self: &Rc<Self>, task: TaskKey, turn: Turn) {
        let Some(wait) = self.waits.borrow_mut().prune(&task) else {
            return;
        };
        self.begin(turn, async move |client, mut patience| {
            client
                .say(&ForgetWait { wait }, at_client, &mut patience)
                .await;
        });
    }
}

fn wait_question(wait: u64, (session, task): &TaskKey) -> Result<Question, Unanswered> {
    let call = WaitForEnd {
        wait,
        session: session.clone(),
        task: *task,
    };
    Question::new(&call, at_client)
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
        let number = waits.add(&key(7), one).expect("it is the first");
        assert_eq!(waits.add(&key(7), two), None);
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
        let number = waits.add(&key(7), one);
        waits.add(&key(7), two);
        drop(one_told);
        assert_eq!(waits.prune(&key(7)), None);
        drop(two_told);
        assert_eq!(waits.prune(&key(7)), number);
        assert!(waits.by_task.is_empty() && waits.by_number.is_empty());
    }

    #[test]
    fn a_wait_is_asked_again_on_a_connection_that_does_not_know_it() {
        let mut waits = Waits::default();
        let (reply, _told) = oneshot::channel();
        let number = waits.add(&key(7), reply);
        assert!(
            waits.known().is_empty(),
            "it is being asked for the first time"
        );
        waits.is_known(&key(7), 1);
        assert_eq!(waits.known(), [key(7)]);
        assert_eq!(waits.unknown_on(&key(7), 1), None);
        assert_eq!(waits.unknown_on(&key(7), 2), number);
        waits.is_known(&key(7), 2);
        waits.is_known(&key(7), 1);
        assert_eq!(
            waits.unknown_on(&key(7), 2),
            None,
            "an answer that came late"
        );
    }
}
