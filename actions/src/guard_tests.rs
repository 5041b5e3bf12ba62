//! Each question refuses by itself, and nothing else does.

use policy::decision::Blast;
use policy::rule::ProtectedKind;
use policy::time::Span;

use super::*;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000).plus(Span::from_mins(minutes))
}

/// Evidence under which everything passes.
fn good(deed: Deed) -> Evidence<'static> {
    Evidence {
        deed,
        mode: Mode::Enforce,
        ceiling: Mode::Enforce,
        approved_by: None,
        protected: None,
        leads: true,
        expires_at: at(5),
        now: at(0),
        blast: Blast { eligible: 50, by_rule: 3, overall: 3, rule_cap: 5, overall_cap: 20 },
        counted: 3,
        cap: 20,
        freeze: FreezeSeen::None,
        wanted_uid: "a",
        seen_uid: "a",
        operator: Ok(Version::new(2, 21)),
        clock_agrees: true,
    }
}

type Spoil = fn(&mut Evidence<'static>);

/// One way to spoil the evidence, and which question must say no to a stop.
const SPOILERS: &[(GuardCheck, Spoil)] = &[
    (GuardCheck::Mode, |e| e.mode = Mode::Observe),
    (GuardCheck::Mode, |e| e.mode = Mode::Alert),
    (GuardCheck::Mode, |e| e.mode = Mode::Approve),
    (GuardCheck::Mode, |e| e.ceiling = Mode::Observe),
    (GuardCheck::Mode, |e| e.ceiling = Mode::Approve),
    (GuardCheck::Protected, |e| e.protected = Some("namespace `keda` is protected".to_owned())),
    (GuardCheck::Leadership, |e| e.leads = false),
    (GuardCheck::Expiry, |e| e.now = e.expires_at),
    (GuardCheck::BlastRadius, |e| e.blast.by_rule = 6),
    (GuardCheck::BlastRadius, |e| e.blast.overall = 21),
    (GuardCheck::BlastRadius, |e| e.counted = 21),
    (GuardCheck::BlastRadius, |e| e.cap = 2),
    (GuardCheck::BlastRadius, |e| e.blast = Blast { by_rule: 1, ..Blast::default() }),
    (GuardCheck::Freeze, |e| e.freeze = FreezeSeen::Frozen("incident 12".to_owned())),
    (GuardCheck::Freeze, |e| e.freeze = FreezeSeen::Unreadable("403".to_owned())),
    (GuardCheck::Identity, |e| e.seen_uid = "b"),
    (GuardCheck::Identity, |e| (e.seen_uid, e.wanted_uid) = ("", "")),
    (GuardCheck::Operator, |e| e.operator = Ok(Version::new(2, 11))),
    (GuardCheck::Operator, |e| e.operator = Err("no version".to_owned())),
    (GuardCheck::Clock, |e| e.clock_agrees = false),
];

fn refusing(answers: &[GuardAnswer]) -> Vec<GuardCheck> {
    answers.iter().filter(|a| !a.pass).map(|a| a.check).collect()
}

#[test]
fn with_nothing_against_it_every_deed_passes_all_nine_questions_in_order() {
    for deed in [Deed::Stop, Deed::Reverse, Deed::GiveBack, Deed::PersonGivesBack] {
        let answers = judge(&good(deed));
        assert!(lets_through(&answers), "{deed:?}: {answers:?}");
        assert!(answers.windows(2).all(|pair| pair[0].check < pair[1].check));
    }
}

#[test]
fn each_question_refuses_a_stop_alone() {
    for (i, (check, spoil)) in SPOILERS.iter().enumerate() {
        let mut evidence = good(Deed::Stop);
        spoil(&mut evidence);
        let answers = judge(&evidence);
        assert_eq!(refusing(&answers), [*check], "spoiler {i}");
        assert!(!lets_through(&answers));
    }
}

#[test]
fn every_question_has_a_spoiler() {
    for answer in judge(&good(Deed::Stop)) {
        assert!(SPOILERS.iter().any(|(check, _)| *check == answer.check), "{:?}", answer.check);
    }
}

#[test]
fn a_reversal_is_refused_by_all_but_the_blast_radius() {
    for (i, (check, spoil)) in SPOILERS.iter().enumerate() {
        let mut evidence = good(Deed::Reverse);
        spoil(&mut evidence);
        let want: &[GuardCheck] = if *check == GuardCheck::BlastRadius { &[] } else { &[*check] };
        assert_eq!(refusing(&judge(&evidence)), want, "spoiler {i}");
    }
}

#[test]
fn giving_back_needs_leadership_an_order_in_time_the_same_object_and_a_clock() {
    let still = [GuardCheck::Leadership, GuardCheck::Expiry, GuardCheck::Identity, GuardCheck::Clock];
    for (i, (check, spoil)) in SPOILERS.iter().enumerate() {
        let mut evidence = good(Deed::GiveBack);
        spoil(&mut evidence);
        let observes = evidence.ceiling == Mode::Observe;
        let want: &[GuardCheck] = if still.contains(check) || observes { &[*check] } else { &[] };
        assert_eq!(refusing(&judge(&evidence)), want, "spoiler {i}");
    }
}

#[test]
fn a_person_who_gives_all_back_is_refused_only_by_another_object() {
    for (i, (check, spoil)) in SPOILERS.iter().enumerate() {
        let mut evidence = good(Deed::PersonGivesBack);
        spoil(&mut evidence);
        let want: &[GuardCheck] = if *check == GuardCheck::Identity { &[*check] } else { &[] };
        assert_eq!(refusing(&judge(&evidence)), want, "spoiler {i}");
    }
}

#[test]
fn a_person_s_yes_lifts_approve_and_the_cap_and_nothing_else() {
    let lifted = |check: GuardCheck, e: &Evidence<'_>| match check {
        GuardCheck::Mode => e.mode.min(e.ceiling) == Mode::Approve,
        other => other == GuardCheck::BlastRadius,
    };
    for (i, (check, spoil)) in SPOILERS.iter().enumerate() {
        let mut evidence = good(Deed::Stop);
        evidence.approved_by = Some("alice");
        spoil(&mut evidence);
        let want: &[GuardCheck] = if lifted(*check, &evidence) { &[] } else { &[*check] };
        assert_eq!(refusing(&judge(&evidence)), want, "spoiler {i}");
    }
}

