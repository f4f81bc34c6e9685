//! Words that may stand in some places only, and the places.

use super::source::{Kind, Source};

/// A word, or several, that may stand in these places only.
pub(super) struct Rule {
    /// What is kept in one place.
    why: &'static str,
    /// Any of these: whole words, joined by `::`, `!` or `.` as they stand in code.
    words: &'static [&'static str],
    /// Beginnings of paths where they may stand.
    allowed: &'static [&'static str],
    /// Files that are looked at.
    scope: Scope,
}

/// What a rule looks at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The code of what users run.
    Product,
    /// The code of everything.
    Code,
    /// Everything, comments and texts too.
    Text,
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        why: "one file names the serializer",
        words: &["bincode"],
        allowed: &["persistence/src/codec.rs"],
        scope: Scope::Product,
    },
    Rule {
        why: "the store is known to persistence alone",
        words: &["redb"],
        allowed: &["persistence/"],
        scope: Scope::Product,
    },
    Rule {
        why: "runtimes of actors and TLS are known to the actors alone",
        words: &[
            "actix",
            "actix_rt",
            "actix_tls",
            "awc",
            "rustls",
            "tokio_rustls",
        ],
        allowed: &["actors/"],
        scope: Scope::Product,
    },
    Rule {
        why: "the server of the control API is known to the daemon alone",
        words: &["actix_web", "prometheus_client", "sd_notify", "listenfd"],
        allowed: &["cli/src/daemon/"],
        scope: Scope::Product,
    },
    Rule {
        why: "the rules and the store have no runtime, and the face only futures",
        words: &["tokio"],
        allowed: &["actors/", "cli/"],
        scope: Scope::Product,
    },
    Rule {
        // `tokio::time::Instant` is the runtime's clock, which tests can hold still.
        why: "one file of the library reads the clock; the command has one to show times",
        words: &[
            "SystemTime::now",
            "time::Instant::now",
            "std::time::Instant",
        ],
        allowed: &["actors/src/time.rs", "cli/src/clock.rs"],
        scope: Scope::Product,
    },
    Rule {
        why: "the runtime's clock is for pools, limits and commits; the rules are given their time",
        words: &["Instant::now", "tokio::time::Instant"],
        allowed: &[
            "actors/src/time.rs",
            "actors/src/timers.rs",
            "actors/src/net/",
            "actors/src/limiter.rs",
            "actors/src/registry/flush.rs",
            "actors/src/transfer/upload/sent.rs",
        ],
        scope: Scope::Product,
    },
    Rule {
        why: "one file reads entropy",
        words: &["getrandom", "thread_rng", "RandomState"],
        allowed: &["actors/src/time.rs"],
        scope: Scope::Product,
    },
    Rule {
        why: "one file seals what may not be read",
        words: &["ring::aead", "UnboundKey"],
        allowed: &["actors/src/file/ticket.rs"],
        scope: Scope::Product,
    },
    Rule {
        why: "sockets are at the network's edge, and at the daemon's door",
        words: &[
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "UnixStream",
            "UnixListener",
        ],
        allowed: &["actors/src/net/", "cli/src/daemon/"],
        scope: Scope::Product,
    },
    Rule {
        why: "files are at the file's edge, beside the store's own and those the command is given",
        words: &[
            "std::fs",
            "rustix::fs",
            "tokio::fs",
            "File::open",
            "File::create",
            "OpenOptions",
        ],
        allowed: &[
            "actors/src/file/",
            "actors/src/conditions/sys.rs",
            "persistence/src/open.rs",
            "persistence/src/view.rs",
            "cli/src/daemon/metrics.rs",
            "cli/src/daemon/socket.rs",
            "cli/src/commands/doctor.rs",
            "cli/src/commands/manual.rs",
            "cli/src/commands/resume_data.rs",
            "cli/src/places.rs",
            "cli/src/plan.rs",
            "cli/src/state.rs",
        ],
        scope: Scope::Product,
    },
    Rule {
        why: "processes are known to the lock of the state directory and to planned kills",
        words: &["process::exit", "std::process::id", "rustix::process"],
        allowed: &["actors/src/", "cli/src/"],
        scope: Scope::Product,
    },
    Rule {
        why: "an error is handled, or expected not to be",
        words: &[".unwrap()", ".unwrap_err()"],
        allowed: &[],
        scope: Scope::Product,
    },
    Rule {
        why: "there is no unsafe code",
        words: &["unsafe"],
        allowed: &[],
        scope: Scope::Code,
    },
    Rule {
        why: "what is not done is not merged, and a test is run or removed",
        words: &["todo!", "unimplemented!", "dbg!", "should_panic"],
        allowed: &["tests/it/tidy/"],
        scope: Scope::Code,
    },
    Rule {
        why: "a test is run or removed",
        words: &["#[ignore"],
        allowed: &["tests/it/tidy/"],
        scope: Scope::Code,
    },
    Rule {
        why: "nothing sleeps in a test",
        words: &["thread::sleep"],
        allowed: &["tests/it/tidy/"],
        scope: Scope::Code,
    },
    Rule {
        why: "the code stands for itself, not for how it came to be",
        words: &["issue #", "FIXME", "XXX", "HACK"],
        allowed: &["tests/it/tidy/"],
        scope: Scope::Text,
    },
    Rule {
        why: "libraries never print",
        words: &["println!", "eprintln!", "print!", "eprint!"],
        allowed: &["cli/"],
        scope: Scope::Product,
    },
];

