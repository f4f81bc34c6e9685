//! File names that are safe to create in a directory, whoever proposed them.

use std::fmt;

use url::Url;

use crate::http::percent_decode;

/// Most bytes of a file name: `NAME_MAX` of Linux, and close to every other system's limit.
pub const FILE_NAME_BYTES_MAX: usize = 255;

/// Most bytes that count as an extension, with its dot; a longer one is cut like the rest.
const EXTENSION_BYTES_MAX: usize = 32;

/// The name of a file that nobody has named.
const FALLBACK: &str = "download";

/// Names that are devices on Windows, whatever their extension; files are copied there and mounted
/// from there.
const RESERVED_STEMS: [&str; 32] = [
    "aux", "clock$", "con", "conin$", "conout$", "nul", "prn", "com0", "com1", "com2", "com3",
    "com4", "com5", "com6", "com7", "com8", "com9", "com¹", "com²", "com³", "lpt1", "lpt2", "lpt3",
    "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9", "lpt¹", "lpt²", "lpt³",
];

/// One component of a path that names a plain, visible file, on every system.
///
/// It has 1 to [`FILE_NAME_BYTES_MAX`] bytes, no separator, no control character, nothing that
/// turns the direction of writing, no dot or space at either end, and is no device's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileName(String);

impl FileName {
    /// Makes a safe name out of `proposal`, or `None` when nothing is left of it.
    ///
    /// Only what follows the last `/` or `\` counts. A name that is too long is cut in its stem, at
    /// a character, and keeps its extension. A safe name stays as it is.
    #[must_use]
    pub fn sanitize(proposal: &str) -> Option<Self> {
        let last = proposal.rsplit(['/', '\\']).next()?;
        let visible: String = last
            .chars()
            .filter(|&character| !is_forbidden(character))
            .collect();
        let trimmed = trim(&visible);
        if trimmed.is_empty() {
            return None;
        }
        let short = shorten(trimmed.to_owned());
        // Cutting may have uncovered a device's name, and the mark may make a name too long.
        let named = if is_reserved(&short) {
            shorten(format!("_{short}"))
        } else {
            short
        };
        Some(Self(named))
    }

    /// The name in a URL: its last path segment, percent-decoded. `None` when the path ends in `/`.
    #[must_use]
    pub fn from_url(url: &Url) -> Option<Self> {
        let segment = url.path_segments()?.next_back()?;
        Self::sanitize(&String::from_utf8_lossy(&percent_decode(
            segment.as_bytes(),
        )))
    }

