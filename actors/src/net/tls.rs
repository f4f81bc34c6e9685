//! TLS above a transport: which certificates are trusted, and the handshake.

use std::{fmt, sync::Arc};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio_rustls::TlsConnector;

use super::{
    dial::{Endpoint, Transport},
    failure::NetFailure,
};

/// The only protocol spoken: HTTP/2 would multiplex bulk transfers over one window.
const ALPN: &[u8] = b"http/1.1";

/// The certificate authorities that a server's certificate may come from.
#[derive(Clone, Default)]
pub enum Roots {
    /// The system's; Mozilla's list (webpki-roots) where the system has none.
    #[default]
    System,
    /// The system's and those in this PEM text, which holds at least one certificate.
    SystemAndPem(Vec<u8>),
}

impl fmt::Debug for Roots {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => formatter.write_str("System"),
            Self::SystemAndPem(pem) => write!(formatter, "SystemAndPem({} bytes)", pem.len()),
        }
    }
}

/// The certificates in `roots` beside the system's.
///
/// # Errors
/// [`NetFailure::InvalidInput`] when the PEM text is malformed or holds no certificate.
pub(super) fn extra_roots(roots: &Roots) -> Result<Vec<CertificateDer<'static>>, NetFailure> {
    let Roots::SystemAndPem(pem) = roots else {
        return Ok(Vec::new());
    };
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let unusable = |why: &str| NetFailure::invalid(format!("unusable CA certificates: {why}"));
    let certificates = parsed.map_err(|error| unusable(&error.to_string()))?;
    match certificates.is_empty() {
        true => Err(unusable("the PEM text holds none")),
        false => Ok(certificates),
    }
}

/// Builds the configuration of every handshake. Reads the system's certificate files: call it where
/// blocking is allowed.
///
/// # Errors
/// [`NetFailure::InvalidInput`] when one of `extra` is no certificate of an authority.
pub(super) fn configure(
    extra: Vec<CertificateDer<'static>>,
) -> Result<Arc<rustls::ClientConfig>, NetFailure> {
    let mut store = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs().certs;
    if store.add_parsable_certificates(system).0 == 0 {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let unusable = |error: rustls::Error| NetFailure::invalid(format!("tls setup: {error}"));
    for certificate in extra {
        store.add(certificate).map_err(unusable)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// Performs the handshake for `to` above `transport`.
///
/// # Errors
/// [`NetFailure::Tls`] when the two sides do not agree, [`NetFailure::Reset`] when the connection
/// breaks.
pub(super) async fn handshake(
    config: Arc<rustls::ClientConfig>,
    to: &Endpoint,
    transport: Box<dyn Transport>,
) -> Result<Box<dyn Transport>, NetFailure> {
    let name = ServerName::try_from(to.host.clone())
        .map_err(|_| NetFailure::invalid("the host is no valid name for tls"))?;
    match TlsConnector::from(config).connect(name, transport).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(NetFailure::handshake(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pem_text_without_a_certificate_is_refused() {
        for pem in [
            "",
            "not pem",
            "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----",
        ] {
            let found = extra_roots(&Roots::SystemAndPem(pem.into()));
            assert!(
                matches!(found, Err(NetFailure::InvalidInput { .. })),
                "{pem}"
            );
        }
        assert_eq!(extra_roots(&Roots::System), Ok(Vec::new()));
    }

    #[test]
    fn bytes_that_are_no_certificate_are_refused() {
        let found = configure(vec![CertificateDer::from(b"junk".to_vec())]);
        assert!(matches!(found, Err(NetFailure::InvalidInput { .. })));
    }
}
