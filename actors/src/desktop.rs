//! Notifications to the person at the desktop (`org.freedesktop.Notifications`): best effort, beside
//! everything else.
//!
//! A task's end is committed before anything here happens, and nothing waits for it: a crash between
//! the two loses the notification, so it comes at most once.

mod notice;
mod open;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{mpsc, oneshot};
use zbus::Connection;
use zbus::Variant;

pub(crate) use notice::Notice;

/// Notices that wait for the desktop: more than this at once no person reads.
const WAITING_MAX: usize = 64;

/// Time that the desktop gets for one answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// Notifications whose action is still listened for.
const SHOWN_MAX: usize = 256;

/// The action that a click on the notification itself is.
const OPEN: &str = "default";

/// The hint that says what a notification is about (Desktop Notifications Specification,
/// "Categories").
const CATEGORY: &str = "category";

#[zbus::proxy(
    interface = "org.freedesktop.Notifications",
    default_service = "org.freedesktop.Notifications",
    default_path = "/org/freedesktop/Notifications"
)]
trait Notifications {
    #[allow(clippy::too_many_arguments)]
    fn notify(
        &self,
        app_name: &str,
        replaces_id: u32,
        app_icon: &str,
        summary: &str,
        body: &str,
        actions: &[&str],
        hints: HashMap<&str, Variant<'_>>,
        expire_timeout: i32,
    ) -> zbus::Result<u32>;

    fn get_capabilities(&self) -> zbus::Result<Vec<String>>;

    #[zbus(signal)]
    fn action_invoked(&self, id: u32, action_key: String) -> zbus::Result<()>;

    #[zbus(signal)]
    fn notification_closed(&self, id: u32, reason: u32) -> zbus::Result<()>;
}

/// The way to the desktop. It connects when the first notice comes, and never when none does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desktop(Arc<Mutex<Option<mpsc::Sender<Post>>>>);

/// What is on its way to the desktop.
#[derive(Debug)]
pub(crate) enum Post {
    Show(Notice),
    /// Everything before this was shown or given up.
    Done(oneshot::Sender<()>),
}

impl Desktop {
    /// Notices go into this channel instead.
    #[cfg(test)]
    pub(crate) fn into_channel(sender: mpsc::Sender<Post>) -> Self {
        Self(Arc::new(Mutex::new(Some(sender))))
    }

    /// Shows a notice, soon, or drops it: a desktop that does not answer delays nobody.
    pub(crate) fn post(&self, notice: Notice) {
        let mut sender = self.lock();
        let is_open = sender.as_ref().is_some_and(|sender| !sender.is_closed());
        if !is_open {
            let (opened, posts) = mpsc::channel(WAITING_MAX);
            *sender = Some(opened);
            actix_rt::spawn(show_all(posts));
        }
        if let Some(sender) = sender.as_ref()
            && let Err(error) = sender.try_send(Post::Show(notice))
        {
            tracing::debug!(%error, "a notification was dropped");
        }
    }

