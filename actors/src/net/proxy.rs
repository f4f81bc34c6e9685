//! The way through a proxy: HTTP CONNECT and SOCKS5, spoken below TLS.

use std::{fmt, net::IpAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

use super::{
    credentials::Credentials,
    dial::{Endpoint, Transport},
    failure::NetFailure,
    head::HeadScanner,
    inbox::{HEAD_READ_BYTES, Inbox},
};

/// Port of a SOCKS proxy whose URL names none (IANA's assignment).
const SOCKS_PORT: u16 = 1080;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Http,
    Socks5,
}

/// A proxy that every connection of a client goes through. `Debug` shows no credentials.
///
/// An `http` proxy gets plain requests in absolute form (RFC 9112 section 3.2.2) and a CONNECT
/// tunnel for https. A `socks5` proxy gets the host's name, so that it resolves it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    endpoint: Endpoint,
    credentials: Option<Credentials>,
}

impl Proxy {
    /// Reads `http://[user:password@]host[:80]`, or the same with `socks5` or `socks5h` and port
    /// 1080.
    ///
    /// # Errors
    /// [`NetFailure::InvalidInput`] for everything else; the text is not repeated in it.
    pub fn parse(text: &str) -> Result<Self, NetFailure> {
        let unusable = |why: &str| NetFailure::invalid(format!("unusable proxy: {why}"));
        let url = Url::parse(text).map_err(|error| unusable(&error.to_string()))?;
        let (kind, default_port) = match url.scheme() {
            "http" => (Kind::Http, 80),
            "socks5" | "socks5h" => (Kind::Socks5, SOCKS_PORT),
            _ => return Err(unusable("its scheme is none of http, socks5 and socks5h")),
        };
        let host = match url.host() {
            Some(url::Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
            None => return Err(unusable("it has no host")),
        };
        let credentials = Credentials::of(&url);
        let too_long = |part: &Vec<u8>| part.len() > usize::from(u8::MAX);
        let is_long = |found: &Credentials| too_long(&found.user) || too_long(&found.password);
        if kind == Kind::Socks5 && credentials.as_ref().is_some_and(is_long) {
            return Err(unusable("socks5 allows 255 bytes of user and of password"));
        }
        Ok(Self {
            kind,
            endpoint: Endpoint {
                host,
                port: url.port().unwrap_or(default_port),
            },
            credentials,
        })
    }

    /// Where the proxy listens.
    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// True when a plain request goes to the proxy itself, in absolute form.
    pub(super) fn takes_requests(&self) -> bool {
        self.kind == Kind::Http
    }

    /// The `Proxy-Authorization` field of an HTTP proxy with credentials.
    pub(super) fn authorization(&self) -> Option<String> {
        self.credentials.as_ref().map(Credentials::basic)
    }

    /// Asks the proxy at the other end of `transport` for a way to `to`.
    ///
    /// # Errors
    /// [`NetFailure::Proxy`] when it refuses; what a connection may fail with otherwise.
    pub(super) async fn open(
        &self,
        transport: &mut dyn Transport,
        to: &Endpoint,
        user_agent: &str,
    ) -> Result<(), NetFailure> {
        match self.kind {
            Kind::Http => self.connect(transport, to, user_agent).await,
            Kind::Socks5 => self.socks5(transport, to).await,
        }
    }

    /// RFC 9110 section 9.3.6.
    async fn connect(
        &self,
        transport: &mut dyn Transport,
        to: &Endpoint,
        user_agent: &str,
    ) -> Result<(), NetFailure> {
        let authorization = match self.authorization() {
            Some(value) => format!("proxy-authorization: {value}\r\n"),
            None => String::new(),
        };
        let request = format!(
            "CONNECT {to} HTTP/1.1\r\nhost: {to}\r\nuser-agent: {user_agent}\r\n{authorization}\r\n"
        );
        send(transport, request.as_bytes()).await?;
        let (mut scanner, mut inbox) = (HeadScanner::default(), Inbox::default());
        loop {
            let read = transport.read(inbox.space(HEAD_READ_BYTES)).await;
            match read.map_err(|error| NetFailure::broken(&error))? {
                0 => return Err(NetFailure::proxy("it closed the connection", None)),
                count => inbox.filled(count),
            }
            let Some(head) = scanner.scan(&mut inbox)? else {
                continue;
            };
            return match head.status {
                // A TLS server waits for the client: bytes behind the head are not its own.
                200..=299 if inbox.is_empty() => Ok(()),
                200..=299 => Err(NetFailure::proxy("it sent bytes into the tunnel", None)),
                status => Err(NetFailure::proxy(&format!("status {status}"), Some(status))),
            };
        }
    }

    /// RFC 1928, with the user and password of RFC 1929.
    async fn socks5(&self, transport: &mut dyn Transport, to: &Endpoint) -> Result<(), NetFailure> {
        let methods: &[u8] = match self.credentials {
            Some(_) => &[5, 2, 0, 2],
            None => &[5, 1, 0],
        };
        send(transport, methods).await?;
        match (receive(transport).await?, &self.credentials) {
            ([5, 0], _) => {}
            ([5, 2], Some(credentials)) => {
                let (user, password) = (&credentials.user, &credentials.password);
                let mut message = vec![1, length_byte(user)?];
                message.extend_from_slice(user);
                message.push(length_byte(password)?);
                message.extend_from_slice(password);
                send(transport, &message).await?;
                let [_, status] = receive(transport).await?;
                if status != 0 {
                    return Err(NetFailure::proxy("it did not accept the credentials", None));
                }
            }
            ([5, _], _) => return Err(NetFailure::proxy("no common way to authenticate", None)),
            _ => return Err(NetFailure::proxy("it does not speak socks5", None)),
        }
        send(transport, &socks5_request(to)?).await?;
        let [_, reply, _, kind] = receive(transport).await?;
        if reply != 0 {
            return Err(NetFailure::proxy(socks5_reply(reply), None));
        }
        match kind {
            1 => receive::<6>(transport).await.map(drop),
            3 => {
                let [length] = receive(transport).await?;
                let mut bound = vec![0; usize::from(length) + 2];
                read_all(transport, &mut bound).await
            }
            4 => receive::<18>(transport).await.map(drop),
            _ => Err(NetFailure::proxy("it does not speak socks5", None)),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Proxy({:?} {})", self.kind, self.endpoint)
    }
}

fn socks5_request(to: &Endpoint) -> Result<Vec<u8>, NetFailure> {
    let mut request = vec![5, 1, 0];
    match to.host.parse() {
        Ok(IpAddr::V4(address)) => {
            request.push(1);
            request.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(4);
            request.extend_from_slice(&address.octets());
        }
        Err(_) => {
            request.extend_from_slice(&[3, length_byte(to.host.as_bytes())?]);
            request.extend_from_slice(to.host.as_bytes());
        }
    }
    request.extend_from_slice(&to.port.to_be_bytes());
    Ok(request)
}

const fn socks5_reply(code: u8) -> &'static str {
    match code {
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        _ => "it failed",
    }
}

fn length_byte(bytes: &[u8]) -> Result<u8, NetFailure> {
    u8::try_from(bytes.len()).map_err(|_| NetFailure::invalid("socks5 allows names of 255 bytes"))
}

async fn send(transport: &mut dyn Transport, bytes: &[u8]) -> Result<(), NetFailure> {
    let sent = async {
        transport.write_all(bytes).await?;
        transport.flush().await
    };
    sent.await.map_err(|error| NetFailure::broken(&error))
}

async fn receive<const COUNT: usize>(
    transport: &mut dyn Transport,
) -> Result<[u8; COUNT], NetFailure> {
    let mut bytes = [0; COUNT];
    read_all(transport, &mut bytes).await?;
    Ok(bytes)
}

async fn read_all(transport: &mut dyn Transport, bytes: &mut [u8]) -> Result<(), NetFailure> {
    let read = transport.read_exact(bytes).await;
    read.map(drop).map_err(|error| NetFailure::broken(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_from_its_url_and_hides_its_password() {
        let table = [
            ("http://p.test", "Proxy(Http p.test:80)"),
            ("http://u:hush@p.test:3128/", "Proxy(Http p.test:3128)"),
            ("socks5://u:hush@[::1]", "Proxy(Socks5 [::1]:1080)"),
            ("socks5h://p.test:9050", "Proxy(Socks5 p.test:9050)"),
        ];
        for (text, shown) in table {
            let proxy = Proxy::parse(text).expect("usable");
            assert_eq!(format!("{proxy:?}"), shown);
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_refused_without_repeating_it() {
        let long = format!("socks5://{}:hush@p.test", "u".repeat(256));
        for text in [
            "p.test:3128",
            "https://u:hush@p.test",
            "ftp://hush",
            "http://",
            "socks5:",
            &long,
        ] {
            let found = Proxy::parse(text).map_err(|failure| failure.to_string());
            let message = found.expect_err("unusable");
            assert!(!message.contains("hush"), "{message}");
        }
    }

    #[test]
    fn a_socks5_request_names_its_target_in_the_shortest_form() {
        let table: [(&str, &[u8]); 3] = [
            ("10.0.0.1", &[5, 1, 0, 1, 10, 0, 0, 1, 1, 187]),
            ("a.b", &[5, 1, 0, 3, 3, b'a', b'.', b'b', 1, 187]),
            (
                "::1",
                &[
                    5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 187,
                ],
            ),
        ];
        for (host, expected) in table {
            let to = Endpoint {
                host: host.to_owned(),
                port: 443,
            };
            assert_eq!(socks5_request(&to).as_deref(), Ok(expected));
        }
    }
}
