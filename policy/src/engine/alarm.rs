//! What is critical and nobody has answered: said again, and then to somebody else.
//!
//! An alarm begins with a critical message on a route that wants an answer. It ends when a person answers (an
//! `ack`, or a command about the same breaker), when what it is about is over, or, of a page whose end nobody
//! can tell, after a day. Each repetition and each step is a message of its own, once.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::breaker::State;
use crate::decision::{DecisionKind, Manner, Notice, Severity};
use crate::page::PageTopic;
use crate::time::{Span, Timestamp};

use super::{Engine, Outcome};

/// Alarms at one time; what would be one more is told once, and not again.
const MOST_ALARMS: usize = 1_000;
/// A page whose end nobody can tell is no news after this.
const PAGE_ENDS: Span = Span::from_hours(24);

/// By route and what it is about.
pub(super) type Alarms = BTreeMap<(Box<str>, Box<str>), Alarm>;

/// Something critical that nobody has answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Alarm {
    /// The newest message about it.
    notice: Notice,
    since: Timestamp,
    /// When it was last said on its own route.
    said: Timestamp,
    /// How often it was said again.
    again: u32,
    /// Steps of the escalation that were taken.
    steps: u32,
}

/// Something critical that nobody has answered, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlarmView {
    /// Route that it was told on first.
    pub route: Box<str>,
    /// The breaker, or the topic of the page.
    pub about: Box<str>,
    /// The decision that can be acknowledged.
    pub decision: String,
    /// Since when.
    pub since: Timestamp,
    /// How often it was said again.
    pub again: u32,
    /// Steps of the escalation that were taken.
    pub steps: u32,
}

impl Engine {
    /// Begins an alarm, or renews the one about the same; whether this message wants an answer.
    pub(super) fn open_alarm(&mut self, notice: &Notice) -> bool {
        if notice.severity < Severity::Critical || notice.progress {
            return false;
        }
        let key = (notice.route.clone(), about(notice));
        if let Some(alarm) = self.alarms.get_mut(&key) {
            alarm.notice = notice.clone();
            alarm.said = self.now;
            return true;
        }
        if self.alarms.len() >= MOST_ALARMS {
            return false;
        }
        let alarm = Alarm { notice: notice.clone(), since: self.now, said: self.now, again: 0, steps: 0 };
        self.alarms.insert(key, alarm);
        true
    }

    /// Says again what nobody has answered, and tells others.
    pub(super) fn press_alarms(&mut self, out: &mut Outcome) {
        let mut alarms = std::mem::take(&mut self.alarms);
        alarms.retain(|(route, about), alarm| !self.is_over(route, about, alarm));
        for alarm in alarms.values_mut() {
            self.press(alarm, out);
        }
        self.alarms = alarms;
    }

    fn press(&mut self, alarm: &mut Alarm, out: &mut Outcome) {
        let rules = Arc::clone(&self.rules);
        let Some(delivery) = rules.routes.get(&alarm.notice.route).map(|route| &route.delivery) else {
            return;
        };
        // A clock that went back would have it wait for as long again.
        alarm.since = alarm.since.min(self.now);
        alarm.said = alarm.said.min(self.now);
        let taken = usize::try_from(alarm.steps).unwrap_or(usize::MAX);
        for step in delivery.escalation.iter().skip(taken) {
            if self.now < alarm.since.plus(step.after) {
                break;
            }
            alarm.steps = alarm.steps.saturating_add(1);
            let from = alarm.notice.route.clone();
            let key = format!("{}#step{}#{}", alarm.notice.key, alarm.steps, step.route);
            let manner = Manner { escalated_from: Some(from), ..self.manner(alarm) };
            let notice = self.once_more(alarm, &step.route, key, manner);
            out.notices.push(notice);
        }
        if delivery.repeat_interval.is_some_and(|span| alarm.said.plus(span) <= self.now) {
            alarm.said = self.now;
            alarm.again = alarm.again.saturating_add(1);
            let key = format!("{}#again{}", alarm.notice.key, alarm.again);
            let (route, manner) = (alarm.notice.route.clone(), self.manner(alarm));
            let notice = self.once_more(alarm, &route, key, manner);
            out.notices.push(notice);
        }
    }

