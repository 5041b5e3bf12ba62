//! `explain`, in golden text: of a decision with its receipts, and of each reason why nothing happened.
//!
//! `BLESS=1 cargo test -p policy --test engine` writes the goldens anew; read the difference.

use std::path::PathBuf;

use policy::decision::{ArmingCause, DecisionKind};
use policy::engine::NotTrippedReason;
use policy::fact::{
    CommandKind, Fact, GuardAnswer, GuardCheck, Observation, PriorState, Receipt, ReceiptOutcome,
};
use policy::rule::{Delegate, FirstDays, Mode, RuleSet};
use policy::time::Span;

use crate::world::{World, at, daily, usd};

fn golden(name: &str, text: &str) {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/engine/golden").join(format!("{name}.txt"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("no golden {}", path.display()));
    assert_eq!(text, want, "golden {name}; BLESS=1 writes it anew");
}

fn pass(check: GuardCheck, detail: &str) -> GuardAnswer {
    GuardAnswer { check, pass: true, detail: detail.to_owned() }
}

#[test]
fn a_trip_is_explained_from_its_facts_to_its_receipts() {
    let mut world = World::new();
    world.spend("acme", "30");
    world.pass("90s");
    world.spend("acme", "12.5");
    world.pass("90s");
    world.spend("acme", "8.000000000001");
    let order = world.orders[0].clone();
    let trip = world.decisions.iter().find(|d| matches!(d.kind, DecisionKind::Tripped { .. })).unwrap();
    let prior = PriorState {
        uid: "uid-acme".to_owned(),
        resource_version: "41".to_owned(),
        replicas: Some(3),
        paused_replicas: None,
        paused: None,
        hpa: None,
    };
    let sign =
        |sign: &str, seen: &str| Observation { sign: sign.to_owned(), seen: seen.to_owned(), proves: true };
    let signs = vec![
        sign("status.pausedReplicaCount", "0"),
        sign("HPA", "absent"),
        sign("/scale", "0 of 0"),
        sign("pods", "0"),
    ];
    let guard = vec![
        pass(GuardCheck::Mode, "enforce"),
        pass(GuardCheck::Protected, "nothing protects it"),
        pass(GuardCheck::Leadership, "we hold the Lease"),
    ];
    let receipt = |millis, guard, outcome| Receipt {
        order: order.id,
        at: world.clock.wall.plus(Span::from_millis(millis)),
        guard,
        outcome,
    };
    let receipts = [
        receipt(20, guard, ReceiptOutcome::Prepared(prior)),
        receipt(45, vec![], ReceiptOutcome::Accepted { resource_version: "42".to_owned() }),
        receipt(195, vec![], ReceiptOutcome::Verified { signs, took: Span::from_millis(150) }),
    ];
    golden("tripped", &policy::explain::decision(trip, std::slice::from_ref(&order), &receipts));
}

