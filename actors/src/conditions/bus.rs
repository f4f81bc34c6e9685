//! NetworkManager and UPower on the system bus: read when they say that something changed.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{SelectAll, select_all};
use longhaul_engine::conditions::Conditions;
use zbus::connection::Builder;
use zbus::proxy::CacheProperties;
use zbus::{Connection, MatchRule, MessageStream, Proxy};

/// A service and its one object that is asked.
struct Service {
    name: &'static str,
    path: &'static str,
    interface: &'static str,
}

const NETWORK: Service = Service {
    name: "org.freedesktop.NetworkManager",
    path: "/org/freedesktop/NetworkManager",
    interface: "org.freedesktop.NetworkManager",
};

const POWER: Service = Service {
    name: "org.freedesktop.UPower",
    path: "/org/freedesktop/UPower",
    interface: "org.freedesktop.UPower",
};

/// Time for a service to answer; one that takes longer is taken for absent.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// Signals that wait to be looked at: each means only "read again".
const SIGNALS_MAX: NonZeroUsize = NonZeroUsize::new(8).expect("not zero");

/// The two services on a bus.
pub(super) struct Services {
    network: Proxy<'static>,
    power: Proxy<'static>,
    signals: SelectAll<MessageStream>,
}

impl Services {
    /// Connects to the bus at `address`, or to the system's, which `DBUS_SYSTEM_BUS_ADDRESS` names or
    /// is at its usual place.
    ///
    /// # Errors
    /// When there is no bus, or none that answers. That a service is missing is no error.
    pub(super) async fn connect(address: Option<&str>) -> zbus::Result<Self> {
        let is_silent = |_| zbus::Error::Failure("the bus did not answer in time".to_owned());
        let connecting = tokio::time::timeout(ANSWER_TIME_MAX, Self::connect_to(address));
        connecting.await.map_err(is_silent)?
    }

    async fn connect_to(address: Option<&str>) -> zbus::Result<Self> {
        let connection = match address {
            Some(address) => Builder::address(address).build().await?,
            None => Connection::system().await?,
        };
        let mut signals = Vec::new();
        for service in [&NETWORK, &POWER] {
            for rule in service.rules()? {
                let stream =
                    MessageStream::for_match_rule(rule, &connection, Some(SIGNALS_MAX)).await?;
                signals.push(stream);
            }
        }
        Ok(Self {
            network: NETWORK.proxy(&connection).await?,
            power: POWER.proxy(&connection).await?,
            signals: select_all(signals),
        })
    }

    /// What they say now; what they do not say is unknown.
    pub(super) async fn read(&self) -> Conditions {
        let (metered, connectivity, on_battery) = tokio::join!(
            answer(self.network.get_property::<u32>("Metered")),
            answer(self.network.get_property::<u32>("Connectivity")),
            answer(self.power.get_property::<bool>("OnBattery")),
        );
        Conditions {
            is_online: connectivity.and_then(is_online),
            is_metered: metered.and_then(is_metered),
            is_constrained: None,
            is_on_battery: on_battery,
        }
    }

    /// Waits until one of them says that something has changed, or came or went; `false` when the
    /// bus is gone.
    pub(super) async fn changed(&mut self) -> bool {
        matches!(self.signals.next().await, Some(Ok(_)))
    }
}

impl Service {
    fn rules(&self) -> zbus::Result<[MatchRule<'static>; 2]> {
        let signal = || MatchRule::builder().msg_type(zbus::message::Type::Signal);
        Ok([
            signal()
                .sender(self.name)
                .path(self.path)
                .interface("org.freedesktop.DBus.Properties")
                .member("PropertiesChanged")
                .build()?,
            signal()
                .sender("org.freedesktop.DBus")
                .interface("org.freedesktop.DBus")
                .member("NameOwnerChanged")
                .arg(0, self.name)
                .build()?,
        ])
    }

    async fn proxy(&self, connection: &Connection) -> zbus::Result<Proxy<'static>> {
        zbus::proxy::Builder::new(connection)
            .destination(self.name)
            .path(self.path)
            .interface(self.interface)
            .cache_properties(CacheProperties::No)
            .build()
            .await
    }
}

/// The answer to a question, when there is one in time.
async fn answer<T>(question: impl Future<Output = zbus::Result<T>>) -> Option<T> {
    match tokio::time::timeout(ANSWER_TIME_MAX, question).await {
        Ok(Ok(value)) => Some(value),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a service does not say");
            None
        }
        Err(_) => None,
    }
}

/// `NMMetered`: yes and a guessed yes, no and a guessed no, unknown.
const fn is_metered(value: u32) -> Option<bool> {
    match value {
        1 | 3 => Some(true),
        2 | 4 => Some(false),
        _ => None,
    }
}

/// `NMConnectivityState`: none; portal, limited and full; unknown.
const fn is_online(value: u32) -> Option<bool> {
    match value {
        1 => Some(false),
        2..=4 => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_network_manager_are_understood() {
        let metered = [None, Some(true), Some(false), Some(true), Some(false), None];
        let online = [None, Some(false), Some(true), Some(true), Some(true), None];
        for value in 0..6_u32 {
            let index = usize::try_from(value).expect("small");
            assert_eq!(is_metered(value), metered[index], "{value}");
            assert_eq!(is_online(value), online[index], "{value}");
        }
    }
}
