//! A command of the foreground as it can be run again: what it was given, without what is secret.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory as _};
use serde::{Deserialize, Serialize};

use crate::args::Args;

/// Values that are secret: they are not kept, and have to be given again. An upload's own URL lets
/// whoever knows it write there.
const SECRET: [&str; 3] = ["header", "user", "upload_url"];

/// The option that takes what may stand in a URL too.
const LOGIN: &str = "--user";

/// How a run is shown, which is the next one's own affair.
const SHOWN: [&str; 6] = [
    "json",
    "quiet",
    "no_progress",
    "verbose",
    "_continue",
    "socket",
];

/// A command that goes on where it stopped when it is run again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Again {
    /// Where it was run.
    pub(crate) directory: String,
    /// Its words.
    pub(crate) command: Vec<String>,
    /// The options whose values are not kept.
    pub(crate) given_again: Vec<String>,
}

impl Again {
    /// The command with these arguments, in the current directory; `None` when it, or a word of it, is no
    /// text.
    pub(crate) fn of(arguments: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let program = Args::command();
        let matches = program.clone().try_get_matches_from(arguments).ok()?;
        let (name, matches) = matches.subcommand()?;
        let definition = program.find_subcommand(name)?;
        let mut again = Self {
            directory: std::env::current_dir().ok()?.to_str()?.to_owned(),
            command: vec![program.get_name().to_owned(), name.to_owned()],
            given_again: Vec::new(),
        };
        let (last, options): (Vec<&Arg>, Vec<&Arg>) = definition
            .get_arguments()
            .partition(|argument| argument.is_positional());
        for argument in options.into_iter().chain(last) {
            again.add(argument, matches)?;
        }
        Some(again)
    }

    fn add(&mut self, argument: &Arg, matches: &ArgMatches) -> Option<()> {
        let id = argument.get_id().as_str();
        let is_given = matches!(
            matches.value_source(id),
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        );
        if !is_given || SHOWN.contains(&id) {
            return Some(());
        }
        let flag = argument.get_long().map(|long| format!("--{long}"));
        if matches!(argument.get_action(), ArgAction::SetTrue | ArgAction::Count) {
            self.command.extend(flag);
            return Some(());
        }
        for value in matches.get_raw(id)? {
            let value = value.to_str()?;
            match &flag {
                Some(flag) if is_secret(id, value) => self.ask_for(flag),
                // An empty variable of the environment gives nothing.
                Some(_) if value.is_empty() => {}
                Some(flag) => self.command.extend([flag.clone(), value.to_owned()]),
                None => match without_login(value) {
                    Some(url) => {
                        self.command.push(url);
                        self.ask_for(LOGIN);
                    }
                    None => self.command.push(value.to_owned()),
                },
            }
        }
        Some(())
    }

    fn ask_for(&mut self, flag: &str) {
        if !self.given_again.iter().any(|known| known == flag) {
            self.given_again.push(flag.to_owned());
        }
    }
}

/// What a file after `@` says is kept there.
fn is_secret(id: &str, value: &str) -> bool {
    match SECRET.contains(&id) {
        true => !value.starts_with('@'),
        false => id == "proxy" && value.contains('@'),
    }
}

/// A URL without the user name and the password in it, when there are any: [`LOGIN`] says the same.
fn without_login(word: &str) -> Option<String> {
    let (scheme, rest) = word.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let at = rest[..end].rfind('@')?;
    Some(format!("{scheme}://{}", &rest[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &[&str]) -> Again {
        Again::of(line.iter().map(OsString::from)).unwrap()
    }

    #[test]
    fn a_command_is_kept_without_what_is_secret_and_what_is_only_shown() {
        let again = of(&[
            "/usr/bin/longhaul",
            "get",
            "-qj3",
            "http://u:hush@h/a?x=@",
            "-H",
            "A: hush",
            "-H",
            "B: hush",
            "-u",
            "a:hush",
            "-o",
            "b c",
            "--checksum=md5=00",
            "--checksum",
            "sha-1=11",
            "-v",
            "--if-exists",
            "fail",
            "--allow-downgrade",
            "--proxy",
            "http://p:1",
            "--state-dir",
            "",
        ]);
        let words = [
            "longhaul",
            "get",
            "--output",
            "b c",
            "--jobs",
            "3",
            "--checksum",
            "md5=00",
            "--checksum",
            "sha-1=11",
            "--if-exists",
            "fail",
            "--proxy",
            "http://p:1",
            "--allow-downgrade",
            "http://h/a?x=@",
        ];
        assert_eq!(again.command, words);
        assert_eq!(again.given_again, ["--header", "--user"]);
        let here = std::env::current_dir().unwrap();
        assert_eq!(again.directory, here.to_str().unwrap());
        assert!(!format!("{again:?}").contains("hush"));
    }

    #[test]
    fn a_kept_command_is_the_same_when_it_is_read_again() {
        let first = of(&[
            "longhaul",
            "put",
            "-X",
            "POST",
            "--protocol",
            "tus",
            "f",
            "http://h/",
        ]);
        let line: Vec<&str> = first.command.iter().map(String::as_str).collect();
        assert_eq!(of(&line), first);
    }

    #[test]
    fn a_login_that_was_cut_out_of_a_url_is_asked_for() {
        let urls = ["http://u:hush@h/a", "http://u@h/b", "http://h/c@d"];
        let table: [(&[&str], &[&str]); 3] = [
            (&urls, &["--user"]),
            (&[urls[0], "-u", "a:hush"], &["--user"]),
            (&urls[2..], &[]),
        ];
        for (words, asked) in table {
            let again = of(&[&["longhaul", "get"], words].concat());
            assert_eq!(again.given_again, asked, "{words:?}");
            assert!(!again.command.iter().any(|word| word.contains("hush")));
        }
    }

    #[test]
    fn secrets_in_files_are_named_and_others_are_asked_for() {
        let again = of(&[
            "longhaul",
            "put",
            "f",
            "http://h/",
            "--protocol",
            "tus",
            "--upload-url",
            "@own",
            "-H",
            "@h",
            "--proxy",
            "http://u:hush@p:1",
        ]);
        let line = again.command.join(" ");
        assert!(
            line.contains("--upload-url @own") && line.contains("--header @h"),
            "{line}"
        );
        assert_eq!(again.given_again, ["--proxy"]);
    }
}
