//! A session's configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use longhaul_engine::launch::LaunchCommand;
use longhaul_engine::limits::CA_CERTIFICATES_BYTES_MAX;
use longhaul_engine::session::{Durability, OriginCredentials, ProxyKind, ProxyUrl, SessionRules};

use super::task::CredentialsV1;
use super::{PathV1, Unusable, first_version, path_from_record, path_to_record};

/// A session's configuration. It has no `Debug`: headers and the proxy's login are secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionV1 {
    headers: Vec<(String, String)>,
    user_agent: Option<String>,
    timeout_for_request: DurationV1,
    timeout_for_resource: DurationV1,
    timeout_for_connect: DurationV1,
    retries_max: Option<u32>,
    retry_base: DurationV1,
    retry_cap: DurationV1,
    redirects_max: u32,
    tasks_max: u32,
    tasks_per_host_max: u32,
    durability: DurabilityV1,
    ca_certificates_pem: Option<Vec<u8>>,
    proxy: Option<ProxyV1>,
    rate_limit_bytes: Option<u64>,
    is_discretionary: bool,
    allows_expensive_network_access: bool,
    allows_constrained_network_access: bool,
    session_sends_launch_events: bool,
    launch_command: Option<CommandV1>,
    resume_data_on_failure: bool,
    credentials: Vec<(String, CredentialsV1)>,
}

/// Whole, so that a configuration comes back equal to the one that was put.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct DurationV1 {
    secs: u64,
    nanos: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum DurabilityV1 {
    Process,
    Power,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ProxyV1 {
    kind: ProxyKindV1,
    host: String,
    port: u16,
    login: Option<(String, String)>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CommandV1 {
    argv: Vec<String>,
    directory: PathV1,
    variables: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum ProxyKindV1 {
    Http,
    Socks5,
}

/// A bundle of certificates is the large part; 1 MiB holds all the rest many times over.
const SESSION_BYTES_MAX: usize = CA_CERTIFICATES_BYTES_MAX + 1024 * 1024;

first_version!(SessionV1, kind: b'S', bytes_max: SESSION_BYTES_MAX);

impl From<&SessionRules> for SessionV1 {
    fn from(rules: &SessionRules) -> Self {
        Self {
            headers: rules.headers.clone(),
            user_agent: rules.user_agent.clone(),
            timeout_for_request: rules.timeout_for_request.into(),
            timeout_for_resource: rules.timeout_for_resource.into(),
            timeout_for_connect: rules.timeout_for_connect.into(),
            retries_max: rules.retries_max,
            retry_base: rules.retry_base.into(),
            retry_cap: rules.retry_cap.into(),
            redirects_max: rules.redirects_max,
            tasks_max: rules.tasks_max,
            tasks_per_host_max: rules.tasks_per_host_max,
            durability: rules.durability.into(),
            ca_certificates_pem: rules.ca_certificates_pem.clone(),
            proxy: rules.proxy.as_ref().map(ProxyV1::from),
            rate_limit_bytes: rules.rate_limit_bytes,
            is_discretionary: rules.is_discretionary,
            allows_expensive_network_access: rules.allows_expensive_network_access,
            allows_constrained_network_access: rules.allows_constrained_network_access,
            session_sends_launch_events: rules.session_sends_launch_events,
            launch_command: rules.launch_command.as_ref().map(CommandV1::from),
            resume_data_on_failure: rules.resume_data_on_failure,
            credentials: rules
                .credentials
                .iter()
                .map(|known| (known.origin.clone(), (&known.credentials).into()))
                .collect(),
        }
    }
}

impl TryFrom<SessionV1> for SessionRules {
    type Error = Unusable;

    fn try_from(record: SessionV1) -> Result<Self, Unusable> {
        let launch_command = record.launch_command.map(LaunchCommand::try_from);
        Ok(Self {
            headers: record.headers,
            user_agent: record.user_agent,
            timeout_for_request: record.timeout_for_request.into(),
            timeout_for_resource: record.timeout_for_resource.into(),
            timeout_for_connect: record.timeout_for_connect.into(),
            retries_max: record.retries_max,
            retry_base: record.retry_base.into(),
            retry_cap: record.retry_cap.into(),
            redirects_max: record.redirects_max,
            tasks_max: record.tasks_max,
            tasks_per_host_max: record.tasks_per_host_max,
            durability: record.durability.into(),
            ca_certificates_pem: record.ca_certificates_pem,
            proxy: record.proxy.map(ProxyUrl::from),
            rate_limit_bytes: record.rate_limit_bytes,
            is_discretionary: record.is_discretionary,
            allows_expensive_network_access: record.allows_expensive_network_access,
            allows_constrained_network_access: record.allows_constrained_network_access,
            session_sends_launch_events: record.session_sends_launch_events,
            launch_command: launch_command.transpose()?,
            resume_data_on_failure: record.resume_data_on_failure,
            credentials: record
                .credentials
                .into_iter()
                .map(|(origin, credentials)| OriginCredentials {
                    origin,
                    credentials: credentials.into(),
                })
                .collect(),
        })
    }
}

impl From<&LaunchCommand> for CommandV1 {
    fn from(command: &LaunchCommand) -> Self {
        Self {
            argv: command.argv().to_vec(),
            directory: path_to_record(command.directory()),
            variables: command.variables().to_vec(),
        }
    }
}

impl TryFrom<CommandV1> for LaunchCommand {
    type Error = Unusable;

    fn try_from(record: CommandV1) -> Result<Self, Unusable> {
        let command = Self::new(record.argv, path_from_record(record.directory));
        command
            .and_then(|command| command.with_variables(record.variables))
            .map_err(|_| Unusable("its launch command can not be run"))
    }
}

impl From<Duration> for DurationV1 {
    fn from(duration: Duration) -> Self {
        Self {
            secs: duration.as_secs(),
            nanos: duration.subsec_nanos(),
        }
    }
}

impl From<DurationV1> for Duration {
    /// Saturates, as [`Duration::new`] would panic on more nanoseconds than fit.
    fn from(record: DurationV1) -> Self {
        Self::from_secs(record.secs).saturating_add(Self::from_nanos(record.nanos.into()))
    }
}

impl From<Durability> for DurabilityV1 {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Process => Self::Process,
            Durability::Power => Self::Power,
        }
    }
}

impl From<DurabilityV1> for Durability {
    fn from(record: DurabilityV1) -> Self {
        match record {
            DurabilityV1::Process => Self::Process,
            DurabilityV1::Power => Self::Power,
        }
    }
}

impl From<&ProxyUrl> for ProxyV1 {
    fn from(proxy: &ProxyUrl) -> Self {
        let kind = match proxy.kind {
            ProxyKind::Http => ProxyKindV1::Http,
            ProxyKind::Socks5 => ProxyKindV1::Socks5,
        };
        let login = proxy.login.clone();
        Self {
            kind,
            host: proxy.host.clone(),
            port: proxy.port,
            login,
        }
    }
}

impl From<ProxyV1> for ProxyUrl {
    fn from(record: ProxyV1) -> Self {
        let kind = match record.kind {
            ProxyKindV1::Http => ProxyKind::Http,
            ProxyKindV1::Socks5 => ProxyKind::Socks5,
        };
        Self {
            kind,
            host: record.host,
            port: record.port,
            login: record.login,
        }
    }
}
