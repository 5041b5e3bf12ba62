//! Cases as chance makes them: rule sets, and streams of usage with duplicates, conflicts, late and early ones.

use proptest::prelude::*;
use proptest::sample::select;

use crate::common::calendar::Unit;
use crate::common::{Row, Used, at};
use crate::rule::{Back, Is, Override, Rule, Time};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// One turn of the engine.
#[derive(Clone, Debug)]
pub struct Turn {
    /// How long after the one before.
    pub after: i64,
    pub source: &'static str,
    pub catching_up: bool,
    pub rows: Vec<Made>,
    pub tick: bool,
}

/// A usage, or one that was there before.
#[derive(Clone, Debug)]
pub enum Made {
    New(Row),
    /// So many rows ago, the same again.
    Again(usize),
    /// So many rows ago, under the same id with other content.
    Altered(usize),
}

#[derive(Clone, Debug)]
pub struct Case {
    pub begins: i64,
    pub rules: Vec<Rule>,
    pub turns: Vec<Turn>,
}

/// Shortly before a month, a year or February ends, or clocks change.
const BEGINS: [&str; 7] = [
    "2027-03-27T20:00:00Z",
    "2027-03-31T18:00:00Z",
    "2027-04-03T10:00:00Z",
    "2027-10-30T20:00:00Z",
    "2027-11-07T01:00:00Z",
    "2027-12-31T12:00:00Z",
    "2028-02-28T16:00:00Z",
];
const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"];
const FIELDS: [&str; 3] = ["tenant", "team", "agent"];
const VALUES: [&str; 5] = ["a", "ab", "b", "bab", "c"];
const GLOBS: [&str; 8] = ["a", "a*", "*b", "?", "*", "b?b", "??*", "nobody"];

pub fn case() -> impl Strategy<Value = Case> {
    let rules = (1_usize..5).prop_flat_map(|count| (0..count).map(rule).collect::<Vec<_>>());
    (select(&BEGINS[..]), rules, prop::collection::vec(turn(), 1..40)).prop_map(|(begins, rules, turns)| {
        let begins = at(begins).millis();
        let mut rules = rules;
        for rule in &mut rules {
            // Dates are so many milliseconds from the beginning.
            rule.overrides.iter_mut().for_each(|o| o.until = o.until.map(|after| begins + after));
            let per_each = rule.per_each.clone();
            rule.overrides.retain(|o| per_each.contains(&o.field));
        }
        Case { begins, rules, turns }
    })
}

fn time() -> impl Strategy<Value = Time> {
    let unit = select(&["hour", "hour", "day", "day", "week", "month", "quarter", "year"][..]);
    let calendar = (unit, select(&[1_u8, 4][..]), select(&ZONES[..])).prop_map(|(word, fiscal, zone)| {
        let fiscal = if matches!(word, "quarter" | "year") { fiscal } else { 1 };
        Time::Calendar(Unit { word, fiscal }, zone)
    });
    let rolling = select(&[MINUTE, 7 * MINUTE, HOUR, 6 * HOUR, 48 * HOUR, 61_007, 7_777_777][..]);
    prop_oneof![5 => calendar, 4 => rolling.prop_map(Time::Rolling), 1 => Just(Time::Lifetime)]
}

fn condition() -> impl Strategy<Value = (&'static str, Is)> {
    let globs = || prop::collection::vec(select(&GLOBS[..]), 1..3);
    let is = prop_oneof![
        3 => globs().prop_map(Is::In),
        3 => globs().prop_map(Is::NotIn),
        1 => any::<bool>().prop_map(Is::There),
    ];
    (select(&FIELDS[..]), is)
}

fn except() -> impl Strategy<Value = Override> {
    let until = prop::option::of(0..30 * HOUR);
    (select(&FIELDS[..]), select(&VALUES[..]), 50_u32..3000, until)
        .prop_map(|(field, value, cents, until)| Override { field, value, cents, until })
}