impl Rule {
    /// The lines of `source` that break the rule.
    pub(super) fn broken_by(&self, source: &Source) -> Vec<String> {
        let is_looked_at = match self.scope {
            Scope::Product => source.kind == Kind::Product,
            Scope::Code | Scope::Text => true,
        };
        if !is_looked_at
            || self
                .allowed
                .iter()
                .any(|place| source.path.starts_with(place))
        {
            return Vec::new();
        }
        let text = if self.scope == Scope::Text {
            &source.text
        } else {
            &source.code
        };
        let lines = text.lines().enumerate();
        let broken = lines.filter(|(_, line)| self.words.iter().any(|word| stands_in(word, line)));
        broken
            .map(|(at, line)| {
                format!(
                    "{}:{}: {} (`{}`)",
                    source.path,
                    at + 1,
                    self.why,
                    line.trim()
                )
            })
            .collect()
    }
}

/// Whether `word` stands in `line` as a whole word.
fn stands_in(word: &str, line: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let is_part = |edge: Option<char>, neighbour: Option<char>| {
            edge.is_some_and(is_of_a_word) && neighbour.is_some_and(is_of_a_word)
        };
        !is_part(word.chars().next(), before) && !is_part(word.chars().next_back(), after)
    })
}

fn is_of_a_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The words of a piece of code.
pub(super) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|character| !is_of_a_word(character))
        .filter(|word| !word.is_empty())
}

/// The names that `use` takes from these crates: in a signature they would give them away.
pub(super) fn imported_from(code: &str, crates: &[&str]) -> Vec<String> {
    let statements = code
        .split(';')
        .filter_map(|part| part.rfind("use ").map(|at| &part[at..]));
    let foreign = statements.filter(|statement| {
        words(statement)
            .nth(1)
            .is_some_and(|first| crates.contains(&first))
    });
    foreign
        .flat_map(|statement| words(statement).skip(2).map(str::to_owned))
        // It names the module, which stands there by its own name.
        .filter(|name| name != "self")
        .collect()
}

/// What a user can see: items that are `pub` and nothing less, up to their body or end.
pub(super) fn public_signatures(code: &str) -> Vec<String> {
    let mut signatures = Vec::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        let is_seen = line.starts_with("pub ") && !line.starts_with("pub use longhaul_engine");
        if !is_seen {
            continue;
        }
        let mut signature = line.to_owned();
        let is_field = !line.contains("fn ");
        let is_over = |signature: &str| {
            signature.contains(['{', ';']) || (is_field && signature.ends_with(','))
        };
        while !is_over(&signature) {
            let Some(next) = lines.next() else { break };
            signature.push(' ');
            signature.push_str(next.trim());
        }
        signatures.push(
            signature
                .split('{')
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned(),
        );
    }
    signatures
}

#[test]
fn a_rule_finds_whole_words_where_they_may_not_stand() {
    for (word, line, is_found) in [
        ("redb", "use redb::Database;", true),
        ("redb", "let predb = 1;", false),
        (".unwrap()", "x.unwrap();", true),
        (".unwrap()", "x.unwrap_or(1);", false),
        ("todo!", "todo!();", true),
        ("Instant::now", "let a = Instant::now();", true),
    ] {
        assert_eq!(stands_in(word, line), is_found, "{line}");
    }
}

#[test]
fn a_signature_is_read_over_several_lines() {
    let code = "pub fn a(\n    b: tokio::C,\n) -> D {\n    e()\n}\npub(crate) fn f(g: url::H) {}\n\
                pub struct I {\n    pub j: K,\n    l: url::M,\n}\n";
    assert_eq!(
        public_signatures(code),
        ["pub fn a( b: tokio::C, ) -> D", "pub struct I", "pub j: K,"]
    );
    let code = "use a::b::{self, C, D};\nuse e::F;\n";
    assert_eq!(imported_from(code, &["a"]), ["b", "C", "D"]);
}
