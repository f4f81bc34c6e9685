//! One file over several connections.

use super::*;

fn spec_of_four() -> DownloadSpec {
    DownloadSpec {
        connections: 4,
        ..spec()
    }
}

/// Four connections of which each streams its quarter of 400 MiB.
fn four() -> (Driver, Vec<ConnId>) {
    let (mut driver, first, actions) = Driver::streaming(spec_of_four(), 400 * MIB);
    let asks = asks(&actions);
    let mut conns = vec![first];
    for (index, ask) in asks.iter().enumerate() {
        let (from, until) = quarter(index + 1);
        let range = format!("bytes {from}-{}/{}", until - 1, 400 * MIB);
        let actions = driver.head(ask.conn, 206, &[ETAG, ("content-range", &range)]);
        assert_eq!(stream(&actions).part, PartUse::Existing);
        conns.push(ask.conn);
    }
    (driver, conns)
}

fn quarter(index: usize) -> (u64, u64) {
    let index = u64::try_from(index).expect("it is below four");
    (index * 100 * MIB, (index + 1) * 100 * MIB)
}

#[test]
fn a_file_is_spread_in_equal_parts_once_its_part_file_is_there() {
    let (_, first, actions) = Driver::streaming(spec_of_four(), 400 * MIB);
    assert_eq!(kinds(&actions), ["limit", "ask", "ask", "ask"]);
    assert_eq!(
        actions[0],
        Action::Limit {
            conn: first,
            until: 100 * MIB
        }
    );
    let ranges: Vec<_> = asks(&actions)
        .iter()
        .map(|ask| {
            (
                field(ask, "range").map(str::to_owned),
                field(ask, "if-range").is_some(),
            )
        })
        .collect();
    let last = |bytes: u64| {
        if bytes == 400 * MIB {
            String::new()
        } else {
            (bytes - 1).to_string()
        }
    };
    for (index, range) in ranges.iter().enumerate() {
        let (from, until) = quarter(index + 1);
        assert_eq!(
            *range,
            (Some(format!("bytes={from}-{}", last(until))), true)
        );
    }
}

#[test]
fn a_file_is_not_spread_without_validator_length_or_size() {
    let table: [(&str, &[(&str, &str)]); 3] = [
        ("no validator", &[("content-length", "419430400")]),
        ("no length", &[ETAG, ("transfer-encoding", "chunked")]),
        ("too small", &[ETAG, ("content-length", "1048576")]),
    ];
    for (name, fields) in table {
        let (mut driver, ask) = Driver::fresh(spec_of_four());
        driver.head(ask.conn, 200, fields);
        assert_eq!(
            kinds(&driver.feed(Input::PartReady(part(1)))),
            [""; 0],
            "{name}"
        );
    }
}

#[test]
fn a_lost_connection_does_not_end_the_others_and_is_tried_again_with_one_fewer() {
    let (mut driver, conns) = four();
    driver.wrote(conns[1], 150 * MIB);
    assert_eq!(kinds(&driver.broke(conns[1])), [""; 0]);
    driver.now_ms = START_MS + 5000;
    assert!(
        !kinds(&driver.feed(Input::Tick)).contains(&"ask"),
        "three run, and three are wanted"
    );
    driver.wrote(conns[2], 300 * MIB);
    let actions = driver.ended(conns[2]);
    let ask = sole_ask(&actions);
    assert_eq!(
        field(&ask, "range"),
        Some(format!("bytes={}-{}", 150 * MIB, 200 * MIB - 1).as_str())
    );
}

#[test]
fn a_lost_span_is_asked_for_again_after_a_delay_while_another_streams() {
    let span = |start, written| SpanRecord {
        start,
        end: Some(start + MIB),
        written,
        synced: start,
        tail: [0; 32],
    };
    let spans = vec![span(0, 1), span(MIB, MIB + 1)];
    let saved = Checkpoint {
        total: Some(2 * MIB),
        spans,
        ..checkpoint()
    };
    let (mut driver, actions) = Driver::recovered(spec_of_four(), saved, found(1));
    let asks = asks(&actions);
    assert_eq!(asks.len(), 2, "the rest is too small to be split");
    let range = format!("bytes 1-{}/{}", MIB - 1, 2 * MIB);
    driver.head(asks[0].conn, 206, &[ETAG, ("content-range", &range)]);
    driver.head(asks[1].conn, 503, &[]);
    let at = driver.machine.poll_timeout().expect("it is tried again");
    assert!(at.as_unix_ms() <= START_MS + 1000);
    driver.now_ms = START_MS + 1000;
    let again = sole_ask(&driver.feed(Input::Tick));
    assert_eq!(
        field(&again, "range"),
        Some(format!("bytes={}-", MIB + 1).as_str())
    );
}