/// Shares at which it warns and trips, and when it gives back.
fn shares() -> impl Strategy<Value = (Vec<u32>, u32, Back)> {
    let warn = prop::collection::btree_set(10_u32..100, 0..3);
    let trip = select(&[100_u32, 100, 110, 150][..]);
    let back = prop_oneof![
        3 => Just(Back::Rolls),
        2 => (20_u32..99).prop_map(Back::Below),
        1 => Just(Back::Manual),
    ];
    (warn, trip, back).prop_map(|(warn, trip, back)| (warn.into_iter().collect(), trip, back))
}

fn rule(index: usize) -> impl Strategy<Value = Rule> {
    let conditions = prop::collection::vec(condition(), 0..3);
    let kinds = prop_oneof![4 => Just(vec![]), 1 => Just(vec!["tokens"]), 1 => Just(vec!["gpu"])];
    let per_each =
        prop_oneof![Just(vec![]), Just(vec!["tenant"]), Just(vec!["tenant", "team"]), Just(vec!["agent"]),];
    let whom = (conditions, kinds, per_each, prop::option::of(0..index.max(1)));
    let limit = (50_u32..3000, prop::collection::vec(except(), 0..3));
    let hold = (select(&[0, 0, MINUTE, HOUR][..]), select(&[0, 0, MINUTE, 20 * MINUTE][..]), 1_u32..4);
    (whom, limit, time(), shares(), hold).prop_map(move |(whom, limit, time, shares, hold)| {
        let (mut select, kinds, per_each, within) = whom;
        select.dedup_by_key(|(field, _)| *field);
        let mut seen = std::collections::BTreeSet::new();
        select.retain(|(field, _)| seen.insert(*field));
        Rule {
            name: format!("b{index}"),
            select,
            kinds,
            per_each,
            cents: limit.0,
            overrides: limit.1,
            time,
            within: within.filter(|_| index > 0),
            warn_at: shares.0,
            trip_at: shares.1,
            grace: hold.0,
            back: shares.2,
            min_hold: hold.1,
            most_trips: hold.2,
        }
    })
}

fn used() -> impl Strategy<Value = Used> {
    prop_oneof![
        6 => (0_u64..4_000_000).prop_map(Used::Cheap),
        2 => (0_u64..1_000_000).prop_map(Used::Pricey),
        1 => (1_u64..1_000_000).prop_map(Used::Unpriced),
        2 => (1_i64..4_000_000).prop_map(Used::Gpu),
        1 => Just(Used::Nothing),
    ]
}

fn claims() -> impl Strategy<Value = Vec<(&'static str, String, bool)>> {
    let claim = (
        select(&FIELDS[..]),
        prop_oneof![5 => select(&VALUES[..]), 1 => Just("")],
        prop::bool::weighted(0.7),
    );
    prop::collection::vec(claim.prop_map(|(field, value, trusted)| (field, value.to_owned(), trusted)), 0..4)
}

/// How far from now it happened: mostly just now, sometimes late or too late, early or too early.
fn age() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => 0_i64..1000,
        2 => 0..16 * MINUTE,
        2 => 0..50 * HOUR,
        2 => -6 * MINUTE..0,
        1 => select(&[5 * MINUTE, 15 * MINUTE, 48 * HOUR][..]).prop_flat_map(|edge| edge - 1..=edge + 1),
        1 => -5 * MINUTE - 1..=-5 * MINUTE + 1,
    ]
}

fn made() -> impl Strategy<Value = Made> {
    let new = (used(), claims(), age()).prop_map(|(used, claims, age)| {
        // Its id comes later, and its time is still how long ago it was.
        Made::New(Row { key: String::new(), at: age, used, claims })
    });
    prop_oneof![8 => new, 1 => (0_usize..12).prop_map(Made::Again), 1 => (0_usize..12).prop_map(Made::Altered)]
}

fn turn() -> impl Strategy<Value = Turn> {
    let after = prop_oneof![
        4 => 0..2 * MINUTE,
        3 => 0..HOUR,
        2 => 0..13 * HOUR,
        // To the full hour, where windows end.
        2 => Just(-1_i64),
    ];
    let source = prop_oneof![4 => Just("gateway"), 1 => Just("log")];
    let rows = prop::collection::vec(made(), 0..5);
    (after, source, prop::bool::weighted(0.1), rows, prop::bool::weighted(0.7))
        .prop_map(|(after, source, catching_up, rows, tick)| Turn { after, source, catching_up, rows, tick })
}
