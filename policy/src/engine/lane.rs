//! Lanes: what an origin resolves to. Who pays, at which price, and which breakers it adds to.
//!
//! Resolving an origin costs microseconds (globs, labels, price keys); a lane is found again by the
//! origin's digest in a few nanoseconds. Lanes are a cache: bounded, thrown away whole when rules,
//! prices or labels change, never part of a snapshot, never able to change a result.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::attribution::attribute;
use crate::breaker::{Cold, Hot, InstanceValue, first_window};
use crate::fact::{Origin, Quantities, UsageBatch, words};
use crate::price::{InstancePrice, MeterQuery, Price, PriceBook, Resolution, UnpricedReason};
use crate::rule::{Budget, ChargeKind, Condition, Selector, Test};
use crate::subject::{Subject, Trust, field};

use super::name::breaker_name;
use super::{Engine, Outcome};

/// Lanes kept at most; one more throws all away.
const MOST_LANES: usize = 1 << 20;

/// What an origin resolves to: one cache line, for a charge reads it once and in no order.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub meter: Meter,
    /// What it cost before the last change of prices, where that was another price.
    pub before: Option<Meter>,
    /// Breakers that it adds to, each once.
    pub slots: Slots,
    /// Index into the engine's spend totals (tenant and model).
    pub account: u32,
}

/// Breakers of a lane: few, nearly always, and then they stand in the lane itself.
#[derive(Clone, Debug)]
pub(super) enum Slots {
    Few([u32; FEW], u8),
    Many(Box<[u32]>),
}

const FEW: usize = 5;

impl Slots {
    fn new(slots: &[u32]) -> Self {
        let mut few = [0; FEW];
        match few.get_mut(..slots.len()) {
            Some(head) => {
                head.copy_from_slice(slots);
                Self::Few(few, u8::try_from(slots.len()).unwrap_or(0))
            }
            None => Self::Many(slots.into()),
        }
    }

    pub fn as_slice(&self) -> &[u32] {
        match self {
            Self::Few(few, len) => &few[..usize::from(*len)],
            Self::Many(many) => many,
        }
    }
}

/// How a lane is priced.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Meter {
    Tokens(Arc<Price>),
    Instance(Arc<InstancePrice>),
    Unpriced(Arc<UnpricedReason>),
}

/// The cache.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes {
    /// Digests are keyed hashes already; as four words they need no padding.
    index: HashMap<[u32; 4], u32, foldhash::fast::FixedState>,
    lanes: Vec<Lane>,
}

impl Lanes {
    pub fn clear(&mut self) {
        self.index.clear();
        self.lanes.clear();
    }

    pub fn get(&self, lane: u32) -> &Lane {
        &self.lanes[lane as usize]
    }
}

/// The kind of charge that quantities make.
pub(super) const fn kind_of(quantities: &Quantities) -> ChargeKind {
    match quantities {
        Quantities::Tokens(_) => ChargeKind::Tokens,
        Quantities::Instance(_) => ChargeKind::Gpu,
        Quantities::Other(_) | Quantities::Nothing => ChargeKind::Other,
    }
}

impl Engine {
    /// The lane of one origin of a batch for one kind of charge.
    pub(super) fn lane(
        &mut self,
        batch: &UsageBatch,
        origin: u32,
        kind: ChargeKind,
        out: &mut Outcome,
    ) -> u32 {
        let at = origin as usize;
        let (Some(who), Some(digest)) = (batch.origins.get(at), batch.digests.get(at)) else {
            return self.lane_of_unknown_origin(batch, kind, out);
        };
        // Three kinds share a digest; the low bits tell them apart.
        let digest = words(digest.wrapping_mul(4).wrapping_add(kind as u128));
        if let Some(lane) = self.lanes.index.get(&digest) {
            return *lane;
        }
        let lane = self.resolve(&batch.source, who, kind, out);
        if self.lanes.lanes.len() >= MOST_LANES {
            self.lanes.clear();
        }
        let number = u32::try_from(self.lanes.lanes.len()).unwrap_or(u32::MAX);
        self.lanes.lanes.push(lane);
        self.lanes.index.insert(digest, number);
        number
    }

    /// A batch whose rows point past its origins was built wrongly; its money still counts, as nobody's.
    fn lane_of_unknown_origin(&mut self, batch: &UsageBatch, kind: ChargeKind, out: &mut Outcome) -> u32 {
        let lane = self.resolve(&batch.source, &Origin::default(), kind, out);
        self.lanes.lanes.push(lane);
        u32::try_from(self.lanes.lanes.len() - 1).unwrap_or(u32::MAX)
    }

    fn resolve(&mut self, source: &str, origin: &Origin, kind: ChargeKind, out: &mut Outcome) -> Lane {
        let meter = meter(&self.book, origin, kind);
        let before = self
            .book_before
            .as_ref()
            .map(|book| meter_before(book, origin, kind, &meter))
            .unwrap_or_default();
        let model: Arc<str> = match &meter {
            Meter::Tokens(price) => price.model.as_str().into(),
            Meter::Instance(price) => price.instance_type.as_str().into(),
            Meter::Unpriced(_) => (&*origin.model).into(),
        };
        let rules = Arc::clone(&self.rules);
        let subject = attribute(&rules.attribution, origin, source, &model, &self.inventory);
        let mut slots = Vec::new();
        for (index, budget) in rules.budgets.iter().enumerate() {
            if selects(&budget.select, &subject, kind) {
                self.enter(index, &subject, source, &mut slots, out);
            }
        }
        let account = self.account(subject.trusted(field::TENANT), &model);
        Lane { meter, before, slots: Slots::new(&slots), account }
    }