/// A world in which the reason holds for `acme`, and how it came about.
#[expect(clippy::too_many_lines, reason = "a table of worlds, one for each reason")]
fn world_of(reason: &str) -> World {
    let mut world = World::new();
    match reason {
        "never-seen" => {}
        "no-budget-selects" => {
            let mut rules = world.rules.clone();
            rules.id = "r2".into();
            rules.budgets[0].select.all = false;
            rules.budgets[0].select.charges = vec![policy::rule::ChargeKind::Gpu];
            world.reload(rules);
            world.spend("acme", "1");
        }
        "counted-as-unattributed" => {
            let mut rules = world.rules.clone();
            rules.id = "r2".into();
            let (principal, fields) = ("111122223333:role/gateway".into(), vec!["tenant".into()]);
            rules.attribution.delegates = vec![Delegate { principal, fields, place: Default::default() }];
            rules.attribution.max_new_subjects_per_source = 1;
            world.reload(rules);
            for tenant in ["made-up", "acme"] {
                let now = world.clock.wall;
                let Fact::Usage(mut batch) = world.usage(tenant, tenant, "1", now, false) else {
                    panic!("usage")
                };
                batch.origins[0].principal = "arn:aws:sts::111122223333:assumed-role/gateway/session".into();
                batch.origins[0].claims[0].2 = policy::subject::Trust::Asserted;
                world.take(vec![Fact::Usage(batch)]);
            }
        }
        "below-limit" => drop(world.spend("acme", "1")),
        "warned" => drop(world.spend("acme", "41")),
        "arming" => {
            let late = world.clock.wall.minus(Span::from_hours(1));
            world.spend_at("acme", "51", late);
        }
        "mode-only-observes" => {
            world = World::with(vec![daily("tenant-daily", "50", Mode::Observe)]);
            world.spend("acme", "51");
        }
        "withheld" => {
            let silence = Span::from_mins(3);
            world.clock.wall = world.clock.wall.plus(silence);
            world.clock.mono += 180_000;
            world.spend("acme", "51");
        }
        "first-days" => {
            world = World::with(Vec::new());
            let mut rules = crate::world::rules(vec![daily("tenant-daily", "50", Mode::Enforce)]);
            rules.id = "r2".into();
            rules.guardrail.first_days =
                Some(FirstDays { mode: Mode::Observe, length: Span::from_hours(14 * 24) });
            world.reload(rules);
            world.spend("acme", "51");
        }
        "frozen" => {
            world.command(CommandKind::Freeze { reason: "incident".to_owned() });
            world.spend("acme", "51");
        }
        "awaits-approval" => {
            world = World::with(vec![daily("tenant-daily", "50", Mode::Approve)]);
            world.spend("acme", "51");
        }
        "rule-stops-nothing" => {
            let mut budget = daily("tenant-daily", "50", Mode::Enforce);
            budget.on_trip.truncate(1);
            world = World::with(vec![budget]);
            world.spend("acme", "51");
        }
        "no-targets" => {
            let protect = |rules: &mut RuleSet| {
                rules.id = "r2".into();
                rules.guardrail.protected_namespaces.push("acme".into());
            };
            let mut rules = world.rules.clone();
            protect(&mut rules);
            world.reload(rules);
            world.spend("acme", "51");
        }
        "untrusted" => {
            let now = world.clock.wall;
            let mut budget = daily("agent-daily", "50", Mode::Enforce);
            budget.per_each = vec!["agent".into()];
            world = World::with(vec![budget]);
            let Fact::Usage(mut batch) = world.usage("a", "x", "60", now, false) else { panic!("usage") };
            batch.origins[0].claims = vec![("agent".into(), "acme".into(), policy::subject::Trust::Asserted)];
            world.take(vec![Fact::Usage(batch)]);
        }
        "reset" => {
            world.spend("acme", "51");
            world.reset("tenant-daily/acme");
        }
        "closed-window-only" => {
            world.spend("acme", "1");
            let yesterday = at("2026-11-19T12:00:00Z");
            world.spend_at("acme", "51", yesterday);
        }
        "unpriced" => {
            let now = world.clock.wall;
            let Fact::Usage(mut batch) = world.usage("a", "acme", "10", now, false) else { panic!("usage") };
            batch.origins[0].model = "vendor.unknown-v1:0".into();
            world.take(vec![Fact::Usage(batch)]);
        }
        "prices-in-shadow" => {
            let mut rules = world.rules.clone();
            rules.id = "with shadow".into();
            let mut prices = rules.prices.clone();
            prices.name = "negotiated".to_owned();
            for price in prices.models.values_mut() {
                price.input = Some("1.25 USD per 1M tokens".parse().unwrap());
            }
            rules.shadow = Some(policy::rule::ShadowPrices { prices, until: None });
            world.reload(rules);
            world.spend("acme", "4");
        }
        "stopped" => {
            world.spend("acme", "51");
            world.obey_all();
        }
        other => panic!("no world for {other}"),
    }
    world
}

