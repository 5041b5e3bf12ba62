//! From a notice to what people read. Pure: the same notice and rule give the same message.
//!
//! A message says who, what, why and what now, with the times, and never more than is proven: a stop that
//! is ordered reads as `tripped`, one that is proven as `stopped`, and one that did not happen as `still
//! runs`. Below `enforce` it says what would be. What the rule says of windows and of giving back is taken
//! from the budget as it stands, since the notice holds what was decided and not the rule.

use policy::decision::{Decision, DecisionKind, HoldState, Notice};
use policy::fact::{GuardAnswer, GuardCheck};
use policy::inventory::ObjectKey;
use policy::page::PageTopic;
use policy::rule::{Budget, FROZEN_BY_RULES, Mode};

use super::held;
use super::idle::{self, is_about_money};
use super::message::{Action, Field, Message, Standing, TargetLine};
use super::scene::{Scene, Told, action, give_back};
use super::{spot, words};

/// Charges that a message lists.
const CHARGES: usize = 3;

/// What a notice says that is told by itself.
///
/// `budget` is the budget that the breaker belongs to, where the rules in force still have it; `repeat`
/// marks a message that may have been sent before a restart.
#[must_use]
pub(super) fn alone(notice: &Notice, budget: Option<&Budget>, repeat: bool) -> Message {
    let decision = &notice.decision;
    let (who, name) = words::who(decision.why.breaker.as_ref());
    let spent = match idle::is_of_idle(decision) {
        true => idle::worth(decision),
        false => format!("{} ({name})", words::spent(&decision.why, budget)),
    };
    let scene = Scene { notice, budget, who, spent };
    let mut told = tell(&scene);
    let about_money = is_about_money(decision) && !matches!(decision.kind, DecisionKind::Spot(_));
    if about_money {
        told.lines.extend(doubts(decision));
    }
    told.actions.push(why_command(decision));
    let unit = decision.why.unit;
    let charges = decision.why.largest.iter().take(CHARGES);
    Message {
        title: told.title,
        severity: notice.severity,
        lines: told.lines,
        fields: if about_money { fields(&scene, told.stops) } else { Vec::new() },
        targets: told.targets,
        charges: charges
            .map(|c| format!("{} at {} ({})", unit.of(c.amount), c.occurred_at, c.fact))
            .collect(),
        actions: told.actions,
        footer: footer(decision),
        repeat,
    }
    .visible()
}

fn tell(scene: &Scene<'_>) -> Told {
    let (who, spent) = (scene.who, &scene.spent);
    match &scene.notice.decision.kind {
        DecisionKind::Warned { threshold } => Told {
            title: format!("{who} reached {threshold} of its limit: {spent}"),
            targets: scene.held(),
            ..Told::default()
        },
        DecisionKind::WarnedBy { measure } => Told {
            title: format!("{who} spends fast, {measure}: {spent}"),
            lines: triggered(scene),
            targets: scene.held(),
            actions: vec![forgive_command(scene)],
            ..Told::default()
        },
        DecisionKind::Arming { cause } => arming(scene, *cause),
        DecisionKind::Tripped { targets, left } => tripped(scene, targets, left),
        DecisionKind::Withheld { targets, answers } => withheld(scene, targets, answers),
        DecisionKind::Released { cause, targets } => Told {
            title: match targets.is_empty() {
                true => format!("{who} is clear again: {}", words::ended_by(cause)),
                false => format!("{who} is being given back: {}", words::ended_by(cause)),
            },
            targets: scene.held(),
            ..Told::default()
        },
        DecisionKind::BreachedAfterClose => Told {
            title: format!("{who} was over its limit in a window that is closed: {}", closed(scene)),
            lines: vec!["Late charges brought it over. Nothing is stopped for a closed window.".to_owned()],
            ..Told::default()
        },
        DecisionKind::Hold { target, to, detail, .. } => held::tell(scene, target, *to, detail),
        DecisionKind::Commanded { what, refused } => commanded(scene, what, refused.as_deref()),
        DecisionKind::Idle { found, more, targets, left, not_armed } => {
            idle::found(scene, found, *more, targets, left, not_armed)
        }
        DecisionKind::Packable { plan, more, not_armed } => idle::packable(scene, plan, *more, not_armed),
        DecisionKind::Page { topic, detail } => page(*topic, detail),
        DecisionKind::Spot(decided) => spot::tell(scene, decided),
    }
}

