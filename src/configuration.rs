//! What the tasks of a session share, checked field by field.

mod credentials;
mod launch;

use std::time::Duration;

use longhaul_engine::id::SessionId;
pub use longhaul_engine::limits::CA_CERTIFICATES_BYTES_MAX;
use longhaul_engine::limits::{REDIRECTS_MAX, URL_BYTES_MAX};
use longhaul_engine::session::{Durability, SessionRules};

use crate::{Error, header, proxy};

/// Tasks that may run at once in one session: each has a connection, a file and two buffers.
pub const TASKS_MAX: u32 = 256;

/// The longest timeout and delay: ten years. Longer ones are typing errors, and overflow.
const DURATION_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// What every task of a session shares. The engine copies it when the session is opened
/// ([`Engine::session`](crate::Engine::session) says what holds for one that runs already).
///
/// Names and defaults follow Foundation's `URLSessionConfiguration`. `Debug` shows no value that may
/// be a secret.
///
/// ```
/// use std::time::Duration;
/// use longhaul::SessionConfiguration;
///
/// # fn main() -> Result<(), longhaul::Error> {
/// let configuration = SessionConfiguration::new("com.example.sync")?
///     .timeout_for_request(Duration::from_secs(30))?
///     .tasks_max(8)?
///     .header("Accept-Language", "de")?;
/// # let _ = configuration;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SessionConfiguration {
    pub(crate) id: SessionId,
    pub(crate) rules: SessionRules,
}

impl SessionConfiguration {
    /// The defaults, for the session of this name: 1 to 256 bytes without control characters, such
    /// as `com.example.sync`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the identifier is empty, too long or holds a control character.
    pub fn new(identifier: impl Into<String>) -> Result<Self, Error> {
        Ok(Self {
            id: SessionId::new(identifier)?,
            rules: SessionRules::default(),
        })
    }

    /// The session's name.
    #[must_use]
    pub fn identifier(&self) -> &str {
        self.id.as_str()
    }