#[test]
fn what_is_done_first_takes_half_of_the_longest_rest() {
    let (mut driver, conns) = four();
    driver.wrote(conns[1], 180 * MIB);
    driver.wrote(conns[2], 220 * MIB);
    driver.wrote(conns[3], 390 * MIB);
    driver.wrote(conns[0], 100 * MIB);
    let actions = driver.ended(conns[0]);
    assert_eq!(kinds(&actions), ["limit", "ask"]);
    assert!(actions.contains(&Action::Limit {
        conn: conns[2],
        until: 260 * MIB
    }));
    let range = format!("bytes={}-{}", 260 * MIB, 300 * MIB - 1);
    assert_eq!(field(&sole_ask(&actions), "range"), Some(range.as_str()));
}

#[test]
fn a_stream_that_ran_over_its_new_limit_tells_only_of_its_own_span() {
    let (mut driver, conns) = four();
    driver.wrote(conns[0], 100 * MIB + 2 * MIB);
    driver.now_ms = START_MS + 100;
    let saved = record(&driver.feed(Input::Tick));
    assert_eq!(
        (saved.spans[0].written, saved.spans[1].written),
        (100 * MIB, 100 * MIB)
    );
}

#[test]
fn a_connection_whose_span_was_joined_by_a_sync_ends_like_any_other() {
    let (mut driver, conns) = four();
    assert!(kinds(&driver.wrote(conns[0], 100 * MIB)).contains(&"sync"));
    driver.feed(Input::Synced(Ok(())));
    let actions = driver.ended(conns[0]);
    assert_eq!(
        kinds(&actions),
        ["limit", "ask"],
        "its place is taken by another"
    );
}

#[test]
fn a_server_that_ignores_ranges_is_read_by_the_one_stream_that_brings_it_all() {
    let (mut driver, first, actions) = Driver::streaming(spec_of_four(), 400 * MIB);
    let conn = asks(&actions)[0].conn;
    let length = (400 * MIB).to_string();
    let actions = driver.head(conn, 200, &[ETAG, ("content-length", &length)]);
    assert_eq!(kinds(&actions), ["stop", "limit", "stop", "stop"]);
    assert!(actions.contains(&Action::Limit {
        conn: first,
        until: 400 * MIB
    }));
    driver.wrote(first, 400 * MIB);
    let actions = driver.ended(first);
    assert_eq!(record(&actions).total, Some(400 * MIB));
}

#[test]
fn a_server_that_ignores_ranges_after_the_first_stream_was_done_is_not_spread_again() {
    let (mut driver, first, actions) = Driver::streaming(spec_of_four(), 400 * MIB);
    let conn = asks(&actions)[0].conn;
    driver.wrote(first, 100 * MIB);
    driver.ended(first);
    let length = (400 * MIB).to_string();
    let actions = driver.head(conn, 200, &[ETAG, ("content-length", &length)]);
    assert!(kinds(&actions).contains(&"stream"), "{actions:?}");
    assert_eq!(asks(&driver.feed(Input::PartReady(part(2)))), []);
}

