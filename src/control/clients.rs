//! Who the clients are, and which session each of them owns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longhaul_engine::control::{ClientId, Problem};
use longhaul_engine::id::SessionId;

use super::client::{Client, Held};

/// Clients at once: each holds a connection of the server and what a process has asked for. More are
/// a loop that forgets to hang up.
pub(super) const CLIENTS_MAX: usize = 4096;

/// The clients, and the sessions that are theirs. Nothing here calls the engine.
#[derive(Debug, Default)]
pub(super) struct Clients(Mutex<Registry>);

#[derive(Debug, Default)]
struct Registry {
    clients: HashMap<ClientId, Arc<Client>>,
    owners: HashMap<SessionId, Arc<Client>>,
}

/// A session is about to be a client's: it is nobody's again when this is dropped without
/// [`Claim::keep`], unless it was the client's before.
pub(super) struct Claim<'a> {
    clients: &'a Clients,
    client: &'a Arc<Client>,
    session: &'a SessionId,
    is_kept: bool,
}

impl Clients {
    /// Takes in a new client, which `make` makes if there is room for it.
    pub(super) fn admit(&self, make: impl FnOnce() -> Client) -> Result<Arc<Client>, Problem> {
        let mut registry = self.lock();
        if registry.clients.len() >= CLIENTS_MAX {
            return Err(Problem::TooMany {
                detail: format!(
                    "there are {CLIENTS_MAX} clients already; try again when some are gone"
                ),
            });
        }
        let client = Arc::new(make());
        let id = client.id().clone();
        registry.clients.insert(id, Arc::clone(&client));
        Ok(client)
    }

    /// The client of this name.
    pub(super) fn get(&self, id: &ClientId) -> Result<Arc<Client>, Problem> {
        let client = self.lock().clients.get(id).cloned();
        client.ok_or(Problem::NoSuchClient)
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Client>> {
        self.lock().clients.values().cloned().collect()
    }

    /// Whether a client takes the calls of a session because it is its app.
    pub(super) fn is_app_there(&self, session: &SessionId) -> bool {
        let registry = self.lock();
        let mut listening = registry.clients.values().filter(|it| it.is_listening());
        listening.any(|client| client.is_app_of(session))
    }

    /// The client that a session belongs to.
    pub(super) fn owner(&self, session: &SessionId) -> Option<Arc<Client>> {
        self.lock().owners.get(session).cloned()
    }

    /// Forgets a client: its sessions are nobody's from now on. What it held must be dropped by the
    /// caller, who holds no lock.
    #[must_use = "it frees what the client held when it is dropped"]
    pub(super) fn remove(&self, client: &Arc<Client>) -> Held {
        let mut registry = self.lock();
        registry.clients.remove(client.id());
        registry
            .owners
            .retain(|_, owner| !Arc::ptr_eq(owner, client));
        client.end()
    }

    /// Makes a session a client's, if it is nobody else's.
    pub(super) fn claim<'a>(
        &'a self,
        client: &'a Arc<Client>,
        session: &'a SessionId,
    ) -> Result<Claim<'a>, Problem> {
        let mut registry = self.lock();
        if let Some(owner) = registry.owners.get(session)
            && !Arc::ptr_eq(owner, client)
        {
            return Err(in_use(session, owner));
        }
        if client.is_gone() {
            return Err(Problem::NoSuchClient);
        }
        let owners = &mut registry.owners;
        let is_kept = owners.insert(session.clone(), Arc::clone(client)).is_some();
        Ok(Claim {
            clients: self,
            client,
            session,
            is_kept,
        })
    }

    /// Gives a client's session up.
    pub(super) fn release(&self, client: &Arc<Client>, session: &SessionId) {
        let mut registry = self.lock();
        let is_theirs = |owner: &Arc<Client>| Arc::ptr_eq(owner, client);
        if registry.owners.get(session).is_some_and(is_theirs) {
            registry.owners.remove(session);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim<'_> {
    /// The session stays the client's.
    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.clients.release(self.client, self.session);
        }
    }
}

/// That a session is this other client's.
pub(super) fn in_use(session: &SessionId, owner: &Client) -> Problem {
    Problem::SessionInUse {
        session: session.clone(),
        pid: owner.pid(),
    }
}
