//! Two years through the engine, with budgets of every unit in four zones. What each one shows after each
//! charge is compared with sums made from a list of all charges, in windows found by the other calculation.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::breaker::CLOSED_WINDOWS;
use policy::decision::DecisionKind;
use policy::engine::Engine;
use policy::fact::{Clock, Fact, Settings, UsageOutcome};

use crate::common::calendar::{Unit, known, window_of};
use crate::common::{Dice, KEY, Row, Used, at, ms, rules, usage};

const ZONES: [&str; 4] = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"];
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const DOLLAR: i128 = 1_000_000_000_000;

/// A budget under watch.
struct Watched {
    name: String,
    starts: Arc<Vec<i64>>,
    /// What was charged to each window, by its start.
    sums: BTreeMap<i64, (i128, u64)>,
    /// Usage without a price by the start of its window.
    unpriced: BTreeMap<i64, u64>,
    /// Windows shown as current, in order.
    shown: Vec<i64>,
    limit: i128,
    /// Windows that were over after they had closed, as the engine said.
    late_breaches: Vec<i64>,
}

/// Limits that some windows of each unit reach and others do not.
const LIMITS: [(&str, i128); 6] =
    [("hour", 5), ("day", 60), ("week", 400), ("month", 1700), ("quarter", 5000), ("year", 20_000)];

fn watched(from: i64, to: i64) -> (String, Vec<Watched>) {
    let (mut text, mut all) = (String::new(), Vec::new());
    for (number, zone) in ZONES.into_iter().enumerate() {
        for (word, limit) in LIMITS {
            let fiscal = [1, 4, 7, 11][number];
            let start = if matches!(word, "quarter" | "year") {
                format!(", fiscalStart: {fiscal}")
            } else {
                String::new()
            };
            let name = format!("{word}-{number}");
            text.push_str(&format!(
                "---\napiVersion: breakerbox.dev/v1alpha1\nkind: Budget\nmetadata: {{name: {name}}}\nspec:\n  \
                 select: {{all: true}}\n  limit: {{amount: {limit} USD}}\n  warnAt: [80%]\n  \
                 window: {{calendar: {word}, timezone: {zone}{start}}}\n"
            ));
            let unit = Unit { word, fiscal };
            // As long again before and after, so that years and quarters have their ends.
            let starts = known(zone.parse().unwrap(), unit, from - 400 * DAY, to + 400 * DAY);
            let limit = limit * DOLLAR;
            let (sums, unpriced) = (BTreeMap::new(), BTreeMap::new());
            let (shown, late_breaches) = (Vec::new(), Vec::new());
            all.push(Watched { name, starts, sums, unpriced, shown, limit, late_breaches });
        }
    }
    (text, all)
}

/// Mostly now, sometimes a little early, sometimes late by up to two days, sometimes where a window begins.
fn event_time(dice: &mut Dice, now: i64) -> i64 {
    match dice.roll(20) {
        0 => now + dice.roll(5 * 60_000),
        1 | 2 => now - dice.roll(47 * HOUR),
        3 => now - now.rem_euclid(HOUR / 2),
        4 => now - now.rem_euclid(HOUR / 2) - 1,
        _ => now - dice.roll(10_000),
    }
}

fn used(dice: &mut Dice) -> Used {
    let count = u64::try_from(1 + dice.roll(4_000_000)).unwrap();
    match dice.roll(16) {
        0 | 1 => Used::Pricey(count / 3),
        2 | 3 => Used::Gpu(1 + dice.roll(4 * HOUR)),
        4 => Used::Unpriced(count),
        5 => Used::Nothing,
        _ => Used::Cheap(count),
    }
}

impl Watched {
    fn post(&mut self, row: &Row) {
        let (start, _) = window_of(&self.starts, row.at).unwrap();
        match row.used.picos() {
            Some(picos) if row.used != Used::Nothing => {
                let (sum, facts) = self.sums.entry(start).or_default();
                (*sum, *facts) = (*sum + picos, *facts + 1);
            }
            Some(_) => {}
            None => *self.unpriced.entry(start).or_default() += 1,
        }
    }

