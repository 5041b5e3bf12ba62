//! What valid rule files come to.

use chrono_tz::Tz;
use policy::gpu::Signal;
use policy::inventory::ObjectKey;
use policy::money::{Money, Percent};
use policy::price::PriceBook;
use policy::rule::{
    Act, CalendarUnit, ChargeKind, Compiled, FirstDays, FreezeWhen, IdleAct, Mode, OnStale, ProtectedKind,
    Receiver, RestoreWhen, RuleSet, SecretRef, SourceFile, SpotAct, SpotTrigger, Template, Test, WindowSpec,
    compile,
};
use policy::time::{Span, Timestamp};

const WHOLE: &str = include_str!("rules/whole.yaml");
const SHIPPED: &str = include_str!("../../rules/tenants.yaml");

fn compiled(files: &[(&str, &str)]) -> Compiled {
    let files: Vec<SourceFile<'_>> = files.iter().map(|(path, text)| SourceFile { path, text }).collect();
    compile(&files).unwrap_or_else(|all| panic!("{all}"))
}

fn whole() -> RuleSet {
    let Compiled { rules, warnings } = compiled(&[("whole.yaml", WHOLE)]);
    assert!(warnings.list.is_empty(), "{warnings}");
    rules
}

fn usd(text: &str) -> Money {
    text.parse().unwrap()
}

fn percent(text: &str) -> Percent {
    text.parse().unwrap()
}

#[test]
fn the_shipped_rules_are_valid_and_observe() {
    let Compiled { rules, warnings } = compiled(&[("tenants.yaml", SHIPPED)]);
    assert!(warnings.list.is_empty(), "{warnings}");
    let [budget] = rules.budgets.as_slice() else { panic!("{} budgets", rules.budgets.len()) };
    assert_eq!(budget.mode, Mode::Observe);
    assert_eq!(budget.limit.amount, usd("50 USD"));
    assert_eq!(budget.warn_at, [percent("80%")]);
    assert!(matches!(budget.on_trip[1], Act::PauseScaledObjects { .. }));
    assert_eq!(rules.guardrail.page.as_deref(), Some("slack"));
}

#[test]
fn a_budget_has_all_that_was_written() {
    let rules = whole();
    let names: Vec<&str> = rules.budgets.iter().map(|b| &*b.name).collect();
    assert_eq!(names, ["burst", "org-monthly", "prepaid", "tenant-daily"], "sorted by name");
    let budget = &rules.budgets[3];
    assert_eq!(&*budget.description, "What each tenant may spend in a day.");
    assert_eq!(budget.per_each, ["tenant".into()]);
    assert_eq!(budget.within.as_deref(), Some("org-monthly"));
    assert_eq!(budget.warn_at, [percent("50%"), percent("80%")]);
    assert_eq!((budget.trip_at, budget.grace), (Percent::WHOLE, Span::from_mins(5)));
    assert_eq!((budget.on_stale, budget.mode), (OnStale::Alert, Mode::Enforce));
    assert_eq!(budget.select.charges, [ChargeKind::Tokens, ChargeKind::Gpu]);
    let tests: Vec<(&str, &Test)> = budget.select.subjects.iter().map(|c| (&*c.field, &c.test)).collect();
    assert_eq!(
        tests,
        [
            ("tenant", &Test::Exists),
            ("agents.example.com/platform", &Test::In(vec!["prod".into(), "prod-*".into()])),
            ("stage", &Test::NotIn(vec!["dev".into()])),
            ("model", &Test::In(vec!["us.anthropic.*".into()])),
        ]
    );
    assert_eq!(budget.restore.when, RestoreWhen::WindowRolls);
    assert_eq!((budget.restore.min_hold, budget.restore.max_trips_per_window), (Span::from_mins(1), 3));
}

#[test]
fn targets_and_templates_are_kept_apart() {
    let rules = whole();
    let Act::PauseScaledObjects { targets, place } = &rules.budgets[3].on_trip[1] else { panic!() };
    assert!(!targets.all);
    assert_eq!(targets.namespaces, [Template::Field("tenant".into())]);
    assert_eq!(targets.namespace_labels, [("tenant".into(), Template::Field("tenant".into()))]);
    assert_eq!(targets.labels, [("app".into(), Template::Literal("agent".into()))]);
    assert_eq!(targets.except, [("tier".into(), "critical".into())]);
    let line = usize::try_from(place.line).unwrap();
    assert!(WHOLE.lines().nth(line - 1).unwrap().contains("pauseScaledObjects"), "{place}");
}

