//! Every kind of notice that the engine can send, each with a name: the goldens' input.

mod spot;

use policy::burn::{Basis, Burn};
use policy::consolidate::{Move, Plan, Vacated};
use policy::decision::{
    ArmingCause, BreakerRef, Cause, Decision, DecisionKind, HoldState, LargeCharge, Notice, ReleaseCause,
    Severity, Times, Why,
};
use policy::fact::{GuardAnswer, GuardCheck};
use policy::id::{DecisionId, OrderId};
use policy::idle::{Evidence, Finding, Target, Verdict};
use policy::inventory::{ObjectKey, ObjectKind, PodKey};
use policy::money::{Money, Percent};
use policy::page::PageTopic;
use policy::rule::{
    Act, Budget, CalendarUnit, Limit, Measure, Mode, OnStale, Place, Restore, RestoreWhen, Selector,
    WindowSpec,
};
use policy::time::{Span, Timestamp};

/// A notice, the rule it came from, and what its golden is called.
pub struct Scene {
    pub name: String,
    pub notice: Notice,
    pub budget: Option<Budget>,
    pub repeat: bool,
}

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(&format!("2026-11-20T{text}Z")).unwrap()
}

pub fn usd(text: &str) -> Money {
    format!("{text} USD").parse().unwrap()
}

pub fn object(name: &str) -> ObjectKey {
    ObjectKey::scaled_object("acme-agents", name)
}

fn place(line: u32) -> Place {
    Place { file: "tenants.yaml".into(), line, column: 5 }
}

/// "each tenant may spend 50 USD a day".
pub fn budget(window: WindowSpec, when: RestoreWhen, mode: Mode) -> Budget {
    Budget {
        name: "tenant-daily".into(),
        description: "What each tenant may spend in a day.".into(),
        place: place(1),
        select: Selector { all: true, ..Selector::default() },
        per_each: vec!["tenant".into()],
        limit: Limit::usd(usd("50")),
        window,
        within: None,
        warn_at: vec!["80%".parse().unwrap()],
        trip_at: Percent::WHOLE,
        trip_place: place(12),
        grace: Span::ZERO,
        on_warn: Vec::new(),
        on_trip: vec![Act::Notify { route: "oncall".into(), place: place(14) }],
        restore: Restore { when, min_hold: Span::from_mins(10), max_trips_per_window: 2, waves: None },
        on_stale: OnStale::Keep,
        mode,
        triggers: Vec::new(),
        spans: Vec::new(),
        carve_out: false,
        on_unpriced: policy::rule::OnUnpriced::Alert,
    }
}

pub fn daily() -> Budget {
    let day =
        WindowSpec::Calendar { unit: CalendarUnit::Day, timezone: "UTC".parse().unwrap(), fiscal_start: 1 };
    budget(day, RestoreWhen::WindowRolls, Mode::Enforce)
}

fn why(sum: &str) -> Why {
    let charge = |n: u32, amount: &str| LargeCharge {
        fact: format!("bedrock-logs:req-{n:04}").into(),
        occurred_at: at("11:58:03"),
        amount: usd(amount),
    };
    Why {
        breaker: Some(BreakerRef {
            name: "tenant-daily/acme".into(),
            start: at("00:00:00"),
            end: Timestamp::parse_rfc3339("2026-11-21T00:00:00Z").unwrap(),
        }),
        episode: at("00:00:00"),
        sum: usd(sum),
        limit: usd("50"),
        facts: 1204,
        burn: Burn::over(usd("3.1"), Span::from_millis(900_412), Basis::Recent),
        largest: vec![charge(17, "3.2041"), charge(4, "2.11"), charge(9, "1.9"), charge(11, "1.2")],
        unpriced: 0,
        place: place(12),
        rules: "5f2c81d0".into(),
        prices: "bedrock-2026-08".into(),
        occurred_at: Some(at("12:00:01.200")),
        note: String::new(),
        cause: Cause::Sum,
        unit: policy::money::Unit::Usd,
        revision: None,
    }
}

/// A notice in mode `enforce` about acme; the rest is set by each scene.
pub fn notice(kind: DecisionKind, severity: Severity, sum: &str) -> Notice {
    Notice {
        id: OrderId(31),
        key: "tenant-daily/acme@2026-11-20T00:00:00Z#tripped#d17#oncall".into(),
        thread: "tenant-daily/acme@2026-11-20T00:00:00Z".into(),
        route: "oncall".into(),
        severity,
        progress: false,
        decision: Decision {
            id: DecisionId(17),
            at: at("12:00:02"),
            kind,
            mode: Mode::Enforce,
            why: why(sum),
        },
        targets: Vec::new(),
        times: Times::default(),
        manner: Default::default(),
    }
}

