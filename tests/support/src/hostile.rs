//! Ready-made answers that no client may take for success, by name, for table tests.

use crate::script::{Framing, Reply};

/// More than any sane limit on a header block: 70 KiB in one field.
const HUGE_FIELD_BYTES: usize = 70 * 1024;
/// More interim heads than any sane limit on them.
const TOO_MANY_INTERIM: usize = 200;

/// Answers that break HTTP itself: the whole answer must be refused and nothing of it kept. They
/// need a resource on the path.
pub fn protocol_errors() -> Vec<(&'static str, Reply)> {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    vec![
        ("HTTP/0.9", Reply::raw("just the text, as it was in 1991\n")),
        (
            "garbage instead of a head",
            Reply::raw(b"\x16\x03\x01\x02\x00\x01\xff\r\n\r\n".to_vec()),
        ),
        (
            "a status that is no number",
            Reply::raw("HTTP/1.1 two OK\r\nContent-Length: 0\r\n\r\n"),
        ),
        (
            "a field without a colon",
            Reply::raw("HTTP/1.1 200 OK\r\nContent-Length\r\n\r\n"),
        ),
        (
            "a header block over 64 KiB",
            oversized_head(HUGE_FIELD_BYTES),
        ),
        (
            "conflicting lengths",
            Reply::normal().add_header("Content-Length", "7"),
        ),
        (
            "conflicting lengths in a list",
            Reply::normal().header("Content-Length", "7, 8"),
        ),
        (
            "a length that is no number",
            Reply::normal().header("Content-Length", "12x"),
        ),
        (
            "a negative length",
            Reply::normal().header("Content-Length", "-1"),
        ),
        (
            "a length over 2^64",
            Reply::normal().header("Content-Length", "18446744073709551616"),
        ),
        (
            "a length beside a transfer coding",
            Reply::normal()
                .framing(Framing::Chunked)
                .add_header("Content-Length", "7"),
        ),
        ("Transfer-Encoding: gzip", transfer_encoding("gzip")),
        (
            "Transfer-Encoding: gzip, chunked",
            transfer_encoding("gzip, chunked"),
        ),
        (
            "Transfer-Encoding: chunked, gzip",
            transfer_encoding("chunked, gzip"),
        ),
        (
            "a chunk size that is no number",
            Reply::raw(format!("{chunked}zz\r\nhello\r\n0\r\n\r\n")),
        ),
        (
            "a chunk size over 2^64",
            Reply::raw(format!("{chunked}10000000000000000\r\nhello\r\n0\r\n\r\n")),
        ),
        (
            "a chunk longer than its size",
            Reply::raw(format!("{chunked}5\r\nhello!!\r\n0\r\n\r\n")),
        ),
        (
            "too many interim heads",
            Reply::normal().interim(103, TOO_MANY_INTERIM),
        ),
    ]
}

/// Answers whose body ends before its declared end: what came may be kept for a resumption, but
/// the answer is never complete. They need a resource on the path with more than `offset` bytes.
pub fn truncations(offset: u64) -> Vec<(&'static str, Reply)> {
    let chunked = || Reply::normal().framing(Framing::Chunked);
    vec![
        (
            "FIN within a declared length",
            Reply::normal().truncate_at(offset),
        ),
        (
            "RST within a declared length",
            Reply::normal().reset_at(offset),
        ),
        ("FIN within a chunked body", chunked().truncate_at(offset)),
        ("RST within a chunked body", chunked().reset_at(offset)),
        ("FIN right after the head", Reply::normal().truncate_at(0)),
    ]
}

/// A good answer with one header field of `bytes` bytes.
pub fn oversized_head(bytes: usize) -> Reply {
    Reply::normal().add_header("X-Padding", &"p".repeat(bytes))
}

/// A good answer that says its length twice, both times the same: to be taken as one.
pub fn repeated_length(len: u64) -> Reply {
    Reply::normal().add_header("Content-Length", &len.to_string())
}

/// An answer that claims `Content-Encoding: gzip`; its bytes are those of the resource.
pub fn content_encoding_gzip() -> Reply {
    Reply::normal().header("Content-Encoding", "gzip")
}

fn transfer_encoding(codings: &str) -> Reply {
    Reply::normal()
        .framing(Framing::Close)
        .header("Transfer-Encoding", codings)
}
