//! Command lines that are taken, and others that are refused.

use clap::CommandFactory as _;

use super::*;

fn parses(command: &str, line: &[&str]) -> bool {
    Args::try_parse_from(["longhaul", command].iter().chain(line)).is_ok()
}

#[test]
fn the_definitions_agree_with_each_other() {
    Args::command().debug_assert();
}

#[test]
fn command_lines_of_get_are_taken_or_refused() {
    let table: [(&[&str], bool); 14] = [
        (&["http://h/"], true),
        (&["http://h/a", "http://h/b", "-d", "x", "-c"], true),
        (&["-i", "-"], true),
        (
            &[
                "-vv",
                "-q",
                "-j16",
                "-x",
                "4",
                "-H",
                "A: b",
                "-u",
                "a:b",
                "http://h/",
            ],
            true,
        ),
        (
            &["--limit-rate", "2M", "--retry-max-time", "5m", "http://h/"],
            true,
        ),
        (&[], false),
        (&["http://h/", "-o", "f", "-d", "x"], false),
        (&["-o", "f", "-i", "l"], false),
        (&["-j", "0", "http://h/"], false),
        (&["-x", "17", "http://h/"], false),
        (&["--max-redirs", "21", "http://h/"], false),
        (&["--if-exists", "ask", "http://h/"], false),
        (&["--limit-rate", "fast", "http://h/"], false),
        (&["--idle-timeout", "1w", "http://h/"], false),
    ];
    for (line, is_good) in table {
        assert_eq!(parses("get", line), is_good, "{line:?}");
    }
}

#[test]
fn command_lines_of_put_are_taken_or_refused() {
    let table: [(&[&str], bool); 14] = [
        (&["f", "http://h/"], true),
        (&["f", "http://h/", "-X", "POST", "-qH", "A: b", "-c"], true),
        (
            &["f", "http://h/", "--metadata", "a=b", "--metadata", "c="],
            true,
        ),
        (
            &["f", "http://h/", "--checksum", "SHA1", "--protocol", "tus"],
            true,
        ),
        (
            &["f", "http://h/", "--retry", "3", "--idle-timeout", "5s"],
            true,
        ),
        (&["f", "http://h/", "--retry-non-idempotent"], true),
        (&[], false),
        (&["f"], false),
        (&["f", "http://h/", "http://h/"], false),
        (&["f", "http://h/", "--metadata", "a"], false),
        (&["f", "http://h/", "--checksum", "crc"], false),
        (&["f", "http://h/", "--protocol", "ftp"], false),
        (&["f", "http://h/", "--json", "-q"], false),
        (&["f", "http://h/", "-o", "f"], false),
    ];
    for (line, is_good) in table {
        assert_eq!(parses("put", line), is_good, "{line:?}");
    }
}

#[test]
fn command_lines_of_daemon_are_taken_or_refused() {
    let table: [(&[&str], bool); 8] = [
        (&[], true),
        (&["--socket", "/s/x.sock", "--state-dir", "/d", "-vv"], true),
        (&["--worker-threads", "8", "--tasks", "100"], true),
        (&["--limit-rate", "2M", "--idle-exit", "5m"], true),
        (&["--worker-threads", "0"], false),
        (&["--tasks", "0"], false),
        (&["--idle-exit", "soon"], false),
        (&["/s/x.sock"], false),
    ];
    for (line, is_good) in table {
        assert_eq!(parses("daemon", line), is_good, "{line:?}");
    }
}

#[test]
fn command_lines_of_the_commands_for_tasks_are_taken_or_refused() {
    let table: [(&str, &[&str], bool); 34] = [
        (
            "get",
            &["http://h/", "-b", "--session", "a", "--socket", "/s"],
            true,
        ),
        ("get", &["http://h/", "--session", "a"], false),
        ("put", &["f", "http://h/", "-b"], true),
        ("list", &[], true),
        ("list", &["--session", "a", "--json"], true),
        ("list", &["12"], false),
        ("show", &["12"], true),
        (
            "show",
            &["photos/12", "--socket", "/s", "--state-dir", "/d"],
            true,
        ),
        ("show", &["photos"], false),
        ("show", &["1", "2"], false),
        ("why", &["a/b/3"], true),
        ("watch", &[], true),
        ("watch", &["1", "a/2"], true),
        ("wait", &["1", "--timeout", "5m"], true),
        ("wait", &[], false),
        ("pause", &["1", "2"], true),
        ("pause", &[], false),
        ("resume", &["1"], true),
        ("cancel", &["1", "2"], true),
        ("cancel", &["1", "--resume-data", "f"], true),
        (
            "resume-download",
            &["f", "-o", "g", "--if-exists", "rename"],
            true,
        ),
        ("resume-download", &["f"], false),
        ("resume-upload", &["f", "--session", "a"], true),
        ("limit", &["1M"], true),
        ("limit", &["12", "none"], true),
        ("limit", &["--session", "a", "500K"], true),
        ("limit", &["12", "1M", "--session", "a"], false),
        ("limit", &["fast"], false),
        ("sessions", &["--json"], true),
        ("events", &["--follow", "--after", "7"], true),
        ("forget", &["--ended", "--session", "a", "--force"], true),
        ("forget", &["1", "--ended"], false),
        ("forget", &[], false),
        ("completions", &["tcsh"], false),
    ];
    for (command, line, is_good) in table {
        assert_eq!(parses(command, line), is_good, "{command} {line:?}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(parses("completions", &[shell]), "{shell}");
    }
    assert!(parses("man", &[]) && parses("man", &["dir"]));
    assert!(parses("doctor", &["--repair", "--state-dir", "/d"]));
}

#[test]
fn a_single_word_of_limit_is_the_rate() {
    let limit = |line: &[&str]| {
        let line = ["longhaul", "limit"].iter().chain(line);
        match Args::try_parse_from(line).unwrap().command {
            Command::Limit(args) => (args.task.map(|task| task.to_string()), args.rate.0),
            _ => panic!("another command"),
        }
    };
    assert_eq!(limit(&["500"]), (None, Some(500)));
    assert_eq!(limit(&["12", "none"]), (Some("12".to_owned()), None));
}
