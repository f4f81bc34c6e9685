//! Reads a list of downloads: one URL a line, with indented options beneath it, as aria2's input
//! files have them.

use crate::exit::Fault;

/// A list is held in memory once. A million short lines fit; a file that is larger is most likely
/// not a list.
pub(crate) const LIST_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Downloads of one run: each costs about 1 KiB of memory and a row in the store.
pub(crate) const LIST_ENTRIES_MAX: usize = 1_000_000;

/// One line, which holds one URL or one option; a URL has at most 32 KiB itself.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Options beneath one URL.
const OPTIONS_MAX: usize = 64;

/// One download of a list. It holds secrets, so it can not be printed.
#[derive(Default)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(crate) struct Entry {
    /// The line its URL stands in, from 1.
    pub(crate) line: usize,
    /// The URL as it was written.
    pub(crate) url: String,
    /// `out=`: the file's name, within the directory.
    pub(crate) out: Option<String>,
    /// `dir=`: the directory.
    pub(crate) dir: Option<String>,
    /// `checksum=`, each with its line.
    pub(crate) checksums: Vec<String>,
    /// `header=`, name and value in one.
    pub(crate) headers: Vec<String>,
}

/// Reads a list. No error repeats a URL or a header: they may hold secrets.
pub(crate) fn parse(text: &str, name: &str) -> Result<Vec<Entry>, Fault> {
    let mut entries: Vec<Entry> = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let fault = |what: &str| Fault::Usage(format!("{name}, line {number}: {what}"));
        if line.len() > LINE_BYTES_MAX {
            return Err(fault(
                "the line is longer than 64 KiB; a line holds one url or one option",
            ));
        }
        let content = line.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            let entry = entries.last_mut().ok_or_else(|| {
                fault("an indented option without a url above it; begin the url at the margin")
            })?;
            option(entry, content).map_err(|what| fault(&what))?;
            continue;
        }
        if entries.len() >= LIST_ENTRIES_MAX {
            return Err(fault("there are more than 1000000 urls; split the list"));
        }
        if content.contains('\t') {
            return Err(fault(
                "more than one url in a line; write each in a line of its own",
            ));
        }
        entries.push(Entry {
            line: number,
            url: content.to_owned(),
            ..Entry::default()
        });
    }
    Ok(entries)
}

fn option(entry: &mut Entry, content: &str) -> Result<(), String> {
    const KNOWN: &str = "known are out=, dir=, checksum= and header=";
    let Some((key, value)) = content.split_once('=') else {
        return Err(format!("an indented line that is no option; {KNOWN}"));
    };
    let (key, value) = (key.trim(), value.trim());
    if value.is_empty() {
        return Err("an option without a value; write it as out=FILE".to_owned());
    }
    if entry.checksums.len() + entry.headers.len() >= OPTIONS_MAX {
        return Err("more than 64 options for one url; give fewer".to_owned());
    }
    match key {
        "out" => once(&mut entry.out, "out", value),
        "dir" => once(&mut entry.dir, "dir", value),
        "checksum" => {
            entry.checksums.push(value.to_owned());
            Ok(())
        }
        "header" => {
            entry.headers.push(value.to_owned());
            Ok(())
        }
        _ => Err(format!("an option that is not known; {KNOWN}")),
    }
}

fn once(place: &mut Option<String>, key: &str, value: &str) -> Result<(), String> {
    match place.replace(value.to_owned()) {
        None => Ok(()),
        Some(_) => Err(format!(
            "{key}= is given twice for one url; leave one of them out"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_options_comments_and_empty_lines_are_read() {
        let text = "\u{feff}# a list\r\nhttp://h/a\r\n  out=b c.bin\n\tdir = /d\n\n\
                    # between\n  checksum=md5=00\n  header=A: b=c\nhttp://h/b  \n";
        let entries = parse(text, "list").unwrap_or_default();
        assert_eq!(entries.len(), 2);
        let first = Entry {
            line: 2,
            url: "http://h/a".to_owned(),
            out: Some("b c.bin".to_owned()),
            dir: Some("/d".to_owned()),
            checksums: vec!["md5=00".to_owned()],
            headers: vec!["A: b=c".to_owned()],
        };
        assert!(entries[0] == first);
        assert_eq!(
            (entries[1].url.as_str(), entries[1].line),
            ("http://h/b", 9)
        );
    }

    #[test]
    fn an_error_names_the_line_and_the_next_step_and_no_secret() {
        let long = format!("http://h/\n{}", "x".repeat(LINE_BYTES_MAX + 1));
        let table = [
            ("  out=x", 1),
            ("http://h/\n  hush", 2),
            ("http://h/\n\n  token=hush", 3),
            ("http://h/\n  out=", 2),
            ("http://h/\n  out=a\n  out=b", 3),
            ("http://h/hush\thttp://h/hush", 1),
            (&long, 2),
        ];
        for (text, line) in table {
            let error = parse(text, "list").map(|_| ()).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("list, line {line}: ")),
                "{error}"
            );
            assert!(error.contains(';') && !error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn an_empty_list_has_no_entries() {
        assert!(parse("# nothing\n\n", "list").is_ok_and(|entries| entries.is_empty()));
    }
}
