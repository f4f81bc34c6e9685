//! Commands as they can be typed into a shell.

/// A command whose words are quoted where a POSIX shell would read them otherwise.
pub(crate) fn command(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

/// One word.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_the_words_as_they_were() {
        let words = [
            "plain",
            "",
            "a b",
            "it's",
            "$HOME",
            "http://h/a?b=c&d",
            "*",
            "\\",
            "~",
            "ä",
            "-x",
            "a\"b",
            "#",
        ];
        let script = format!("printf '%s\\n' {}", command(&words.map(str::to_owned)));
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let read = String::from_utf8(output.stdout).unwrap();
        assert_eq!(read.lines().collect::<Vec<_>>(), words, "{script}");
    }
}
