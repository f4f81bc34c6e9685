//! What the transfers of tasks that wait for another one noted of their requests.

use std::collections::{BTreeMap, VecDeque};

use longhaul_engine::id::TaskId;
use longhaul_engine::metrics::TransactionLog;

/// Tasks whose transactions are kept between two transfers: a log takes up to 5 KiB, and those of
/// very many waiting tasks are worth less than the memory.
const LOGS_MAX: usize = 1024;

/// The logs of tasks that wait, the oldest forgotten first.
#[derive(Debug, Default)]
pub(super) struct Logs {
    logs: BTreeMap<TaskId, TransactionLog>,
    order: VecDeque<TaskId>,
}

impl Logs {
    pub(super) fn put(&mut self, task: TaskId, log: TransactionLog) {
        if self.logs.insert(task, log).is_some() {
            return;
        }
        self.order.push_back(task);
        if self.order.len() > LOGS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.logs.remove(&oldest);
        }
    }

    pub(super) fn take(&mut self, task: TaskId) -> TransactionLog {
        let Some(log) = self.logs.remove(&task) else {
            return TransactionLog::default();
        };
        self.order.retain(|known| *known != task);
        log
    }
}

#[cfg(test)]
mod tests {
    use longhaul_engine::time::Timestamp;

    use super::*;

    #[test]
    fn the_logs_of_the_last_tasks_are_kept() {
        let mut logs = Logs::default();
        let mut log = TransactionLog::default();
        log.begin(Timestamp::default());
        for number in 0..LOGS_MAX as u64 + 10 {
            logs.put(TaskId::new(number), log.clone());
        }
        assert_eq!(logs.take(TaskId::new(9)), TransactionLog::default());
        assert_eq!(logs.take(TaskId::new(10)), log);
        assert_eq!(logs.take(TaskId::new(10)), TransactionLog::default());
        assert_eq!(logs.order.len(), LOGS_MAX - 1);
    }
}
