//! Adding up: once, exactly, in any order.

use policy::engine::Engine;
use policy::fact::{Fact, FilesGone, Position, Quantities, RefusedReason, UsageFlags, UsageOutcome};
use policy::rule::Mode;
use policy::time::{Span, Timestamp};

use crate::world::{World, at, daily, usd};

#[test]
fn a_duplicate_changes_nothing_and_a_conflict_is_shown() {
    let mut world = World::new();
    let now = world.clock.wall;
    let fact = world.usage("a", "acme", "10", now, false);
    let other = world.usage("a", "acme", "11", now, false);
    world.take(vec![fact.clone()]);
    let outcome = world.take(vec![fact, other]);
    assert_eq!(outcome.usage, [[UsageOutcome::Duplicate], [UsageOutcome::Conflict]]);
    assert_eq!(world.sum("tenant-daily/acme"), usd("10"));
    assert_eq!(world.engine.view(now).counters.conflicts, 1);
}

#[test]
fn any_order_with_duplicates_gives_the_same_ledger_to_the_last_digit() {
    // A linear congruential generator: the order is arbitrary, and the same on every run.
    let sums = |seed: u64| {
        let mut world = World::with(vec![daily("tenant-daily", "1000000", Mode::Observe)]);
        let now = world.clock.wall;
        let mut facts: Vec<Fact> = Vec::new();
        for n in 0..400_u32 {
            let tenant = ["acme", "blue", "core"][n as usize % 3];
            let dollars = format!("0.{:06}", 1 + n * 7919 % 999_983);
            facts.push(world.usage(
                &format!("f{n}"),
                tenant,
                &dollars,
                now.minus(Span::from_secs(i64::from(n))),
                false,
            ));
        }
        facts.extend(facts.clone().into_iter().step_by(3));
        let mut state = seed;
        for i in (1..facts.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            facts.swap(i, (state >> 33) as usize % (i + 1));
        }
        for chunk in facts.chunks(7) {
            world.take(chunk.to_vec());
        }
        ["acme", "blue", "core"].map(|t| world.sum(&format!("tenant-daily/{t}")))
    };
    let first = sums(1);
    assert!(first.iter().all(|sum| *sum > usd("0")));
    for seed in 2..6 {
        assert_eq!(sums(seed), first);
    }
}

#[test]
fn the_same_journal_replays_to_the_same_bytes_also_from_a_snapshot() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.obey_all();
    let snapshot = world.engine.snapshot();
    let cut = world.journal.len();
    world.spend("blue", "45");
    world.pass("12h");
    world.obey_all();
    world.spend("blue", "51");

    let mut again = Engine::new(world.engine.settings().clone());
    for (clock, facts) in &world.journal {
        let _ = again.step(*clock, facts);
    }
    assert_eq!(again.snapshot(), world.engine.snapshot());

    let mut resumed = Engine::restore(&snapshot).unwrap();
    let mut orders = Vec::new();
    for (clock, facts) in &world.journal[cut..] {
        orders.extend(resumed.step(*clock, facts).orders);
    }
    assert_eq!(resumed.snapshot(), world.engine.snapshot());
    assert!(!orders.is_empty());
}

#[test]
fn a_fact_from_the_future_is_refused_with_its_price_and_never_clamped() {
    let mut world = World::new();
    let ahead = world.clock.wall.plus(Span::from_mins(6));
    let outcome = world.take(vec![world.usage("a", "acme", "60", ahead, false)]);
    assert_eq!(outcome.usage, [[UsageOutcome::Refused(RefusedReason::TooFarAhead)]]);
    let letter = &outcome.letters[0];
    assert_eq!((letter.amount, &*letter.key), (Some(usd("60")), "a"));
    assert_eq!(letter.subject.trusted("tenant"), Some("acme"));
    assert!(matches!(letter.quantities, Quantities::Tokens(t) if t.input == 60_000_000));
    assert_eq!(letter.place, None, "it was pushed");
    assert_eq!(world.sum("tenant-daily/acme"), usd("0"));
}

