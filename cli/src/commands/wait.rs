//! `longhaul wait`: until tasks have ended.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use longhaul::{Error, Outcome};
use tokio::time::timeout;

use super::told::{self, Worst};
use super::{find, lost, reach};
use crate::address::TaskName;
use crate::args::WaitArgs;
use crate::exit::{Exit, Fault};
use crate::report::Out;
use crate::report::entry::{Ending, Entry};

/// Waits until all the tasks have ended, and tells each end as it comes.
///
/// # Errors
/// When there is no daemon, or no such task. That time ran out is an exit code, and the tasks go on.
pub(crate) async fn wait(args: WaitArgs) -> Result<Exit, Fault> {
    let engine = reach(&args.reach).await?;
    let mut tasks = Vec::new();
    for name in &args.tasks {
        tasks.push((name.clone(), find(&engine, name).await?.1));
    }
    let mut ends: FuturesUnordered<_> = tasks
        .into_iter()
        .map(|(name, task)| async move { (name, task.finished().await) })
        .collect();
    let mut told = Told {
        out: Out::default(),
        is_json: args.reach.json,
        worst: Worst::NONE,
    };
    let all = async {
        while let Some((name, end)) = ends.next().await {
            told.tell(&name, &end?);
        }
        Ok::<_, Error>(())
    };
    let all = async {
        tokio::select! {
            biased;
            ended = all => ended.map_err(Fault::from),
            fault = lost(&engine) => Err(fault),
        }
    };
    let is_over = match args.timeout {
        Some(limit) => match timeout(limit, all).await {
            Ok(ended) => ended.map(|()| true)?,
            Err(_) => false,
        },
        None => all.await.map(|()| true)?,
    };
    engine.shutdown().await;
    match is_over {
        true => Ok(told.worst.0),
        false => Err(Fault::TimedOut(
            "not all of the tasks have ended in time; they go on".to_owned(),
        )),
    }
}

struct Told {
    out: Out,
    is_json: bool,
    worst: Worst,
}

impl Told {
    fn tell(&mut self, name: &TaskName, outcome: &Outcome) {
        self.worst.add(outcome);
        match self.is_json {
            true => self.out.json(&Entry::Ended {
                about: name.into(),
                sequence: None,
                end: Ending::new(outcome),
            }),
            false => self
                .out
                .line(format!("{name}: {}", told::ended(outcome)).as_bytes()),
        }
    }
}
