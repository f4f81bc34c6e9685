//! A session's frozen configuration: what every task of it shares.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::http::authorization::Credentials;
use crate::launch::LaunchCommand;
use crate::limits::REDIRECTS_MAX;
use crate::safe_url::HttpUrl;

/// What every task of a session shares. It is copied when the session is opened and can not be
/// changed while it is open (Foundation: `URLSessionConfiguration`).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SessionRules {
    /// Header fields sent with every request to the origin that the task names.
    pub headers: Vec<(String, String)>,
    /// The `User-Agent`; the engine's own when `None`.
    pub user_agent: Option<String>,
    /// No byte for this long ends an attempt (`timeoutIntervalForRequest`, 60 s).
    #[serde(rename = "timeout_for_request_ms", with = "crate::serial::Millis")]
    pub timeout_for_request: Duration,
    /// A task older than this fails (`timeoutIntervalForResource`, 7 days).
    #[serde(rename = "timeout_for_resource_ms", with = "crate::serial::Millis")]
    pub timeout_for_resource: Duration,
    /// Time for one connection to be made, TLS included.
    #[serde(rename = "timeout_for_connect_ms", with = "crate::serial::Millis")]
    pub timeout_for_connect: Duration,
    /// Attempts without any new byte after the first one; `None` is without end.
    pub retries_max: Option<u32>,
    /// The first delay of the exponential backoff.
    #[serde(rename = "retry_base_ms", with = "crate::serial::Millis")]
    pub retry_base: Duration,
    /// The longest delay of the backoff.
    #[serde(rename = "retry_cap_ms", with = "crate::serial::Millis")]
    pub retry_cap: Duration,
    /// Redirects followed for one request.
    pub redirects_max: u32,
    /// Tasks that run at once.
    pub tasks_max: u32,
    /// Tasks that run at once to one host.
    pub tasks_per_host_max: u32,
    /// When a task is announced as finished.
    pub durability: Durability,
    /// Credentials by origin, for tasks that name a URL of it and bring none of their own. At most
    /// [`SESSION_CREDENTIALS_MAX`](crate::limits::SESSION_CREDENTIALS_MAX).
    pub credentials: Vec<OriginCredentials>,
    /// Certificates in PEM that are trusted beside the system's.
    #[serde(with = "crate::serial::OptionalBase64")]
    pub ca_certificates_pem: Option<Vec<u8>>,
    /// The proxy of all requests: `http://`, `https` is not offered, or `socks5://`.
    pub proxy: Option<ProxyUrl>,
    /// Bytes per second for the whole session.
    pub rate_limit_bytes: Option<u64>,
    /// Its tasks may wait for power and a network that costs nothing (`isDiscretionary`).
    pub is_discretionary: bool,
    /// Its tasks may use a network that costs money (`allowsExpensiveNetworkAccess`).
    pub allows_expensive_network_access: bool,
    /// Its tasks may use a network that is to be spared (`allowsConstrainedNetworkAccess`).
    pub allows_constrained_network_access: bool,
    /// An app that is away is called when the session has drained or wants authorization
    /// (`sessionSendsLaunchEvents`).
    pub session_sends_launch_events: bool,
    /// What a daemon runs to call an app that is away. Without it, and without a daemon, the app is
    /// waited for.
    pub launch_command: Option<LaunchCommand>,
    /// A task that fails and keeps bytes hands them to its owner as resume data
    /// (`NSURLSessionDownloadTaskResumeData`). Without this they wait for the next task of the same
    /// URL and target, and go with the acknowledgement of the failure.
    pub resume_data_on_failure: bool,
}

/// Where a session is in its life. It only moves forward, and the store keeps it: a session that was
/// being invalidated when the process died still is in the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// It takes new tasks.
    Open,
    /// It takes no new tasks, and those that it has go on to their ends.
    Finishing,
    /// It has no live task and never will: its last fact,
    /// [`BecameInvalid`](crate::event::Fact::BecameInvalid), waits to be acknowledged.
    Invalid,
}

