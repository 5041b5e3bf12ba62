//! Breakers as people ask for them.

use policy::engine::{BreakerView, StateWanted, Survey, Tally, Wanted};
use policy::rule::Mode;

use crate::world::{World, daily, usd};

/// Surveys in parts of that many breakers.
fn survey(world: &World, wanted: &Wanted, most: usize, part: usize) -> (Vec<BreakerView>, Survey) {
    let (mut survey, now) = (Survey::new(wanted.clone(), most), world.clock.wall);
    while world.engine.survey(&mut survey, part, now) {}
    (world.engine.breakers(&survey.found(), now), survey)
}

fn names(world: &World, wanted: &Wanted, most: usize, part: usize) -> Vec<String> {
    survey(world, wanted, most, part).0.iter().map(|b| format!("{} {}", b.name, b.sum)).collect()
}

/// Twenty tenants who spent 1 to 60 USD of 50, in no order, under two budgets.
fn world() -> World {
    let mut world =
        World::with(vec![daily("tenant-daily", "50", Mode::Observe), daily("small", "40", Mode::Observe)]);
    for n in 0..20_u32 {
        world.spend(&format!("t{n:02}"), &(1 + n * 23 % 20 * 3).to_string());
    }
    world
}

fn only(state: &str) -> Wanted {
    Wanted { state: StateWanted::Only(state.into()), ..Wanted::default() }
}

#[test]
fn a_survey_in_parts_finds_the_furthest_and_counts_them_all() {
    let world = world();
    let (all, whole) = survey(&world, &Wanted::default(), 100, 100);
    assert_eq!(all.len(), 40);
    let shares: Vec<_> = all.iter().map(|b| b.sum.percent_of(b.limit)).collect();
    assert!(shares.is_sorted_by(|a, b| a >= b), "{shares:?}");
    for part in [1, 7, 39, 40] {
        let (some, parted) = survey(&world, &Wanted::default(), 5, part);
        let names = |list: &[BreakerView]| list.iter().map(|b| b.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&some), names(&all[..5]), "in parts of {part}");
        assert_eq!(parted.into_tallies(), whole.clone().into_tallies(), "in parts of {part}");
    }
    let tallies = whole.into_tallies();
    let sum = (0..20_u32).map(|n| 1 + n * 23 % 20 * 3).sum::<u32>().to_string();
    let states = |budget: &str| tallies[budget].states.clone().into_iter().collect::<Vec<_>>();
    assert_eq!(states("tenant-daily"), [("Clear", 13), ("Tripped", 3), ("Warned", 4)]);
    assert_eq!(states("small"), [("Clear", 11), ("Tripped", 7), ("Warned", 2)]);
    assert_eq!((tallies["small"].sum, tallies["tenant-daily"].sum), (usd(&sum), usd(&sum)));
}

#[test]
fn a_survey_shows_only_what_is_asked_for_and_counts_the_rest_too() {
    let world = world();
    let of = |budget: &str| Wanted { budget: Some(budget.into()), ..Wanted::default() };
    assert_eq!(names(&world, &of("small"), 100, 3).len(), 20);
    assert_eq!(names(&world, &of("none"), 100, 3).len(), 0);
    let one = Wanted { name: Some("small/t01".into()), ..Wanted::default() };
    assert_eq!(names(&world, &one, 100, 3), ["small/t01 10.00 USD"]);
    assert_eq!(names(&world, &only("Tripped"), 100, 3).len(), 10);
    assert_eq!(names(&world, &only("tripped"), 100, 3).len(), 0);
    let busy = Wanted { state: StateWanted::NotClear, ..Wanted::default() };
    let (found, survey) = survey(&world, &busy, 2, 3);
    assert_eq!(found.len(), 2);
    let counted: usize = survey.into_tallies().values().flat_map(|t: &Tally| t.states.values()).sum();
    assert_eq!(counted, 40, "what is not shown is counted");
}

#[test]
fn a_window_that_has_ended_is_surveyed_as_empty() {
    let mut world = world();
    world.clock.wall = world.clock.wall.plus("13h".parse().expect("a span"));
    let (found, survey) = survey(&world, &Wanted::default(), 100, 100);
    assert!(found.iter().all(|b| b.sum == usd("0")));
    assert!(survey.into_tallies().values().all(|tally| tally.sum == usd("0")));
}

#[test]
fn a_reload_in_the_midst_of_a_survey_begins_it_again() {
    let mut world = world();
    let (mut survey, now) = (Survey::new(Wanted::default(), 100), world.clock.wall);
    assert!(world.engine.survey(&mut survey, 30, now));
    let mut rules = world.rules.clone();
    rules.id = "r2".into();
    // The other way round: a number says another budget now.
    rules.budgets.reverse();
    world.reload(rules);
    while world.engine.survey(&mut survey, 30, world.clock.wall) {}
    assert_eq!(survey.found().len(), 40);
    let tallies = survey.into_tallies();
    assert!(tallies.values().all(|tally| tally.states.values().sum::<usize>() == 20), "{tallies:?}");
}

/// Nobody is shown yesterday's warning over today's sum of nothing.
#[test]
fn a_warning_is_shown_no_longer_than_its_window_lasts() {
    let mut world = World::new();
    world.spend("acme", "45");
    assert_eq!(world.state("tenant-daily/acme"), "Warned");
    world.pass("13h");
    assert_eq!(world.state("tenant-daily/acme"), "Clear");
    let mut survey = Survey::new(Wanted { state: StateWanted::NotClear, ..Wanted::default() }, 10);
    while world.engine.survey(&mut survey, 10, world.clock.wall) {}
    assert!(survey.found().is_empty());
    assert_eq!(survey.into_tallies()["tenant-daily"].states, [("Clear", 1)].into());
}
