//! An engine's threads: one for control, one for the store, and the workers.

use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use actix::System;
use actix_rt::Arbiter;
use longhaul_engine::launch::LaunchRules;
#[cfg(test)]
use tokio::sync::oneshot;
use tokio::sync::{mpsc, watch};

use crate::child::Place;
use crate::conditions::LinuxConditions;
use crate::file::lock::{AcquireError, StateDir};
#[cfg(test)]
use crate::handle;
use crate::local::{EngineHandle, EngineOptions, StartError, Stopped};
use crate::net::{Dial, TcpDial};
use crate::root::{Doors, Request, Root};
use crate::scheduling::Scheduling;
use crate::time::Clock;
#[cfg(feature = "test-util")]
use crate::time::VirtualClock;
use crate::world::{World, WorldParts};

/// The name of the store's file within the state directory.
pub(crate) const STORE_NAME: &str = "store.redb";

/// At least so many threads move bytes, so that one that blocks does not stop them all.
const WORKERS_MIN: usize = 2;

/// More threads than this only wait for each other.
const WORKERS_MAX: usize = 16;

/// Takes the state directory, starts the threads, and waits until the store is open.
pub(crate) fn start(options: EngineOptions) -> Result<EngineHandle, StartError> {
    let directory = StateDir::acquire(&options.state_dir).map_err(not_acquired)?;
    let (requests, inbox) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(None);
    let (ready, opened) = std::sync::mpsc::channel();
    let workers = options.workers.clamp(WORKERS_MIN, WORKERS_MAX);
    let clock = clock(&options);
    let source = options
        .conditions
        .unwrap_or_else(|| Box::new(LinuxConditions::default()));
    let scheduling = Scheduling::new(options.tasks_max, Some(source));
    let threads = Threads {
        directory,
        clock,
        workers,
        scheduling,
        launch_rules: options.launch_rules,
        recreates_store: options.recreate_damaged_store,
        resumes_sessions: options.resume_sessions,
    };
    let run = move || control(threads, inbox, &ready, &stop);
    let control = thread::Builder::new()
        .name("longhaul".to_owned())
        .spawn(run)
        .map_err(|error| StartError::Threads(error.to_string()))?;
    let gone = || StartError::Threads("the control thread ended while it started".to_owned());
    match opened.recv().unwrap_or_else(|_| Err(gone())) {
        Ok(doors) => Ok(EngineHandle::new(requests, doors, stopped)),
        Err(error) => {
            // When it answers, the directory is free again; whatever the thread's end was.
            let _ = control.join();
            Err(error)
        }
    }
}

pub(crate) fn not_acquired(error: AcquireError) -> StartError {
    match error {
        AcquireError::Owned(owned) => StartError::InUse {
            path: owned.directory.clone(),
            pid: owned.pid,
        },
        AcquireError::Failed(failure) => StartError::State(failure.to_string()),
    }
}

type Ready = std::sync::mpsc::Sender<Result<Doors, StartError>>;

/// What the control thread is given.
struct Threads {
    directory: StateDir,
    clock: Clock,
    workers: usize,
    scheduling: Scheduling,
    launch_rules: LaunchRules,
    recreates_store: bool,
    resumes_sessions: bool,
}

/// The control thread, from the start of the system to its end.
fn control(
    threads: Threads,
    inbox: mpsc::UnboundedReceiver<Request>,
    ready: &Ready,
    stop: &watch::Sender<Option<Stopped>>,
) {
    let Threads {
        directory,
        clock,
        workers,
        scheduling,
        launch_rules,
        recreates_store,
        resumes_sessions,
    } = threads;
    let system = System::new();
    let (arbiters, reason) = system.block_on(async {
        let arbiters: Vec<Arbiter> = (0..=workers).map(|_| Arbiter::new()).collect();
        let mut world = world(&directory, clock, &arbiters).with_scheduling(scheduling);
        world.refresh.lock().rules = launch_rules;
        world.recreates_store = recreates_store;
        world.resumes_sessions = resumes_sessions;
        let reason = serve(world, inbox, ready).await;
        (arbiters, reason)
    });
    for arbiter in &arbiters {
        arbiter.stop();
    }
    for arbiter in arbiters {
        // A worker that panicked is as stopped as one that did not.
        let _ = arbiter.join();
    }
    drop(directory);
    stop.send_replace(Some(Stopped { reason }));
}

/// Everything between the opening of the store and its closing; why it gave up, if it did.
async fn serve(
    world: World,
    inbox: mpsc::UnboundedReceiver<Request>,
    ready: &Ready,
) -> Option<String> {
    let mut root = match Root::start(world).await {
        Ok(root) => root,
        Err(error) => {
            // Who started it waits for this very answer.
            let _ = ready.send(Err(error));
            return None;
        }
    };
    let _ = ready.send(Ok(root.doors()));
    let result = root.run(inbox).await;
    root.stop().await;
    result.err().map(|gave_up| gave_up.0)
}

/// The clock that a test has given, else the system's.
#[cfg(feature = "test-util")]
fn clock(options: &EngineOptions) -> Clock {
    options.clock.map_or(Clock::System, VirtualClock::clock)
}

#[cfg(not(feature = "test-util"))]
const fn clock(_: &EngineOptions) -> Clock {
    Clock::System
}

fn world(directory: &StateDir, clock: Clock, arbiters: &[Arbiter]) -> World {
    let place = |arbiter: &Arbiter| Place::Arbiter(arbiter.handle());
    let (registry, workers) = arbiters
        .split_first()
        .expect("there is one more than workers");
    World::new(WorldParts {
        clock,
        state_dir: directory.path().to_path_buf(),
        store_path: directory.path().join(STORE_NAME),
        parts_dir: directory.parts(),
        registry_place: place(registry),
        worker_places: workers.iter().map(place).collect(),
        make_dial: Arc::new(|| Rc::new(TcpDial) as Rc<dyn Dial>),
    })
}

/// An engine on the arbiter of the caller, for tests under virtual time: everything on one thread,
/// with another clock and another way to the network.
#[cfg(test)]
pub(crate) async fn start_here(world: World) -> Result<handle::EngineHandle, StartError> {
    let (requests, inbox) = mpsc::unbounded_channel();
    let (stop, stopped) = watch::channel(None);
    let mut root = Root::start(world).await?;
    let doors = root.doors();
    let (started, is_started) = oneshot::channel();
    actix_rt::spawn(async move {
        // The caller waits for it below.
        let _ = started.send(());
        let result = root.run(inbox).await;
        root.stop().await;
        let reason = result.err().map(|gave_up| gave_up.0);
        stop.send_replace(Some(Stopped { reason }));
    });
    let gone = |_| StartError::Threads("the root ended while it started".to_owned());
    is_started.await.map_err(gone)?;
    let engine = EngineHandle::new(requests, doors, stopped);
    Ok(handle::EngineHandle::Local(engine))
}