    /// Adds the breaker of a budget for this subject, then those of the budgets that it is within.
    fn enter(
        &mut self,
        index: usize,
        subject: &Subject,
        source: &str,
        slots: &mut Vec<u32>,
        out: &mut Outcome,
    ) {
        let rules = Arc::clone(&self.rules);
        let mut next = Some(index);
        // A parent chain cannot be longer than the list of budgets; the loader refuses cycles.
        for _ in 0..rules.budgets.len() {
            let Some(budget) = next.and_then(|i| rules.budgets.get(i)) else { return };
            let slot = self.slot(next.unwrap_or(0), budget, subject, source, out);
            if !slots.contains(&slot) {
                slots.push(slot);
            }
            next = budget
                .within
                .as_ref()
                .and_then(|parent| rules.budgets.iter().position(|b| b.name == *parent));
        }
    }

    /// The breaker of a budget for this subject, made when first met.
    fn slot(
        &mut self,
        index: usize,
        budget: &Budget,
        subject: &Subject,
        source: &str,
        out: &mut Outcome,
    ) -> u32 {
        let mut values: Box<[InstanceValue]> = budget.per_each.iter().map(|f| value(subject, f)).collect();
        let mut name = breaker_name(budget, &values);
        if let Some(slot) = self.index.get(&name) {
            return *slot;
        }
        if !budget.per_each.is_empty() && !self.admit_subject(source, out) {
            values = budget.per_each.iter().map(|_| NOBODY).collect();
            name = breaker_name(budget, &values);
            if let Some(slot) = self.index.get(&name) {
                return *slot;
            }
        }
        self.make_slot(index, budget, name, values)
    }

    fn make_slot(
        &mut self,
        index: usize,
        budget: &Budget,
        name: Box<str>,
        values: Box<[InstanceValue]>,
    ) -> u32 {
        let slot = u32::try_from(self.hot.len()).unwrap_or(u32::MAX);
        let mut cold = Cold::new(u16::try_from(index).unwrap_or(u16::MAX), name.clone(), values);
        cold.limit = cold.limit_of(budget, self.now);
        self.hot.push(Hot::new(first_window(&budget.window, self.now)));
        self.cold.push(cold);
        self.index.insert(name, slot);
        self.set_mark(slot);
        slot
    }
}

const NOBODY: InstanceValue = InstanceValue { value: None, trust: Trust::Trusted };

fn value(subject: &Subject, name: &str) -> InstanceValue {
    subject.get(name).map_or(NOBODY, |a| InstanceValue { value: Some(a.value.clone()), trust: a.trust })
}

pub(super) fn meter(book: &PriceBook, origin: &Origin, kind: ChargeKind) -> Meter {
    match kind {
        ChargeKind::Tokens => {
            let served = (!origin.served_region.is_empty()).then_some(&*origin.served_region);
            let query = MeterQuery {
                provider: &origin.provider,
                account: &origin.account,
                region: &origin.region,
                served_region: served,
                model: &origin.model,
                tier: origin.tier,
            };
            match book.resolve(&query) {
                Resolution::Priced(price) => Meter::Tokens(price),
                Resolution::Unpriced(reason) => Meter::Unpriced(Arc::new(reason)),
            }
        }
        ChargeKind::Gpu => match book.resolve_instance(&origin.region, &origin.model, &origin.capacity) {
            Ok(price) => Meter::Instance(price),
            Err(reason) => Meter::Unpriced(Arc::new(reason)),
        },
        ChargeKind::Other => Meter::Unpriced(Arc::new(UnpricedReason::NoTokenPrice {
            key: origin.model.to_string(),
            unit: Some("unit other than tokens or time".to_owned()),
        })),
    }
}

/// What the origin cost in the book before, where that was another price.
fn meter_before(book: &PriceBook, origin: &Origin, kind: ChargeKind, now: &Meter) -> Option<Meter> {
    let before = meter(book, origin, kind);
    (before != *now).then_some(before)
}

/// Whether a budget counts charges of this subject and kind. Only trusted fields are looked at: what a
/// caller asserts must not choose whose budget it counts against (invariant 10).
fn selects(select: &Selector, subject: &Subject, kind: ChargeKind) -> bool {
    (select.charges.is_empty() || select.charges.contains(&kind))
        && select.subjects.iter().all(|condition| holds(condition, subject))
}

fn holds(condition: &Condition, subject: &Subject) -> bool {
    let value = subject.trusted(&condition.field);
    let any = |patterns: &[Box<str>], value: &str| {
        patterns.iter().any(|pattern| crate::attribution::glob_matches(pattern, value))
    };
    match (&condition.test, value) {
        (Test::In(patterns), Some(value)) => any(patterns, value),
        (Test::NotIn(patterns), Some(value)) => !any(patterns, value),
        (Test::Exists, value) => value.is_some(),
        (Test::DoesNotExist, value) => value.is_none(),
        (Test::In(_) | Test::NotIn(_), None) => false,
    }
}
