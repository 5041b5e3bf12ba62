//! A backtest trips at the same facts as the daemon did when it met the same stream.

use std::path::Path;
use std::sync::Arc;

use policy::decision::{Decision, DecisionKind};
use policy::engine::KUBERNETES;
use policy::fact::{Fact, SourceHealth, SourceState};
use policy::inventory::InventoryChange;
use policy::money::Money;
use policy::time::Timestamp;

use super::super::Report;
use super::super::gather::Order;
use super::{answer, ask};
use crate::clock::ManualClock;
use crate::demo::{self, stream};
use crate::journal::Reader;

/// What a trip is told apart by: its breaker and window, the charge that crossed, the sum, and the largest charges.
type Crossing = (Box<str>, Timestamp, Option<Timestamp>, Money, u64, Vec<Box<str>>);

/// Plays a month to the real daemon and leaves its journal in the folder.
async fn live(lines: &[stream::Line], home: &Path) -> Vec<Crossing> {
    let clock = Arc::new(ManualClock::at(stream::START));
    let running = demo::start(home, Arc::clone(&clock)).await.unwrap();
    let cluster = Fact::Inventory(InventoryChange::Snapshot(demo::cluster()));
    running.intake.put_durably(cluster).await.unwrap();
    for delivery in demo::deliveries(lines) {
        clock.advance_to(delivery.last().unwrap().delivered_at);
        let heard = SourceHealth { source: KUBERNETES.into(), state: SourceState::Heard };
        running.intake.put_durably(Fact::Health(heard)).await.unwrap();
        running.intake.put_durably(demo::batch(&running, delivery).unwrap()).await.unwrap();
    }
    running.drain().await.unwrap();
    let mut decisions = Reader::of(&home.join("data")).unwrap().decisions(None, 10_000).unwrap();
    decisions.reverse();
    decisions.iter().filter(|d| matches!(d.kind, DecisionKind::Tripped { .. })).map(crossing).collect()
}

fn crossing(decision: &Decision) -> Crossing {
    let why = &decision.why;
    let breaker = why.breaker.as_ref().unwrap();
    let largest = why.largest.iter().map(|charge| charge.fact.clone()).collect();
    (breaker.name.clone(), breaker.start, why.occurred_at, why.sum, why.facts, largest)
}

fn crossings(report: &Report) -> Vec<Crossing> {
    let of = |trip: &super::super::trips::Trip| {
        let largest = trip.largest.clone();
        (trip.breaker.clone(), trip.window_start, trip.crossed_at, trip.sum, trip.facts, largest)
    };
    report.findings.trips.iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_trips_at_the_same_facts_as_the_daemon_that_met_them() {
    let home = tempfile::tempdir().unwrap();
    let lines = stream::month(7);
    let told = live(&lines, home.path()).await;
    assert!(!told.is_empty(), "the month has a runaway");
    let log = home.path().join("log");
    demo::write_log(&log, &lines).unwrap();
    let mut by_log = ask(&[log], demo::RULES);
    by_log.order = Order::File;
    let report = answer(&by_log);
    assert_eq!(crossings(&report), told);
    let mut by_journal = ask(&[home.path().join("data")], demo::RULES);
    by_journal.order = Order::File;
    let journal = answer(&by_journal);
    assert_eq!(crossings(&journal), told);
    // The journal knows what stood in the cluster.
    assert_eq!(journal.findings.trips[0].targets, ["ScaledObject/atlas/agents"]);
    assert_eq!(journal.findings.counted.accepted, report.findings.counted.accepted);
    // In the order of time it is the same window, and about the same charge.
    by_log.order = Order::Time;
    let by_time = answer(&by_log);
    assert_eq!(by_time.findings.trips.len(), told.len());
    for (trip, (breaker, start, crossed, ..)) in by_time.findings.trips.iter().zip(&told) {
        assert_eq!((&trip.breaker, &trip.window_start), (breaker, start));
        let apart = trip.crossed_at.unwrap().since(crossed.unwrap()).millis().abs();
        assert!(apart < 120_000, "{apart} ms");
    }
}
