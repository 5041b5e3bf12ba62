//! Decisions, and the notices that follow from them.
//!
//! A notice exists once for each (breaker, window, threshold, state): the state machine makes each
//! transition once and is durable, so a restart says nothing twice. Pages about ourselves repeat only
//! after a quiet time.

use std::collections::BTreeSet;

use crate::decision::{BreakerRef, Decision, DecisionKind, HoldState, Manner, Notice, Severity, Times, Why};
use crate::id::DecisionId;
use crate::inventory::ObjectKey;
use crate::page::PageTopic;
use crate::rule::{Act, Budget, Mode, OnStale};
use crate::spot::SpotKind;
use crate::time::{Span, Timestamp};

use super::hold::{GIVEN_BACK, Hold};
use super::{Engine, Outcome};

/// What has become so far of the objects of one crossing that are being given back.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Returns {
    /// As they were.
    back: Vec<ObjectKey>,
    /// Not, and why.
    not: Vec<String>,
}

impl Engine {
    /// Decides something about a breaker, with its why as it stands.
    pub(super) fn decide(&mut self, slot: u32, kind: DecisionKind, out: &mut Outcome) -> DecisionId {
        let why = self.why(slot);
        self.decide_with(Some(slot), kind, why, out)
    }

    /// Decides something with a given why.
    pub(super) fn decide_with(
        &mut self,
        slot: Option<u32>,
        kind: DecisionKind,
        why: Why,
        out: &mut Outcome,
    ) -> DecisionId {
        let mode = slot.map_or(self.posture.ceiling, |slot| self.mode_of(slot));
        self.decide_in(mode, slot, kind, why, out)
    }

    /// Decides something in a given mode.
    pub(super) fn decide_in(
        &mut self,
        mode: Mode,
        slot: Option<u32>,
        kind: DecisionKind,
        why: Why,
        out: &mut Outcome,
    ) -> DecisionId {
        let decision = self.numbered(kind, mode, why);
        let id = decision.id;
        if let Some(slot) = slot
            && mode >= Mode::Alert
        {
            self.tell_breaker(slot, &decision, out);
        }
        out.decisions.push(decision);
        id
    }

    /// A decision under the next number.
    pub(super) fn numbered(&mut self, kind: DecisionKind, mode: Mode, why: Why) -> Decision {
        let id = self.next_decision;
        self.next_decision = DecisionId(id.0 + 1);
        Decision { id, at: self.now, kind, mode, why }
    }

    fn tell_breaker(&mut self, slot: u32, decision: &Decision, out: &mut Outcome) {
        let routes = routes_for(self.budget_of(slot), is_warning(&decision.kind));
        let name = self.cold[slot as usize].name.clone();
        let targets = self.states_of(&name, &decision.kind);
        let Some(breaker) = decision.why.breaker.clone() else { return };
        let times = self.times(slot, &name);
        self.tell(routes, decision, &breaker, targets, times, out);
    }

    /// Decides something about a hold; every breaker that holds it has its route told.
    pub(super) fn decide_hold(&mut self, target: &ObjectKey, kind: DecisionKind, out: &mut Outcome) {
        let Some(hold) = self.holds.get(target) else { return };
        let holders: Vec<Box<str>> = hold.holders.iter().cloned().collect();
        let slots: Vec<u32> = holders.iter().filter_map(|name| self.slot_of(name)).collect();
        let why = slots.first().map_or_else(|| hold.why.clone(), |slot| self.why(*slot));
        let ceiling = self.posture.ceiling;
        let mut decision = self.numbered(kind, ceiling, why);
        let loud = is_news(&decision.kind);
        for slot in &slots {
            let name = self.cold[*slot as usize].name.clone();
            if loud || self.all_proven(&name) {
                self.tell_breaker(*slot, &decision, out);
            }
        }
        if slots.is_empty() && !self.tell_idle_hold(&holders, &decision, loud, out) {
            self.tell_unheld(target, &mut decision, out);
        }
        out.decisions.push(decision);
    }

    /// Nobody holds it any more: the routes of the breaker that it was last ordered for are told, once, when
    /// all of its objects are done with, or when one of them does not come back.
    fn tell_unheld(&mut self, target: &ObjectKey, decision: &mut Decision, out: &mut Outcome) {
        let Some(breaker) = decision.why.breaker.clone() else { return };
        let DecisionKind::Hold { to, detail, .. } = &decision.kind else { return };
        let crossing = (breaker.name.clone(), decision.why.episode);
        let unfinished: Vec<(ObjectKey, HoldState)> = self
            .holds
            .iter()
            .filter(|(key, hold)| *key != target && is_given_back_for(hold, &crossing))
            .map(|(key, hold)| (key.clone(), hold.state))
            .collect();
        let returns = self.returns.entry(crossing.clone()).or_default();
        let mut targets = unfinished.clone();
        match to {
            HoldState::Released if detail == GIVEN_BACK => returns.back.push(target.clone()),
            HoldState::Released => returns.not.push(format!("{target} ({detail})")),
            other => targets.push((target.clone(), *other)),
        }
        targets.extend(returns.back.iter().map(|key| (key.clone(), HoldState::Released)));
        targets.sort();
        if !returns.not.is_empty() {
            decision.why.note = format!("not given back: {}", returns.not.join(", "));
        }
        let last = *to == HoldState::Released && unfinished.is_empty();
        if last {
            self.returns.remove(&crossing);
        }
        if !(last || is_news(&decision.kind)) || decision.mode < Mode::Alert {
            return;
        }
        let budget = breaker.name.split('/').next().unwrap_or("");
        let routes = self.rules.budgets.iter().find(|b| &*b.name == budget);
        let routes = routes
            .map(|b| routes_for(b, is_warning(&decision.kind)))
            .or_else(|| self.idle_routes(&breaker.name))
            .unwrap_or_else(|| self.page_routes());
        self.tell(routes, decision, &breaker, targets, Times::default(), out);
    }