fn scene(name: &str, notice: Notice) -> Scene {
    Scene { name: name.to_owned(), notice, budget: Some(daily()), repeat: false }
}

pub fn tripped() -> Notice {
    let targets = vec![object("agent"), object("worker")];
    let left = vec![(object("gateway"), "its label tier=critical exempts it".to_owned())];
    let kind = DecisionKind::Tripped { targets, left };
    let mut notice = notice(kind, Severity::Critical, "50.1242");
    notice.targets = vec![(object("agent"), HoldState::Ordered), (object("worker"), HoldState::Ordered)];
    notice.times =
        Times { occurred_at: Some(at("12:00:01.200")), decided_at: Some(at("12:00:02")), ..Times::default() };
    notice
}

pub fn hold(from: HoldState, to: HoldState, detail: &str, others: HoldState) -> Notice {
    let kind = DecisionKind::Hold { target: object("agent"), from, to, detail: detail.to_owned() };
    let loud = matches!(to, HoldState::NotStopped | HoldState::Contested)
        || detail.starts_with("restore incomplete");
    let severity = if loud { Severity::Critical } else { Severity::Info };
    let mut notice = notice(kind, severity, "50.1242");
    notice.progress = !loud;
    notice.decision.id = DecisionId(18);
    notice.key = format!("tenant-daily/acme@2026-11-20T00:00:00Z#hold-agent-{}#d18#oncall", to.word()).into();
    notice.targets = vec![(object("agent"), to), (object("worker"), others)];
    notice.times = Times {
        occurred_at: Some(at("12:00:01.200")),
        decided_at: Some(at("12:00:02")),
        accepted_at: Some(at("12:00:02.412")),
        verified_at: Some(at("12:00:03.100")),
    };
    notice
}

/// All of them.
pub fn all() -> Vec<Scene> {
    let mut scenes = money();
    scenes.extend(modes());
    scenes.extend(withheld());
    scenes.extend(holds());
    scenes.extend(pages());
    scenes.extend(idle());
    scenes.extend(spot::scenes());
    scenes.extend(manners());
    scenes.push(extreme());
    scenes
}

/// What an idle policy tells.
fn idle() -> Vec<Scene> {
    let workload = |name: &str| Target::Workload(ObjectKey { kind: ObjectKind::Deployment, ..object(name) });
    let finding = |name: &str, worth: Option<&str>| Finding {
        target: workload(name),
        verdict: Verdict::Idle(Evidence { gpus: 2, samples: 58, expected: 60 }),
        worth: worth.map(usd),
        nodes: vec!["ip-10-0-1-7".into()],
    };
    let found = DecisionKind::Idle {
        found: vec![finding("agent", Some("12.5")), finding("worker", None)],
        more: 0,
        targets: vec![object("agent")],
        left: vec![(object("worker"), "label tier=critical protects it".to_owned())],
        not_armed: vec!["cordon ip-10-0-1-7: not armed yet".to_owned()],
    };
    let moved = |pod: &str| Move { pod: PodKey::new("acme-agents", pod), to: "ip-10-0-1-9".into() };
    let plan = Plan {
        vacated: vec![Vacated {
            node: "ip-10-0-1-7".into(),
            allocation: "25%".parse().unwrap(),
            saving: usd("12.5"),
            moves: vec![moved("agent-0"), moved("agent-1")],
        }],
        saving: usd("12.5"),
        left: Vec::new(),
    };
    let packable = DecisionKind::Packable { plan, more: 0, not_armed: Vec::new() };
    let detail = "mode `approve` waits for a person until 2026-11-20T12:15:02Z".to_owned();
    let asked = DecisionKind::Withheld {
        targets: vec![object("agent")],
        answers: vec![GuardAnswer { check: GuardCheck::Mode, pass: false, detail }],
    };
    let wanted = "somebody raised it to 1: somebody wants it, and it is left alone for 1d".to_owned();
    let back = DecisionKind::Released { cause: ReleaseCause::Wanted(wanted), targets: vec![object("agent")] };
    let kinds = [
        ("idle-found", found, Severity::Warning, Mode::Enforce),
        ("idle-packable", packable, Severity::Info, Mode::Alert),
        ("idle-withheld", asked, Severity::Critical, Mode::Approve),
        ("idle-wanted", back, Severity::Info, Mode::Enforce),
    ];
    let told = |(name, kind, severity, mode)| {
        let mut told = notice(kind, severity, "12.5");
        let why = &mut told.decision.why;
        (why.limit, why.burn, why.occurred_at) = (Money::ZERO, None, None);
        why.largest.clear();
        why.breaker =
            Some(BreakerRef { name: "idle:gpu-idle".into(), start: at("12:00:02"), end: at("12:00:02") });
        told.decision.mode = mode;
        if name == "idle-wanted" {
            told.targets = vec![(object("agent"), HoldState::Restoring)];
        }
        Scene { budget: None, ..scene(name, told) }
    };
    kinds.into_iter().map(told).collect()
}

