//! Clients that vanish: what they had is free at once, and nothing of them is left.

use std::io::Write as _;

use longhaul_engine::control::{AtSession, Place as _};

use super::http::{Client, connect};
use super::stage::{Running, Stage, open};

/// Clients that come and go.
const CLIENTS: usize = 1000;

/// Of those, at once: each has two descriptors here and two there.
const AT_ONCE: usize = 100;

/// What a thousand clients may leave behind in an allocator.
const LEFT_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A crowd becomes clients, opens sessions, subscribes, asks halves of things, and is gone.
fn come_and_go(daemon: &Running, count: usize) {
    for _ in 0..count / AT_ONCE {
        let crowd: Vec<_> = (0..AT_ONCE)
            .map(|number| {
                let client = Client::new(&daemon.socket);
                let own = open(&daemon.socket, &client, &format!("s{number}"));
                let path = AtSession(own).fill("/v1/sessions/{session}/events");
                let mut half = connect(&daemon.socket);
                let request = format!(
                    "GET {path}?client={} HTTP/1.1\r\nHost: x\r\n\r\n",
                    client.id
                );
                half.write_all(request.as_bytes()).unwrap();
                (client, half)
            })
            .collect();
        drop(crowd);
        // The next ones open sessions of the same names.
        daemon.until(|daemon| daemon.metric("longhaul_clients") == 0);
    }
    // One connection is left: the one that asks.
    daemon.until(|daemon| {
        daemon.metric("longhaul_clients") == 0
            && daemon.metric("longhaul_streams") == 0
            && daemon.metric("longhaul_connections") == 1
    });
}

#[test]
fn a_thousand_clients_that_vanish_leave_nothing_behind() {
    let stage = Stage::new();
    let daemon = stage.start();
    come_and_go(&daemon, CLIENTS);
    let (descriptors, bytes) = (daemon.descriptors(), daemon.resident_bytes());
    come_and_go(&daemon, CLIENTS);
    // The last connection that asked may still be on its way out.
    daemon.until(|daemon| {
        daemon.metric("longhaul_connections") == 1 && daemon.descriptors() <= descriptors
    });
    let bytes_after = daemon.resident_bytes();
    println!(
        "{CLIENTS} clients after as many: {descriptors} descriptors, {bytes} bytes before and {bytes_after} after"
    );
    assert!(bytes_after <= bytes + LEFT_BYTES_MAX, "{bytes_after}");
}