    /// Adds a header field to every request to the origin that a task names, except where the task has
    /// fields of that name itself (Foundation: `httpAdditionalHeaders`). It does not follow a redirect
    /// to another origin, except `Accept*`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no field, is one that the engine sets itself (`Host`, `Range`,
    /// …), or when there are too many.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        header::push(&mut self.rules.headers, name, value)?;
        Ok(self)
    }

    /// The `User-Agent`; `longhaul/VERSION` without this.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it holds a control character or is too long.
    pub fn user_agent(mut self, text: &str) -> Result<Self, Error> {
        let mut checked = Vec::new();
        header::push(&mut checked, "User-Agent", text)?;
        self.rules.user_agent = checked.pop().map(|(_, value)| value);
        Ok(self)
    }

    /// An attempt ends when no byte came for this long (60 s). Time in which the task is suspended
    /// or waits for its turn does not count.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is zero or longer than ten years.
    pub fn timeout_for_request(mut self, timeout: Duration) -> Result<Self, Error> {
        self.rules.timeout_for_request = checked("the timeout for a request", timeout)?;
        Ok(self)
    }

    /// A task that has not ended this long after it was made fails (7 days).
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is zero or longer than ten years.
    pub fn timeout_for_resource(mut self, timeout: Duration) -> Result<Self, Error> {
        self.rules.timeout_for_resource = checked("the timeout for a resource", timeout)?;
        Ok(self)
    }

    /// The time for one connection to be made, TLS included (30 s).
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is zero or longer than ten years.
    pub fn timeout_for_connect(mut self, timeout: Duration) -> Result<Self, Error> {
        self.rules.timeout_for_connect = checked("the timeout for a connection", timeout)?;
        Ok(self)
    }

    /// A task fails after this many attempts in a row, beside the first, that brought no new byte.
    /// Without this it goes on until the timeout for the resource, as Foundation does.
    #[must_use]
    pub const fn retries_max(mut self, retries: u32) -> Self {
        self.rules.retries_max = Some(retries);
        self
    }

    /// The delay before an attempt is chosen at random up to `base`, doubled with every further
    /// attempt without a byte up to `cap` (1 s and 60 s). A server's `Retry-After` is obeyed.
    ///
    /// # Errors
    /// [`Error::Invalid`] when one is zero or longer than ten years, or `cap` is less than `base`.
    pub fn retry_delay(mut self, base: Duration, cap: Duration) -> Result<Self, Error> {
        if cap < base {
            return Err(Error::Invalid(
                "the longest delay of a retry is shorter than the first; give the shorter first"
                    .to_owned(),
            ));
        }
        self.rules.retry_base = checked("the first delay of a retry", base)?;
        self.rules.retry_cap = checked("the longest delay of a retry", cap)?;
        Ok(self)
    }

    /// Redirects followed for one request (20, which is also the most). Zero follows none.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is more than 20.
    pub fn redirects_max(mut self, redirects: u32) -> Result<Self, Error> {
        if redirects > REDIRECTS_MAX {
            return Err(Error::Invalid(format!(
                "{redirects} redirects are more than the {REDIRECTS_MAX} that are followed at most; \
                 give a smaller number"
            )));
        }
        self.rules.redirects_max = redirects;
        Ok(self)
    }

    /// Tasks that run at once; the others wait for their turn (16).
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is zero or more than [`TASKS_MAX`].
    pub fn tasks_max(mut self, tasks: u32) -> Result<Self, Error> {
        self.rules.tasks_max = checked_tasks(tasks)?;
        Ok(self)
    }

    /// Tasks that run at once to one host (6).
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is zero or more than [`TASKS_MAX`].
    pub fn tasks_per_host_max(mut self, tasks: u32) -> Result<Self, Error> {
        self.rules.tasks_per_host_max = checked_tasks(tasks)?;
        Ok(self)
    }

    /// When a finished task is announced: after the rename ([`Durability::Process`], the default)
    /// or after everything is synced ([`Durability::Power`]).
    #[must_use]
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.rules.durability = durability;
        self
    }

    /// Certificates in PEM that are trusted beside the system's own.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no certificate in it, or more than 4 MiB.
    pub fn ca_certificates_pem(mut self, pem: impl Into<Vec<u8>>) -> Result<Self, Error> {
        const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
        let pem = pem.into();
        if pem.len() > CA_CERTIFICATES_BYTES_MAX {
            return Err(Error::Invalid(format!(
                "the certificates have more than {CA_CERTIFICATES_BYTES_MAX} bytes; give only \
                 those that are needed"
            )));
        }
        if !pem.windows(BEGIN.len()).any(|window| window == BEGIN) {
            return Err(Error::Invalid(
                "there is no certificate in PEM form; give a text with -----BEGIN CERTIFICATE-----"
                    .to_owned(),
            ));
        }
        self.rules.ca_certificates_pem = Some(pem);
        Ok(self)
    }

    /// The proxy of all requests: `http://[user:password@]host:port` (`CONNECT`) or `socks5://…`
    /// (RFC 1928). It resolves the names. The environment is not asked.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is not understood.
    pub fn proxy(mut self, url: &str) -> Result<Self, Error> {
        if url.len() > URL_BYTES_MAX {
            return Err(Error::Invalid(format!(
                "the proxy is longer than {URL_BYTES_MAX} bytes; give a shorter one"
            )));
        }
        self.rules.proxy = Some(proxy::parse(url)?);
        Ok(self)
    }

    /// Bytes per second for all tasks of the session together; unlimited without this.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is zero: suspend the tasks instead.
    pub fn rate_limit_bytes(mut self, bytes_per_second: u64) -> Result<Self, Error> {
        if bytes_per_second == 0 {
            return Err(Error::Invalid(
                "a rate of zero moves nothing; give at least 1 byte per second, or suspend the task"
                    .to_owned(),
            ));
        }
        self.rules.rate_limit_bytes = Some(bytes_per_second);
        Ok(self)
    }

    /// Its tasks may wait for power and for a network that costs nothing, off by default
    /// (`isDiscretionary`).
    #[must_use]
    pub const fn is_discretionary(mut self, is_discretionary: bool) -> Self {
        self.rules.is_discretionary = is_discretionary;
        self
    }

    /// Its tasks may use a network that costs money, on by default
    /// (`allowsExpensiveNetworkAccess`).
    #[must_use]
    pub const fn allows_expensive_network_access(mut self, allows: bool) -> Self {
        self.rules.allows_expensive_network_access = allows;
        self
    }

    /// Its tasks may use a network that is to be spared, on by default
    /// (`allowsConstrainedNetworkAccess`).
    #[must_use]
    pub const fn allows_constrained_network_access(mut self, allows: bool) -> Self {
        self.rules.allows_constrained_network_access = allows;
        self
    }

    /// An app that is away is called when the session has drained or wants authorization, on by
    /// default (`sessionSendsLaunchEvents`).
    #[must_use]
    pub const fn session_sends_launch_events(mut self, sends: bool) -> Self {
        self.rules.session_sends_launch_events = sends;
        self
    }
}

fn checked(what: &str, duration: Duration) -> Result<Duration, Error> {
    if duration.is_zero() || duration > DURATION_MAX {
        return Err(Error::Invalid(format!(
            "{what} is zero or longer than ten years; give something between"
        )));
    }
    Ok(duration)
}

