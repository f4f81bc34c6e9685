//! The half of the server in memory that takes uploads which go on: tus 1.0.0 and the IETF draft
//! (interop 6), honest, with what happens on the way scripted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Bytes of a body between two pauses.
const CHUNK_BYTES: usize = 64 * 1024;

/// What the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// tus 1.0.0 with creation, creation-with-upload and termination.
    Tus,
    /// The IETF draft, told by a 104 to the request itself and by nothing before.
    Interim,
    /// The IETF draft, told by `OPTIONS`.
    Limits,
}

/// What happens to one body; without a script nothing does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hitch {
    /// Nothing.
    None,
    /// The connection ends when so many bytes of it were kept.
    Drops(usize),
    /// When so many bytes of it were kept, this status is answered and nothing more is read.
    Refuses(usize, u16),
    /// When so many bytes of it were kept, the server neither takes nor says anything.
    Stalls(usize),
    /// All of it is kept, and the answer is lost.
    Forgets,
    /// Nothing of it is kept: this status, and this field.
    Answers(u16, String),
    /// The place is told only when so many bytes of it were kept.
    TellsLate(usize),
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    /// Its method.
    pub(super) method: String,
    /// Where it came to, as it was asked for.
    pub(super) at: String,
    /// The offset that it named.
    pub(super) offset: Option<usize>,
    /// What came of its body.
    pub(super) bytes: usize,
    /// What was answered, if anything was.
    pub(super) status: Option<u16>,
}

/// An upload that was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// What came of it.
    pub(super) bytes: Vec<u8>,
    /// The whole length, as it was announced.
    pub(super) length: Option<usize>,
    /// Every byte came and was said to be the last.
    pub(super) is_complete: bool,
    /// It was removed.
    pub(super) is_removed: bool,
    /// The transfer that it belongs to: a newer request ends the older one.
    turn: u32,
}

struct Site {
    dialect: Dialect,
    pause: Duration,
    script: VecDeque<Hitch>,
    visits: Vec<Visit>,
    kept: Vec<Kept>,
}

/// Every place that takes such uploads; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Depot(Arc<Mutex<Sites>>);

#[derive(Default)]
struct Sites {
    sites: BTreeMap<String, Site>,
    /// Other names of sites.
    aliases: BTreeMap<String, String>,
}

/// A request's head, and to which upload it goes.
struct Order<'a> {
    head: &'a str,
    at: &'a str,
    /// None at the site itself.
    upload: Option<usize>,
    visit: usize,
}

impl Order<'_> {
    fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.field(name)?.parse().ok()
    }
}

/// An answer: its status and its fields.
type Answer = (u16, String);

impl Depot {
    /// Takes uploads at `http://AT`, and rests for `pause` after each chunk. The script is for bodies, in
    /// the order in which they come.
    pub(super) fn open(&self, at: &str, dialect: Dialect, pause: Duration, script: &[Hitch]) {
        let site = Site {
            dialect,
            pause,
            script: script.iter().cloned().collect(),
            visits: Vec::new(),
            kept: Vec::new(),
        };
        self.lock().sites.insert(at.to_owned(), site);
    }

    /// The site at `at` is at `alias` too.
    pub(super) fn alias(&self, alias: &str, at: &str) {
        self.lock().aliases.insert(alias.to_owned(), at.to_owned());
    }

    /// Every request that came, in order.
    pub(super) fn visits(&self, at: &str) -> Vec<Visit> {
        self.with(at, |site| site.visits.clone())
    }

    /// The methods of all requests that came.
    pub(super) fn methods(&self, at: &str) -> Vec<String> {
        let visits = self.visits(at).into_iter();
        visits.map(|visit| visit.method).collect()
    }

    /// Every upload that was made, in order.
    pub(super) fn kept(&self, at: &str) -> Vec<Kept> {
        self.with(at, |site| site.kept.clone())
    }

    /// The server loses every upload that it has not whole.
    pub(super) fn forget(&self, at: &str) {
        self.with(at, |site| {
            for kept in site.kept.iter_mut().filter(|kept| !kept.is_complete) {
                kept.is_removed = true;
            }
        });
    }

    /// Whether a request for `at` belongs here: to a site, or to an upload of one.
    pub(super) fn is_open(&self, at: &str) -> bool {
        let (at, _) = place_of(at);
        let known = self.lock();
        known.sites.contains_key(at) || known.aliases.contains_key(at)
    }

    fn with<T>(&self, at: &str, look: impl FnOnce(&mut Site) -> T) -> T {
        let mut known = self.lock();
        look(
            known
                .sites
                .get_mut(at)
                .unwrap_or_else(|| panic!("no site at {at}")),
        )
    }

