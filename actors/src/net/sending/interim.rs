//! What interim answers do to a body: each one is told, and holds the body until it was dealt with.

use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use longhaul_engine::http::head::ResponseHead;

/// Hears the interim answers (1xx, RFC 9110 section 15.2) of one request, all but 100. From the
/// moment one is told until [`Listener::proceed`], no more of the body is given to the connection
/// and nothing is read from it: other answers, the final one too, wait there. That time counts
/// towards no timeout.
///
/// Clones are the same listener. The default one hears nothing and holds nothing up.
#[derive(Clone, Default)]
pub struct Listener(Option<Rc<Inner>>);

struct Inner {
    tell: Box<dyn Fn(ResponseHead)>,
    hold: RefCell<Hold>,
}

/// Whether an answer is being dealt with.
enum Hold {
    /// None is.
    Free,
    /// One is; whom to wake when that is over.
    Held(Option<Waker>),
}

impl Listener {
    /// A listener that is told of each answer.
    #[must_use]
    pub fn new(tell: impl Fn(ResponseHead) + 'static) -> Self {
        Self(Some(Rc::new(Inner {
            tell: Box::new(tell),
            hold: RefCell::new(Hold::Free),
        })))
    }

    /// The answer that was told last was dealt with. Without one, nothing happens.
    pub fn proceed(&self) {
        let Some(inner) = &self.0 else { return };
        if let Hold::Held(Some(waker)) = inner.hold.replace(Hold::Free) {
            waker.wake();
        }
    }

    /// An interim answer has come.
    pub(super) fn hear(&self, head: ResponseHead) {
        if let Some(inner) = &self.0 {
            inner.hold.replace(Hold::Held(None));
            (inner.tell)(head);
        }
    }

    /// Ready when no answer is being dealt with.
    pub(super) fn poll_proceed(&self, context: &Context<'_>) -> Poll<()> {
        let Some(inner) = &self.0 else {
            return Poll::Ready(());
        };
        match &mut *inner.hold.borrow_mut() {
            Hold::Free => Poll::Ready(()),
            Hold::Held(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
