# What is done often, by name. `just` alone lists it.

default:
    @just --list

# Everything that must hold before a change is taken
ci:
    .ci/run

# All tests that need nothing but Rust and a C compiler
test:
    cargo test --workspace

# Format and lints, as .ci/run checks them
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# The documentation, with every warning an error
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Licences, advisories and sources of the dependencies (needs cargo-deny)
deny:
    cargo deny check

# The servers and clients of npm and PyPI that uploads are tested against, into target/peers
peers:
    tests/peers/install

# Real servers: the kit's own, then downloads from and uploads to them
interop: peers
    cargo test -p longhaul-support --features interop --test interop
    cargo test -p longhaul-cli --features interop --test interop

# Uploads alone: so many of 64 MiB to each server, each cut 20 times, and what was sent for each byte
uploads count="1": peers
    LONGHAUL_CUT_UPLOADS={{count}} cargo test -p longhaul-cli --features interop --test interop \
        -- uploads:: --nocapture

# The real command, apps and daemons, each killed this often at random moments
kills count="200":
    LONGHAUL_KILLS={{count}} cargo test --release -p longhaul-cli --test it -- kill:: relaunch::

# A download that is killed half way and goes on, with a progress bar
quickstart:
    cargo run --release --example quickstart

# Side by side with curl and wget2 (needs nginx, curl, wget2); quiet machine, please
bench:
    cargo build --release
    python3 benches/side_by_side.py
