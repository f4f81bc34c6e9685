//! What a client waits for.

use futures_util::future::{AbortHandle, Abortable};
use longhaul_engine::control::Problem;
use longhaul_engine::id::{SessionId, TaskId};

use super::{Client, Held, WAITS_MAX, Wait, Waited, Waiting, wake};

impl Client {
    /// Whether it waits with this number for this task already.
    pub(in crate::control) fn waits(
        &self,
        wait: u64,
        of: &(SessionId, TaskId),
    ) -> Result<bool, Problem> {
        self.lock().held.waits_for(wait, of)
    }

    /// Waits for the end of a task, until it is told or forgotten.
    pub(in crate::control) fn wait(
        &self,
        wait: u64,
        of: (SessionId, TaskId),
        waiting: Waiting,
    ) -> Result<(), Problem> {
        let mut state = self.lock();
        if state.is_gone {
            return Err(Problem::NoSuchClient);
        }
        if state.held.waits_for(wait, &of)? {
            return Ok(());
        }
        let (abort, registration) = AbortHandle::new_pair();
        let waiting = Abortable::new(waiting, registration);
        state.held.waits.insert(wait, Waited { task: of, abort });
        state.held.new_waits.push(waiting);
        wake(state);
        Ok(())
    }

    /// Forgets a wait; harmless to repeat.
    pub(in crate::control) fn forget(&self, wait: u64) {
        if let Some(waited) = self.lock().held.waits.remove(&wait) {
            waited.abort.abort();
        }
    }

    /// The waits that were added since this was asked last.
    pub(in crate::control) fn take_new_waits(&self) -> Vec<Wait> {
        std::mem::take(&mut self.lock().held.new_waits)
    }
}

impl Held {
    fn waits_for(&self, wait: u64, of: &(SessionId, TaskId)) -> Result<bool, Problem> {
        match self.waits.get(&wait) {
            Some(waited) if waited.task == *of => Ok(true),
            Some(_) => Err(Problem::invalid(format!(
                "the number {wait} stands for another wait already; give one that is free"
            ))),
            None if self.waits.len() >= WAITS_MAX => Err(Problem::TooMany {
                detail: format!(
                    "this client waits for {WAITS_MAX} tasks already; forget some, or read the \
                     events of the session instead"
                ),
            }),
            None => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use longhaul_engine::control::ClientId;

    use super::*;

    #[test]
    fn the_waits_of_a_client_are_limited_and_gone_with_it() {
        let client = Client::new(ClientId("c".to_owned()), None, None, None);
        let of = || (SessionId::new("s").unwrap(), TaskId::new(1));
        let wait = |number| client.wait(number, of(), Box::pin(pending()));
        for number in 0..WAITS_MAX as u64 {
            wait(number).unwrap();
        }
        assert_eq!(wait(0), Ok(()), "it waits already");
        assert_eq!(wait(WAITS_MAX as u64).unwrap_err().status(), 429);
        client.forget(0);
        assert_eq!(wait(WAITS_MAX as u64), Ok(()));
        let waits = client.take_new_waits();
        drop(client.end());
        assert!(waits.iter().all(Abortable::is_aborted));
        assert_eq!(wait(0), Err(Problem::NoSuchClient));
    }
}
