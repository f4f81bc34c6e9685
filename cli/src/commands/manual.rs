//! `longhaul completions` and `man`: made from the definitions of the command line.

use std::fs;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory as _};

use crate::args::{Args, CompletionsArgs, ManArgs};
use crate::exit::{Exit, Fault};
use crate::report::Out;

/// The name of the program, and of the first page.
const PROGRAM: &str = "longhaul";

/// Prints what a shell needs to complete the command's words.
pub(crate) fn completions(args: &CompletionsArgs) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), PROGRAM, &mut text);
    Out::default().bytes(&text);
    Exit::OK
}

/// Prints the manual, or writes it to a directory.
///
/// # Errors
/// When a page can not be written.
pub(crate) fn man(args: &ManArgs) -> Result<Exit, Fault> {
    let pages =
        pages().map_err(|error| Fault::Other(format!("the manual is not made: {error}")))?;
    let Some(directory) = &args.directory else {
        let mut out = Out::default();
        pages.iter().for_each(|(_, text)| out.bytes(text));
        return Ok(Exit::OK);
    };
    write(directory, &pages).map_err(|error| {
        let directory = directory.display();
        Fault::File(format!(
            "the manual can not be written to {directory}: {error}; name another directory"
        ))
    })?;
    Ok(Exit::OK)
}

fn write(directory: &Path, pages: &[(String, Vec<u8>)]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for (name, text) in pages {
        fs::write(directory.join(name), text)?;
    }
    Ok(())
}

/// The pages with their names: that of the program, then one for each of its commands.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let program = Args::command().disable_help_subcommand(true);
    let mut pages = vec![page(program.clone(), PROGRAM.to_owned())?];
    for command in program.get_subcommands() {
        let name = format!("{PROGRAM}-{}", command.get_name());
        let typed = format!("{PROGRAM} {}", command.get_name());
        pages.push(page(command.clone().bin_name(typed), name)?);
    }
    Ok(pages)
}

fn page(command: Command, name: String) -> io::Result<(String, Vec<u8>)> {
    let mut text = Vec::new();
    // The manual is the long help: nothing is left out of it for being shown there only.
    let command = command.display_name(name.clone());
    let command = command.mut_args(|option| option.hide_short_help(false));
    let source = format!("{PROGRAM} {}", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(command)
        .source(source)
        .render(&mut text)?;
    Ok((format!("{name}.1"), text))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;
    use clap_complete::Shell;

    use super::*;

    fn names() -> Vec<String> {
        let program = Args::command();
        let names = program.get_subcommands().map(|it| it.get_name().to_owned());
        names.collect()
    }

    #[test]
    fn completions_of_every_shell_name_every_command() {
        for shell in Shell::value_variants() {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), PROGRAM, &mut text);
            let text = String::from_utf8(text).unwrap();
            for name in names() {
                assert!(text.contains(&name), "{shell} does not know {name}");
            }
        }
    }

    #[test]
    fn every_command_has_a_page_and_stands_in_the_first() {
        let pages = pages().unwrap();
        let first = String::from_utf8(pages[0].1.clone()).unwrap();
        assert_eq!(pages[0].0, "longhaul.1");
        for name in names() {
            // A hyphen is written as \- there.
            let shown = format!("longhaul\\-{}", name.replace('-', "\\-"));
            assert!(first.contains(&shown), "{name}");
            let page = pages
                .iter()
                .find(|(page, _)| *page == format!("longhaul-{name}.1"));
            assert!(page.is_some_and(|(_, text)| text.len() > 200), "{name}");
        }
    }

    #[test]
    fn a_page_shows_the_command_as_it_is_typed_and_each_option_with_words() {
        for (name, text) in pages().unwrap().split_off(1) {
            let text = String::from_utf8(text).unwrap();
            let typed = format!("\\fBlonghaul {}\\fR", {
                let command = name.trim_start_matches("longhaul-").trim_end_matches(".1");
                command.replace('-', "\\-")
            });
            assert!(text.contains(&typed), "{name} does not show {typed}");
            assert!(!text.contains("Print version"), "{name}: it has no -V");
            assert!(
                !text.contains("fR\n\n.TP"),
                "{name}: an option without words"
            );
        }
    }

    #[test]
    fn the_pages_are_written_to_a_directory_that_is_made() {
        let root = tempfile::tempdir().unwrap();
        let directory = Some(root.path().join("a/man1"));
        man(&ManArgs { directory }).unwrap();
        let written = fs::read_dir(root.path().join("a/man1")).unwrap().count();
        assert_eq!(written, names().len() + 1);
        fs::write(root.path().join("file"), "").unwrap();
        let directory = Some(root.path().join("file/man1"));
        assert_eq!(man(&ManArgs { directory }).unwrap_err().exit().code(), 3);
    }
}
