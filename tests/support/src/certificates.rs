//! A private certificate authority and a server certificate from it, made by the `openssl` command.

use std::fs;
use std::path::{Path, PathBuf};

use crate::real::run;

/// Long enough for any test run, short enough to be worthless if it leaks.
const VALID_DAYS: &str = "30";

/// PEM files of one authority and of one server certificate for `localhost` and `127.0.0.1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// The certificate of the authority: what a client is told to trust.
    pub authority: PathBuf,
    /// The certificate of the server.
    pub certificate: PathBuf,
    /// The private key of the server.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes all files in `dir`. The error says what `openssl` said, or how to install it.
    pub fn make_in(dir: &Path) -> Result<Self, String> {
        let file = |name: &str| dir.join(name).display().to_string();
        let (ca, ca_key) = (file("ca.pem"), file("ca.key"));
        let (certificate, key, request) =
            (file("server.pem"), file("server.key"), file("server.csr"));
        let extensions = file("server.ext");
        let content = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n\
                       extendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n";
        fs::write(&extensions, content).map_err(|error| format!("{extensions}: {error}"))?;

        let new_key = [
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ];
        let authority = [
            &new_key[..],
            &[
                "-x509", "-keyout", &ca_key, "-out", &ca, "-days", VALID_DAYS,
            ],
            &["-subj", "/CN=longhaul test authority"],
            &["-addext", "keyUsage=critical,keyCertSign,cRLSign"],
        ];
        openssl(&authority.concat())?;
        let server = [
            &new_key[..],
            &["-keyout", &key, "-out", &request, "-subj", "/CN=localhost"],
        ];
        openssl(&server.concat())?;
        openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-CAcreateserial",
            "-days",
            VALID_DAYS,
            "-extfile",
            &extensions,
            "-out",
            &certificate,
        ])?;
        Ok(Self {
            authority: ca.into(),
            certificate: certificate.into(),
            key: key.into(),
        })
    }
}

/// Runs `openssl` and returns its standard output.
pub(crate) fn openssl(arguments: &[&str]) -> Result<String, String> {
    run("openssl", "openssl", arguments, b"")
}
