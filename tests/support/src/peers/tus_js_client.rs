//! tus-js-client, so that an upload can change hands between it and ours.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::installed::find;
use super::server::script;
use crate::process::Process;

const SCRIPT: &str = include_str!("../../../peers/tus-client.mjs");
/// How long one run may take: far more than 64 MiB need on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes in one PATCH, unless the test says otherwise: it can stop between two of them only.
const CHUNK_BYTES: u64 = 1024 * 1024;

/// tus-js-client of npm, run by node.
#[derive(Debug)]
pub struct TusJsClient {
    dir: TempDir,
    protocol: &'static str,
    chunk_bytes: u64,
}

/// An upload as it leaves the client's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Handover {
    /// The upload's own URL, absolute.
    pub url: String,
    /// How many bytes the server has acknowledged to it.
    pub offset_bytes: u64,
}

impl TusJsClient {
    /// A client that speaks tus 1.0.0 and sends 1 MiB in one PATCH. The error says how to install
    /// it.
    pub fn new() -> Result<Self, String> {
        let dir =
            tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
        script(dir.path(), "tus-client.mjs", SCRIPT)?;
        Ok(Self {
            dir,
            protocol: "tus-v1",
            chunk_bytes: CHUNK_BYTES,
        })
    }

    /// That speaks the IETF draft in its interop version 5 (draft -03) or else 6 (draft -05).
    pub fn ietf(mut self, interop: u16) -> Self {
        self.protocol = if interop == 5 {
            "ietf-draft-03"
        } else {
            "ietf-draft-05"
        };
        self
    }

    /// With so many bytes in one PATCH.
    pub fn chunk_bytes(mut self, bytes: u64) -> Self {
        self.chunk_bytes = bytes;
        self
    }

    /// Creates an upload of `file` at `endpoint` and stops after the PATCH with which the server
    /// has `stop_at_bytes` or more.
    pub fn begin(
        &self,
        endpoint: &str,
        file: &Path,
        stop_at_bytes: u64,
    ) -> Result<Handover, String> {
        let file = file.display().to_string();
        self.run(&["begin", endpoint, &file, &stop_at_bytes.to_string()])
    }

    /// Sends what is missing of `file` to the upload `url`, and returns when the client calls it
    /// finished.
    pub fn finish(&self, url: &str, file: &Path) -> Result<Handover, String> {
        self.run(&["finish", url, &file.display().to_string()])
    }

    fn run(&self, arguments: &[&str]) -> Result<Handover, String> {
        let mut command = Command::new(find("node")?);
        command
            .arg(self.dir.path().join("tus-client.mjs"))
            .args(arguments)
            .arg(self.protocol)
            .arg(self.chunk_bytes.to_string());
        let failed = |error: std::io::Error| format!("node: {error}");
        let mut process = Process::start(command, self.dir.path()).map_err(failed)?;
        let status = process.wait(PATIENCE).map_err(failed)?;
        let (stdout, stderr) = (
            process.stdout().map_err(failed)?,
            process.stderr().map_err(failed)?,
        );
        if !status.is_some_and(|status| status.success()) {
            return Err(format!("tus-js-client ended with {status:?}: {stderr}"));
        }
        parse(&stdout).ok_or_else(|| format!("tus-js-client said {stdout}{stderr}"))
    }
}

/// The one object that the script prints.
fn parse(line: &str) -> Option<Handover> {
    let rest = line.trim().strip_prefix(r#"{"url":""#)?;
    let (url, rest) = rest.split_once(r#"","offset":"#)?;
    Some(Handover {
        url: url.into(),
        offset_bytes: rest.strip_suffix('}')?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_last_word_of_the_client_is_read() {
        let handover = parse("{\"url\":\"http://h/a\",\"offset\":7}\n").expect("it is whole");
        assert_eq!(
            (handover.url.as_str(), handover.offset_bytes),
            ("http://h/a", 7)
        );
        assert_eq!(parse("Error: refused"), None);
    }
}