/// What a burn rate brings: a warning, a question, a stop.
fn fast() -> Vec<Scene> {
    let (long, short) = (Span::from_hours(1), Span::from_mins(5));
    let measure = Measure::BurnRate { long, short, exceeds: Percent::from_ppm(14_400_000) };
    let spent = vec![(long, usd("31.2")), (short, usd("4.05"))];
    let cause = Cause::Trigger { measure, spent, foretold: None, place: place(21) };
    let forecast = Measure::Forecast { exceeds: "110%".parse().unwrap() };
    let foretold = Some(usd("71.5"));
    let guess = Cause::Trigger { measure: forecast, spent: Vec::new(), foretold, place: place(24) };
    let target = object("agent");
    let waits = DecisionKind::Arming { cause: ArmingCause::RuleChange };
    let stopped = DecisionKind::Tripped { targets: vec![target], left: Vec::new() };
    let kinds = [
        ("warned-by-burn-rate", DecisionKind::WarnedBy { measure }, Severity::Warning, cause.clone()),
        ("warned-by-forecast", DecisionKind::WarnedBy { measure: forecast }, Severity::Warning, guess),
        ("arming-burn-rate", waits, Severity::Warning, cause.clone()),
        ("tripped-by-burn-rate", stopped, Severity::Critical, cause),
    ];
    let told = |(name, kind, severity, cause)| {
        let mut told = notice(kind, severity, "36.9");
        told.decision.why.cause = cause;
        scene(name, told)
    };
    kinds.into_iter().map(told).collect()
}

fn money() -> Vec<Scene> {
    let warned =
        notice(DecisionKind::Warned { threshold: "80%".parse().unwrap() }, Severity::Warning, "40.0212");
    let mut scenes = vec![scene("warned", warned)];
    scenes.extend(fast());
    for (name, cause) in [
        ("grace", ArmingCause::Grace(at("12:05:00"))),
        ("on-time-fact", ArmingCause::OnTimeFact),
        ("rule-change", ArmingCause::RuleChange),
        ("price-change", ArmingCause::PriceChange),
        ("clock", ArmingCause::Clock),
    ] {
        let arming = notice(DecisionKind::Arming { cause }, Severity::Warning, "50.0001");
        scenes.push(scene(&format!("arming-{name}"), arming));
    }
    for (name, cause) in [
        ("window-rolled", ReleaseCause::WindowRolled),
        ("fell-below", ReleaseCause::FellBelow),
        ("source-heard", ReleaseCause::SourceHeard),
        ("reset", ReleaseCause::Reset("uid:1000 (ana)".to_owned())),
        ("person", ReleaseCause::Person("uid:1000 (ana)".to_owned())),
    ] {
        let targets = vec![object("agent"), object("worker")];
        let mut released = notice(DecisionKind::Released { cause, targets }, Severity::Info, "0.31");
        released.targets =
            vec![(object("agent"), HoldState::Restoring), (object("worker"), HoldState::Restoring)];
        scenes.push(scene(&format!("released-{name}"), released));
    }
    let cause = ReleaseCause::WindowRolled;
    let nothing = notice(DecisionKind::Released { cause, targets: Vec::new() }, Severity::Info, "0");
    scenes.push(scene("released-nothing", nothing));
    let mut closed = notice(DecisionKind::BreachedAfterClose, Severity::Warning, "51.2");
    closed.decision.why.burn = None;
    closed.decision.why.note = "a late fact brought a closed window over its limit".to_owned();
    scenes.push(scene("breached-after-close", closed));
    for (name, refused) in [("taken", None), ("refused", Some("d9 does not wait for approval (any more)"))] {
        let what = "uid:1000 (ana): approve d9".to_owned();
        let kind = DecisionKind::Commanded { what, refused: refused.map(str::to_owned) };
        scenes.push(scene(&format!("commanded-{name}"), notice(kind, Severity::Info, "50.1242")));
    }
    scenes
}

