//! What `longhaul put` is asked for: one file, and the URL that it goes to.

use std::ffi::OsStr;

use longhaul::limits::URL_BYTES_MAX;
use longhaul::{UploadProtocol, UploadRequest};

use super::{Output, Plan, configuration, fields, login, retry, text_of};
use crate::args::PutArgs;
use crate::exit::Fault;
use crate::places::Places;
use crate::state::StateRoot;

/// Decides what the arguments mean.
///
/// # Errors
/// When they mean nothing, or the file can not be used.
pub(crate) fn put(args: PutArgs) -> Result<Plan<UploadRequest>, Fault> {
    let (request, method) = request(&args)?;
    let root = StateRoot::resolve(args.transfer.state_dir.as_deref())?;
    Ok(Plan {
        directory: root.of_upload(&method, &request),
        requests: request,
        configuration: configuration("put", &args.transfer)?,
        retry: retry(&args.transfer),
        output: Output::of(&args.transfer),
    })
}

/// What is uploaded, and the method as it is sent.
pub(super) fn request(args: &PutArgs) -> Result<(UploadRequest, String), Fault> {
    let source = Places::source(&args.file)?;
    let method = args.method.to_ascii_uppercase();
    let url = match (
        source.file_name(),
        is_into_collection(&method, args.protocol),
    ) {
        (Some(name), true) => with_name(&args.url, name),
        (Some(_) | None, _) => args.url.clone(),
    };
    let mut request = UploadRequest::new(&url, source)?
        .method(&method)?
        .protocol(args.protocol)?
        .adopt_existing(true);
    if let Some(text) = &args.upload_url {
        request = request.upload_url(&own_url(text)?, args.protocol)?;
    }
    if let Some((user, password)) = login(&args.transfer)? {
        request = request.credentials(user, password);
    }
    for (name, value) in fields(&args.transfer)? {
        request = request.header(&name, &value)?;
    }
    for (key, value) in &args.metadata {
        request = request.metadata(key, value)?;
    }
    if let Some(algorithm) = args.checksum {
        request = request.checksum(algorithm);
    }
    if args.retry_non_idempotent {
        request = request.repeatable();
    }
    if args.transfer.allow_downgrade {
        request = request.allow_downgrade();
    }
    Ok((request, method))
}

/// The upload's own URL, which a file may hold.
fn own_url(text: &str) -> Result<String, Fault> {
    match text.strip_prefix('@') {
        Some(path) => Ok(text_of(path, URL_BYTES_MAX)?.trim().to_owned()),
        None => Ok(text.to_owned()),
    }
}

/// Whether a URL that ends in a slash is where the file is put, under its name: so a PUT has it. A
/// protocol that creates its uploads does that at the URL itself, as a POST does.
fn is_into_collection(method: &str, protocol: UploadProtocol) -> bool {
    match protocol {
        UploadProtocol::Auto | UploadProtocol::Plain => method == "PUT",
        UploadProtocol::Tus | UploadProtocol::Ietf { .. } => false,
    }
}

/// The URL with the file's name where its path ends in a slash, or is empty, as curl has it.
fn with_name(url: &str, name: &OsStr) -> String {
    let path_end = url.find(['?', '#']).unwrap_or(url.len());
    let (place, rest) = url.split_at(path_end);
    let authority = place.find("://").map_or(0, |at| at + 3);
    let slash = match (place[authority..].contains('/'), place.ends_with('/')) {
        (true, true) => "",
        (false, _) => "/",
        (true, false) => return url.to_owned(),
    };
    let name = percent_encoded(name.as_encoded_bytes());
    format!("{place}{slash}{name}{rest}")
}

/// A name as one segment of a path: all but unreserved characters are coded (RFC 3986 section 2.3).
fn percent_encoded(name: &[u8]) -> String {
    let mut coded = String::with_capacity(name.len());
    for byte in name {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                coded.push(char::from(*byte));
            }
            other => coded.push_str(&format!("%{other:02X}")),
        }
    }
    coded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_ends_in_a_slash_gets_the_name_of_the_file() {
        let table = [
            ("http://h/d/", "http://h/d/a%20%C3%A4"),
            ("http://h/", "http://h/a%20%C3%A4"),
            ("http://h", "http://h/a%20%C3%A4"),
            ("http://u:p@h:80/d/?x=/", "http://u:p@h:80/d/a%20%C3%A4?x=/"),
            ("http://h?x", "http://h/a%20%C3%A4?x"),
            ("http://h/d/#/", "http://h/d/a%20%C3%A4#/"),
            ("http://h/d", "http://h/d"),
            ("http://h/d?x=/", "http://h/d?x=/"),
        ];
        for (url, named) in table {
            assert_eq!(with_name(url, OsStr::new("a \u{e4}")), named);
        }
    }
}
