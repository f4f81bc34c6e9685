//! The server itself: its port, its uploads, and what was asked of it.

use std::fmt;
use std::io;
use std::sync::Mutex;

use super::asked::Asked;
use super::behaviour::Behaviour;
use super::exchange::{After, Exchange};
use super::fault::{Fault, due};
use super::store::{Store, Upload};
use crate::gate::Gate;
use crate::listener::{Listener, Service};
use crate::locks::lock;
use crate::log::{Log, PATIENCE, Request};
use crate::wire::{Connection, Received};

/// A running server for uploads. Dropping it ends every connection and joins every thread.
#[derive(Debug)]
pub struct UploadServer {
    listener: Listener<Uploads>,
}

struct Uploads {
    store: Store,
    log: Log,
    behaviour: Mutex<Behaviour>,
    faults: Mutex<Vec<Fault>>,
    /// What must stand in `Authorization`.
    credentials: Mutex<Option<String>>,
    /// Every gate of every fault.
    gates: Mutex<Vec<Gate>>,
}

impl UploadServer {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When no loopback socket can be opened, or no temporary directory made.
    pub fn start(behaviour: Behaviour) -> Self {
        let uploads = Uploads {
            store: Store::new().expect("a temporary directory can be made"),
            log: Log::default(),
            behaviour: Mutex::new(behaviour),
            faults: Mutex::default(),
            credentials: Mutex::default(),
            gates: Mutex::default(),
        };
        let listener = Listener::open(0, uploads).expect("a loopback port can be opened");
        Self { listener }
    }

    /// The URL of `path` (with leading slash). Every path but those of uploads is a target.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.listener.address())
    }

    /// Is like this from the next request on.
    pub fn behave(&self, behaviour: Behaviour) {
        *lock(&self.shared().behaviour) = behaviour;
    }

    /// Does this to requests to come. Of several faults that fit a request the first one is done.
    pub fn inject(&self, fault: Fault) {
        let shared = self.shared();
        lock(&shared.gates).extend(fault.gate().cloned());
        lock(&shared.faults).push(fault);
    }

    /// Wants exactly this in `Authorization` from now on, and answers 401 to everything else.
    pub fn require(&self, authorization: &str) {
        *lock(&self.shared().credentials) = Some(authorization.into());
    }

    /// Every unfinished upload is gone: 410.
    pub fn expire(&self) {
        self.shared().store.forget(None, 410);
    }

    /// All uploads so far, also unfinished and gone ones, and what ordinary requests have stored.
    pub fn uploads(&self) -> Vec<Upload> {
        self.shared().store.snapshot()
    }

    /// The one upload there is.
    ///
    /// # Panics
    /// When there is none, or more than one.
    #[track_caller]
    pub fn only_upload(&self) -> Upload {
        let mut uploads = self.uploads();
        assert_eq!(uploads.len(), 1, "{uploads:#?}");
        uploads.remove(0)
    }

    /// All requests so far, in the order their heads were complete. Of a body, a log entry has the
    /// first 64 KiB.
    pub fn requests(&self) -> Vec<Request> {
        self.shared().log.snapshot()
    }

    /// Bytes of request bodies that were received, whatever became of them.
    pub fn bytes_received(&self) -> u64 {
        let sum = |requests: &[Request]| requests.iter().map(|request| request.body_received).sum();
        self.shared().log.read(sum)
    }

    /// How many connections were accepted.
    pub fn connections(&self) -> u64 {
        self.listener.accepted()
    }

    /// Blocks until `reached` holds for the log, and returns the log of that moment. It is asked
    /// again whenever a request comes, bytes of a body are received, an upload has changed, or a
    /// request is finished; it may look at the uploads too.
    ///
    /// # Panics
    /// After [`PATIENCE`], with the log.
    #[track_caller]
    pub fn wait_for(&self, reached: impl FnMut(&[Request]) -> bool) -> Vec<Request> {
        let waited = self.shared().log.wait_for(PATIENCE, reached);
        waited.unwrap_or_else(|requests| {
            panic!("what the test waits for has not come in {PATIENCE:?}; requests: {requests:#?}")
        })
    }

    /// Cuts every open connection at once, as a failing network would; the server goes on.
    pub fn drop_connections(&self) {
        self.listener.drop_connections();
    }

    /// Closes the port and every connection: nobody is there. The uploads stay.
    pub fn go_away(&mut self) {
        self.listener.close();
    }

    /// Opens the port again after [`UploadServer::go_away`].
    ///
    /// # Panics
    /// When somebody else has taken the port.
    pub fn come_back(&mut self) {
        self.listener.reopen().expect("the port is still free");
    }

    fn shared(&self) -> &Uploads {
        self.listener.service()
    }
}

/// It holds credentials and the URLs of uploads.
impl fmt::Debug for Uploads {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Uploads").finish_non_exhaustive()
    }
}

impl Service for Uploads {
    fn converse(&self, mut connection: Connection, number: u64) -> io::Result<()> {
        let mut position = 0;
        while let Some(received) = connection.read_request()? {
            match self.answer(&mut connection, received, (number, position))? {
                After::KeepAlive => position += 1,
                After::Fin => return connection.finish(),
                After::Linger => return connection.linger(),
                After::Reset => {
                    connection.reset();
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn stop(&self) {
        lock(&self.gates).iter().for_each(Gate::abandon);
    }
}

impl Uploads {
    /// Logs a request, with its connection's number and its position there, and serves it.
    fn answer(
        &self,
        connection: &mut Connection,
        received: Received,
        (number, position): (u64, u64),
    ) -> io::Result<After> {
        let behaviour = lock(&self.behaviour).clone();
        let credentials = lock(&self.credentials).clone();
        let asked = Asked::new(received, &behaviour);
        let step = asked.step(self.store.knows(asked.name()));
        let offset = self.store.offset(asked.name());
        let act = due(&mut lock(&self.faults), step, &asked.method, offset);
        let ticket = self.log.add(Request::new(
            (number, position),
            &asked.method,
            (&asked.path, asked.query.as_deref()),
            &asked.fields,
        ));
        let exchange = Exchange {
            store: &self.store,
            behaviour: &behaviour,
            connection,
            log: &self.log,
            ticket,
            asked: &asked,
            step,
            act,
            credentials: credentials.as_deref(),
        };
        let after = exchange.perform();
        self.log.update(ticket, |entry| entry.is_finished = true);
        after
    }
}
