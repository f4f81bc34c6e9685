//! What is counted, as OpenMetrics text.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use longhaul::control::{Control, Counts, Problem};
use longhaul::{Engine, Timestamp};
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::clock;

/// The media type of what [`Metrics::text`] writes.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Counts for as long as the daemon runs.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    started_at: Timestamp,
    requests: Family<Request, Counter>,
    launches: Family<Launched, Counter>,
    connections: Arc<AtomicUsize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    call: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Launched {
    result: LaunchResult,
}

/// What became of a launch command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum LaunchResult {
    /// It runs.
    Started,
    /// It could not be started.
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TaskState {
    state: &'static str,
}

/// What is true at one moment.
struct Gauges {
    counts: Counts,
    sessions: usize,
    live_tasks: u64,
    ended_tasks: u64,
}

/// A connection, for as long as it lasts.
#[derive(Debug)]
pub(super) struct Connected(Arc<AtomicUsize>);

impl Metrics {
    pub(super) fn new() -> Self {
        Self {
            started_at: clock::now(),
            requests: Family::default(),
            launches: Family::default(),
            connections: Arc::default(),
        }
    }

    /// A request was answered.
    pub(super) fn answered(&self, call: &'static str, status: u16) {
        self.requests.get_or_create(&Request { call, status }).inc();
    }

    /// A launch command was run, or not.
    pub(super) fn launched(&self, result: LaunchResult) {
        self.launches.get_or_create(&Launched { result }).inc();
    }

    /// A connection was made. How many there are, with this one.
    pub(super) fn connected(&self) -> (Connected, usize) {
        let others = self.connections.fetch_add(1, Ordering::Relaxed);
        (Connected(Arc::clone(&self.connections)), others + 1)
    }

    /// All counts and gauges.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub(super) async fn text(&self, engine: &Engine, control: &Control) -> Result<String, Problem> {
        let sessions = engine.sessions().await;
        let sessions = sessions.map_err(|error| Problem::Stopped {
            reason: Some(error.to_string()),
        })?;
        let registry = self.registry(&Gauges {
            counts: control.counts(),
            sessions: sessions.len(),
            live_tasks: sessions.iter().map(|it| it.live_tasks).sum(),
            ended_tasks: sessions.iter().map(|it| it.ended_tasks).sum(),
        });
        let mut text = String::new();
        encode(&mut text, &registry).expect("a string takes everything");
        Ok(text)
    }

    fn registry(&self, gauges: &Gauges) -> Registry {
        let mut all = Registry::default();
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        let ours = all.sub_registry_with_prefix("longhaul");
        ours.register("build", "The program", Info::new(version));
        let uptime = clock::now().since(self.started_at).as_secs();
        let uptime = gauge(i64::try_from(uptime).unwrap_or(i64::MAX));
        ours.register_with_unit("uptime", "Time since the start", Unit::Seconds, uptime);
        let tasks = Family::<TaskState, Gauge>::default();
        for (state, count) in [("live", gauges.live_tasks), ("ended", gauges.ended_tasks)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            tasks.get_or_create(&TaskState { state }).set(count);
        }
        ours.register(
            "tasks",
            "Tasks that have not ended, and ended ones that were not acknowledged",
            tasks,
        );
        ours.register("sessions", "Sessions", count(gauges.sessions));
        ours.register(
            "clients",
            "Processes that are clients",
            count(gauges.counts.clients),
        );
        let streams = count(gauges.counts.event_streams);
        ours.register("streams", "Streams of events of sessions", streams);
        let connections = self.connections.load(Ordering::Relaxed);
        ours.register(
            "connections",
            "Connections to the socket",
            count(connections),
        );
        ours.register(
            "requests",
            "Requests by call and status",
            self.requests.clone(),
        );
        ours.register(
            "launches",
            "Launch commands that were run",
            self.launches.clone(),
        );
        let process = all.sub_registry_with_prefix("process");
        if let Some(open) = open_descriptors() {
            process.register("open_fds", "Descriptors that are open", count(open));
        }
        if let Some(bytes) = resident_bytes() {
            process.register_with_unit(
                "resident_memory",
                "Memory in use",
                Unit::Bytes,
                gauge(bytes),
            );
        }
        all
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn gauge(value: i64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(value);
    gauge
}

fn count(value: usize) -> Gauge {
    gauge(i64::try_from(value).unwrap_or(i64::MAX))
}

/// Descriptors of this process (proc(5)); reading them takes one more.
fn open_descriptors() -> Option<usize> {
    Some(
        fs::read_dir("/proc/self/fd")
            .ok()?
            .count()
            .saturating_sub(1),
    )
}

/// Memory of this process (proc(5), `VmRSS` in KiB).
fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_gauges_are_written_as_open_metrics() {
        let metrics = Metrics::new();
        metrics.answered("GetEngine", 200);
        metrics.answered("GetEngine", 200);
        metrics.launched(LaunchResult::Failed);
        let (_held, _) = metrics.connected();
        let (gone, now) = metrics.connected();
        assert_eq!(now, 2);
        drop(gone);
        let registry = metrics.registry(&Gauges {
            counts: Counts::default(),
            sessions: 2,
            live_tasks: 7,
            ended_tasks: 1,
        });
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "longhaul_requests_total{call=\"GetEngine\",status=\"200\"} 2",
            "longhaul_launches_total{result=\"Failed\"} 1",
            "longhaul_tasks{state=\"live\"} 7",
            "longhaul_tasks{state=\"ended\"} 1",
            "longhaul_sessions 2",
            "longhaul_connections 1",
            "# TYPE longhaul_uptime_seconds gauge",
            "# EOF",
        ] {
            assert!(text.lines().any(|its| its == line), "{line} in\n{text}");
        }
        assert!(text.contains("longhaul_build_info{version=\""));
        assert!(text.contains("process_open_fds "));
        assert!(text.contains("process_resident_memory_bytes "));
    }
}