    /// Forgets what was given back of crossings whose other objects somebody holds again.
    pub(super) fn forget_returns(&mut self) {
        let holds = &self.holds;
        self.returns.retain(|crossing, _| holds.values().any(|hold| is_given_back_for(hold, crossing)));
    }

    pub(super) fn all_proven(&self, name: &str) -> bool {
        let mut held = self.holds.values().filter(|h| h.holders.contains(name)).peekable();
        held.peek().is_some() && held.all(|h| h.state == HoldState::Verified)
    }

    pub(super) fn tell(
        &mut self,
        routes: BTreeSet<Box<str>>,
        decision: &Decision,
        breaker: &BreakerRef,
        targets: Vec<(ObjectKey, HoldState)>,
        times: Times,
        out: &mut Outcome,
    ) {
        for route in routes {
            let id = self.take_order_id();
            let thread = format!("{}@{}", breaker.name, decision.why.episode);
            let notice = Notice {
                id,
                key: format!("{thread}#{}#{}#{route}", subject_of(&decision.kind), decision.id).into(),
                thread: thread.into(),
                route,
                severity: severity(&decision.kind),
                progress: is_progress(&decision.kind),
                decision: decision.clone(),
                targets: targets.clone(),
                times,
                manner: Manner::default(),
            };
            self.mail(notice, out);
        }
    }

    /// States of the targets that a message lists.
    fn states_of(&self, name: &str, kind: &DecisionKind) -> Vec<(ObjectKey, HoldState)> {
        match kind {
            DecisionKind::Released { targets, .. } => {
                targets.iter().map(|t| (t.clone(), HoldState::Restoring)).collect()
            }
            DecisionKind::Tripped { targets, .. } => targets
                .iter()
                .map(|t| (t.clone(), self.holds.get(t).map_or(HoldState::Ordered, |h| h.state)))
                .collect(),
            _ => self.held_by(name),
        }
    }

    fn times(&self, slot: u32, name: &str) -> Times {
        let held = || self.holds.values().filter(|h| h.holders.contains(name));
        Times {
            occurred_at: self.cold[slot as usize].crossed_at,
            decided_at: self.trip_of(slot).map(|t| t.since),
            accepted_at: held().filter_map(|h| h.accepted_at).max(),
            verified_at: held().filter_map(|h| h.verified_at).max(),
        }
    }

    /// A page about ourselves: goes out in every mode, and the same one again only after a quiet time.
    pub(super) fn page_once(&mut self, key: &str, quiet: Span, kind: DecisionKind, out: &mut Outcome) {
        if self.is_due(key, quiet) {
            self.page(kind, out);
        }
    }

    /// Whether a page of that key may go out; the next one only after the quiet time.
    pub(super) fn is_due(&mut self, key: &str, quiet: Span) -> bool {
        let due = self.paged.get(key).is_none_or(|until| self.now >= *until);
        if due {
            self.paged.insert(key.into(), self.now.plus(quiet));
        }
        due
    }

    pub(super) fn page(&mut self, kind: DecisionKind, out: &mut Outcome) {
        self.page_on(self.page_routes(), kind, out);
    }

    pub(super) fn page_on(&mut self, routes: BTreeSet<Box<str>>, kind: DecisionKind, out: &mut Outcome) {
        let breaker = BreakerRef { name: "breakerbox".into(), start: self.now, end: self.now };
        let why = Why {
            rules: self.rules.id.clone(),
            revision: self.rules.revision.clone(),
            prices: self.book.id().into(),
            breaker: Some(breaker.clone()),
            episode: self.now,
            ..Why::default()
        };
        let decision = self.numbered(kind, self.posture.ceiling, why);
        self.tell(routes, &decision, &breaker, Vec::new(), Times::default(), out);
        out.decisions.push(decision);
    }

    pub(super) fn page_orphan(&mut self, key: &ObjectKey, holders: &str, out: &mut Outcome) {
        let detail = format!(
            "{key} carries our mark (held for `{holders}`) but the journal does not know it; it stays stopped \
             until a person decides: `breakerbox release {key}`"
        );
        self.page(DecisionKind::Page { topic: PageTopic::Orphans, detail }, out);
    }

