//! TLS over in-memory pipes: trust, truncation, tunnels.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::net::{Proxy, Roots};

/// A private authority and a server certificate for `a.test` and two addresses from it.
pub(super) struct Authority {
    pem: String,
    pub(super) acceptor: TlsAcceptor,
}

pub(super) fn authority() -> Authority {
    let ca_key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).expect("a certificate");
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().expect("a key");
    let names = ["a.test", "10.0.0.1", "127.0.0.1"].map(str::to_owned);
    let params = CertificateParams::new(names.to_vec()).expect("parameters");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .expect("a server");
    Authority {
        pem: ca.pem(),
        acceptor: TlsAcceptor::from(Arc::new(config)),
    }
}

/// How a TLS server ends its stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// With `close_notify`.
    Proper,
    /// By dropping the connection.
    Abrupt,
    /// Not at all.
    None,
}

/// Answers every request of a TLS connection with `answer`.
async fn serve(acceptor: TlsAcceptor, stream: DuplexStream, answer: &'static str, ending: Ending) {
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    while read_head(&mut stream).await.is_some() {
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.flush().await;
        match ending {
            Ending::Proper => return drop(stream.shutdown().await),
            Ending::Abrupt => return,
            Ending::None => {}
        }
    }
}

fn server(authority: &Authority, answer: &'static str, ending: Ending) -> Rc<Pipes> {
    let acceptor = authority.acceptor.clone();
    Pipes::new(move |_, stream| serve(acceptor.clone(), stream, answer, ending))
}

pub(super) fn trusting(authority: &Authority) -> ClientConfig {
    ClientConfig {
        roots: Roots::SystemAndPem(authority.pem.clone().into_bytes()),
        ..ClientConfig::default()
    }
}

#[test]
fn a_body_over_tls_is_whole_only_when_its_end_is_certain() {
    let authority = authority();
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let until_close = "HTTP/1.1 200 OK\r\n\r\nhello";
    let cut = |expected| {
        Err(NetFailure::Truncated {
            received: 5,
            expected,
        })
    };
    let table = [
        (length, Ending::Proper, Ok(())),
        (length, Ending::Abrupt, Ok(())),
        (short, Ending::Proper, cut(Some(9))),
        (short, Ending::Abrupt, cut(Some(9))),
        (chunked, Ending::Proper, cut(None)),
        (chunked, Ending::Abrupt, cut(None)),
        (until_close, Ending::Proper, Ok(())),
        (until_close, Ending::Abrupt, cut(None)),
    ];
    for (answer, ending, expected) in table {
        let client = server(&authority, answer, ending).client_with(&trusting(&authority));
        let found = virtual_time(fetch(&client, "https://a.test/"));
        assert_eq!(found, Ok((200, "hello".to_owned(), expected)), "{answer}");
    }
}

#[test]
fn a_tls_connection_is_used_again_and_says_that_it_is_one() {
    let authority = authority();
    let server = server(
        &authority,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Ending::None,
    );
    let client = server.client_with(&trusting(&authority));
    virtual_time(async {
        for reused in [false, true] {
            let mut response = client.send(get("https://a.test/")).await.expect("a head");
            assert_eq!((response.facts.tls, response.facts.reused), (true, reused));
            assert_eq!(read_body(&mut response).await, (b"ok".to_vec(), Ok(())));
        }
    });
    assert_eq!(server.dialled(), ["a.test:443"]);
}

#[test]
fn a_certificate_that_is_not_trusted_or_for_another_host_is_refused_for_good() {
    let authority = authority();
    let system = ClientConfig::default();
    let table = [
        (&system, "https://a.test/"),
        (&trusting(&authority), "https://b.test/"),
    ];
    for (config, url) in table {
        let client = server(&authority, "", Ending::None).client_with(config);
        let failure = virtual_time(fetch(&client, url)).expect_err("refused");
        assert!(
            matches!(
                failure,
                NetFailure::Tls {
                    certificate: true,
                    ..
                }
            ),
            "{failure:?}"
        );
        assert!(!failure.retryable());
    }
    let client = server(&authority, "HTTP/1.1 204 No Content\r\n\r\n", Ending::None)
        .client_with(&trusting(&authority));
    assert!(
        virtual_time(fetch(&client, "https://10.0.0.1/")).is_ok(),
        "an address in the certificate"
    );
}

#[test]
fn a_server_that_does_not_speak_tls_fails_the_handshake() {
    let server = Pipes::new(|_, mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        std::future::pending::<()>().await;
    });
    let failure = virtual_time(fetch(&server.client(), "https://a.test/")).expect_err("no tls");
    assert!(
        matches!(
            failure,
            NetFailure::Tls {
                certificate: false,
                ..
            }
        ),
        "{failure:?}"
    );
    let server = Pipes::new(|_, stream| async move { drop(stream) });
    let failure = virtual_time(fetch(&server.client(), "https://a.test/")).expect_err("no tls");
    assert!(matches!(failure, NetFailure::Reset { .. }), "{failure:?}");
}

#[test]
fn tls_runs_through_a_connect_tunnel() {
    let authority = authority();
    let acceptor = authority.acceptor.clone();
    let server = Pipes::new(move |_, mut stream| {
        let acceptor = acceptor.clone();
        async move {
            let head = read_head(&mut stream).await.expect("a request");
            assert!(
                head.starts_with("CONNECT a.test:443 HTTP/1.1\r\n"),
                "{head}"
            );
            assert!(
                head.contains("\r\nproxy-authorization: Basic dTpw\r\n"),
                "{head}"
            );
            let _ = stream
                .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                .await;
            serve(
                acceptor,
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                Ending::None,
            )
            .await;
        }
    });
    let client = server.client_with(&ClientConfig {
        proxy: Some(Proxy::parse("http://u:p@p.test:3128").expect("usable")),
        ..trusting(&authority)
    });
    let found = virtual_time(fetch(&client, "https://a.test/"));
    assert_eq!(found, Ok((200, "ok".to_owned(), Ok(()))));
    assert_eq!(server.dialled(), ["p.test:3128"]);
}