#[test]
fn an_order_cites_the_line_of_trip_at_and_of_limit_where_there_is_none() {
    let rules = whole();
    let line = |name: &str| {
        let place = &rules.budgets.iter().find(|b| &*b.name == name).unwrap().trip_place;
        WHOLE.lines().nth(usize::try_from(place.line).unwrap() - 1).unwrap().trim()
    };
    assert_eq!(line("tenant-daily"), "tripAt: 100%");
    assert_eq!(line("burst"), "limit: {amount: 0.25 USD}");
}

#[test]
fn each_form_of_window_is_read() {
    let rules = whole();
    let window = |name: &str| rules.budgets.iter().find(|b| &*b.name == name).unwrap().window.clone();
    assert_eq!(window("burst"), WindowSpec::Rolling(Span::from_hours(6)));
    assert_eq!(window("prepaid"), WindowSpec::Lifetime);
    assert_eq!(
        window("org-monthly"),
        WindowSpec::Calendar {
            unit: CalendarUnit::Quarter,
            timezone: Tz::America__New_York,
            fiscal_start: 4
        }
    );
    let day = WindowSpec::Calendar { unit: CalendarUnit::Day, timezone: Tz::Europe__Berlin, fiscal_start: 1 };
    assert_eq!(window("tenant-daily"), day);
}

#[test]
fn an_override_ends_with_its_day_in_the_time_zone_of_the_window() {
    let rules = whole();
    let overrides = &rules.budgets[3].limit.overrides;
    assert_eq!(overrides[0].amount, usd("200 USD"));
    assert_eq!(overrides[0].until, None);
    assert_eq!(overrides[1].matches, [("tenant".into(), "007".into())]);
    // Midnight after 31 December in Berlin, an hour ahead of UTC in winter.
    let end = Timestamp::parse_rfc3339("2026-12-31T23:00:00Z").unwrap();
    assert_eq!(overrides[1].until, Some(end));
}

#[test]
fn a_number_that_names_something_keeps_every_digit() {
    let rules = whole();
    assert_eq!(rules.budgets[0].select.subjects[0].test, Test::In(vec!["111122223333".into()]));
    let text = WHOLE.replace("tenant: \"007\"", "tenant: 007");
    let rules = compiled(&[("whole.yaml", &text)]).rules;
    assert_eq!(&*rules.budgets[3].limit.overrides[1].matches[0].1, "007");
}

#[test]
fn routes_name_their_secrets_and_never_hold_them() {
    let rules = whole();
    assert_eq!(
        rules.routes["finops"].receivers,
        [
            Receiver::SlackWebhook { url: SecretRef::Env("SLACK_URL".into()) },
            Receiver::Webhook {
                url: "https://hooks.example.com/breakerbox".into(),
                secret: SecretRef::File("secrets/hook".into())
            },
        ]
    );
    let chat = Receiver::SlackChat { token: SecretRef::Env("SLACK_TOKEN".into()), channel: "#oncall".into() };
    assert_eq!(rules.routes["oncall"].receivers, [chat]);
}

#[test]
fn a_guardrail_adds_to_the_built_in_protections_and_of_two_caps_the_stricter_holds() {
    let other = "apiVersion: breakerbox.dev/v1alpha1\nkind: Guardrail\nmetadata: {name: other}\nspec:\n  \
                 blastRadius: {perRule: 50% of eligible targets per 1h, atLeast: 1, overall: 500 per 1h}\n";
    let rail = compiled(&[("whole.yaml", WHOLE), ("other.yaml", other)]).rules.guardrail;
    for name in ["kube-system", "keda", "payments", "prod-*"] {
        assert!(rail.protected_namespaces.iter().any(|n| &**n == name), "{name}");
    }
    assert!(rail.protected_labels.contains(&("tier".into(), "critical".into())));
    assert!(rail.protected_labels.contains(&("breakerbox.dev/protected".into(), "true".into())));
    assert!(rail.protected_objects.contains(&ObjectKey::scaled_object("checkout", "api")));
    assert_eq!((rail.per_rule, rail.at_least, rail.overall), (percent("20%"), 1, 10));
    assert_eq!(rail.per, Span::from_hours(1));
    assert_eq!(rail.approval_expires, Span::from_mins(30));
}