    fn lock(&self) -> MutexGuard<'_, Sites> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Meets one request whose head has come; `false` when the connection is not to be used again.
    pub(super) async fn meet(&self, stream: &mut DuplexStream, at: &str, head: &str) -> bool {
        let asked_at = at;
        let (at, upload) = place_of(at);
        let known_as = self.lock().aliases.get(at).cloned();
        let mut order = Order {
            head,
            at: known_as.as_deref().unwrap_or(at),
            upload,
            visit: 0,
        };
        order.visit = self.with(order.at, |site| {
            site.visits.push(Visit {
                method: order.method().to_owned(),
                at: asked_at.to_owned(),
                offset: order.number("upload-offset"),
                bytes: 0,
                status: None,
            });
            site.visits.len() - 1
        });
        let answer = match (order.method(), order.upload) {
            ("OPTIONS", None) => Some(self.options(&order)),
            ("HEAD" | "DELETE" | "PATCH", Some(upload)) if self.is_gone(&order, upload) => {
                Some((404, String::new()))
            }
            ("HEAD", Some(upload)) => Some(self.tell(&order, upload)),
            ("DELETE", Some(upload)) => {
                self.with(order.at, |site| site.kept[upload].is_removed = true);
                Some((204, String::new()))
            }
            ("POST" | "PUT", None) => self.create(stream, &order).await,
            ("PATCH", Some(upload)) => self.append(stream, &order, upload).await,
            (_, _) => Some((405, String::new())),
        };
        match answer {
            Some(answer) => self.answer(stream, &order, answer).await,
            None => false,
        }
    }

    fn options(&self, order: &Order<'_>) -> Answer {
        match self.with(order.at, |site| site.dialect) {
            Dialect::Tus => {
                let fields = "Tus-Resumable: 1.0.0\r\nTus-Version: 1.0.0\r\n\
                    Tus-Extension: creation,creation-with-upload,termination\r\n";
                (204, fields.to_owned())
            }
            Dialect::Limits => (204, "Upload-Limit: min-size=0\r\n".to_owned()),
            Dialect::Interim => (405, String::new()),
        }
    }

    fn is_gone(&self, order: &Order<'_>, upload: usize) -> bool {
        self.with(order.at, |site| {
            site.kept.get(upload).is_none_or(|kept| kept.is_removed)
        })
    }

    /// What there is of an upload. Whoever still sends to it is cut off.
    fn tell(&self, order: &Order<'_>, upload: usize) -> Answer {
        self.with(order.at, |site| {
            site.kept[upload].turn += 1;
            let fields = state_of(site.dialect, &site.kept[upload]);
            (204, fields + "Cache-Control: no-store\r\n")
        })
    }

    async fn create(&self, stream: &mut DuplexStream, order: &Order<'_>) -> Option<Answer> {
        let dialect = self.with(order.at, |site| site.dialect);
        if dialect == Dialect::Tus && order.field("tus-resumable") != Some("1.0.0") {
            return Some((412, "Tus-Version: 1.0.0\r\n".to_owned()));
        }
        let upload = self.with(order.at, |site| {
            site.kept.push(Kept {
                length: order.number("upload-length"),
                ..Kept::default()
            });
            site.kept.len() - 1
        });
        let place = format!("Location: http://{}/~{upload}\r\n", order.at);
        let tells_late = self.with(order.at, |site| match site.script.front() {
            Some(Hitch::TellsLate(_)) => true,
            Some(
                Hitch::None
                | Hitch::Drops(_)
                | Hitch::Refuses(..)
                | Hitch::Stalls(_)
                | Hitch::Forgets
                | Hitch::Answers(..),
            )
            | None => false,
        });
        if dialect != Dialect::Tus && !tells_late {
            tell_place(stream, order, upload).await?;
        }
        let (status, fields) = self.take(stream, order, upload).await?;
        match status {
            200..=299 => Some((201, place + &fields)),
            _ => Some((status, fields)),
        }
    }

    async fn append(
        &self,
        stream: &mut DuplexStream,
        order: &Order<'_>,
        upload: usize,
    ) -> Option<Answer> {
        let (dialect, held) = self.with(order.at, |site| {
            (site.dialect, site.kept[upload].bytes.len())
        });
        let content_type = match dialect {
            Dialect::Tus => "application/offset+octet-stream",
            Dialect::Interim | Dialect::Limits => "application/partial-upload",
        };
        if order.field("content-type") != Some(content_type) {
            return Some((415, String::new()));
        }
        if order.number("upload-offset") != Some(held) {
            return Some((409, format!("Upload-Offset: {held}\r\n")));
        }
        self.take(stream, order, upload).await
    }