    /// Waits until all that was posted was shown or given up.
    pub(crate) async fn finish(&self) {
        let sender = self.lock().clone();
        let (done, is_done) = oneshot::channel();
        if let Some(sender) = sender
            && sender.send(Post::Done(done)).await.is_ok()
        {
            // When nobody answers, nobody shows anything any more.
            let _ = is_done.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<mpsc::Sender<Post>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says in the log that notifications do not arrive: once, for nobody waits for them.
#[derive(Debug, Default)]
struct Complaint {
    was_made: bool,
}

impl Complaint {
    fn make(&mut self, error: &zbus::Error) {
        if !std::mem::replace(&mut self.was_made, true) {
            tracing::info!(%error, "no desktop takes notifications; they are not shown");
        }
    }
}

/// Shows every notice, over a connection that is made for the first one and again when it broke.
async fn show_all(mut posts: mpsc::Receiver<Post>) {
    let mut complaint = Complaint::default();
    while let Some(post) = posts.recv().await {
        let notice = match post {
            Post::Show(notice) => notice,
            Post::Done(done) => {
                // Who waited may have given up.
                let _ = done.send(());
                continue;
            }
        };
        let shown = match connect().await {
            Ok(desktop) => serve(&desktop, notice, &mut posts, &mut complaint).await,
            Err(error) => Err(error),
        };
        match shown {
            Ok(()) => return,
            Err(error) => complaint.make(&error),
        }
    }
}

struct Connected {
    proxy: NotificationsProxy<'static>,
    takes_markup: bool,
    takes_actions: bool,
}

async fn connect() -> zbus::Result<Connected> {
    let connecting = async {
        let connection = Connection::session().await?;
        let proxy = NotificationsProxy::new(&connection).await?;
        let capabilities = proxy.get_capabilities().await?;
        let has = |name: &str| capabilities.iter().any(|capability| capability == name);
        Ok(Connected {
            takes_markup: has("body-markup"),
            takes_actions: has("actions"),
            proxy,
        })
    };
    in_time(connecting).await
}

async fn in_time<T>(answer: impl Future<Output = zbus::Result<T>>) -> zbus::Result<T> {
    match tokio::time::timeout(ANSWER_TIME_MAX, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(zbus::Error::Failure("it did not answer in time".to_owned())),
    }
}

/// Shows notices on one connection and opens what is clicked on, until nobody posts any more.
async fn serve(
    desktop: &Connected,
    first: Notice,
    posts: &mut mpsc::Receiver<Post>,
    complaint: &mut Complaint,
) -> zbus::Result<()> {
    let is_gone = || zbus::Error::Failure("the bus is gone".to_owned());
    let mut clicks = desktop.proxy.receive_action_invoked().await?;
    let mut closings = desktop.proxy.receive_notification_closed().await?;
    let mut targets: HashMap<u32, PathBuf> = HashMap::new();
    let mut next = Some(Post::Show(first));
    loop {
        if let Some(post) = next.take() {
            match take(desktop, post, &mut targets).await {
                // The bus lives, and the desktop may take the next one.
                Err(error @ zbus::Error::MethodError(..)) => complaint.make(&error),
                taken => taken?,
            }
        }
        tokio::select! {
            post = posts.recv() => match post {
                Some(post) => next = Some(post),
                None => return Ok(()),
            },
            click = clicks.next() => {
                let click = click.ok_or_else(is_gone)?;
                let click = click.args()?;
                if let Some(target) = targets.get(&click.id)
                    && click.action_key == OPEN
                {
                    open::open(target.clone());
                }
            }
            closing = closings.next() => {
                let closing = closing.ok_or_else(is_gone)?;
                targets.remove(&closing.args()?.id);
            }
        }
    }
}

async fn take(
    desktop: &Connected,
    post: Post,
    targets: &mut HashMap<u32, PathBuf>,
) -> zbus::Result<()> {
    match post {
        Post::Show(notice) => show(desktop, notice, targets).await,
        Post::Done(done) => {
            // Who waited may have given up.
            let _ = done.send(());
            Ok(())
        }
    }
}

async fn show(
    desktop: &Connected,
    notice: Notice,
    targets: &mut HashMap<u32, PathBuf>,
) -> zbus::Result<()> {
    let body = match desktop.takes_markup {
        true => escaped(&notice.body),
        false => notice.body,
    };
    let actions: &[&str] = match &notice.target {
        Some(_) if desktop.takes_actions => &[OPEN, "Open"],
        Some(_) | None => &[],
    };
    let category = match notice.is_success {
        true => "transfer.complete",
        false => "transfer.error",
    };
    let shown = desktop.proxy.notify(
        "longhaul",
        0,
        "",
        &notice.title,
        &body,
        actions,
        HashMap::from([(CATEGORY, category.into())]),
        -1,
    );
    let id = in_time(shown).await?;
    if let Some(target) = notice.target {
        if targets.len() >= SHOWN_MAX {
            targets.clear();
        }
        targets.insert(id, target);
    }
    Ok(())
}

/// A name as text where the desktop reads markup.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_markup() {
        assert_eq!(escaped("<b>a & b</b>"), "&lt;b&gt;a &amp; b&lt;/b&gt;");
    }
}
