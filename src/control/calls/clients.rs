//! What a client asks for itself.

use std::sync::Arc;

use longhaul_actors::local::{StartRequest, Starts};
use longhaul_engine::control::{
    AtClient, AtClientSession, AtRefreshTask, CameToForeground, CloseSession, CompleteRefresh,
    ForgetWait, ListenForRefresh, OpenSession, Problem, SetDelegate, StartDocument, WaitForEnd,
};
use longhaul_engine::id::SessionId;

use super::{requests, started};
use crate::SessionConfiguration;
use crate::control::client::Client;
use crate::control::dispatch::Answered;
use crate::control::{Control, Inner, checked, clients, problems};

impl Answered for OpenSession {
    async fn answer(
        self,
        control: Control,
        AtClientSession(client, session): AtClientSession,
    ) -> Result<Vec<StartDocument>, Problem> {
        let Self {
            rules,
            requests: asked,
            has_delegate,
            is_repeated,
        } = self;
        let inner = &control.inner;
        let client = inner.clients.get(&client)?;
        let rules = checked::rules(session.clone(), rules).map_err(problems::of_document)?;
        let asked = requests(asked, is_repeated)?;
        // One at a time: the second finds what the first has opened.
        let turn = client.turn(&session);
        let _turn = turn.lock().await;
        inner.free_if_over(&session);
        client.has_room_for(&session)?;
        let claim = inner.clients.claim(&client, &session)?;
        let brings_delegate = has_delegate && !client.has_delegate(&session);
        if brings_delegate {
            client.set_delegate(&session, Some(inner.engine.attach(&session)))?;
        }
        let opened = inner.open(&client, &session, rules, asked).await;
        match &opened {
            Ok(_) => {
                claim.keep();
                inner.engine.refresh_scopes_changed();
            }
            Err(_) if brings_delegate => client.set_delegate(&session, None)?,
            Err(_) => {}
        }
        opened.map(started)
    }
}

impl Answered for CloseSession {
    async fn answer(
        self,
        control: Control,
        AtClientSession(client, session): AtClientSession,
    ) -> Result<(), Problem> {
        let inner = &control.inner;
        let client = inner.clients.get(&client)?;
        let turn = client.turn(&session);
        let _turn = turn.lock().await;
        client.give_up(&session);
        inner.clients.release(&client, &session);
        inner.engine.refresh_scopes_changed();
        Ok(())
    }
}

impl Answered for SetDelegate {
    async fn answer(
        self,
        control: Control,
        AtClientSession(client, session): AtClientSession,
    ) -> Result<(), Problem> {
        let inner = &control.inner;
        let client = inner.clients.get(&client)?;
        // Not while the session is given up, which takes the delegate away.
        let turn = client.turn(&session);
        let _turn = turn.lock().await;
        if !self.is_there {
            return client.set_delegate(&session, None);
        }
        match inner.clients.owner(&session) {
            Some(owner) if !Arc::ptr_eq(&owner, &client) => Err(clients::in_use(&session, &owner)),
            Some(_) if client.has_delegate(&session) => Ok(()),
            Some(_) => client.set_delegate(&session, Some(inner.engine.attach(&session))),
            None => Err(Problem::invalid(format!(
                "the session \"{session}\" is not open; open it before its delegate is there, or with it"
            ))),
        }
    }
}

impl Answered for CameToForeground {
    async fn answer(self, control: Control, AtClient(client): AtClient) -> Result<(), Problem> {
        let inner = &control.inner;
        let sessions = inner.clients.get(&client)?.sessions();
        let engine = &inner.engine;
        engine.app_came_to_foreground_of(|session| sessions.contains(session));
        Ok(())
    }
}

impl Answered for WaitForEnd {
    async fn answer(self, control: Control, AtClient(client): AtClient) -> Result<(), Problem> {
        let Self {
            wait,
            session,
            task,
        } = self;
        let inner = &control.inner;
        let client = inner.clients.get(&client)?;
        let of = (session, task);
        if client.waits(wait, &of)? {
            return Ok(());
        }
        // Waiting owns nothing, so that it holds no session that its client gives up.
        let observer = inner.observe(&of.0).await?;
        let waiting = Box::pin(async move { (wait, observer.outcome(task).await) });
        client.wait(wait, of, waiting)
    }
}

impl Answered for ForgetWait {
    async fn answer(self, control: Control, AtClient(client): AtClient) -> Result<(), Problem> {
        control.inner.clients.get(&client)?.forget(self.wait);
        Ok(())
    }
}

impl Answered for ListenForRefresh {
    async fn answer(self, control: Control, AtClient(client): AtClient) -> Result<(), Problem> {
        let inner = &control.inner;
        inner.clients.get(&client)?.listen(self.is_listening)?;
        inner.engine.refresh_scopes_changed();
        Ok(())
    }
}

impl Answered for CompleteRefresh {
    async fn answer(
        self,
        control: Control,
        AtRefreshTask(client, number): AtRefreshTask,
    ) -> Result<(), Problem> {
        let client = control.inner.clients.get(&client)?;
        let task = client.call(number)?;
        task.set_task_completed().await.map_err(problems::of_call)?;
        client.has_completed(&task);
        Ok(())
    }
}

impl Inner {
    /// Opens a session for a client, or finds it open, and makes tasks in it.
    async fn open(
        &self,
        client: &Client,
        session: &SessionId,
        configuration: SessionConfiguration,
        requests: Vec<StartRequest>,
    ) -> Result<Starts, Problem> {
        if client.owned(session).is_some() {
            let session = self.observe(session).await?;
            return session.start(requests).await.map_err(problems::of_call);
        }
        let SessionConfiguration { id, rules } = configuration;
        let opened = self.engine.open_session_with(id, rules, requests).await;
        let opened = opened.map_err(problems::of_call)?;
        client.own(opened.session)?;
        Ok(opened.started)
    }

    /// Frees a session that was invalidated and is no more: its name may be another one's.
    fn free_if_over(&self, session: &SessionId) {
        if let Some(owner) = self.clients.owner(session)
            && owner.has_outlived(session)
        {
            owner.give_up(session);
            self.clients.release(&owner, session);
        }
    }
}
