//! Supervision: children whose end, whatever it is, reaches their parent as a message.
//!
//! actix's own `Supervisor` does not restart after a panic, and nobody is told of one. Here the
//! actor's future runs as a task whose handle is awaited: it tells a clean end, a panic with its
//! text, and an abort apart. A guard aborts the child when its parent goes.

use std::sync::{Arc, Mutex, PoisonError};

use actix::{Actor, AsyncContext, Context};
use actix_rt::ArbiterHandle;
use tokio::task::AbortHandle;

/// Longest text of a panic that is kept.
const PANIC_TEXT_CHARS_MAX: usize = 512;

/// Where a child runs.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// On the arbiter of the caller.
    Here,
    /// On this arbiter.
    Arbiter(ArbiterHandle),
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChildExit {
    /// It stopped itself.
    Stopped,
    /// It panicked, with this text.
    Panicked(String),
    /// Its guard was dropped, or its arbiter is gone.
    Aborted,
}

/// Keeps a child alive: dropping it aborts the child.
#[derive(Debug)]
pub(crate) struct ChildGuard(Arc<Mutex<Life>>);

#[derive(Debug)]
enum Life {
    Starting,
    Running(AbortHandle),
    Over,
}

impl Drop for ChildGuard {
    fn drop(&mut self) {
        let mut life = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Life::Running(handle) = &*life {
            handle.abort();
        }
        *life = Life::Over;
    }
}

/// Starts a child at `place` and sees to it that `report` is called exactly once when it has ended,
/// after the actor and all that it owned were dropped.
pub(crate) fn spawn_child<A, B, R>(place: &Place, build: B, report: R) -> ChildGuard
where
    A: Actor<Context = Context<A>>,
    B: FnOnce(&mut Context<A>) -> A + Send + 'static,
    R: FnOnce(ChildExit) + Send + 'static,
{
    let life = Arc::new(Mutex::new(Life::Starting));
    let guard = ChildGuard(Arc::clone(&life));
    let report = Report(Some(Box::new(report)));
    let run = move || run_child(build, &life, report);
    match place {
        Place::Here => run(),
        // When the arbiter is gone the closure is dropped, and the report with it says so.
        Place::Arbiter(arbiter) => {
            let _ = arbiter.spawn_fn(run);
        }
    }
    guard
}

fn run_child<A, B>(build: B, life: &Arc<Mutex<Life>>, report: Report)
where
    A: Actor<Context = Context<A>>,
    B: FnOnce(&mut Context<A>) -> A,
{
    let mut life = life.lock().unwrap_or_else(PoisonError::into_inner);
    if matches!(&*life, Life::Over) {
        return;
    }
    let mut context = Context::new();
    let actor = build(&mut context);
    // A context that nobody has the address of ends by itself; ours end when they say so.
    let address = context.address();
    let child = actix_rt::spawn(context.into_future(actor));
    *life = Life::Running(child.abort_handle());
    drop(life);
    actix_rt::spawn(async move {
        let ended = child.await;
        drop(address);
        let exit = match ended {
            Ok(()) => ChildExit::Stopped,
            Err(error) if error.is_panic() => {
                ChildExit::Panicked(panic_text(error.into_panic().as_ref()))
            }
            Err(_) => ChildExit::Aborted,
        };
        report.send(exit);
    });
}

/// What a panic said, bounded.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without text");
    text.chars().take(PANIC_TEXT_CHARS_MAX).collect()
}

/// Calls back exactly once, also when it is dropped unsent: a child that never ran has ended too.
struct Report(Option<Box<dyn FnOnce(ChildExit) + Send>>);

impl Report {
    fn send(mut self, exit: ChildExit) {
        if let Some(report) = self.0.take() {
            report(exit);
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(report) = self.0.take() {
            report(ChildExit::Aborted);
        }
    }
}
