//! The thread of a client, from its start to its end.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix::System;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::book::Shared;
use super::calls::Reach;
use super::link::Link;
use super::orders::Order;
use super::turns::Turns;
use super::waits::Waits;
use super::wire::Wire;
use super::{ConnectError, ConnectOptions, EngineHandle};
use crate::local::Stopped;

/// Questions that are on their way at once. Each has a connection; the store of the daemon commits what
/// comes at the same time together.
const QUESTIONS_MAX: usize = 32;

/// How long a client that is being closed takes to carry out what was ordered before.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// What lives on the thread of a client.
pub(super) struct Client {
    pub(super) wire: Wire,
    pub(super) shared: Arc<Shared>,
    pub(super) patience: Duration,
    /// Which connection there is.
    pub(super) reach: watch::Sender<Reach>,
    pub(super) turns: Rc<Turns>,
    pub(super) questions: Semaphore,
    pub(super) waits: RefCell<Waits>,
    /// The token of the launch, until it was said.
    pub(super) launch: RefCell<Option<String>>,
}

/// Starts the thread of a client and waits until the daemon has welcomed it.
///
/// # Errors
/// When nobody answers at the socket, or not in this version's words; nothing is tried twice.
pub(super) async fn start(options: ConnectOptions) -> Result<EngineHandle, ConnectError> {
    let (orders, inbox) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared::new());
    let link = Arc::new(Link::new(orders, Arc::clone(&shared)));
    let (ready, is_ready) = oneshot::channel();
    thread::Builder::new()
        .name("longhaul-client".to_owned())
        .spawn(move || run(options, inbox, shared, ready))
        .map_err(|error| ConnectError::Threads(error.to_string()))?;
    match is_ready.await {
        Ok(Ok(())) => Ok(EngineHandle::new(link)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ConnectError::Threads(
            "it ended while the client was connected".to_owned(),
        )),
    }
}

fn run(
    options: ConnectOptions,
    inbox: mpsc::UnboundedReceiver<Order>,
    shared: Arc<Shared>,
    ready: oneshot::Sender<Result<(), ConnectError>>,
) {
    let system = System::new();
    let told = Arc::clone(&shared);
    let reason = system.block_on(async move {
        let client = Rc::new(Client {
            wire: Wire::new(&options.socket),
            shared,
            patience: options.patience,
            reach: watch::Sender::new(Reach::Away),
            turns: Rc::default(),
            questions: Semaphore::new(QUESTIONS_MAX),
            waits: RefCell::default(),
            launch: RefCell::new(options.launch),
        });
        tokio::select! {
            reason = client.keep(ready, options.daemon) => Some(reason),
            () = client.serve(inbox) => None,
        }
    });
    // Everything that the client had spawned goes with its system.
    drop(system);
    told.book().calls.clear();
    told.stopped.send_replace(Some(Stopped { reason }));
    told.called.notify_waiters();
}

impl Client {
    /// Carries out orders until the last handle is gone, or the client is to be closed.
    async fn serve(self: &Rc<Self>, mut inbox: mpsc::UnboundedReceiver<Order>) {
        loop {
            match inbox.recv().await {
                Some(Order::Shutdown) | None => break,
                Some(order) => self.carry_out(order),
            }
        }
        let last = self.turns.take();
        if matches!(*self.reach.borrow(), Reach::Here(_)) {
            // Whoever does not answer now has no part in what was ordered any more.
            let _ = tokio::time::timeout(CLOSE_PATIENCE, self.turns.come(last)).await;
        }
    }
}