#[test]
fn a_guardrail_says_when_nothing_is_stopped_who_may_approve_and_what_is_new() {
    let rail = whole().guardrail;
    assert_eq!((rail.targets_over, rail.protected_kinds), (Some(5), vec![ProtectedKind::StatefulSet]));
    let approvers = rail.approvers.unwrap();
    assert_eq!(approvers.named, ["finops-leads".into(), "uid:0".into()]);
    assert_eq!(approvers.actors, ["night-shift".into(), "uid:0".into(), "uid:1000".into()]);
    assert_eq!(rail.first_days, Some(FirstDays { mode: Mode::Observe, length: Span::from_hours(14 * 24) }));
    let at = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
    let [weekly, year, evening] = rail.freeze.as_slice() else { panic!("{:?}", rail.freeze) };
    assert_eq!(
        weekly.when,
        FreezeWhen::Weekly {
            days: vec![0, 1, 2, 3, 4],
            from: 9 * 60,
            until: 17 * 60 + 30,
            timezone: Tz::Europe__Berlin
        }
    );
    // From the first to the last midnight of its days in New York, five hours behind.
    let (from, until) = (at("2026-12-20T05:00:00Z"), at("2027-01-05T05:00:00Z"));
    assert_eq!(year.when, FreezeWhen::Once { from, until });
    assert_eq!(year.because.as_deref(), Some("end of the year"));
    let (from, until) = (at("2026-12-10T18:00:00Z"), at("2026-12-10T22:00:00Z"));
    assert_eq!(evening.when, FreezeWhen::Once { from, until });
}

#[test]
fn of_two_documents_the_stricter_question_holds_and_their_freezes_add_up() {
    let other = "apiVersion: breakerbox.dev/v1alpha1\nkind: Guardrail\nmetadata: {name: other}\nspec:\n  \
                 approval: {targetsOver: 3, from: [leads]}\n  groups: {leads: [\"uid:1000\", ann]}\n  \
                 firstDays: approve\n  freeze: [{days: [Sun], timezone: UTC}]\n";
    let rail = compiled(&[("whole.yaml", WHOLE), ("other.yaml", other)]).rules.guardrail;
    assert_eq!((rail.targets_over, rail.freeze.len()), (Some(3), 4));
    assert_eq!(rail.approvers.unwrap().actors, ["uid:1000".into()], "whom both name");
    assert_eq!(rail.first_days, Some(FirstDays { mode: Mode::Observe, length: Span::from_hours(14 * 24) }));
}

#[test]
fn a_spot_policy_says_on_what_and_does_what_is_written_in_that_order() {
    let rules = whole();
    let [policy] = rules.spot.as_slice() else { panic!("{:?}", rules.spot) };
    use SpotTrigger::{CapacityReservation, Interruption, Rebalance};
    assert_eq!(policy.on, [Interruption, Rebalance, CapacityReservation]);
    assert_eq!((policy.mode, policy.nodepools.len()), (Mode::Alert, 2));
    assert!(policy.is_for("rebalance", "gpu-a") && !policy.is_for("rebalance", "cpu"));
    let acts: Vec<&str> = policy.then.iter().map(SpotAct::word).collect();
    assert_eq!(acts, ["cordon", "drain", "notify", "checkpoint"]);
    let SpotAct::Checkpoint { matching, before, .. } = &policy.then[3] else { unreachable!() };
    assert_eq!(
        (matching.as_slice(), *before),
        ([("app".into(), "train".into())].as_slice(), Span::from_secs(100))
    );
}

#[test]
fn prices_and_profiles_reach_the_book() {
    let rules = whole();
    assert_eq!(rules.prices.name, "negotiated");
    assert_eq!(rules.prices.instances.len(), 2);
    assert_eq!(rules.prices.spot_share, Some(percent("35%")));
    let book = PriceBook::embedded().with_overrides(&rules.prices).unwrap();
    assert!(book.id().contains("negotiated"), "{}", book.id());
}

#[test]
fn an_idle_policy_has_all_that_was_written() {
    let rules = whole();
    let [idle, pack] = rules.idle.as_slice() else { panic!("{} idle policies", rules.idle.len()) };
    assert_eq!((&*idle.name, idle.mode), ("gpu-idle", Mode::Approve));
    assert_eq!(idle.select.nodepools, ["gpu-*".into()]);
    assert_eq!(idle.select.instance_types, ["p4d.24xlarge".into(), "g5.*".into()]);
    assert_eq!(idle.select.labels["team"], "ml".into());
    let when = idle.idle_when.as_ref().unwrap();
    let below = [(Signal::GpuUtil, "5%"), (Signal::SmActive, "2%"), (Signal::PowerDraw, "30%")];
    assert_eq!(when.below, below.map(|(signal, share)| (signal, percent(share))).into());
    assert!(when.no_requests);
    assert_eq!((when.window, when.samples), (Span::from_mins(30), percent("95%")));
    let line = usize::try_from(when.place.line).unwrap();
    assert!(WHOLE.lines().nth(line - 1).unwrap().contains("idleWhen"), "{}", when.place);
    assert_eq!(idle.worth_at_least, Some("1 USD per hour".parse().unwrap()));
    let words: Vec<&str> = idle.then.iter().map(IdleAct::word).collect();
    assert_eq!(words, ["notify", "pauseScaledObjects", "cordon", "reclaim"]);
    assert!(
        matches!(&idle.then[0], IdleAct::Notify { ack_for: Some(span), .. } if *span == Span::from_hours(4))
    );
    assert!(matches!(&idle.then[1], IdleAct::PauseScaledObjects { except, .. } if except.len() == 1));
    assert_eq!(pack.pack.as_ref().unwrap().allocation_below, percent("50%"));
    assert!(pack.idle_when.is_none() && pack.select.all && pack.mode == Mode::Observe);
}

