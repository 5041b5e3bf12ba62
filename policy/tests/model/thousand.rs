//! A thousand budgets over thirty days: no trip that the model does not know, and none that it knows and the
//! engine does not.

use crate::common::calendar::Unit;
use crate::common::{Dice, Row, Used, at};
use crate::rule::{Back, Is, Rule, Time};
use crate::side_by_side::Both;
use crate::slow::Says;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

const TENANTS: usize = 245;
const GROUPS: usize = 20;

/// Names outlive the test: a rule's are those of its text.
fn tenant(number: usize) -> &'static str {
    Box::leak(format!("t{number}").into_boxed_str())
}

fn budget(name: String, select: Vec<(&'static str, Is)>, cents: i64, dice: &mut Dice) -> Rule {
    let zones = ["Europe/Berlin", "America/New_York", "UTC"];
    let time = match dice.roll(8) {
        0 => Time::Rolling(HOUR * (1 + dice.roll(72))),
        1 => Time::Rolling(DAY * (1 + dice.roll(20)) + dice.roll(1000)),
        2 => Time::Lifetime,
        unit => {
            let word = ["hour", "day", "day", "week", "month"][usize::try_from(unit - 3).unwrap()];
            Time::Calendar(Unit { word, fiscal: 1 }, zones[usize::try_from(dice.roll(3)).unwrap()])
        }
    };
    let back =
        [Back::Rolls, Back::Rolls, Back::Below(70), Back::Manual][usize::try_from(dice.roll(4)).unwrap()];
    Rule {
        name,
        select,
        kinds: Vec::new(),
        per_each: Vec::new(),
        cents: u32::try_from(cents).unwrap(),
        overrides: Vec::new(),
        time,
        within: None,
        warn_at: if dice.roll(2) == 0 { vec![50, 80] } else { Vec::new() },
        trip_at: 100,
        grace: [0, 0, 0, 5 * MINUTE][usize::try_from(dice.roll(4)).unwrap()],
        back,
        min_hold: [0, 10 * MINUTE][usize::try_from(dice.roll(2)).unwrap()],
        most_trips: 2,
    }
}

/// One budget for each group of tenants, and four for each tenant, within that of its group.
fn budgets(dice: &mut Dice) -> Vec<Rule> {
    let mut all = Vec::new();
    for group in 0..GROUPS {
        let nobody = vec![("team", Is::In(vec!["only-what-is-within"]))];
        all.push(budget(format!("a-group-{group:03}"), nobody, 500 + dice.roll(20_000), dice));
    }
    for number in 0..TENANTS {
        for which in 0..4 {
            let one = vec![("tenant", Is::In(vec![tenant(number)]))];
            let cents = 20 + dice.roll([800, 3_000][usize::from(which > 1)]);
            let rule = budget(format!("b-{number:03}-{which}"), one, cents, dice);
            all.push(Rule { within: (which == 0).then_some(number % GROUPS), ..rule });
        }
    }
    all
}

/// A tenant spends: a few cents, and now and then some dollars at once. Mostly at once, sometimes late.
fn row(dice: &mut Dice, number: usize, now: i64) -> Row {
    let most = if dice.roll(12) == 0 { 4_000_000 } else { 250_000 };
    let tokens = 1 + dice.roll(most);
    let age = match dice.roll(12) {
        0 => dice.roll(47 * HOUR),
        1 => -dice.roll(5 * MINUTE),
        _ => dice.roll(1000),
    };
    let tenant = usize::try_from(dice.roll(i64::try_from(TENANTS).unwrap())).unwrap();
    Row {
        key: format!("u{number}"),
        at: now - age,
        used: Used::Cheap(u64::try_from(tokens).unwrap()),
        claims: vec![("tenant", format!("t{tenant}"), true)],
    }
}

#[test]
fn a_thousand_budgets_over_thirty_days_trip_where_the_model_says_and_nowhere_else() {
    let seed = std::env::var("BREAKERBOX_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(30);
    println!("seed {seed} (another one: BREAKERBOX_SEED=…)");
    let mut dice = Dice(seed);
    let begins = at("2027-10-15T00:00:00Z").millis();
    let rules = budgets(&mut dice);
    assert_eq!(rules.len(), 1000);
    let mut both = Both::new(&rules, begins);
    let (mut number, mut tripped) = (0, std::collections::BTreeMap::new());
    while both.model.now < begins + 30 * DAY {
        both.pass(1 + dice.roll(HOUR));
        let now = both.model.now;
        let mut rows = Vec::new();
        for _ in 0..dice.roll(18) {
            rows.push(row(&mut dice, number, now));
            number += 1;
        }
        both.take("gateway", dice.roll(30) == 0, &rows, dice.roll(8) > 0);
        for (name, said) in &both.model.said {
            *tripped.entry(name.clone()).or_insert(0) +=
                said.iter().filter(|(says, ..)| *says == Says::Tripped).count();
        }
        if dice.roll(100) == 0 {
            both.compare_all();
        }
    }
    both.compare_all();
    let trips: usize = tripped.values().sum();
    let never =
        both.model.breakers.keys().filter(|name| tripped.get(*name).is_none_or(|trips| *trips == 0)).count();
    println!("{number} charges, {trips} trips, {never} budgets never tripped");
    assert!(trips > 300 && never > 200, "{trips} trips, {never} budgets never tripped");
}
