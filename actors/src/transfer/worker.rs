//! What the transfers of one arbiter share: one network client per session configuration.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use longhaul_engine::session::{ProxyKind, ProxyUrl, SessionRules};

use crate::net::{Client, ClientConfig, NetFailure, Proxy, Roots};
use crate::world::World;

/// A client and the configuration that it was made for, which keeps it from being taken for
/// another's once its session is closed.
type Kept = (Weak<SessionRules>, Client);

thread_local! {
    static CLIENTS: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

/// The client of this arbiter for a session's configuration.
///
/// # Errors
/// When the configuration can not be used: a malformed certificate, proxy or user agent.
pub(super) fn client(rules: &Arc<SessionRules>, world: &World) -> Result<Client, NetFailure> {
    CLIENTS.with_borrow_mut(|clients| {
        clients.retain(|(rules, _)| rules.strong_count() > 0);
        let own = Arc::downgrade(rules);
        if let Some((_, client)) = clients.iter().find(|(rules, _)| rules.ptr_eq(&own)) {
            return Ok(client.clone());
        }
        let client = Client::new(&configuration(rules)?, (world.make_dial)())?;
        clients.push((own, client.clone()));
        Ok(client)
    })
}

fn configuration(rules: &SessionRules) -> Result<ClientConfig, NetFailure> {
    let defaults = ClientConfig::default();
    let roots = match &rules.ca_certificates_pem {
        Some(pem) => Roots::SystemAndPem(pem.clone()),
        None => Roots::System,
    };
    Ok(ClientConfig {
        user_agent: rules.user_agent.clone().unwrap_or(defaults.user_agent),
        connect_timeout: rules.timeout_for_connect,
        roots,
        proxy: rules.proxy.as_ref().map(proxy).transpose()?,
    })
}

fn proxy(proxy: &ProxyUrl) -> Result<Proxy, NetFailure> {
    let scheme = match proxy.kind {
        ProxyKind::Http => "http",
        ProxyKind::Socks5 => "socks5",
    };
    let host = match proxy.host.contains(':') && !proxy.host.starts_with('[') {
        true => format!("[{}]", proxy.host),
        false => proxy.host.clone(),
    };
    let mut text = format!("{scheme}://{host}:{}", proxy.port);
    if let Some((user, password)) = &proxy.login
        && let Ok(mut url) = url::Url::parse(&text)
    {
        // Neither can fail for a URL with a host; the proxy is then asked without.
        let _ = url.set_username(user);
        let _ = url.set_password(Some(password));
        text = url.to_string();
    }
    Proxy::parse(&text)
}

/// Forgets the clients of this arbiter: a test's next engine has other ways to the network.
#[cfg(test)]
pub(crate) fn forget() {
    CLIENTS.with_borrow_mut(Vec::clear);
}
