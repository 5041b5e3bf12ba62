//! When a message goes out: at once, with others of its group, or after the quiet hours.
//!
//! Each message is decided once, durably, and is either in an outcome or waits here; what waits goes out with a
//! tick, as one message for all that waited together. What is critical never waits for quiet hours to end. A
//! clock in doubt holds nothing back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::decision::{DecisionKind, Manner, Notice, Severity};
use crate::rule::{GroupBy, Grouping};
use crate::time::Timestamp;

use super::tell::subject_of;
use super::{Engine, Outcome};

/// Messages that one group holds; of further ones the number is said.
const MOST_HELD: usize = 200;
/// Groups of all routes. A message that would make one more goes out by itself.
const MOST_GROUPS: usize = 1_000;

/// What waits, by route and what its messages have in common.
pub(super) type Mail = BTreeMap<(Box<str>, Box<str>), Group>;

/// Messages that go out together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    held: Vec<Notice>,
    omitted: u32,
    /// When they go out.
    due: Timestamp,
    /// Until then the next of this group waits, where one has gone out.
    not_before: Option<Timestamp>,
}

/// The group of what came in quiet hours: one for each route. No group of words is called so.
const QUIET: &str = "quiet hours";

impl Engine {
    /// Sends a message, or has it wait.
    pub(super) fn mail(&mut self, mut notice: Notice, out: &mut Outcome) {
        let rules = std::sync::Arc::clone(&self.rules);
        let Some(route) = rules.routes.get(&notice.route) else { return out.notices.push(notice) };
        let delivery = &route.delivery;
        if delivery.wants_answer() {
            notice.manner.ack = self.open_alarm(&notice);
        }
        let quiet =
            self.clock_doubt.is_none() && notice.severity < Severity::Critical && delivery.is_quiet(self.now);
        let thread = notice.progress.then(|| self.group_of_thread(&notice)).flatten();
        let key = match (&delivery.grouping, thread) {
            // Progress follows the message that it is about: whoever was woken is told how it went.
            (_, Some(key)) => key,
            _ if quiet && !notice.progress => (notice.route.clone(), QUIET.into()),
            (Some(grouping), _) if !notice.progress => {
                (notice.route.clone(), self.common(grouping, &notice).into())
            }
            _ => return out.notices.push(notice),
        };
        if self.mail.len() >= MOST_GROUPS && !self.mail.contains_key(&key) {
            return out.notices.push(notice);
        }
        let wait = delivery.grouping.as_ref().filter(|_| &*key.1 != QUIET);
        let due = self.now.plus(wait.map_or_else(Default::default, |grouping| grouping.wait));
        let group = self.mail.entry(key).or_default();
        if group.held.is_empty() {
            group.due = group.not_before.map_or(due, |at| at.max(due));
        }
        match group.held.len() < MOST_HELD {
            true => group.held.push(notice),
            false => group.omitted = group.omitted.saturating_add(1),
        }
    }

    /// The group in which a message of the same thread waits.
    fn group_of_thread(&self, notice: &Notice) -> Option<(Box<str>, Box<str>)> {
        let of_route = self.mail.iter().filter(|((route, _), _)| *route == notice.route);
        let mut with = of_route.filter(|(_, group)| group.held.iter().any(|n| n.thread == notice.thread));
        with.next().map(|(key, _)| key.clone())
    }

    /// What a message has in common with those of its group, as text.
    fn common(&self, grouping: &Grouping, notice: &Notice) -> String {
        let name = notice.decision.why.breaker.as_ref().map_or("", |breaker| &breaker.name);
        let about_us = matches!(notice.decision.kind, DecisionKind::Page { .. });
        let part = |by: &GroupBy| match by {
            GroupBy::Budget if about_us => String::new(),
            GroupBy::Budget => name.split('/').next().unwrap_or("").to_owned(),
            GroupBy::Breaker => name.to_owned(),
            // Up to its first detail: `warned`, `hold`, `page`.
            GroupBy::Kind => subject_of(&notice.decision.kind).split('-').next().unwrap_or("").to_owned(),
            GroupBy::Severity => format!("{:?}", notice.severity),
            GroupBy::Field(field) => self.field_of(name, field).unwrap_or_default(),
        };
        let parts: Vec<String> = grouping.by.iter().map(part).collect();
        format!("by {}", parts.join(" | "))
    }

    /// What a breaker is for in one of the fields that tell its budget's breakers apart.
    fn field_of(&self, breaker: &str, field: &str) -> Option<String> {
        let slot = self.slot_of(breaker)?;
        let at = self.budget_of(slot).per_each.iter().position(|name| **name == *field)?;
        self.cold[slot as usize].values.get(at)?.value.as_deref().map(str::to_owned)
    }

    /// Sends what has waited long enough.
    pub(super) fn send_due(&mut self, out: &mut Outcome) {
        let rules = std::sync::Arc::clone(&self.rules);
        let doubted = self.clock_doubt.is_some();
        let mut mail = std::mem::take(&mut self.mail);
        for ((route, common), group) in &mut mail {
            let delivery = rules.routes.get(route).map(|route| &route.delivery);
            let critical = group.held.iter().any(|notice| notice.severity == Severity::Critical);
            let quiet = !critical && delivery.is_some_and(|delivery| delivery.is_quiet(self.now));
            let waits = self.now < group.due && delivery.is_some();
            if group.held.is_empty() || (!doubted && (quiet || waits)) {
                continue;
            }
            let interval = delivery.and_then(|delivery| delivery.grouping.as_ref()).map(|g| g.interval);
            group.not_before = interval.filter(|_| &**common != QUIET).map(|span| self.now.plus(span));
            let held = std::mem::take(&mut group.held);
            let omitted = std::mem::take(&mut group.omitted);
            let digest = self.as_one(held, omitted);
            out.notices.extend(digest);
        }
        mail.retain(|_, group| !group.held.is_empty() || group.not_before.is_some_and(|at| self.now < at));
        self.mail = mail;
    }

    /// One message for all of them: the loudest, with all in it; the only one as it is.
    fn as_one(&mut self, mut held: Vec<Notice>, omitted: u32) -> Option<Notice> {
        if held.len() == 1 && omitted == 0 {
            return held.pop();
        }
        let loudest =
            held.iter().max_by_key(|notice| (notice.severity, std::cmp::Reverse(notice.id)))?.clone();
        let id = self.take_order_id();
        let thread = format!("digest@{}@{}", loudest.route, self.now);
        Some(Notice {
            id,
            key: format!("{thread}#{id}").into(),
            thread: thread.into(),
            progress: false,
            manner: Manner { digest: held, omitted, ..loudest.manner.clone() },
            ..loudest
        })
    }

    /// Messages that wait.
    pub(super) fn messages_held(&self) -> usize {
        self.mail.values().map(|group| group.held.len()).sum()
    }
}