#[test]
fn beyond_the_horizon_only_a_position_proves_that_a_fact_is_new() {
    let mut world = World::new();
    let old = world.clock.wall.minus(Span::from_hours(49));
    let pushed = world.usage("a", "acme", "1", old, false);
    let outcome = world.take(vec![pushed.clone()]);
    assert_eq!(outcome.usage, [[UsageOutcome::Refused(RefusedReason::TooLate)]]);
    let Fact::Usage(mut batch) = pushed else { panic!("usage") };
    batch.files = vec!["2026/11/a.jsonl".into()];
    batch.rows[0].position = Some(Position { file: 0, end: 700 });
    let outcome = world.take(vec![Fact::Usage(batch.clone()), Fact::Usage(batch)]);
    let again = UsageOutcome::Refused(RefusedReason::TooLate);
    assert_eq!(outcome.usage, [[UsageOutcome::Accepted], [again]], "read once, by its place in the file");
    assert_eq!(world.engine.positions_of("gateway").get("2026/11/a.jsonl").unwrap().end, 700);
}

#[test]
fn a_file_that_was_forgotten_counts_no_second_time_and_what_is_newer_than_it_still_counts() {
    let mut world = World::new();
    let now = world.clock.wall;
    let old = |days: i64| now.minus(Span::from_hours(24 * days));
    let row = |world: &World, file: &str, at: Timestamp, end: u64| {
        let Fact::Usage(mut batch) = world.usage(&format!("{file}-{end}"), "acme", "10", at, false) else {
            panic!("usage")
        };
        batch.files = vec![file.into()];
        batch.rows[0].position = Some(Position { file: 0, end });
        Fact::Usage(batch)
    };
    let first =
        [row(&world, "a", old(41), 700), row(&world, "a", old(40), 1400), row(&world, "b", old(45), 700)];
    let outcome = world.take(first.to_vec());
    assert_eq!(outcome.usage, [[UsageOutcome::Accepted]; 3]);

    let files = vec!["a".into(), "never-seen".into()];
    assert_eq!(world.engine.view(now).files, 2);
    world.take(vec![Fact::FilesGone(FilesGone { source: "gateway".into(), files })]);
    assert_eq!(world.engine.view(now).files, 1, "what is kept is shown");
    let known: Vec<_> = world.engine.positions_of("gateway").into_keys().collect();
    assert_eq!(known, ["b".into()]);
    world.engine = Engine::restore(&world.engine.snapshot()).unwrap();

    // It comes back: also its second row, by when it is known again.
    let again: Vec<_> = first[..2].iter().flat_map(|fact| world.take(vec![fact.clone()]).letters).collect();
    let reasons: Vec<_> = again.iter().map(|letter| (letter.reason, letter.amount)).collect();
    assert_eq!(reasons, [(RefusedReason::TooLate, Some(usd("10"))); 2]);
    let places: Vec<_> = again.iter().map(|letter| letter.place.clone().unwrap()).collect();
    assert_eq!(places, [("a".into(), 700), ("a".into(), 1400)]);
    // Under a new name, too.
    let copy = row(&world, "c", old(40), 1400);
    let newer =
        [row(&world, "b", old(39), 1400), row(&world, "c", old(39), 2100), row(&world, "d", old(3), 700)];
    let outcome = world.take([&[copy], &newer[..]].concat());
    let late = UsageOutcome::Refused(RefusedReason::TooLate);
    let counted = UsageOutcome::Accepted;
    assert_eq!(outcome.usage, [[late], [counted], [counted], [counted]]);

    // Another source has files of its own.
    let Fact::Usage(mut batch) = row(&world, "a", old(41), 700) else { panic!("usage") };
    batch.source = "other".into();
    assert_eq!(world.take(vec![Fact::Usage(batch)]).usage, [[counted]]);
}

#[test]
fn a_fact_a_little_ahead_of_midnight_belongs_to_the_next_day() {
    let mut world = World::new();
    world.pass("11h59m58s");
    world.spend_at("acme", "45", at("2026-11-21T00:00:01Z"));
    assert_eq!(world.sum("tenant-daily/acme"), usd("0"));
    world.pass("2s");
    world.spend("acme", "1");
    assert_eq!(world.sum("tenant-daily/acme"), usd("46"));
}