    /// Where silence of a source is told: where all pages go, and where budgets with `onStale: alert` have
    /// theirs go that may send messages.
    pub(super) fn routes_of_silence(&self) -> BTreeSet<Box<str>> {
        let mut routes = self.page_routes();
        for (at, budget) in (0..).zip(&self.rules.budgets) {
            let asks = budget.on_stale == OnStale::Alert;
            if asks && self.rule_mode(at).min(self.posture.ceiling) >= Mode::Alert {
                routes.extend(routes_for(budget, false));
            }
        }
        routes
    }

    /// The guardrail's page route, else every route: a page must not go nowhere.
    fn page_routes(&self) -> BTreeSet<Box<str>> {
        match &self.rules.guardrail.page {
            Some(route) => BTreeSet::from([route.clone()]),
            None => self.rules.routes.keys().cloned().collect(),
        }
    }
}

/// Whether a hold that nobody holds any more was ordered for that crossing (breaker, episode).
fn is_given_back_for(hold: &Hold, crossing: &(Box<str>, Timestamp)) -> bool {
    let name = hold.why.breaker.as_ref().map(|breaker| &breaker.name);
    hold.holders.is_empty() && name == Some(&crossing.0) && hold.why.episode == crossing.1
}

/// Warnings go where `onWarn` says, the rest where `onTrip` says; each stands in for the other.
fn routes_for(budget: &Budget, warning: bool) -> BTreeSet<Box<str>> {
    let named = |acts: &[Act]| -> BTreeSet<Box<str>> {
        acts.iter()
            .filter_map(|act| match act {
                Act::Notify { route, .. } => Some(route.clone()),
                Act::PauseScaledObjects { .. } => None,
            })
            .collect()
    };
    let (warn, trip) = (named(&budget.on_warn), named(&budget.on_trip));
    let (first, second) = if warning { (warn, trip) } else { (trip, warn) };
    if first.is_empty() { second } else { first }
}

const fn is_warning(kind: &DecisionKind) -> bool {
    matches!(kind, DecisionKind::Warned { .. } | DecisionKind::WarnedBy { .. })
}

fn severity(kind: &DecisionKind) -> Severity {
    match kind {
        DecisionKind::Warned { .. }
        | DecisionKind::WarnedBy { .. }
        | DecisionKind::Arming { .. }
        | DecisionKind::BreachedAfterClose => Severity::Warning,
        DecisionKind::Idle { .. } => Severity::Warning,
        DecisionKind::Packable { .. } => Severity::Info,
        DecisionKind::Page { topic: PageTopic::SourceHeard | PageTopic::FirstDays, .. } => Severity::Info,
        DecisionKind::Spot(spot) if spot.notice.kind == SpotKind::Rebalance => Severity::Info,
        DecisionKind::Spot(_) => Severity::Warning,
        DecisionKind::Tripped { .. } | DecisionKind::Withheld { .. } | DecisionKind::Page { .. } => {
            Severity::Critical
        }
        DecisionKind::Hold { .. } if is_news(kind) => Severity::Critical,
        DecisionKind::Hold { .. } | DecisionKind::Released { .. } | DecisionKind::Commanded { .. } => {
            Severity::Info
        }
    }
}

/// What people must notice: a stop that did not happen, or that somebody fights, or a restore that is
/// not whole.
fn is_news(kind: &DecisionKind) -> bool {
    match kind {
        DecisionKind::Hold { to, .. } if to.runs_on() => true,
        DecisionKind::Hold { to: HoldState::Restoring, detail, .. } => {
            detail.starts_with("restore incomplete")
        }
        _ => false,
    }
}

fn is_progress(kind: &DecisionKind) -> bool {
    matches!(kind, DecisionKind::Hold { .. }) && !is_news(kind)
}

/// The part of a notice's key that says what it is about.
pub(super) fn subject_of(kind: &DecisionKind) -> String {
    match kind {
        DecisionKind::Warned { threshold } => format!("warned-{}", threshold.ppm()),
        DecisionKind::WarnedBy { measure } => format!("warned-{}", measure.word()),
        DecisionKind::Arming { .. } => "arming".to_owned(),
        DecisionKind::Tripped { .. } => "tripped".to_owned(),
        DecisionKind::Withheld { .. } => "withheld".to_owned(),
        DecisionKind::Released { .. } => "released".to_owned(),
        DecisionKind::BreachedAfterClose => "breached-after-close".to_owned(),
        DecisionKind::Hold { target, to, .. } => format!("hold-{target}-{}", to.word()),
        DecisionKind::Commanded { .. } => "commanded".to_owned(),
        DecisionKind::Idle { .. } => "idle".to_owned(),
        DecisionKind::Packable { .. } => "packable".to_owned(),
        DecisionKind::Page { topic, .. } => format!("page-{topic:?}"),
        DecisionKind::Spot(spot) => format!("spot-{}", spot.notice.kind.word()),
    }
}