    fn manner(&self, alarm: &Alarm) -> Manner {
        Manner { ack: true, again: alarm.again, unanswered_since: Some(alarm.since), ..Manner::default() }
    }

    /// The alarm's message as things stand now.
    fn once_more(&mut self, alarm: &Alarm, route: &str, key: String, manner: Manner) -> Notice {
        let name = alarm.notice.decision.why.breaker.as_ref().map(|breaker| breaker.name.clone());
        let held = name.map(|name| self.held_by(&name)).filter(|held| !held.is_empty());
        Notice {
            id: self.take_order_id(),
            key: key.into(),
            route: route.into(),
            targets: held.unwrap_or_else(|| alarm.notice.targets.clone()),
            manner,
            ..alarm.notice.clone()
        }
    }

    /// Whether what an alarm is about has ended, or nobody is to be pressed for it any more.
    fn is_over(&self, route: &str, about: &str, alarm: &Alarm) -> bool {
        if self.rules.routes.get(route).is_none_or(|route| !route.delivery.wants_answer()) {
            return true;
        }
        if let DecisionKind::Page { topic, .. } = &alarm.notice.decision.kind {
            let ended = match topic {
                PageTopic::Clock => self.clock_doubt.is_none(),
                PageTopic::InventoryStale => !self.is_inventory_stale(),
                PageTopic::SourceStale => {
                    self.sources.values().all(|status| status.stale.is_none() && status.broken.is_none())
                }
                _ => false,
            };
            return ended || self.now.since(alarm.since) > PAGE_ENDS;
        }
        let tripped = self
            .slot_of(about)
            .is_some_and(|slot| matches!(self.cold[slot as usize].state, State::Tripped(_)));
        !tripped && !self.held_by(about).iter().any(|(_, state)| state.runs_on())
    }

    /// A person has seen it: a decision, a breaker, or `all`. What they acknowledged, for people.
    pub(super) fn acknowledge(&mut self, what: &str) -> Result<String, String> {
        let is_meant = |about: &str, alarm: &Alarm| {
            what == "all" || what == about || alarm.notice.decision.id.to_string() == what
        };
        let found: Vec<Box<str>> = self
            .alarms
            .iter()
            .filter(|((_, about), alarm)| is_meant(about, alarm))
            .map(|((_, about), _)| about.clone())
            .collect();
        if found.is_empty() {
            return Err(format!(
                "nothing waits for an answer under `{what}`; `breakerbox status` lists what does"
            ));
        }
        for about in &found {
            self.answered(about);
        }
        Ok(found.join(", "))
    }

    /// A person did something about it: on no route is anybody pressed further.
    pub(super) fn answered(&mut self, breaker: &str) {
        self.alarms.retain(|(_, about), _| **about != *breaker);
    }

    /// The same for the pages about a topic.
    pub(super) fn answered_topic(&mut self, topic: PageTopic) {
        let is_it = |kind: &DecisionKind| matches!(kind, DecisionKind::Page { topic: t, .. } if *t == topic);
        self.alarms.retain(|_, alarm| !is_it(&alarm.notice.decision.kind));
    }

    /// What nobody has answered.
    pub(super) fn alarm_views(&self) -> Vec<AlarmView> {
        let view = |((route, about), alarm): (&(Box<str>, Box<str>), &Alarm)| AlarmView {
            route: route.clone(),
            about: about.clone(),
            decision: alarm.notice.decision.id.to_string(),
            since: alarm.since,
            again: alarm.again,
            steps: alarm.steps,
        };
        self.alarms.iter().map(view).collect()
    }
}

/// What a message is about: its breaker, or what a page says.
fn about(notice: &Notice) -> Box<str> {
    match &notice.decision.kind {
        DecisionKind::Page { topic, detail } => format!("page {topic:?}: {detail}").into(),
        _ => notice.decision.why.breaker.as_ref().map_or_else(|| "".into(), |breaker| breaker.name.clone()),
    }
}
