//! What a plan says of breakers, and that asking changes nothing of them.

use policy::engine::{Basis, Past, Verdict};
use policy::fact::CommandKind;
use policy::rule::{Guardrail, Mode};
use policy::time::Span;

use crate::world::{World, at, daily, usd};

fn verdict(world: &World, breaker: &str) -> Verdict {
    let plan = world.engine.plan(&Default::default());
    plan.breakers.iter().find(|b| *b.name == *breaker).unwrap().now
}

#[test]
fn a_plan_says_what_each_breaker_does_now_and_what_would_refuse_it() {
    let mut world = World::new();
    world.spend("acme", "51");
    world.spend("blue", "20");
    assert_eq!(verdict(&world, "tenant-daily/acme"), Verdict::Holds);
    assert_eq!(verdict(&world, "tenant-daily/blue"), Verdict::Nothing);
    let plan = world.engine.plan(&Default::default());
    let (acme, blue) = (&plan.breakers[0], &plan.breakers[1]);
    assert_eq!((acme.held.len(), acme.targets.len()), (1, 0));
    assert_eq!((blue.held.len(), blue.targets.as_slice()), (0, &["ScaledObject/blue/api".to_owned()][..]));
    assert_eq!(blue.refusals, []);
    assert_eq!((plan.objects, plan.eligible), (3, 3));
    let budget = &plan.budgets[0];
    assert_eq!((budget.reach, budget.largest, budget.rule_cap), (3, 1, 5));
    world.command(CommandKind::Freeze { reason: "a test".to_owned() });
    let plan = world.engine.plan(&Default::default());
    assert_eq!(plan.breakers[1].refusals[0].0, "freeze");
}

#[test]
fn a_rehearsal_brings_over_what_a_reload_would_and_the_engine_that_was_asked_stays_as_it_is() {
    let mut world = World::new();
    world.spend("acme", "20");
    let before = world.engine.snapshot();
    let mut lower = world.rules.clone();
    lower.id = "r2".into();
    lower.budgets[0].limit.amount = usd("10");
    lower.guardrail = Guardrail { protected_namespaces: vec!["acme".into()], ..lower.guardrail };
    let plan = world.engine.clone().rehearse(&lower, &[], world.clock.wall);
    assert_eq!((&*plan.rules, plan.breakers[0].now), ("r2", Verdict::Waits));
    assert_eq!((plan.breakers[0].targets.len(), plan.breakers[0].left.len()), (0, 1), "it is protected");
    assert_eq!((plan.eligible, plan.budgets[0].reach), (2, 2));
    assert!(plan.said.iter().any(|said| said.contains("over their limit")), "{:?}", plan.said);
    assert!(world.engine.snapshot() == before);
}

#[test]
fn a_new_budget_is_shown_with_what_was_spent_by_hour_where_that_can_be_told() {
    let mut world = World::new();
    world.spend("acme", "20");
    let mut more = world.rules.clone();
    more.id = "r2".into();
    more.budgets.push(daily("tenant-new", "30", Mode::Enforce));
    let mut by_team = daily("team-new", "30", Mode::Enforce);
    by_team.per_each = vec!["team".into()];
    more.budgets.push(by_team);
    let row = |tenant: &str, hours: i64, amount: &str| Past {
        at: at("2026-11-20T12:00:00Z").minus(Span::from_hours(hours)),
        tenant: Some(tenant.to_owned()),
        model: "m".to_owned(),
        amount: usd(amount),
    };
    // Yesterday's is outside the window.
    let past = [row("acme", 1, "25"), row("acme", 2, "10"), row("blue", 1, "5"), row("blue", 20, "90")];
    let plan = world.engine.clone().rehearse(&more, &past, world.clock.wall);
    let of = |name: &str| plan.breakers.iter().find(|b| *b.name == *name).unwrap();
    assert_eq!((of("tenant-new/acme").sum, of("tenant-new/acme").now), (usd("35"), Verdict::WouldBeOver));
    assert_eq!((of("tenant-new/blue").sum, of("tenant-new/blue").now), (usd("5"), Verdict::Nothing));
    let bases: Vec<Basis> = plan.budgets.iter().map(|b| b.basis).collect();
    assert_eq!(bases, [Basis::Counted, Basis::ByHour, Basis::Unknown]);
}