    fn check(&mut self, engine: &Engine, now: i64) {
        let view = engine.breaker(&self.name, ms(now)).unwrap();
        let (start, end) = window_of(&self.starts, now).unwrap();
        assert!(
            usize::try_from(view.breached_windows).unwrap() <= CLOSED_WINDOWS,
            "{}: what is kept",
            self.name
        );
        let (sum, facts) = self.sums.get(&start).copied().unwrap_or_default();
        let unpriced = self.unpriced.get(&start).copied().unwrap_or_default();
        let seen = (view.start.millis(), view.end.millis(), view.sum.picos(), view.facts, view.unpriced);
        assert_eq!(seen, (start, end, sum, facts, unpriced), "{} at {}", self.name, ms(now));
        if self.shown.last() != Some(&start) {
            self.shown.push(start);
        }
    }
}

#[test]
fn in_two_years_every_charge_is_counted_in_its_window_and_no_window_is_reset_but_at_its_end() {
    let (from, to) = (at("2027-01-01T00:00:00Z").millis(), at("2029-01-01T00:00:00Z").millis());
    let (text, mut all) = watched(from, to);
    let mut engine = Engine::new(Settings::new(KEY, "test"));
    let (mut dice, mut now, mut number, mut mono) = (Dice(2027), from, 0_u64, 0);
    let _ = engine.step(Clock { wall: ms(now), mono }, &[Fact::Rules(Box::new(rules(&text)))]);
    while now < to {
        let (key, at, used) = (format!("c{number}"), event_time(&mut dice, now), used(&mut dice));
        let row = Row { key, at, used, claims: Vec::new() };
        // Sometimes time ticks, sometimes it does not, for hours: windows end all the same.
        let mut facts = vec![usage("gateway", false, std::slice::from_ref(&row))];
        if dice.roll(3) > 0 {
            facts.push(Fact::Tick);
        }
        let outcome = engine.step(Clock { wall: ms(now), mono }, &facts);
        assert_eq!(outcome.usage, [[UsageOutcome::Accepted]]);
        for decision in outcome.decisions {
            if decision.kind == DecisionKind::BreachedAfterClose {
                let breaker = decision.why.breaker.unwrap();
                let one = all.iter_mut().find(|one| *one.name == *breaker.name).unwrap();
                assert!(breaker.end.millis() <= now, "it has closed");
                one.late_breaches.push(breaker.start.millis());
            }
        }
        for one in &mut all {
            one.post(&row);
            one.check(&engine, now);
        }
        number += 1;
        let most = if dice.roll(40) == 0 { 9 * HOUR } else { 80 * 60_000 };
        let pass = 1 + dice.roll(most);
        (now, mono) = (now + pass, mono + u64::try_from(pass).unwrap());
    }
    assert!(number > 15_000, "{number} charges");
    for one in &all {
        conclude(one, from, to);
    }
    assert!(all.iter().any(|one| one.late_breaches.len() > 20), "late facts brought closed windows over");
    assert_eq!(all.len(), LIMITS.len() * ZONES.len());
}

/// No window was shown twice, none came back, and none was said to be over that is not, or twice.
fn conclude(one: &Watched, from: i64, to: i64) {
    let name = &one.name;
    assert!(one.shown.is_sorted_by(|a, b| a < b), "{name}: a window came back");
    let all = one.starts.iter().filter(|start| (from..to).contains(*start)).count();
    let missed = (all + 1).saturating_sub(one.shown.len());
    // Where nothing came for hours, hours went by unseen.
    let most_missed = if name.starts_with("hour") { all / 2 } else { 1 };
    assert!(missed <= most_missed, "{name}: {missed} of {all} windows were never shown");
    let mut breaches = one.late_breaches.clone();
    breaches.sort_unstable();
    let said = breaches.len();
    breaches.dedup();
    assert_eq!(said, breaches.len(), "{name}: a closed window was over twice");
    let over = |start: &i64| one.sums[start].0 >= one.limit;
    assert!(breaches.iter().all(over), "{name}: said to be over and is not");
}