#[test]
fn too_few_answers_let_nothing_through() {
    let mut answers = judge(&good(Deed::Stop));
    answers.pop();
    assert!(!lets_through(&answers));
    assert!(!lets_through(&[]));
}

#[test]
fn what_is_protected_is_found_by_namespace_label_name_and_kind() {
    let rail = Guardrail {
        protected_namespaces: vec!["pay*".into()],
        protected_labels: vec![("tier".into(), "critical".into())],
        protected_objects: vec!["Deployment/shop/till".parse().unwrap()],
        ..Guardrail::default()
    };
    let object = |text: &str| text.parse::<ObjectKey>().unwrap();
    let none: [(&str, &str); 0] = [];
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], bool);
    let cases: &[Case<'_>] = &[
        ("shop/web", "Deployment/shop/web", &[], false),
        ("payments/web", "Deployment/payments/web", &[], true),
        ("kube-system/web", "Deployment/kube-system/web", &[], true),
        ("keda/web", "Deployment/keda/web", &[], true),
        ("ours/web", "Deployment/ours/web", &[], true),
        ("shop/till", "Deployment/shop/till", &[], true),
        ("shop/web", "Deployment/shop/web", &[("tier", "critical")], true),
        ("shop/web", "Deployment/shop/web", &[("tier", "low")], false),
        ("shop/web", "Deployment/shop/web", &[("breakerbox.dev/protected", "true")], true),
    ];
    for (target, workload, labels, want) in cases {
        let (target, workload) = (object(target), object(workload));
        let by = protection(&rail, "ours", &[&target, &workload], labels.iter().copied());
        assert_eq!(by.is_some(), *want, "{target} {labels:?}: {by:?}");
    }
    assert!(protection(&rail, "ours", &[&object("shop/web")], none).is_none());
    let kinds = Guardrail { protected_kinds: vec![ProtectedKind::StatefulSet], ..Guardrail::default() };
    let scales = |workload: &str| protection(&kinds, "ours", &[&object("shop/web"), &object(workload)], none);
    assert!(scales("Deployment/shop/web").is_none());
    assert_eq!(scales("StatefulSet/shop/web").as_deref(), Some("objects of kind StatefulSet are protected"));
}