#[test]
fn reserved_money_is_shown_beside_the_sum_and_never_trips() {
    let mut world = World::new();
    let now = world.clock.wall;
    let flagged = |world: &World, id: &str, dollars: &str, flag: UsageFlags| {
        let Fact::Usage(mut batch) = world.usage(id, "acme", dollars, now, false) else { panic!("usage") };
        batch.rows[0].flags = flag;
        Fact::Usage(batch)
    };
    let pending = |world: &World| world.engine.breaker("tenant-daily/acme", now).unwrap().pending;
    for id in ["a", "b", "c"] {
        let reserve = flagged(&world, id, "40", UsageFlags::PENDING);
        world.take(vec![reserve.clone(), reserve]);
    }
    assert_eq!((pending(&world), world.sum("tenant-daily/acme")), (usd("120"), usd("0")));
    assert!(world.notices.is_empty());
    world.take(vec![world.usage("a", "acme", "7", now, false)]);
    assert_eq!((pending(&world), world.sum("tenant-daily/acme")), (usd("80"), usd("7")));
    world.take(vec![flagged(&world, "b", "40", UsageFlags::VOIDED)]);
    assert_eq!((pending(&world), world.sum("tenant-daily/acme")), (usd("40"), usd("7")));
    let late = world.take(vec![world.usage("b", "acme", "7", now, false)]);
    assert_ne!(late.usage, [[UsageOutcome::Accepted]], "what was voided is not posted afterwards");
    world.pass("16m");
    assert_eq!(pending(&world), usd("0"), "what nobody settles lapses");
}

#[test]
fn a_model_without_a_price_is_counted_and_paged_and_never_zero() {
    let mut world = World::new();
    let now = world.clock.wall;
    let Fact::Usage(mut batch) = world.usage("a", "acme", "10", now, false) else { panic!("usage") };
    batch.origins[0].model = "anthropic.claude-from-the-future".into();
    batch.digests[0] += 1;
    let outcome = world.take(vec![Fact::Usage(batch)]);
    assert_eq!(outcome.usage, [[UsageOutcome::Accepted]]);
    let view = world.engine.view(now);
    assert_eq!(world.engine.breakers(&[0], now)[0].unpriced, 1);
    assert_eq!(view.counters.unpriced, 1);
    assert!(world.pages()[0].contains("claude-from-the-future"), "{:?}", world.pages());
}

/// Also where nothing more is charged: somebody who spends a day's money in its first second is told of by the
/// first tick of that day.
#[test]
fn what_came_a_little_early_is_shown_and_judged_once_its_window_has_begun() {
    let mut world = World::new();
    world.spend("acme", "1");
    world.pass("11h59m55s");
    world.spend_at("acme", "60", at("2026-11-21T00:00:01Z"));
    world.pass("1s");
    assert!(world.notices.is_empty(), "{:?}", world.notices);
    world.clock.wall = at("2026-11-21T00:00:02Z");
    world.clock.mono += 6_000;
    assert_eq!(world.sum("tenant-daily/acme"), usd("60"), "shown before anything has rolled it");
    world.pass("1s");
    assert_eq!(world.state("tenant-daily/acme"), "Arming", "over, and no fact on time has said so");
    assert!(world.orders.is_empty());
    world.spend("acme", "0.01");
    assert_eq!(world.ordered(), ["pause acme/api"]);
}

/// A day in which all usage is without a price says so, though no charge has begun it.
#[test]
fn usage_without_a_price_is_counted_in_the_day_that_it_belongs_to() {
    let mut world = World::new();
    let unpriced = |world: &mut World, id: &str, at: Timestamp| {
        let Fact::Usage(mut batch) = world.usage(id, "acme", "10", at, false) else { panic!("usage") };
        batch.origins[0].model = "anthropic.claude-from-the-future".into();
        batch.digests[0] += 1;
        world.take(vec![Fact::Usage(batch)]);
    };
    let shown = |world: &World| world.engine.breaker("tenant-daily/acme", world.clock.wall).unwrap().unpriced;
    let yesterday = world.clock.wall;
    unpriced(&mut world, "a", yesterday);
    assert_eq!(shown(&world), 1);
    world.pass("13h");
    let today = world.clock.wall;
    unpriced(&mut world, "b", today);
    unpriced(&mut world, "c", yesterday);
    assert_eq!(shown(&world), 1, "of today, and not of yesterday");
    world.spend("acme", "1");
    assert_eq!(shown(&world), 1, "a charge forgets nothing of its own day");
}