/// How a session is brought to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Invalidation {
    /// Its tasks go on to their ends (`finishTasksAndInvalidate`).
    FinishTasks,
    /// Its tasks are cancelled (`invalidateAndCancel`).
    CancelTasks,
}

/// What one origin is shown, and no other.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct OriginCredentials {
    /// Scheme, host and port, as in `https://host:8443`; without the scheme's own port.
    pub origin: String,
    /// The secret.
    pub credentials: Credentials,
}

/// A proxy's scheme, place and credentials, parsed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ProxyUrl {
    /// How to speak to it.
    pub kind: ProxyKind,
    /// Its host name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User name and password.
    #[serde(default)]
    pub login: Option<(String, String)>,
}

/// How to speak to a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProxyKind {
    /// `CONNECT`, RFC 9110 9.3.6.
    Http,
    /// RFC 1928, names resolved by the proxy.
    Socks5,
}

/// When a finished task is announced (design 5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// After the rename. A power cut may still lose the file; a crash of the process can not.
    #[default]
    Process,
    /// After the data, the rename and the directory are synced.
    Power,
}

impl Default for SessionRules {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            user_agent: None,
            timeout_for_request: Duration::from_secs(60),
            timeout_for_resource: Duration::from_secs(7 * 24 * 60 * 60),
            timeout_for_connect: Duration::from_secs(30),
            retries_max: None,
            retry_base: Duration::from_secs(1),
            retry_cap: Duration::from_secs(60),
            redirects_max: REDIRECTS_MAX,
            tasks_max: 16,
            tasks_per_host_max: 6,
            durability: Durability::default(),
            credentials: Vec::new(),
            ca_certificates_pem: None,
            proxy: None,
            rate_limit_bytes: None,
            is_discretionary: false,
            allows_expensive_network_access: true,
            allows_constrained_network_access: true,
            session_sends_launch_events: true,
            launch_command: None,
            resume_data_on_failure: false,
        }
    }
}

impl fmt::Debug for SessionRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRules")
            .field(
                "headers",
                &self
                    .headers
                    .iter()
                    .map(|(name, _)| name)
                    .collect::<Vec<_>>(),
            )
            .field("timeout_for_request", &self.timeout_for_request)
            .field("retries_max", &self.retries_max)
            .field("tasks_max", &self.tasks_max)
            .field("tasks_per_host_max", &self.tasks_per_host_max)
            .field("durability", &self.durability)
            .field("credentials", &self.credentials)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

impl SessionRules {
    /// The header fields of a request that brings these of its own: the session's are added where it
    /// has none of that name (Foundation: `HTTPAdditionalHeaders`).
    pub fn headers_with<'a>(
        &'a self,
        own: &'a [(String, String)],
    ) -> impl Iterator<Item = &'a (String, String)> {
        let is_own = move |name: &str| own.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        let added = self.headers.iter().filter(move |(name, _)| !is_own(name));
        added.chain(own)
    }

    /// What the origin of this URL is shown, when the session has anything for it.
    #[must_use]
    pub fn credentials_for(&self, url: &HttpUrl) -> Option<&Credentials> {
        if self.credentials.is_empty() {
            return None;
        }
        let origin = origin(url);
        self.credentials
            .iter()
            .find(|known| known.origin == origin)
            .map(|known| &known.credentials)
    }
}

/// The origin of a URL as [`OriginCredentials::origin`] has it (RFC 6454 section 6.2).
#[must_use]
pub fn origin(url: &HttpUrl) -> String {
    url.as_url().origin().ascii_serialization()
}

impl fmt::Debug for OriginCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OriginCredentials")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}:{}", self.kind, self.host, self.port)
    }
}

/// The host that a task's place in the run queue is counted under.
#[must_use]
pub fn host_key(url: &HttpUrl) -> String {
    let url = url.as_url();
    format!(
        "{}:{}",
        url.host_str().unwrap_or(""),
        url.port_or_known_default().unwrap_or(0)
    )
}