/// The reason's name in the goldens. A new reason does not compile until it has one here.
const fn name_of(reason: &NotTrippedReason) -> &'static str {
    match reason {
        NotTrippedReason::NeverSeen => "never-seen",
        NotTrippedReason::NoBudgetSelects => "no-budget-selects",
        NotTrippedReason::CountedAsUnattributed => "counted-as-unattributed",
        NotTrippedReason::BelowLimit { .. } => "below-limit",
        NotTrippedReason::Warned { .. } => "warned",
        NotTrippedReason::Arming(_) => "arming",
        NotTrippedReason::ModeOnlyObserves => "mode-only-observes",
        NotTrippedReason::Withheld(_) => "withheld",
        NotTrippedReason::AwaitsApproval { .. } => "awaits-approval",
        NotTrippedReason::RuleStopsNothing => "rule-stops-nothing",
        NotTrippedReason::NoTargets { .. } => "no-targets",
        NotTrippedReason::Untrusted => "untrusted",
        NotTrippedReason::Reset { .. } => "reset",
        NotTrippedReason::ClosedWindowOnly => "closed-window-only",
        NotTrippedReason::Unpriced { .. } => "unpriced",
        NotTrippedReason::Frozen { .. } => "frozen",
        NotTrippedReason::FirstDays { .. } => "first-days",
        NotTrippedReason::Stopped { .. } => "stopped",
        NotTrippedReason::PricesInShadow { .. } => "prices-in-shadow",
    }
}

const REASONS: [&str; 19] = [
    "never-seen",
    "no-budget-selects",
    "counted-as-unattributed",
    "below-limit",
    "warned",
    "arming",
    "mode-only-observes",
    "withheld",
    "awaits-approval",
    "rule-stops-nothing",
    "no-targets",
    "untrusted",
    "reset",
    "closed-window-only",
    "unpriced",
    "stopped",
    "frozen",
    "first-days",
    "prices-in-shadow",
];

#[test]
fn each_reason_why_nothing_happened_has_its_golden() {
    for reason in REASONS {
        let world = world_of(reason);
        let who = if reason == "untrusted" { "agent-daily/acme=asserted" } else { "acme" };
        let answers = world.engine.explain(who, world.clock.wall);
        assert!(answers.iter().any(|a| name_of(&a.reason) == reason), "{reason}: {answers:?}");
        let lines: Vec<String> = answers
            .iter()
            .map(|a| format!("{}: {}\n", a.breaker.as_deref().unwrap_or("(no breaker)"), a.reason))
            .collect();
        golden(&format!("why-not-{reason}"), &lines.concat());
    }
}

#[test]
fn each_thing_that_an_arming_breaker_waits_for_is_said() {
    let causes = [
        ArmingCause::Grace(at("2026-11-20T12:05:00Z")),
        ArmingCause::OnTimeFact,
        ArmingCause::RuleChange,
        ArmingCause::PriceChange,
        ArmingCause::Clock,
    ];
    let lines: Vec<String> =
        causes.iter().map(|cause| format!("{}\n", NotTrippedReason::Arming(*cause))).collect();
    golden("arming-causes", &lines.concat());
}

#[test]
fn a_withheld_batch_lists_its_targets_and_the_guard_that_said_no() {
    let mut world = World::new();
    world.command(CommandKind::Freeze { reason: "incident 42".to_owned() });
    world.spend("acme", "51");
    assert_eq!(world.sum("tenant-daily/acme"), usd("51"));
    let withheld = world.decisions.iter().find(|d| matches!(d.kind, DecisionKind::Withheld { .. })).unwrap();
    golden("withheld", &policy::explain::decision(withheld, &[], &[]));
}

#[test]
fn every_decision_names_the_commit_of_its_rules() {
    let mut world = World::new();
    let mut rules = world.rules.clone();
    (rules.id, rules.revision) = ("r2".into(), Some("1a2b3c-dirty".into()));
    world.reload(rules);
    world.spend("acme", "51");
    let tripped = world.decisions.iter().find(|d| matches!(d.kind, DecisionKind::Tripped { .. })).unwrap();
    assert_eq!(tripped.why.revision.as_deref(), Some("1a2b3c-dirty"));
    assert!(world.orders.iter().all(|order| order.why.revision == tripped.why.revision));
}
