//! Logs on stderr, for those who ask for them; the daemon's warnings for everybody.

use tracing_subscriber::EnvFilter;

/// The variable that names what is logged, in the form of `RUST_LOG`.
const VARIABLE: &str = "LONGHAUL_LOG";

/// What is logged when nobody asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unasked {
    /// A person sees the results.
    Nothing,
    /// Nobody sees anything else.
    Warnings,
}

/// Starts logging as `-v` or the variable asks for it; the variable wins.
pub(crate) fn start(verbose: u8, unasked: Unasked) {
    let asked = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    let filter = match (asked, verbose) {
        (Some(text), _) => text,
        (None, 0) => match unasked {
            Unasked::Nothing => return,
            Unasked::Warnings => "longhaul=warn".to_owned(),
        },
        (None, 1) => "longhaul=info".to_owned(),
        (None, 2) => "longhaul=debug".to_owned(),
        (None, _) => "longhaul=trace".to_owned(),
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .init();
}