fn checked_tasks(tasks: u32) -> Result<u32, Error> {
    if tasks == 0 || tasks > TASKS_MAX {
        return Err(Error::Invalid(format!(
            "{tasks} tasks at once are not possible; give a number from 1 to {TASKS_MAX}"
        )));
    }
    Ok(tasks)
}

#[cfg(test)]
mod tests {
    use longhaul_engine::http::authorization::Credentials;
    use longhaul_engine::launch::LaunchCommand;
    use longhaul_engine::session::OriginCredentials;

    use super::*;

    type Setter = fn(SessionConfiguration) -> Result<SessionConfiguration, Error>;

    fn configuration() -> SessionConfiguration {
        SessionConfiguration::new("test").unwrap()
    }

    #[test]
    fn values_that_can_not_work_are_refused_with_the_next_step() {
        let table: [(&str, Setter); 12] = [
            ("request", |c| c.timeout_for_request(Duration::ZERO)),
            ("resource", |c| c.timeout_for_resource(Duration::MAX)),
            ("connect", |c| c.timeout_for_connect(Duration::ZERO)),
            ("delay", |c| {
                c.retry_delay(Duration::from_secs(2), Duration::from_secs(1))
            }),
            ("redirects", |c| c.redirects_max(21)),
            ("tasks", |c| c.tasks_max(0)),
            ("tasks per host", |c| c.tasks_per_host_max(257)),
            ("certificates", |c| c.ca_certificates_pem("no pem")),
            ("proxy", |c| c.proxy("gopher://p")),
            ("long proxy", |c| c.proxy(&"x".repeat(URL_BYTES_MAX + 1))),
            ("rate", |c| c.rate_limit_bytes(0)),
            ("agent", |c| c.user_agent("a\nb")),
        ];
        for (name, set) in table {
            let error = set(configuration()).map(|_| ()).unwrap_err();
            assert!(
                error.to_string().contains(';'),
                "{name}: {error} names no next step"
            );
        }
    }

    #[test]
    fn every_field_of_the_rules_can_be_set() {
        let second = Duration::from_secs(1);
        let command = LaunchCommand::new(["app"], "/").unwrap();
        let set = configuration()
            .header("A", "b")
            .and_then(|c| c.user_agent("u"))
            .and_then(|c| c.timeout_for_request(second))
            .and_then(|c| c.timeout_for_resource(second))
            .and_then(|c| c.timeout_for_connect(second))
            .and_then(|c| c.retry_delay(second * 2, second * 3))
            .and_then(|c| c.redirects_max(0))
            .and_then(|c| c.tasks_max(2))
            .and_then(|c| c.tasks_per_host_max(3))
            .and_then(|c| c.ca_certificates_pem("-----BEGIN CERTIFICATE-----"))
            .and_then(|c| c.proxy("http://p:1"))
            .and_then(|c| c.rate_limit_bytes(4))
            .and_then(|c| c.credentials("https://h", Credentials::bearer("t")))
            .map(|c| c.durability(Durability::Power).retries_max(5))
            .map(|c| c.is_discretionary(true).session_sends_launch_events(false))
            .map(|c| c.allows_expensive_network_access(false))
            .map(|c| c.allows_constrained_network_access(false))
            .map(|c| {
                c.resume_data_on_failure(true)
                    .launch_command(command.clone())
            })
            .unwrap();
        // Written out in full: a new field must be looked at here.
        let expected = SessionRules {
            headers: vec![("A".to_owned(), "b".to_owned())],
            user_agent: Some("u".to_owned()),
            timeout_for_request: second,
            timeout_for_resource: second,
            timeout_for_connect: second,
            retries_max: Some(5),
            retry_base: second * 2,
            retry_cap: second * 3,
            redirects_max: 0,
            tasks_max: 2,
            tasks_per_host_max: 3,
            durability: Durability::Power,
            ca_certificates_pem: Some(b"-----BEGIN CERTIFICATE-----".to_vec()),
            proxy: proxy::parse("http://p:1").ok(),
            rate_limit_bytes: Some(4),
            credentials: vec![OriginCredentials {
                origin: "https://h".to_owned(),
                credentials: Credentials::bearer("t"),
            }],
            is_discretionary: true,
            allows_expensive_network_access: false,
            allows_constrained_network_access: false,
            session_sends_launch_events: false,
            launch_command: Some(command),
            resume_data_on_failure: true,
        };
        assert!(set.rules == expected, "{set:?}");
    }

    #[test]
    fn debug_shows_no_secret() {
        let set = configuration()
            .header("Authorization", "hush")
            .and_then(|c| c.proxy("http://u:hush@p:1"))
            .unwrap();
        assert!(!format!("{set:?}").contains("hush"));
    }
}
