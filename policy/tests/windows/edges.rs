//! A charge at the very instant at which a window begins, a millisecond before it and a millisecond after it,
//! through the engine: in whatever order they come, early or late, each is counted in its own window.

use policy::decision::DecisionKind;
use policy::engine::Engine;
use policy::fact::{Clock, Fact, Settings, UsageOutcome};
use policy::money::Money;
use policy::time::{Span, Timestamp};

use crate::common::calendar::Unit;
use crate::common::{KEY, Row, Used, at, rules, usage};
use crate::table::spec;

/// Zone, unit, first month of the year, and an instant of the window that ends.
const ENDS: [(&str, &str, u8, &str); 16] = [
    ("Europe/Berlin", "hour", 1, "2027-10-31T00:30:00Z"),
    ("Europe/Berlin", "day", 1, "2027-03-28T12:00:00Z"),
    ("Europe/Berlin", "month", 1, "2028-02-29T12:00:00Z"),
    ("Europe/Berlin", "year", 1, "2027-12-30T12:00:00Z"),
    ("America/New_York", "day", 1, "2027-11-07T12:00:00Z"),
    ("America/New_York", "week", 1, "2027-03-14T12:00:00Z"),
    ("America/New_York", "quarter", 2, "2028-01-31T12:00:00Z"),
    ("Australia/Lord_Howe", "hour", 1, "2027-04-03T14:30:00Z"),
    ("Australia/Lord_Howe", "hour", 1, "2027-10-02T15:10:00Z"),
    ("Australia/Lord_Howe", "day", 1, "2027-10-03T12:00:00Z"),
    ("Australia/Lord_Howe", "year", 7, "2028-06-30T12:00:00Z"),
    ("Africa/Casablanca", "hour", 1, "2027-02-07T01:30:00Z"),
    ("Africa/Casablanca", "day", 1, "2027-02-07T12:00:00Z"),
    ("Africa/Casablanca", "month", 1, "2027-03-31T12:00:00Z"),
    ("Africa/Cairo", "day", 1, "2027-04-29T12:00:00Z"),
    ("America/Sao_Paulo", "day", 1, "2018-11-03T12:00:00Z"),
];

fn budget(zone: &str, unit: Unit) -> String {
    let fiscal = match unit.word {
        "quarter" | "year" => format!(", fiscalStart: {}", unit.fiscal),
        _ => String::new(),
    };
    format!(
        "---\napiVersion: breakerbox.dev/v1alpha1\nkind: Budget\nmetadata: {{name: b}}\nspec:\n  \
         select: {{all: true}}\n  limit: {{amount: 100 USD}}\n  \
         window: {{calendar: {}, timezone: {zone}{fiscal}}}\n",
        unit.word
    )
}

struct Line {
    engine: Engine,
    now: Timestamp,
    mono: u64,
}

impl Line {
    fn new(text: &str, now: Timestamp) -> Self {
        let mut line = Self { engine: Engine::new(Settings::new(KEY, "test")), now, mono: 0 };
        line.take(&[Fact::Rules(Box::new(rules(text)))]);
        line
    }

    fn to(&mut self, now: Timestamp) {
        self.mono += u64::try_from(now.since(self.now).millis()).unwrap();
        self.now = now;
    }

    fn take(&mut self, facts: &[Fact]) -> Vec<DecisionKind> {
        let outcome = self.engine.step(Clock { wall: self.now, mono: self.mono }, facts);
        assert!(outcome.usage.iter().flatten().all(|outcome| *outcome == UsageOutcome::Accepted));
        outcome.decisions.into_iter().map(|decision| decision.kind).collect()
    }

    fn spend(&mut self, key: &str, dollars: u64, at: Timestamp) -> Vec<DecisionKind> {
        let used = Used::Cheap(dollars * 1_000_000);
        let row = Row { key: key.to_owned(), at: at.millis(), used, claims: Vec::new() };
        self.take(&[usage("gateway", false, &[row])])
    }

    /// Start of the window, and dollars in it.
    fn seen(&self) -> (Timestamp, i128) {
        let view = self.engine.breaker("b", self.now).unwrap();
        (view.start, view.sum.picos() / Money::from_picos(1_000_000_000_000).picos())
    }
}

const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

#[test]
fn a_charge_at_the_boundary_belongs_to_the_window_that_it_opens() {
    for (zone, word, fiscal, instant) in ENDS {
        let unit = Unit { word, fiscal };
        let (first, instant) = (spec(zone, unit).at(at(instant)), at(instant));
        let edge = first.end;
        let milli = Span::from_millis(1);
        let times = [edge.minus(milli), edge, edge.plus(milli)];
        // When they come: some seconds before the edge (two are early then), just before it, at it, after it
        // (one is late then), and long after it.
        for away in [-4000, -1, 0, 1, 4000] {
            let now = Timestamp::from_millis(edge.millis() + away);
            for order in ORDERS {
                let mut line = Line::new(&budget(zone, unit), instant);
                let what = format!("{word} of {zone}, {away} ms from its end, {order:?}");
                line.spend("before", 40, instant);
                line.to(now);
                for which in order {
                    line.spend(&format!("at-{which}"), [1, 10, 20][which], times[which]);
                }
                let (open, closed) = ((first.start, 41), (edge, 30));
                assert_eq!(line.seen(), if away < 0 { open } else { closed }, "{what}");
                line.to(edge.plus(Span::from_secs(5)));
                line.take(&[Fact::Tick]);
                line.spend("after", 5, line.now);
                assert_eq!(line.seen(), (edge, 35), "{what}, then");
                // The closed window has its 41: with 58 more it is not over its limit of 100, with 59 it is.
                let late = first.start.max(edge.minus(Span::from_hours(40)));
                assert_eq!(line.spend("late", 58, late), [], "{what}, late");
                let over = line.spend("later", 1, edge.minus(milli));
                assert_eq!(over, [DecisionKind::BreachedAfterClose], "{what}, over");
                assert_eq!(line.seen(), (edge, 35), "{what}, at last");
            }
        }
    }
}