/// What a trigger saw, where one is why.
fn triggered(scene: &Scene<'_>) -> Vec<String> {
    let saw = policy::explain::trigger_in_words(&scene.notice.decision.why);
    saw.map(|saw| format!("Seen: {saw}.")).into_iter().collect()
}

fn closed(scene: &Scene<'_>) -> String {
    let why = &scene.notice.decision.why;
    let (_, name) = words::who(why.breaker.as_ref());
    format!("spent {} of {} ({name})", why.unit.of(why.sum), why.unit.of(why.limit))
}

fn arming(scene: &Scene<'_>, cause: policy::decision::ArmingCause) -> Told {
    use policy::decision::ArmingCause::{Clock, PriceChange, RuleChange};
    let decision = &scene.notice.decision;
    let actions = match cause {
        RuleChange | PriceChange => {
            vec![action("trip it all the same", format!("breakerbox approve {}", decision.id))]
        }
        Clock => vec![clock_command()],
        _ => vec![forgive_command(scene)],
    };
    let mut lines = triggered(scene);
    let over = if lines.is_empty() { "is over its limit" } else { "spends too fast" };
    lines.push(words::waits_for(cause));
    Told {
        title: format!("{} {over}, nothing is done yet: {}", scene.who, scene.spent),
        lines,
        targets: scene.held(),
        actions,
        stops: false,
    }
}

fn tripped(scene: &Scene<'_>, targets: &[ObjectKey], left: &[(ObjectKey, String)]) -> Told {
    let mode = scene.notice.decision.mode;
    let mut lines = match (targets.is_empty(), mode) {
        (true, _) => vec!["There is no object to stop for it: its workloads run on.".to_owned()],
        (false, Mode::Observe | Mode::Alert) => {
            vec![format!("Mode `{}`: nothing is stopped. In `enforce` these would be.", mode.word())]
        }
        (false, Mode::Approve) => {
            vec!["Mode `approve`: these would be stopped, after a person's yes.".to_owned()]
        }
        (false, Mode::Enforce) => {
            vec![
                "These are to be stopped. You are told once all of them are proven to be at zero.".to_owned(),
            ]
        }
    };
    lines.extend(triggered(scene));
    let would = mode < Mode::Enforce;
    let mut shown: Vec<TargetLine> = scene.held();
    for line in shown.iter_mut().filter(|l| would && l.standing == Standing::Held(HoldState::Ordered)) {
        (line.standing, line.words) = (Standing::Would, "would be stopped".to_owned());
    }
    if !left.is_empty() {
        lines.push("Some that the rule names are left alone, with the reason below.".to_owned());
    }
    shown.extend(left.iter().map(|(target, because)| TargetLine {
        target: target.clone(),
        standing: Standing::Left,
        words: format!("left alone: {because}"),
    }));
    let stops = !would && !targets.is_empty();
    let title = match (would, targets.len()) {
        (_, 0) => format!("{} tripped, with nothing to stop: {}", scene.who, scene.spent),
        (true, _) => format!("{} tripped, nothing is stopped: {}", scene.who, scene.spent),
        (false, _) => format!("{} tripped: {}", scene.who, scene.spent),
    };
    let actions = if stops { give_back(scene) } else { vec![forgive_command(scene)] };
    Told { title, lines, targets: shown, actions, stops }
}

fn withheld(scene: &Scene<'_>, targets: &[ObjectKey], answers: &[GuardAnswer]) -> Told {
    let id = scene.notice.decision.id;
    let noes: Vec<&GuardAnswer> = answers.iter().filter(|a| !a.pass).collect();
    let asks = noes.iter().any(|a| matches!(a.check, GuardCheck::Mode | GuardCheck::Approval))
        && scene.notice.decision.mode == Mode::Approve;
    let title = if asks {
        format!("{} waits for a person's yes: {}", scene.who, scene.spent)
    } else {
        format!("{} runs on, a guard said no: {}", scene.who, scene.spent)
    };
    let mut lines: Vec<String> =
        noes.iter().map(|a| format!("{} guard: {}", a.check.word(), a.detail)).collect();
    lines.push(format!("Nothing of this batch was written: {} object(s) run on.", targets.len()));
    let mut shown: Vec<TargetLine> = targets
        .iter()
        .map(|target| TargetLine {
            target: target.clone(),
            standing: Standing::Would,
            words: "runs on; would be stopped".to_owned(),
        })
        .collect();
    shown.extend(scene.held().into_iter().filter(|line| !targets.contains(&line.target)));
    let mut actions: Vec<Action> =
        noes.iter().map(|a| way_round(a, asks, format!("breakerbox approve {id}"))).collect();
    actions.dedup();
    if !idle::is_of_idle(&scene.notice.decision) {
        actions.push(forgive_command(scene));
    }
    Told { title, lines, targets: shown, actions, stops: false }
}

