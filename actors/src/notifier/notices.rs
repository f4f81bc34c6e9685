//! Telling a person that a task has ended.

use std::path::PathBuf;

use actix::{Context, Handler, Message, ResponseFuture};
use longhaul_engine::task::{NotificationTitles, Outcome};

use super::NotifierActor;
use crate::desktop::Notice;
use crate::fault;
use crate::slot::SlotRef;

/// A task with titles has ended: a person is told. A hint, which never delays anything: whoever sends
/// it has committed the end already.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct PostNotice(Notice);

impl Handler<PostNotice> for NotifierActor {
    type Result = ();

    fn handle(&mut self, PostNotice(notice): PostNotice, _: &mut Context<Self>) {
        fault::point("notifier.post_notice");
        self.world.desktop.post(notice);
    }
}

/// Answered when everything that a person was to be told before this was shown or given up.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct FinishNotices;

impl Handler<FinishNotices> for NotifierActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: FinishNotices, _: &mut Context<Self>) -> Self::Result {
        fault::point("notifier.finish_notices");
        let desktop = self.world.desktop.clone();
        Box::pin(async move { desktop.finish().await })
    }
}

/// Tells a person of an end that is on record, if the task's owner wishes it: `wanted` is what
/// [`Notice::wanted`] says of the task.
pub(crate) fn tell_person(
    notifier: &SlotRef<NotifierActor>,
    wanted: Option<&(NotificationTitles, PathBuf)>,
    outcome: &Outcome,
) {
    let notice = wanted.and_then(|(titles, file)| Notice::of(titles, outcome, file));
    if let (Some(notice), Some(notifier)) = (notice, notifier.current()) {
        notifier.do_send(PostNotice(notice));
    }
}
