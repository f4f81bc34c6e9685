//! A session's handle with what this process keeps beside it: the callbacks of its tasks, and the
//! seat of its delegate.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use longhaul_actors::handle::SessionHandle;
use longhaul_engine::id::TaskId;

use crate::Error;
use crate::callbacks::{Callback, Callbacks};

/// What a session and its tasks share. It stands for the handle wherever that is asked for.
#[derive(Clone)]
pub(crate) struct SessionLink {
    handle: SessionHandle,
    callbacks: Arc<Callbacks>,
    has_delegate: Arc<AtomicBool>,
}

/// The place of a session's one delegate; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct DelegateSeat(Arc<AtomicBool>);

impl SessionLink {
    pub(crate) fn new(handle: SessionHandle) -> Self {
        Self {
            handle,
            callbacks: Arc::default(),
            has_delegate: Arc::default(),
        }
    }

    /// Sets a callback of a task, in place of an earlier one of its kind.
    ///
    /// # Errors
    /// [`Error::NoSuchTask`], [`Error::Stopped`], [`Error::Store`] or [`Error::Threads`].
    pub(crate) async fn set_callback(&self, task: TaskId, callback: Callback) -> Result<(), Error> {
        self.callbacks.set(&self.handle, task, callback).await
    }

    /// Takes the delegate's place, if it is free.
    pub(crate) fn take_seat(&self) -> Option<DelegateSeat> {
        let was_taken = self.has_delegate.swap(true, Ordering::AcqRel);
        (!was_taken).then(|| DelegateSeat(Arc::clone(&self.has_delegate)))
    }
}

impl Deref for SessionLink {
    type Target = SessionHandle;

    fn deref(&self) -> &SessionHandle {
        &self.handle
    }
}

impl fmt::Debug for SessionLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

impl Drop for DelegateSeat {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
