//! Network and power as the desktop's services tell them, over a private D-Bus with mocks.

use std::time::{Duration, Instant};

use longhaul::{
    Constraint, DownloadRequest, DownloadTask, Engine, Phase, QueueReason, SessionConfiguration,
    SystemConditions,
};
use longhaul_support::bus::PrivateBus;
use longhaul_support::content::Content;
use longhaul_support::resource::Resource;
use longhaul_support::script::Reply;
use longhaul_support::server::Server;

use crate::bench::{Bench, MIB};

const NETWORK: &str = "org.freedesktop.NetworkManager";
const NETWORK_PATH: &str = "/org/freedesktop/NetworkManager";
const POWER: &str = "org.freedesktop.UPower";
const POWER_PATH: &str = "/org/freedesktop/UPower";

const CONTENT: Content = Content::new(171, 16 * MIB);
const BYTES_PER_SECOND: u64 = MIB;

/// What a change of the network or the power may take to be felt.
const FELT_WITHIN: Duration = Duration::from_secs(1);
/// What anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A bus with both services, an unmetered network and power.
fn bus() -> PrivateBus {
    let mut bus = PrivateBus::start().unwrap();
    bus.mock("networkmanager", NETWORK).unwrap();
    let metered = [
        "string:org.freedesktop.NetworkManager",
        "string:Metered",
        "variant:uint32:2",
    ];
    bus.call(
        NETWORK,
        NETWORK_PATH,
        "org.freedesktop.DBus.Mock.AddProperty",
        &metered,
    )
    .unwrap();
    bus.mock("upower", POWER).unwrap();
    bus
}

/// Waits for the phase by the events of the task, which come when it changes.
async fn until(task: &DownloadTask, mut is_it: impl FnMut(&Phase) -> bool) -> Duration {
    let start = Instant::now();
    let mut events = task.events().await.unwrap();
    let wait = async {
        while !is_it(&task.phase().await.unwrap()) {
            events.next().await.expect("the task lives");
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("it comes");
    start.elapsed()
}

/// It has a place: its phase is told later, when it has run for a while.
const fn runs(phase: &Phase) -> bool {
    matches!(phase, Phase::Connecting | Phase::Transferring)
}

async fn discretionary_task(bench: &Bench, engine: &Engine, server: &Server) -> DownloadTask {
    let slow = || Reply::normal().bytes_per_second(BYTES_PER_SECOND);
    server.serve("/f", Resource::new(CONTENT));
    server.script("/f", (0..64).map(|_| slow()));
    let configuration = SessionConfiguration::new("com.example.conditions").unwrap();
    let session = engine.session(configuration).await.unwrap();
    let request = DownloadRequest::new(&server.url("/f"), bench.file("f")).unwrap();
    session
        .start_download(request.is_discretionary(true))
        .await
        .unwrap()
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
}

#[test]
fn metered_and_battery_suspend_a_discretionary_task_and_resume_it_within_a_second() {
    run(async {
        let (bench, bus, server) = (Bench::new(), bus(), Server::start());
        let source = SystemConditions::on_bus(bus.address());
        let engine = Engine::builder(bench.state())
            .conditions(Box::new(source))
            .start()
            .unwrap();
        let task = discretionary_task(&bench, &engine, &server).await;
        until(&task, runs).await;
        let flips = [
            (
                NETWORK,
                NETWORK_PATH,
                "Metered",
                "uint32:1",
                "uint32:4",
                Constraint::Unmetered,
            ),
            (
                POWER,
                POWER_PATH,
                "OnBattery",
                "boolean:true",
                "boolean:false",
                Constraint::Power,
            ),
            (
                NETWORK,
                NETWORK_PATH,
                "Metered",
                "uint32:3",
                "uint32:2",
                Constraint::Unmetered,
            ),
        ];
        let mut slowest = Duration::ZERO;
        for (service, path, name, bad, good, constraint) in flips {
            let start = Instant::now();
            bus.set_property(service, path, name, bad).unwrap();
            let held = Phase::Queued(QueueReason::Unmet(constraint));
            until(&task, |phase| *phase == held).await;
            slowest = slowest.max(start.elapsed());
            assert!(
                start.elapsed() < FELT_WITHIN,
                "{name} {bad}: {:?}",
                start.elapsed()
            );
            let why = task.why().await.unwrap().to_string();
            assert!(why.starts_with("it waits for"), "{why}");

            let start = Instant::now();
            bus.set_property(service, path, name, good).unwrap();
            until(&task, runs).await;
            slowest = slowest.max(start.elapsed());
            assert!(
                start.elapsed() < FELT_WITHIN,
                "{name} {good}: {:?}",
                start.elapsed()
            );
        }
        println!("the slowest of the flips took {slowest:?}");
        engine.shutdown().await;
    });
}

#[test]
fn services_that_come_and_go_and_a_bus_that_is_missing_hinder_nobody() {
    run(async {
        let (bench, server) = (Bench::new(), Server::start());
        let mut bus = bus();
        bus.set_property(NETWORK, NETWORK_PATH, "Metered", "uint32:1")
            .unwrap();
        let source = SystemConditions::on_bus(bus.address());
        let engine = Engine::builder(bench.state())
            .conditions(Box::new(source))
            .start()
            .unwrap();
        let task = discretionary_task(&bench, &engine, &server).await;
        let held = Phase::Queued(QueueReason::Unmet(Constraint::Unmetered));
        until(&task, |phase| *phase == held).await;
        // Nobody knows any more, which is good enough.
        bus.unmock(NETWORK).unwrap();
        until(&task, runs).await;
        engine.shutdown().await;

        let gone = bus.address().to_owned();
        drop(bus);
        let source = SystemConditions::on_bus(&gone);
        let engine = Engine::builder(bench.state())
            .conditions(Box::new(source))
            .start()
            .unwrap();
        let session = SessionConfiguration::new("com.example.conditions").unwrap();
        let session = engine.session(session).await.unwrap();
        let task = session.get_download_tasks().await.unwrap().remove(0);
        until(&task, runs).await;
        engine.shutdown().await;
    });
}
