//! Supervision: children whose end, whatever it is, reaches their parent as a message.
//!
//! actix's own `Supervisor` does not restart after a panic, and nobody is told of one. Here the
//! actor's future runs as a task whose handle is awaited: it tells a clean end, a panic with its
//! text, and an abort apart. A guard aborts the child when its parent goes.

use std::sync::{Arc, Mutex, PoisonError};

use actix::dev::channel::channel;
use actix::{Actor, Addr, Context};
use actix_rt::ArbiterHandle;
use tokio::task::AbortHandle;
use tracing::{Instrument as _, Span};

/// Longest text of a panic that is kept.
const PANIC_TEXT_CHARS_MAX: usize = 512;

/// Messages in a mailbox from which on senders that wait are held up: what actix itself has.
const MAILBOX_MESSAGES: usize = 16;

/// Where a child runs.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// On the arbiter of the caller.
    Here,
    /// On this arbiter.
    Arbiter(ArbiterHandle),
}

impl Place {
    /// Runs `work` there. When the arbiter is gone it is dropped.
    pub(crate) fn run(&self, work: impl FnOnce() + Send + 'static) {
        match self {
            Self::Here => work(),
            Self::Arbiter(arbiter) => {
                let _ = arbiter.spawn_fn(work);
            }
        }
    }
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
/// after the actor and all that it owned were dropped. What is sent to its address before it has
/// started waits for it. Everything that it logs is within `span`.
pub(crate) fn spawn_child<A, B, R>(
    span: Span,
    place: &Place,
    build: B,
    report: R,
) -> (Addr<A>, ChildGuard)
where
    A: Actor<Context = Context<A>>,
    B: FnOnce(&mut Context<A>) -> A + Send + 'static,
    R: FnOnce(ChildExit) + Send + 'static,
{
    let life = Arc::new(Mutex::new(Life::Starting));
    let guard = ChildGuard(Arc::clone(&life));
    let report = Report(Some(Box::new(report)));
    let (sender, receiver) = channel(MAILBOX_MESSAGES);
    let address = Addr::new(sender);
    // A context that nobody has the address of ends by itself; ours end when they say so.
    let kept = address.clone();
    let run = move || {
        let context = Context::with_receiver(receiver);
        run_child(span, context, kept, build, &life, report);
    };
    // When the arbiter is gone the closure is dropped, and the report with it says so.
    place.run(run);
    (address, guard)
}

fn run_child<A, B>(
    span: Span,
    mut context: Context<A>,
    address: Addr<A>,
    build: B,
    life: &Arc<Mutex<Life>>,
    report: Report,
) where
    A: Actor<Context = Context<A>>,
    B: FnOnce(&mut Context<A>) -> A,
{
    let mut life = life.lock().unwrap_or_else(PoisonError::into_inner);
    if matches!(&*life, Life::Over) {
        return;
    }
    let actor = span.in_scope(|| build(&mut context));
    let child = actix_rt::spawn(context.into_future(actor).instrument(span));
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
