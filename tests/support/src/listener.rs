//! An open port of 127.0.0.1 with a thread for each connection, that ends all of them when told.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};

use crate::locks::lock;
use crate::wire::Connection;

/// What is done on the connections of a port.
pub(crate) trait Service: fmt::Debug + Send + Sync + 'static {
    /// Serves one connection, whose number counts from 0, until either side ends it. An error is a
    /// client that went away, or the end of the port.
    fn converse(&self, connection: Connection, number: u64) -> io::Result<()>;

    /// The port closes for good: whoever waits within [`Service::converse`] must return.
    fn stop(&self);
}

/// A port and its connections. Dropping it ends every connection and joins every thread.
#[derive(Debug)]
pub(crate) struct Listener<S: Service> {
    service: Arc<S>,
    connections: Arc<Connections>,
    address: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Connections {
    is_closing: AtomicBool,
    accepted: AtomicU64,
    /// Weak, since a socket must have one owner to be closed with a RST.
    streams: Mutex<Vec<Weak<TcpStream>>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl<S: Service> Listener<S> {
    /// Opens this port, or a free one for 0.
    pub(crate) fn open(port: u16, service: S) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let mut opened = Self {
            service: Arc::new(service),
            connections: Arc::default(),
            address: listener.local_addr()?,
            acceptor: None,
        };
        opened.accept_from(listener)?;
        Ok(opened)
    }

    /// What is done on the connections.
    pub(crate) fn service(&self) -> &S {
        &self.service
    }

    /// Where it listens, also while it is closed.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.connections.accepted.load(Ordering::SeqCst)
    }

    /// Cuts every open connection; new ones are still accepted.
    pub(crate) fn drop_connections(&self) {
        self.connections.drop_all();
    }

    /// Closes the port and cuts every connection. Threads that wait for a test are not waited for.
    pub(crate) fn close(&mut self) {
        self.connections.is_closing.store(true, Ordering::SeqCst);
        self.connections.drop_all();
        // The acceptor sees the end with its next connection, so it gets one.
        if let Some(acceptor) = self.acceptor.take()
            && TcpStream::connect(self.address).is_ok()
        {
            let _ended = acceptor.join();
        }
        // Connections accepted while the flag was being set.
        self.connections.drop_all();
    }

    /// Opens the port again after [`Listener::close`].
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        if self.acceptor.is_some() {
            return Ok(());
        }
        let listener = TcpListener::bind(self.address)?;
        self.connections.is_closing.store(false, Ordering::SeqCst);
        self.accept_from(listener)
    }

    fn accept_from(&mut self, listener: TcpListener) -> io::Result<()> {
        let (service, connections) = (Arc::clone(&self.service), Arc::clone(&self.connections));
        let work = move || accept(&service, &connections, &listener);
        self.acceptor = Some(spawn("scripted-accept", work)?);
        Ok(())
    }
}

impl<S: Service> Drop for Listener<S> {
    fn drop(&mut self) {
        self.service.stop();
        self.close();
        let workers = std::mem::take(&mut *lock(&self.connections.workers));
        for worker in workers {
            let _ended = worker.join();
        }
    }
}

impl Connections {
    fn drop_all(&self) {
        for stream in lock(&self.streams).iter().filter_map(Weak::upgrade) {
            // It fails when the client has closed already, which is as good.
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Accepts connections until the port closes.
fn accept<S: Service>(service: &Arc<S>, connections: &Arc<Connections>, listener: &TcpListener) {
    for stream in listener.incoming() {
        if connections.is_closing.load(Ordering::SeqCst) {
            return;
        }
        // An accept that failed (out of descriptors, or gone again) is the client's to notice.
        let Ok(stream) = stream else {
            thread::yield_now();
            continue;
        };
        let number = connections.accepted.fetch_add(1, Ordering::SeqCst);
        // Without it Nagle's algorithm would merge what a script sends apart.
        let _refused = stream.set_nodelay(true);
        let stream = Arc::new(stream);
        {
            let mut streams = lock(&connections.streams);
            streams.retain(|stream| stream.strong_count() > 0);
            streams.push(Arc::downgrade(&stream));
        }
        let worker = {
            let service = Arc::clone(service);
            spawn("scripted-connection", move || {
                let _ended = service.converse(Connection::new(stream), number);
            })
        };
        let mut workers = lock(&connections.workers);
        workers.retain(|worker| !worker.is_finished());
        workers.extend(worker);
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(work)
}
