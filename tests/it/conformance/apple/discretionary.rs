//! Transfers that may wait for a network that costs nothing, and for power.

use longhaul::{Conditions, Constraint, DownloadTask, Engine, Phase, QueueReason, Session};
use longhaul_support::gate::Gate;
use longhaul_support::script::Reply;

use super::super::stage::{FREE, PATH, Stage, configuration, finished, until};
use crate::bench::run;

const METERED: Conditions = Conditions {
    is_metered: Some(true),
    ..FREE
};

const ON_BATTERY: Conditions = Conditions {
    is_on_battery: Some(true),
    ..FREE
};

async fn waits_for(task: &DownloadTask, constraint: Constraint) {
    let expected = Phase::Queued(QueueReason::Unmet(constraint));
    until(task, |phase| *phase == expected).await;
}

/// A task under way whose answer is held until the gate opens, and that may be stopped.
async fn under_way(
    stage: &Stage,
    gate: &Gate,
    is_discretionary: bool,
) -> (Engine, Session, DownloadTask) {
    stage
        .server
        .script(PATH, [Reply::normal().hold_head(gate), Reply::normal()]);
    let (engine, session) = stage.open().await;
    let request = stage.request("a").is_discretionary(is_discretionary);
    let task = session.start_download(request).await.unwrap();
    stage.server.wait_for(|requests| requests.len() == 1);
    (engine, session, task)
}

/// Apple, URLSessionConfiguration.isDiscretionary: false by default.
#[test]
fn a_task_is_not_discretionary_unless_somebody_says_so() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open().await;
        engine.set_conditions(Conditions {
            is_on_battery: Some(true),
            ..METERED
        });
        let task = stage.start(&session, "a").await;
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    stage.assert_file("a");
}

/// Apple, URLSessionConfiguration.isDiscretionary: it may wait for power and for Wi-Fi.
#[test]
fn a_discretionary_task_waits_for_power_and_for_a_network_that_costs_nothing() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open_as(configuration().is_discretionary(true)).await;
        engine.set_conditions(METERED);
        let task = stage.start(&session, "a").await;
        waits_for(&task, Constraint::Unmetered).await;
        engine.set_conditions(ON_BATTERY);
        waits_for(&task, Constraint::Power).await;
        assert_eq!(stage.asked(PATH), 0);
        engine.set_conditions(FREE);
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    stage.assert_file("a");
}

/// Apple, URLSessionConfiguration.isDiscretionary, on transfers that are started in the background.
#[test]
fn what_is_started_in_the_background_is_discretionary_whatever_it_says() {
    let stage = Stage::new();
    run(async {
        let (engine, session) = stage.open_as(configuration().is_discretionary(false)).await;
        engine.set_conditions(METERED);
        engine.set_background(true);
        let request = stage.request("back").is_discretionary(false);
        let back = session.start_download(request).await.unwrap();
        engine.set_background(false);
        let front = stage.start(&session, "front").await;
        finished(&front.finished().await.unwrap());
        waits_for(&back, Constraint::Unmetered).await;
        engine.shutdown().await;
    });
}

/// Apple, URLSessionConfiguration.isDiscretionary: it is about transfers that are started in the
/// foreground.
#[test]
fn a_task_that_was_started_in_the_foreground_stays_what_it_is() {
    let (stage, gate) = (Stage::new(), Gate::new());
    run(async {
        let (engine, _session, task) = under_way(&stage, &gate, false).await;
        engine.set_background(true);
        engine.set_conditions(METERED);
        gate.open();
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    assert_eq!(stage.asked(PATH), 1);
}

/// Apple, URLSessionConfiguration.isDiscretionary, on a transfer that has begun.
#[test]
fn a_discretionary_task_under_way_stops_when_the_network_costs_money_and_goes_on_after_it() {
    let (stage, gate) = (Stage::new(), Gate::new());
    run(async {
        let (engine, _session, task) = under_way(&stage, &gate, true).await;
        engine.set_conditions(METERED);
        waits_for(&task, Constraint::Unmetered).await;
        engine.set_conditions(FREE);
        finished(&task.finished().await.unwrap());
        engine.shutdown().await;
    });
    assert_eq!(stage.asked(PATH), 2);
    stage.assert_file("a");
}

/// Foundation, NSURLSession.h: allowsExpensiveNetworkAccess and allowsConstrainedNetworkAccess.
#[test]
fn a_task_that_may_not_use_such_a_network_waits_for_another() {
    let stage = Stage::new();
    let constrained = Conditions {
        is_constrained: Some(true),
        ..FREE
    };
    run(async {
        let (engine, session) = stage.open().await;
        let cheap = stage
            .request("cheap")
            .allows_expensive_network_access(false);
        let spares = stage
            .request("spares")
            .allows_constrained_network_access(false);
        engine.set_conditions(METERED);
        let cheap = session.start_download(cheap).await.unwrap();
        waits_for(&cheap, Constraint::Unmetered).await;
        engine.set_conditions(constrained);
        let spares = session.start_download(spares).await.unwrap();
        waits_for(&spares, Constraint::Unconstrained).await;
        finished(&cheap.finished().await.unwrap());
        engine.set_conditions(FREE);
        finished(&spares.finished().await.unwrap());
        engine.shutdown().await;
    });
}