    /// The name for a download: what the server proposed (see
    /// [`content_disposition`](crate::http::content_disposition)), else what the URL says, else
    /// `download`.
    #[must_use]
    pub fn choose(disposition: Option<&str>, url: &Url) -> Self {
        disposition
            .and_then(Self::sanitize)
            .or_else(|| Self::from_url(url))
            .unwrap_or_else(|| Self(FALLBACK.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl AsRef<std::path::Path> for FileName {
    fn as_ref(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

/// Control characters, line and paragraph separators, and the marks that reverse the direction of
/// writing, by which `exe.txt` can be made to look like `txt.exe`.
fn is_forbidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}' | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

fn trim(name: &str) -> &str {
    name.trim_matches(|character: char| character == '.' || character.is_whitespace())
}

fn is_reserved(name: &str) -> bool {
    let stem = name
        .split(['.', ':'])
        .next()
        .unwrap_or(name)
        .trim_end()
        .to_lowercase();
    RESERVED_STEMS.contains(&stem.as_str())
}

/// Cuts the stem so that the whole fits. What is left ends in the extension or in a character that
/// is neither a dot nor a space.
fn shorten(name: String) -> String {
    if name.len() <= FILE_NAME_BYTES_MAX {
        return name;
    }
    let dot = name
        .rfind('.')
        .filter(|&dot| dot > 0 && name.len() - dot <= EXTENSION_BYTES_MAX);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let room = FILE_NAME_BYTES_MAX - extension.len();
    let cut = (0..=room)
        .rev()
        .find(|&at| stem.is_char_boundary(at))
        .unwrap_or(0);
    format!("{}{extension}", trim(&stem[..cut]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sanitized(proposal: &str) -> Option<String> {
        FileName::sanitize(proposal).map(|name| name.to_string())
    }

    #[test]
    fn proposals_become_safe_names_or_none() {
        let table = [
            ("report.pdf", Some("report.pdf")),
            ("näme mit 字.txt", Some("näme mit 字.txt")),
            ("../../x", Some("x")),
            ("/etc/passwd", Some("passwd")),
            ("C:\\Windows\\system.ini", Some("system.ini")),
            ("..\\..\\x", Some("x")),
            (".bashrc", Some("bashrc")),
            ("...x...", Some("x")),
            (" . .x. . ", Some("x")),
            ("a..b", Some("a..b")),
            ("a\0b\nc\u{7f}\u{85}d", Some("abcd")),
            ("txt\u{202e}exe.x", Some("txtexe.x")),
            ("con", Some("_con")),
            ("CON.txt", Some("_CON.txt")),
            ("Com1 .txt", Some("_Com1 .txt")),
            ("nul:stream", Some("_nul:stream")),
            ("lpt².x", Some("_lpt².x")),
            ("console.txt", Some("console.txt")),
            ("com10", Some("com10")),
            ("-rf", Some("-rf")),
            (".", None),
            ("..", None),
            ("...", None),
            ("a/", None),
            ("a/..", None),
            ("/", None),
            (" \t\n", None),
            ("", None),
        ];
        for (proposal, expected) in table {
            assert_eq!(sanitized(proposal).as_deref(), expected, "{proposal:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut_at_a_character_and_keeps_its_extension() {
        let table = [
            (
                format!("{}.gz", "x".repeat(252)),
                format!("{}.gz", "x".repeat(252)),
            ),
            (
                format!("{}.gz", "x".repeat(300)),
                format!("{}.gz", "x".repeat(252)),
            ),
            (
                format!("{}.gz", "字".repeat(100)),
                format!("{}.gz", "字".repeat(84)),
            ),
            ("x".repeat(256), "x".repeat(255)),
            (format!("con{}x.gz", " ".repeat(300)), "_con.gz".to_owned()),
            (
                format!("x.{}", "y".repeat(300)),
                format!("x.{}", "y".repeat(253)),
            ),
            (
                format!("{} . {}.gz", "x".repeat(240), "y".repeat(60)),
                format!("{} . {}.gz", "x".repeat(240), "y".repeat(9)),
            ),
            (format!("{}    {}", "x".repeat(252), "y"), "x".repeat(252)),
            (
                format!("con.{}", "y".repeat(251)),
                format!("_con.{}", "y".repeat(250)),
            ),
        ];
        for (proposal, expected) in table {
            assert_eq!(sanitized(&proposal), Some(expected), "{proposal}");
        }
    }

    #[test]
    fn the_server_names_first_then_the_url_then_we_do() {
        let table = [
            (Some("a.txt"), "http://h/b.txt", "a.txt"),
            (Some("../.."), "http://h/b.txt", "b.txt"),
            (None, "http://h/dir/b%20c.txt?x=/y#z", "b c.txt"),
            (None, "http://h/%2e%2e%2fetc%2fpasswd", "passwd"),
            (None, "http://h/%E5%AD%97", "字"),
            (None, "http://h/a%ffb", "a\u{fffd}b"),
            (None, "http://h/dir/", "download"),
            (None, "http://h", "download"),
            (None, "data:text/plain,x", "download"),
        ];
        for (disposition, url, expected) in table {
            let url = Url::parse(url).expect("a url");
            assert_eq!(
                FileName::choose(disposition, &url).as_str(),
                expected,
                "{url}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_name_is_safe_and_stays_as_it_is(
            proposal in concat!(
                "\\PC{0,300}|[./\\\\ \\x00-\\x7f]{0,300}|",
                "(con|x)[. :y]{0,400}z?[.a]{0,40}|con {0,400}x[.a]{0,40}",
            ),
        ) {
            let Some(name) = FileName::sanitize(&proposal) else { return Ok(()) };
            let text = name.as_str();
            prop_assert!((1..=FILE_NAME_BYTES_MAX).contains(&text.len()));
            prop_assert!(!text.contains(['/', '\\', '\0']) && !text.chars().any(char::is_control));
            prop_assert!(!text.starts_with(['.', ' ']) && !text.ends_with(['.', ' ']));
            prop_assert!(!is_reserved(text));
            let components: Vec<_> = std::path::Path::new(text).components().collect();
            prop_assert!(matches!(components[..], [std::path::Component::Normal(_)]));
            prop_assert_eq!(FileName::sanitize(text), Some(name));
        }
    }
}