fn modes() -> Vec<Scene> {
    let mut scenes = vec![scene("tripped-enforce", tripped())];
    for mode in [Mode::Alert, Mode::Approve] {
        let mut notice = tripped();
        notice.decision.mode = mode;
        scenes.push(scene(&format!("tripped-{}", mode.word()), notice));
    }
    let mut nothing = tripped();
    nothing.decision.kind = DecisionKind::Tripped { targets: Vec::new(), left: Vec::new() };
    nothing.targets.clear();
    nothing.decision.why.unpriced = 3;
    scenes.push(scene("tripped-no-targets", nothing));
    let mut gone = scene("tripped-budget-gone", tripped());
    gone.budget = None;
    scenes.push(gone);
    for (name, window, when) in [
        ("rolling", WindowSpec::Rolling(Span::from_hours(24)), RestoreWhen::Below("90%".parse().unwrap())),
        ("rolling-window-rolls", WindowSpec::Rolling(Span::from_hours(24)), RestoreWhen::WindowRolls),
        ("lifetime", WindowSpec::Lifetime, RestoreWhen::WindowRolls),
        ("manual", WindowSpec::Lifetime, RestoreWhen::Manual),
    ] {
        let mut rolling = scene(&format!("tripped-{name}"), tripped());
        rolling.budget = Some(budget(window.clone(), when, Mode::Enforce));
        if window == WindowSpec::Lifetime
            && let Some(breaker) = &mut rolling.notice.decision.why.breaker
        {
            (breaker.start, breaker.end) = (Timestamp::MIN, Timestamp::MAX);
        }
        scenes.push(rolling);
    }
    let mut repeat = scene("tripped-repeat", tripped());
    repeat.repeat = true;
    scenes.push(repeat);
    scenes
}

/// What is told together, again, and to somebody else.
fn manners() -> Vec<Scene> {
    let mut wanted = tripped();
    wanted.manner.ack = true;
    let mut again = wanted.clone();
    again.manner.again = 2;
    again.manner.unanswered_since = Some(at("12:00:02"));
    let mut escalated = again.clone();
    (escalated.route, escalated.manner.again) = ("management".into(), 0);
    escalated.manner.escalated_from = Some("oncall".into());
    let warned = notice(DecisionKind::Warned { threshold: "80%".parse().unwrap() }, Severity::Warning, "41");
    let mut together = wanted.clone();
    together.key = "digest@oncall@2026-11-21T07:00:00Z#90".into();
    together.thread = "digest@oncall@2026-11-21T07:00:00Z".into();
    together.manner.digest = vec![warned, page(PageTopic::Unpriced), wanted.clone()];
    together.manner.omitted = 4;
    vec![
        scene("tripped-wants-ack", wanted),
        scene("tripped-again", again),
        scene("tripped-escalated", escalated),
        scene("digest", together),
    ]
}

fn withheld() -> Vec<Scene> {
    let with = |check: GuardCheck, detail: &str, mode: Mode| {
        let answers = vec![GuardAnswer { check, pass: false, detail: detail.to_owned() }];
        let targets = vec![object("agent"), object("worker")];
        let mut notice = notice(DecisionKind::Withheld { targets, answers }, Severity::Critical, "50.1242");
        notice.decision.mode = mode;
        scene(&format!("withheld-{}-{}", check.word(), mode.word()), notice)
    };
    let asks = "mode `approve` waits for a person until 2026-11-20T12:15:02Z";
    let many = "6 targets, and more than 5 wait for a yes from finops-leads until 2026-11-20T12:15:02Z \
                (targetsOver)";
    let freeze = "frozen by the rules until 2026-11-20T16:30:00Z: trading hours (rail.yaml:6)";
    let mut by_rules = with(GuardCheck::Freeze, freeze, Mode::Enforce);
    by_rules.name = "withheld-freeze-by-rules".to_owned();
    let cap = "2 newly stopped targets of this rule in 10m, of 8 it could stop; the cap is 1";
    vec![
        with(GuardCheck::Mode, asks, Mode::Approve),
        with(GuardCheck::Mode, "the daemon may only alert: no Lease", Mode::Alert),
        with(GuardCheck::BlastRadius, cap, Mode::Enforce),
        with(GuardCheck::Freeze, "frozen by uid:1000 (ana) at 2026-11-20T11:00:00Z: deploy", Mode::Enforce),
        by_rules,
        with(GuardCheck::Approval, many, Mode::Approve),
        with(GuardCheck::Clock, "the wall clock moved by 2h while 1s passed", Mode::Enforce),
        with(GuardCheck::Inventory, "the cluster was last heard 130s ago", Mode::Enforce),
    ]
}