    /// Takes a body into an upload, as the script says. `None` when nothing is answered.
    async fn take(
        &self,
        stream: &mut DuplexStream,
        order: &Order<'_>,
        upload: usize,
    ) -> Option<Answer> {
        let declared = order.number("content-length").unwrap_or(0);
        let (hitch, turn) = self.with(order.at, |site| {
            let kept = &mut site.kept[upload];
            kept.turn += 1;
            // An empty body is no occasion.
            let scripted = (declared > 0).then(|| site.script.pop_front());
            (scripted.flatten().unwrap_or(Hitch::None), kept.turn)
        });
        if let Hitch::Answers(status, fields) = hitch {
            return Some((status, fields));
        }
        let most = match hitch {
            Hitch::Drops(most)
            | Hitch::Refuses(most, _)
            | Hitch::Stalls(most)
            | Hitch::TellsLate(most) => most.min(declared),
            Hitch::None | Hitch::Forgets | Hitch::Answers(..) => declared,
        };
        self.keep(stream, order, (upload, turn), most).await?;
        match hitch {
            Hitch::Drops(_) => return None,
            Hitch::Stalls(_) => std::future::pending().await,
            Hitch::Refuses(_, status) => return Some((status, String::new())),
            Hitch::TellsLate(_) => {
                tell_place(stream, order, upload).await?;
                let rest = declared - most;
                self.keep(stream, order, (upload, turn), rest).await?;
            }
            Hitch::None | Hitch::Forgets | Hitch::Answers(..) => {}
        }
        let fields = self.with(order.at, |site| {
            let kept = &mut site.kept[upload];
            let is_last = match site.dialect {
                Dialect::Tus => kept.length == Some(kept.bytes.len()),
                Dialect::Interim | Dialect::Limits => order.field("upload-complete") == Some("?1"),
            };
            kept.is_complete |= is_last;
            state_of(site.dialect, kept)
        });
        (hitch != Hitch::Forgets).then(|| {
            let status = if order.method() == "PATCH" { 204 } else { 201 };
            (status, fields)
        })
    }

    async fn keep(
        &self,
        stream: &mut DuplexStream,
        order: &Order<'_>,
        (upload, turn): (usize, u32),
        most: usize,
    ) -> Option<()> {
        let pause = self.with(order.at, |site| site.pause);
        let mut taken = 0;
        let mut chunk = vec![0; CHUNK_BYTES];
        while taken < most {
            let wanted = chunk.len().min(most - taken);
            let Ok(count @ 1..) = stream.read(&mut chunk[..wanted]).await else {
                return None;
            };
            taken += count;
            self.with(order.at, |site| {
                let kept = &mut site.kept[upload];
                let is_current = kept.turn == turn && !kept.is_removed;
                if is_current {
                    kept.bytes.extend_from_slice(&chunk[..count]);
                    site.visits[order.visit].bytes += count;
                }
                is_current.then_some(())
            })?;
            if taken % CHUNK_BYTES < count {
                tokio::time::sleep(pause).await;
            }
        }
        Some(())
    }

    async fn answer(
        &self,
        stream: &mut DuplexStream,
        order: &Order<'_>,
        (status, fields): Answer,
    ) -> bool {
        self.with(order.at, |site| {
            site.visits[order.visit].status = Some(status);
        });
        let protocol = match self.with(order.at, |site| site.dialect) {
            Dialect::Tus => "Tus-Resumable: 1.0.0\r\n",
            Dialect::Interim | Dialect::Limits => "Upload-Draft-Interop-Version: 6\r\n",
        };
        let body = match status {
            204 => String::new(),
            _ if order.method() == "HEAD" => String::new(),
            _ => "Content-Length: 4\r\n\r\ngot!".to_owned(),
        };
        let end = if body.is_empty() { "\r\n" } else { "" };
        let answer = format!("HTTP/1.1 {status} Met\r\n{protocol}{fields}{body}{end}");
        let is_told = stream.write_all(answer.as_bytes()).await.is_ok();
        let declared = order.number("content-length").unwrap_or(0);
        let came = self.with(order.at, |site| site.visits[order.visit].bytes);
        if is_told && came < declared {
            // It lingers, so that the answer is read before the connection is reset.
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        is_told && came == declared
    }
}

/// Says where the upload is that this request has made.
async fn tell_place(stream: &mut DuplexStream, order: &Order<'_>, upload: usize) -> Option<()> {
    let interim = format!(
        "HTTP/1.1 104 Upload Resumption Supported\r\n\
         Upload-Draft-Interop-Version: 6\r\nLocation: http://{}/~{upload}\r\n\r\n",
        order.at
    );
    stream.write_all(interim.as_bytes()).await.ok()
}

/// The site that a place belongs to, and the number of the upload that it is.
fn place_of(at: &str) -> (&str, Option<usize>) {
    let upload = at.rsplit_once("/~").and_then(|(site, number)| {
        let number = number.parse().ok()?;
        Some((site, Some(number)))
    });
    upload.unwrap_or((at, None))
}

/// How far an upload is, in the words of the protocol.
fn state_of(dialect: Dialect, kept: &Kept) -> String {
    let mut fields = format!("Upload-Offset: {}\r\n", kept.bytes.len());
    if let Some(length) = kept.length {
        fields += &format!("Upload-Length: {length}\r\n");
    }
    if dialect != Dialect::Tus {
        let is_complete = u8::from(kept.is_complete);
        fields += &format!("Upload-Complete: ?{is_complete}\r\n");
    }
    fields
}
