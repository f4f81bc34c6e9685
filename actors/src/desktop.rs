//! Notifications to the person at the desktop (`org.freedesktop.Notifications`): best effort, beside
//! everything else.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use longhaul_engine::task::{Destination, DownloadSpec, NotificationTitles, Outcome, Spec};
use tokio::sync::mpsc;
use zbus::Connection;
use zbus::Variant;

/// Notices that wait for the desktop: more than this at once no person reads.
const WAITING_MAX: usize = 64;

/// Time that the desktop gets for one answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// Notifications whose action is still listened for.
const SHOWN_MAX: usize = 256;

/// The action that a click on the notification itself is.
const OPEN: &str = "default";

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

/// What a person is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The title.
    pub(crate) title: String,
    /// The file's name.
    pub(crate) body: String,
    /// What a click opens.
    pub(crate) target: Option<PathBuf>,
}

impl Notice {
    /// The titles that the owner of a task gave, and the file that it is about as it was asked for;
    /// `None` when nobody is to be told.
    pub(crate) fn wanted(spec: &Spec) -> Option<Box<(NotificationTitles, PathBuf)>> {
        let titles = spec.options().notify_on_finished.clone()?;
        let file = match spec {
            Spec::Download(DownloadSpec {
                destination: Destination::File(path),
                ..
            }) => path.clone(),
            // The name is not known before the file is there; a failure shows the URL's.
            Spec::Download(DownloadSpec { url, .. }) => url.as_url().path().into(),
            Spec::Upload(spec) => spec.source.clone(),
        };
        Some(Box::new((titles, file)))
    }

    /// The notice of a task that ended so; `None` when a person need not know: its owner cancelled
    /// it. `file` is what was asked for, in case nothing came of it.
    pub(crate) fn of(titles: &NotificationTitles, outcome: &Outcome, file: &Path) -> Option<Self> {
        let (title, path, target) = match outcome {
            Outcome::Finished(finished) => (
                &titles.success,
                &*finished.path,
                Some(finished.path.clone()),
            ),
            Outcome::Skipped(path) => (&titles.success, &**path, Some(path.clone())),
            Outcome::Uploaded(_) => (&titles.success, file, None),
            Outcome::Failed(_) => (&titles.failure, file, None),
            Outcome::Cancelled | Outcome::CancelledResumable(_) => return None,
        };
        let name = path.file_name().unwrap_or(path.as_os_str());
        Some(Self {
            title: title.clone(),
            body: name.to_string_lossy().into_owned(),
            target,
        })
    }
}

/// The way to the desktop. It connects when the first notice comes, and never when none does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desktop(Arc<Mutex<Option<mpsc::Sender<Notice>>>>);

impl Desktop {
    /// Shows a notice, soon, or drops it: a desktop that does not answer delays nobody.
    pub(crate) fn post(&self, notice: Notice) {
        let mut sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open = sender.as_ref().is_some_and(|sender| !sender.is_closed());
        if !is_open {
            let (opened, notices) = mpsc::channel(WAITING_MAX);
            *sender = Some(opened);
            actix_rt::spawn(show_all(notices));
        }
        if let Some(sender) = sender.as_ref()
            && let Err(error) = sender.try_send(notice)
        {
            tracing::debug!(%error, "a notification was dropped");
        }
    }
}

/// Shows every notice. What goes wrong is logged once and forgotten: nobody waits for it.
async fn show_all(mut notices: mpsc::Receiver<Notice>) {
    let mut has_complained = false;
    let mut complain = move |error: &dyn std::fmt::Display| {
        if !std::mem::replace(&mut has_complained, true) {
            tracing::info!(%error, "no desktop takes notifications; they are not shown");
        }
    };
    while let Some(first) = notices.recv().await {
        match connect().await {
            Ok(desktop) => {
                let ended = serve(&desktop, first, &mut notices).await;
                match ended {
                    Ok(()) => return,
                    Err(error) => complain(&error),
                }
            }
            Err(error) => complain(&error),
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
    notices: &mut mpsc::Receiver<Notice>,
) -> zbus::Result<()> {
    let mut clicks = desktop.proxy.receive_action_invoked().await?;
    let mut closings = desktop.proxy.receive_notification_closed().await?;
    let mut targets: HashMap<u32, PathBuf> = HashMap::new();
    show(desktop, first, &mut targets).await?;
    loop {
        tokio::select! {
            notice = notices.recv() => match notice {
                Some(notice) => show(desktop, notice, &mut targets).await?,
                None => return Ok(()),
            },
            click = clicks.next() => match click {
                Some(click) => {
                    let click = click.args()?;
                    if let Some(target) = targets.get(&click.id)
                        && click.action_key == OPEN
                    {
                        open(target);
                    }
                }
                None => return Err(zbus::Error::Failure("the bus is gone".to_owned())),
            },
            closing = closings.next() => {
                if let Some(closing) = closing {
                    targets.remove(&closing.args()?.id);
                }
            }
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
    let shown = desktop.proxy.notify(
        "longhaul",
        0,
        "",
        &notice.title,
        &body,
        actions,
        HashMap::new(),
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

/// Opens a file with the program that the person has chosen for its kind.
fn open(target: &Path) {
    let started = Command::new("xdg-open")
        .arg(target)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match started {
        Ok(mut child) => {
            // It ends when the program has taken the file; somebody must collect it.
            tokio::task::spawn_blocking(move || child.wait());
        }
        Err(error) => tracing::info!(%error, "xdg-open could not be started"),
    }
}

#[cfg(test)]
mod tests {
    use longhaul_engine::failure::{Failure, FailureKind};
    use longhaul_engine::task::Finished;

    use super::*;

    fn titles() -> NotificationTitles {
        NotificationTitles {
            success: "\u{4e0b}\u{8f7d}\u{6210}\u{529f}".to_owned(),
            failure: "\u{4e0b}\u{8f7d}\u{5931}\u{8d25}".to_owned(),
        }
    }

    #[test]
    fn a_person_reads_the_title_of_the_outcome_and_the_name_of_the_file() {
        let finished = Outcome::Finished(Finished {
            path: "/home/me/file.1.zip".into(),
            bytes: 1,
            length_unverified: false,
            status: 200,
        });
        let asked = Path::new("/home/me/file.zip");
        let notice = Notice::of(&titles(), &finished, asked).expect("a notice");
        assert_eq!(notice.title, titles().success);
        assert_eq!(notice.body, "file.1.zip");
        assert_eq!(
            notice.target.as_deref(),
            Some(Path::new("/home/me/file.1.zip"))
        );

        let failed = Outcome::Failed(Failure::new(FailureKind::NoSpace, "no space"));
        let notice = Notice::of(&titles(), &failed, asked).expect("a notice");
        assert_eq!(
            (notice.title, notice.body),
            (titles().failure, "file.zip".to_owned())
        );
        assert_eq!(notice.target, None);

        assert_eq!(Notice::of(&titles(), &Outcome::Cancelled, asked), None);
    }

    #[test]
    fn a_name_is_no_markup() {
        assert_eq!(escaped("<b>a & b</b>"), "&lt;b&gt;a &amp; b&lt;/b&gt;");
    }
}