#[test]
fn sources_have_what_is_said_of_them() {
    assert_eq!(whole().sources["bedrock-log"].stale_after, Some(Span::from_mins(15)));
}

#[test]
fn what_is_left_out_has_the_careful_default() {
    let text = "apiVersion: breakerbox.dev/v1alpha1\nkind: Budget\nmetadata: {name: b}\nspec:\n  \
                select: {all: true}\n  limit: {amount: 1 USD}\n  window: {calendar: day}\n";
    let rules = compiled(&[("b.yaml", text)]).rules;
    let budget = &rules.budgets[0];
    assert_eq!(budget.mode, Mode::Observe);
    assert_eq!(budget.trip_at, Percent::WHOLE);
    assert_eq!(budget.grace, Span::ZERO);
    assert_eq!(budget.on_stale, OnStale::Keep);
    assert_eq!(budget.restore.when, RestoreWhen::WindowRolls);
    assert!(budget.per_each.is_empty() && budget.on_trip.is_empty());
    assert_eq!(rules.guardrail, policy::rule::Guardrail::default());
    assert_eq!(rules.attribution, policy::rule::Attribution::default());
}

#[test]
fn equal_sets_have_equal_ids_in_any_order_of_files_and_other_sets_have_others() {
    let other = SHIPPED.replace("tenant-daily", "other").replace("name: slack", "name: chat");
    let other = other.replace("route: slack", "route: chat").replace("page: slack", "page: chat");
    let other = other.replace("name: who", "name: who2").replace("name: default", "name: default2");
    let one = compiled(&[("a.yaml", WHOLE), ("b.yaml", &other)]).rules;
    let two = compiled(&[("b.yaml", &other), ("a.yaml", WHOLE)]).rules;
    assert_eq!(one, two);
    assert_eq!(one.id.len(), 16);
    let changed = WHOLE.replace("amount: 200 USD", "amount: 201 USD");
    let three = compiled(&[("a.yaml", &changed), ("b.yaml", &other)]).rules;
    assert_ne!(one.id, three.id);
    let with_comment = format!("{WHOLE}# a last word\n");
    let four = compiled(&[("a.yaml", &with_comment), ("b.yaml", &other)]).rules;
    assert_eq!(one.id, four.id, "a comment behind everything changes no rule and no place");
}

#[test]
fn documents_are_told_apart_wherever_their_markers_stand() {
    let second = SHIPPED.replace("tenant-daily", "second");
    let second = second.split("---").next().unwrap();
    let text = format!("# first\n---\n{SHIPPED}...\n---   # last\n{second}");
    let rules = compiled(&[("a.yaml", &text)]).rules;
    assert_eq!(rules.budgets.len(), 2);
    let place = &rules.budgets[0].place;
    let line = usize::try_from(place.line).unwrap();
    assert_eq!(text.lines().nth(line - 1), Some("apiVersion: breakerbox.dev/v1alpha1"), "{place}");
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_change_nothing_but_the_bytes() {
    let text = format!("\u{feff}{}", SHIPPED.replace('\n', "\r\n"));
    let rules = compiled(&[("tenants.yaml", &text)]).rules;
    let plain = compiled(&[("tenants.yaml", SHIPPED)]).rules;
    assert_eq!(rules.budgets[0].limit, plain.budgets[0].limit);
    assert_eq!(rules.budgets[0].trip_place, plain.budgets[0].trip_place);
}

#[test]
fn an_alias_is_read_and_what_is_wrong_in_it_is_shown_where_it_is_used() {
    let text = "apiVersion: breakerbox.dev/v1alpha1\nkind: Budget\nmetadata: {name: b}\nspec:\n  \
                select: {all: true}\n  limit: {amount: &sum 50 USD, overrides: [{match: {tenant: x}, \
                amount: *sum}]}\n  perEach: [tenant]\n  window: {calendar: day}\n";
    let rules = compiled(&[("b.yaml", text)]).rules;
    assert_eq!(rules.budgets[0].limit.overrides[0].amount, usd("50 USD"));
}