#[test]
fn another_validator_drops_everything_that_was_held() {
    let (mut driver, conns) = four();
    driver.now_ms = START_MS + 100;
    driver.wrote(conns[1], 150 * MIB);
    driver.recorded();
    driver.broke(conns[1]);
    driver.wrote(conns[2], 300 * MIB);
    let conn = sole_ask(&driver.ended(conns[2])).conn;
    let actions = driver.head(conn, 200, &[("etag", "\"b\""), ("content-length", "5000")]);
    assert_eq!(kinds(&actions), ["stop", "stop", "record"]);
    assert_eq!(record(&actions).spans, []);
    let stream = stream(&driver.recorded());
    assert_eq!(
        (stream.conn, stream.from, stream.until),
        (conn, 0, Some(5000))
    );
    for late in [conns[0], conns[3]] {
        driver.wrote(late, 100 * MIB);
        driver.broke(late);
    }
    driver.feed(Input::PartReady(part(2)));
    driver.wrote(conn, 5000);
    let saved = record(&driver.ended(conn));
    assert_eq!(
        (saved.total, saved.part, saved.restarts),
        (Some(5000), Some(part(2)), 1)
    );
}

#[test]
fn a_span_that_was_cut_while_its_request_was_under_way_is_asked_for_as_it_is() {
    let (mut driver, conns) = four();
    driver.broke(conns[3]);
    driver.wrote(conns[0], 100 * MIB);
    let waiting = sole_ask(&driver.ended(conns[0]));
    assert_eq!(
        field(&waiting, "range"),
        Some(format!("bytes={}-", 300 * MIB).as_str())
    );
    driver.wrote(conns[1], 200 * MIB);
    driver.ended(conns[1]);
    driver.wrote(conns[2], 290 * MIB);
    let actions = driver.head(waiting.conn, 302, &[("location", "/on")]);
    let again = sole_ask(&actions);
    assert_eq!(
        field(&again, "range"),
        Some(format!("bytes={}-{}", 300 * MIB, 350 * MIB - 1).as_str())
    );
}

#[test]
fn the_last_of_many_lost_requests_decides() {
    let spans = [(0, 5 * MIB), (10 * MIB, 15 * MIB)].map(|(start, written)| SpanRecord {
        start,
        end: Some(start + 10 * MIB),
        written,
        synced: start,
        tail: [0; 32],
    });
    let saved = Checkpoint {
        total: Some(20 * MIB),
        spans: spans.to_vec(),
        ..checkpoint()
    };
    let spec = DownloadSpec {
        connections: 2,
        ..spec()
    };
    let (mut driver, actions) = Driver::recovered(spec, saved, found(1));
    let asks = asks(&actions);
    assert_eq!(asks.len(), 2);
    assert_eq!(kinds(&driver.head(asks[0].conn, 503, &[])), ["drain"]);
    let saved = record(&driver.head(asks[1].conn, 503, &[]));
    assert_eq!(saved.attempts_failed, 1);
    assert_eq!(saved.spans.len(), 2);
}

#[test]
fn the_last_stream_is_the_one_after_which_nothing_is_missing() {
    let length: &[(&str, &str)] = &[ETAG, ("content-length", "419430400")];
    let chunked: &[(&str, &str)] = &[ETAG, ("transfer-encoding", "chunked")];
    for (spec, fields, is_last) in [
        (spec(), length, true),
        (spec(), chunked, false),
        (spec_of_four(), length, false),
    ] {
        let (mut driver, ask) = Driver::fresh(spec);
        let actions = driver.head(ask.conn, 200, fields);
        assert_eq!(stream(&actions).is_last, is_last, "{fields:?}");
    }
    let span = |start, end, written| SpanRecord {
        start,
        end: Some(end),
        written,
        synced: written,
        tail: [0; 32],
    };
    let rest = (vec![span(0, 1000, 400)], "bytes 400-999/1000", true);
    let less = (vec![span(0, 1000, 400)], "bytes 400-899/1000", false);
    let gap = vec![span(0, 600, 400), span(600, 1000, 1000)];
    let gap = (gap, "bytes 400-599/1000", true);
    let gaps = vec![span(0, 600, 400), span(600, 1000, 700)];
    let gaps = (gaps, "bytes 400-599/1000", false);
    for (spans, range, is_last) in [rest, less, gap, gaps] {
        let checkpoint = Checkpoint {
            spans,
            ..checkpoint()
        };
        let (mut driver, actions) = Driver::recovered(spec(), checkpoint, found(1));
        let ask = sole_ask(&actions);
        let actions = driver.head(ask.conn, 206, &[ETAG, ("content-range", range)]);
        assert_eq!(stream(&actions).is_last, is_last, "{range}");
    }
}
