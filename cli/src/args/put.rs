//! `longhaul put` as it is typed.

use std::path::PathBuf;

use longhaul::{Algorithm, UploadProtocol};

use super::TransferArgs;

/// What stands beneath the long help.
pub(super) const EXAMPLES: &str = "\
Examples:
  longhaul put disk.iso https://example.com/inbox/
  longhaul put photo.jpg https://example.com/photos -X POST -H 'Content-Type: image/jpeg'
  longhaul put film.mkv https://example.com/files/ --protocol tus --metadata filetype=video/x-matroska
  longhaul put disk.iso https://example.com/inbox/disk.iso -H @token.txt --json
  longhaul put disk.iso https://example.com/files/ --protocol tus --upload-url @own-url.txt

How it is sent:
  With --protocol auto the server is asked what it supports, unless the file is small: tus 1.0, the
  IETF draft of resumable uploads, or else one request with the whole file. What an interrupted
  upload had brought to a server with a resumable protocol is not sent again.
  A URL that ends in / gets the file's name when the file is PUT there, as with curl -T. A place
  where uploads are created (tus, POST) is used as it is: say --protocol tus, or -X POST.
  The server's answer goes to standard output.

How it goes on:
  What is known of a run lies in a directory that is derived from the file's path, the URLs and the
  method, so the same command finds it again. Other options may change between two runs. The
  directory is removed when the upload has ended; it is kept while there is something to go on
  with. A file that has changed meanwhile is refused once, and the next run sends the new one.
  When the answer to a POST or PATCH is lost, nobody knows whether the server has the file: the
  command fails with code 4, and sends it again only when it is run again.

Exit codes:
  0 the server has the file    6 credentials are missing or refused
  1 something else             7 the server broke the protocol
  2 the command line           8 the server answered with an error
  3 the file                   9 the server has other bytes
  4 the network                12 time ran out
  5 the server is not trusted  130, 143 stopped by SIGINT, SIGTERM";

/// `longhaul put`. It holds secrets, so it can not be printed.
#[derive(clap::Args)]
pub(crate) struct PutArgs {
    /// What to upload; it must stay as it is until it was sent
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Where to (http or https); a user name and password in it are used as -u
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    /// Use this method; tus has methods of its own
    #[arg(
        short = 'X',
        long = "request",
        value_name = "METHOD",
        default_value = "PUT"
    )]
    pub(crate) method: String,

    /// How to send it: auto, plain, tus, ietf or ietf=N, where N is the draft's interop version
    #[arg(long, value_name = "PROTOCOL", default_value = "auto", value_parser = protocol)]
    pub(crate) protocol: UploadProtocol,

    /// Go on with an upload that something else has begun, at the upload's own URL; @FILE reads it
    ///
    /// Say with --protocol (tus, ietf or ietf=N) what is spoken there. FILE must be the one that it was
    /// begun with. Whoever knows such a URL may write there, and other users of the machine may see
    /// it in the list of processes; @FILE avoids that.
    #[arg(long, value_name = "URL")]
    pub(crate) upload_url: Option<String>,

    /// Tell the server this of the file, as Upload-Metadata of tus; may be given often
    ///
    /// The file's name is told without this (filename).
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) metadata: Vec<(String, String)>,

    /// Have the server check what it gets, if it can: sha-256, sha-512, sha-1, md5 or blake3
    #[arg(long, value_name = "ALGORITHM", value_parser = algorithm)]
    pub(crate) checksum: Option<Algorithm>,

    /// Send a POST or PATCH again when its answer is lost; the server may see it twice
    #[arg(long)]
    pub(crate) retry_non_idempotent: bool,

    #[command(flatten)]
    pub(crate) transfer: TransferArgs,
}

fn protocol(text: &str) -> Result<UploadProtocol, String> {
    let help = || {
        "not a protocol; give auto, plain, tus, ietf, or ietf=N with the interop version of the \
         draft, 3 or above"
            .to_owned()
    };
    match text.split_once('=') {
        None => match text {
            "auto" => Ok(UploadProtocol::Auto),
            "plain" => Ok(UploadProtocol::Plain),
            "tus" => Ok(UploadProtocol::Tus),
            "ietf" => Ok(UploadProtocol::IETF),
            _ => Err(help()),
        },
        Some(("ietf", version)) => match version.parse() {
            Ok(interop @ 3..) => Ok(UploadProtocol::Ietf { interop }),
            Ok(_) | Err(_) => Err(help()),
        },
        Some(_) => Err(help()),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err("no key and value; write it as KEY=VALUE".to_owned()),
    }
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    Algorithm::from_name(text)
        .ok_or_else(|| "not an algorithm; give sha-256, sha-512, sha-1, md5 or blake3".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_read_by_their_names() {
        let ietf = |interop| Some(UploadProtocol::Ietf { interop });
        let table = [
            ("auto", Some(UploadProtocol::Auto)),
            ("plain", Some(UploadProtocol::Plain)),
            ("tus", Some(UploadProtocol::Tus)),
            ("ietf", ietf(6)),
            ("ietf=3", ietf(3)),
            ("ietf=12", ietf(12)),
            ("ietf=2", None),
            ("ietf=", None),
            ("ietf=-1", None),
            ("ietf=99999", None),
            ("tus=1", None),
            ("Tus", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(protocol(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn metadata_is_split_at_the_first_equals_sign() {
        let pair_of = |key: &str, value: &str| Some((key.to_owned(), value.to_owned()));
        assert_eq!(pair("a=b=c").ok(), pair_of("a", "b=c"));
        assert_eq!(pair("a=").ok(), pair_of("a", ""));
        assert_eq!(pair("a").ok(), None);
    }
}