fn holds() -> Vec<Scene> {
    use HoldState::{Contested, NotStopped, Ordered, Released, Restoring, Verified};
    let signs = "status.pausedReplicaCount 0, hpa absent, scale 0, pods 0";
    let mut alone = hold(Ordered, Verified, signs, Verified);
    alone.targets.truncate(1);
    let mut foreign =
        hold(Ordered, Verified, "already at zero, stopped by kubectl; left as theirs", Verified);
    foreign.targets.truncate(1);
    let mut not_all = hold(Restoring, Released, "given back as it was", Released);
    not_all.decision.why.note =
        "not given back: ScaledObject/acme-agents/batch (the object is gone)".to_owned();
    let foreign_at_two = "paused at 2 by kubectl; 2 replicas run on";
    let with_burn = |burn: Option<Burn>| {
        let mut runs_on = hold(Ordered, NotStopped, foreign_at_two, Verified);
        runs_on.decision.why.burn = burn;
        runs_on
    };
    let average = Burn::over(usd("50.1242"), Span::from_millis(43_202_000), Basis::Window);
    let raised = "somebody raised it to 3; reversing it (1 of 2)";
    let missing = "restore incomplete: hpa absent, replicas 0";
    vec![
        scene("hold-ordered", hold(Verified, Ordered, raised, Verified)),
        scene("hold-verified", hold(Ordered, Verified, signs, Verified)),
        scene("hold-verified-alone", alone),
        scene("hold-verified-foreign", foreign),
        scene("hold-verified-some", hold(Ordered, Verified, signs, NotStopped)),
        scene("hold-not-stopped", hold(Ordered, NotStopped, foreign_at_two, Verified)),
        scene("hold-not-stopped-average", with_burn(average)),
        scene("hold-not-stopped-unmeasured", with_burn(None)),
        scene(
            "hold-contested",
            hold(
                Verified,
                Contested,
                "somebody raised it to 3; reversed 2 times already, no longer fighting",
                Verified,
            ),
        ),
        scene("hold-restoring", hold(Verified, Restoring, "nobody holds it any more", Restoring)),
        scene("hold-restore-incomplete", hold(Restoring, Restoring, missing, Released)),
        scene("hold-released", hold(Restoring, Released, "given back as it was", Released)),
        scene("hold-released-some", hold(Restoring, Released, "given back as it was", Restoring)),
        scene("hold-released-not-all", not_all),
        scene("hold-released-gone", hold(Verified, Released, "the object is gone", Verified)),
    ]
}

/// Every topic.
pub const TOPICS: [PageTopic; 11] = [
    PageTopic::Unpriced,
    PageTopic::SourceStale,
    PageTopic::InventoryStale,
    PageTopic::Clock,
    PageTopic::RuleChange,
    PageTopic::SubjectCap,
    PageTopic::Orphans,
    PageTopic::Posture,
    PageTopic::SourceHeard,
    PageTopic::Unjudged,
    PageTopic::FirstDays,
];

pub fn page(topic: PageTopic) -> Notice {
    let detail = "what was seen, and what it means for `acme`".to_owned();
    let good = matches!(topic, PageTopic::SourceHeard | PageTopic::FirstDays);
    let severity = if good { Severity::Info } else { Severity::Critical };
    let mut page = notice(DecisionKind::Page { topic, detail }, severity, "0");
    let now = page.decision.at;
    page.decision.why = Why {
        breaker: Some(BreakerRef { name: "breakerbox".into(), start: now, end: now }),
        rules: "5f2c81d0".into(),
        prices: "bedrock-2026-08".into(),
        ..Why::default()
    };
    page.decision.mode = Mode::Observe;
    page
}

fn pages() -> Vec<Scene> {
    TOPICS.iter().map(|topic| scene(&format!("page-{topic:?}").to_lowercase(), page(*topic))).collect()
}

/// Long, hostile and many: what Slack's limits and escapes must hold against.
fn extreme() -> Scene {
    let mut notice = tripped();
    let name = format!("tenant-daily/<!channel> *a* & `b` {}", "ä".repeat(400));
    if let Some(breaker) = &mut notice.decision.why.breaker {
        breaker.name = name.into();
    }
    notice.targets =
        (0..500).map(|n| (object(&format!("{n}-{}", "x".repeat(200))), HoldState::Ordered)).collect();
    let targets = notice.targets.iter().map(|(target, _)| target.clone()).collect();
    let left = (0..500).map(|n| (object(&format!("left-{n}")), "&<>".repeat(2000))).collect();
    notice.decision.kind = DecisionKind::Tripped { targets, left };
    notice.decision.why.note = "note & <b>".repeat(2000);
    for charge in &mut notice.decision.why.largest {
        charge.fact = "<@U0456>".repeat(1000).into();
    }
    scene("extreme", notice)
}