/// What gets round a guard that said no.
fn way_round(answer: &GuardAnswer, asks: bool, approve: String) -> Action {
    // What the rules freeze, no command ends.
    let by_rules = answer.detail.starts_with(FROZEN_BY_RULES);
    match answer.check {
        GuardCheck::Mode | GuardCheck::Approval if asks => action("stop them", approve),
        GuardCheck::BlastRadius => action("stop them although they are many", approve),
        GuardCheck::Freeze if by_rules => {
            action("see when it ends and the next begins", "breakerbox status".to_owned())
        }
        GuardCheck::Freeze => action("end the freeze", "breakerbox unfreeze".to_owned()),
        GuardCheck::Clock => clock_command(),
        _ => action("see what stands in the way", "breakerbox status".to_owned()),
    }
}

fn commanded(scene: &Scene<'_>, what: &str, refused: Option<&str>) -> Told {
    match refused {
        Some(because) => Told {
            title: format!("Refused: {what}"),
            lines: vec![format!("Refused because: {because}.")],
            targets: scene.held(),
            ..Told::default()
        },
        None => Told {
            title: format!("Done: {what}"),
            lines: vec![format!("{}: {}.", scene.who, scene.spent)],
            targets: scene.held(),
            ..Told::default()
        },
    }
}

fn page(topic: PageTopic, detail: &str) -> Told {
    let actions = match topic {
        PageTopic::Clock => vec![clock_command()],
        _ => vec![action("see everything", "breakerbox status".to_owned())],
    };
    Told {
        title: format!("breakerbox: {}", words::topic(topic)),
        lines: vec![detail.to_owned()],
        actions,
        ..Told::default()
    }
}

/// The same command where nothing is stopped.
fn forgive_command(scene: &Scene<'_>) -> Action {
    action(
        "forgive what was spent so far, until a further 10% of the limit is spent",
        format!("breakerbox reset {}", scene.breaker()),
    )
}

fn clock_command() -> Action {
    action("say that the wall clock is right", "breakerbox approve clock".to_owned())
}

fn why_command(decision: &Decision) -> Action {
    action("see why, with every figure", format!("breakerbox explain {}", decision.id))
}

/// What makes the sum less sure than it looks.
fn doubts(decision: &Decision) -> Vec<String> {
    let mut lines = Vec::new();
    if !decision.why.note.is_empty() {
        lines.push(decision.why.note.clone());
    }
    if decision.why.unpriced > 0 {
        lines.push(format!(
            "{} usage(s) in this window have no price: the real sum is higher.",
            decision.why.unpriced
        ));
    }
    lines
}

fn fields(scene: &Scene<'_>, stops: bool) -> Vec<Field> {
    let why = &scene.notice.decision.why;
    let mut fields = Vec::new();
    let mut put = |name: &'static str, value: String| fields.push(Field { name, value });
    let share = words::share(why.sum, why.limit).map_or(String::new(), |s| format!(" ({s} of the limit)"));
    put("Spent", format!("{}{share} in {} charge(s)", why.unit.of(why.sum), why.facts));
    put("Limit", why.unit.of(why.limit).to_string());
    if let Some(breaker) = &why.breaker {
        put("Window", words::window(breaker, scene.budget));
        if stops {
            put("Comes back", words::comes_back(breaker, scene.budget));
        }
    }
    put("Mode", scene.notice.decision.mode.word().to_owned());
    let all = scene.notice.targets.iter().all(|(_, state)| *state == HoldState::Verified);
    for (name, value) in words::times(&scene.notice.times, all) {
        put(name, value);
    }
    fields
}

pub(super) fn footer(decision: &Decision) -> String {
    let mut parts = Vec::new();
    if !decision.why.place.file.is_empty() {
        parts.push(format!("rule {}", decision.why.place));
    }
    parts.push(format!("decision {} at {}", decision.id, decision.at));
    for (name, id) in [("rules", &decision.why.rules), ("prices", &decision.why.prices)] {
        if !id.is_empty() {
            parts.push(format!("{name} {id}"));
        }
    }
    if let Some(commit) = &decision.why.revision {
        parts.push(format!("commit {commit}"));
    }
    parts.join(" | ")
}
