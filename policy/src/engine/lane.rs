//! Lanes: what an origin resolves to. Who pays, at which price, and which breakers it adds to.
//!
//! Resolving an origin costs microseconds (globs, labels, price keys); a lane is found again by the
//! origin's digest in a few nanoseconds. Lanes are a cache: bounded, thrown away whole when rules,
//! prices or labels change, never part of a snapshot, never able to change a result: so what holds only for a
//! while, as that a source has brought more new subjects than it may in an hour, is asked anew for each batch.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashTable;

use crate::attribution::attribute;
use crate::breaker::{Cold, Hot, InstanceValue, first_window};
use crate::fact::{Origin, Quantities, UsageBatch, words};
use crate::price::{InstancePrice, MeterQuery, Price, PriceBook, Resolution, Tier, UnpricedReason};
use crate::rule::{Budget, ChargeKind};
use crate::subject::{Subject, Trust, field};

use super::authority::Overruled;
use super::measure::is_special;
use super::name::breaker_name;
use super::select::{carved_out_of, parent_of, selects};
use super::unjudged::Unjudged;
use super::{Engine, FixedMap, Outcome};

/// Lanes kept at most between two batches.
const MOST_LANES: usize = 1 << 20;

/// What an origin resolves to: one cache line, for a charge reads it once and in no order.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Lane {
    /// By which it is found again.
    digest: [u32; 4],
    /// Index of its tariff.
    tariff: u32,
    /// Index into the engine's spend totals (tenant and model).
    pub account: u32,
    /// Breakers that it adds to, each once.
    pub slots: Slots,
}

const _: () = assert!(size_of::<Lane>() == 64, "a lane is one cache line");

/// Breakers of a lane: few, nearly always, and then they stand in the lane itself.
#[derive(Clone, Debug)]
pub(super) enum Slots {
    Few { slots: [u32; FEW], len: u8, marks: Marks },
    Many { slots: Box<[u32]>, marks: Marks },
}

/// What a charge of a lane needs beside being added.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks {
    /// One of its budgets looks at more than its sum of money.
    pub special: bool,
    /// Some budget cannot tell whether it counts the charges: see [`Lanes::unjudged`].
    pub unjudged: bool,
    /// Another source may count instead: see [`Lanes::overruled`].
    pub overruled: bool,
}

const FEW: usize = 8;

impl Slots {
    fn new(slots: &[u32], marks: Marks) -> Self {
        let mut few = [0; FEW];
        match few.get_mut(..slots.len()) {
            Some(head) => {
                head.copy_from_slice(slots);
                Self::Few { slots: few, len: u8::try_from(slots.len()).unwrap_or(0), marks }
            }
            None => Self::Many { slots: slots.into(), marks },
        }
    }

    pub fn as_slice(&self) -> &[u32] {
        match self {
            Self::Few { slots, len, .. } => &slots[..usize::from(*len)],
            Self::Many { slots, .. } => slots,
        }
    }

    pub const fn marks(&self) -> Marks {
        match self {
            Self::Few { marks, .. } | Self::Many { marks, .. } => *marks,
        }
    }
}

/// What lanes of one model, tier and place cost: few, and so always at hand.
#[derive(Clone, Debug)]
pub(super) struct Tariff {
    pub meter: Meter,
    /// What it cost in each of the past books, where that was another price; empty where in none it was.
    pub before: Vec<Option<Meter>>,
    /// What it costs by the prices that are looked at before they count, where there are such.
    pub shadow: Option<Meter>,
}

/// How a lane is priced.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Meter {
    Tokens(Arc<Price>),
    Instance(Arc<InstancePrice>),
    Unpriced(Arc<UnpricedReason>),
}

impl Meter {
    /// The model that it prices; where there is no price, the one that was invoked.
    pub fn model<'a>(&'a self, origin: &'a Origin) -> &'a str {
        match self {
            Self::Tokens(price) => &price.model,
            Self::Instance(price) => &price.instance_type,
            Self::Unpriced(_) => &origin.model,
        }
    }
}

/// All that decides a price: kind, tier, provider, account, region, served region, capacity, model.
type TariffKey = (ChargeKind, Tier, [Box<str>; 6]);

/// The cache.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes {
    /// Numbers of lanes by their digest. A digest is a keyed hash already.
    index: HashTable<u32>,
    lanes: Vec<Lane>,
    tariffs: Vec<Tariff>,
    tariff_index: FixedMap<TariffKey, u32>,
    /// Why usage is set aside, by the digest of its lane; empty where no rule says such a thing.
    overruled: FixedMap<[u32; 4], Vec<Overruled>>,
    /// By a lane's digest, the budgets that could not tell whether they count its charges.
    unjudged: FixedMap<[u32; 4], Box<[Unjudged]>>,
}

fn hash(digest: [u32; 4]) -> u64 {
    u64::from(digest[2]) | (u64::from(digest[3]) << 32)
}

impl Lanes {
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Makes room where there are too many. Only between batches: within one, numbers are remembered.
    pub fn bound(&mut self) {
        if self.lanes.len() >= MOST_LANES {
            self.clear();
        }
    }

    pub fn get(&self, lane: u32) -> &Lane {
        &self.lanes[lane as usize]
    }

    /// Why usage of a lane is set aside, where some is.
    pub fn overruled(&self, lane: u32) -> Option<&[Overruled]> {
        if self.overruled.is_empty() {
            return None;
        }
        self.overruled.get(&self.get(lane).digest).map(Vec::as_slice)
    }

    pub fn tariff(&self, lane: u32) -> &Tariff {
        &self.tariffs[self.get(lane).tariff as usize]
    }

    /// The budgets that could not tell whether they count the charges of a lane.
    pub fn unjudged(&self, lane: u32) -> &[Unjudged] {
        self.unjudged.get(&self.get(lane).digest).map_or(&[], |list| &**list)
    }

    fn find(&self, digest: [u32; 4]) -> Option<u32> {
        self.index.find(hash(digest), |lane| self.get(*lane).digest == digest).copied()
    }

    /// The lane that the digest of an origin probably leads to.
    pub fn guess(&self, origin: u128, kind: ChargeKind) -> Option<u32> {
        self.index.find(hash(digest_of(origin, kind)), |_| true).copied()
    }

    /// Adds a lane for the batch that is taken now; the next one does not find it.
    fn add_for_now(&mut self, lane: Lane) -> u32 {
        let number = u32::try_from(self.lanes.len()).unwrap_or(u32::MAX);
        self.lanes.push(lane);
        number
    }

    fn add(&mut self, lane: Lane) -> u32 {
        let digest = lane.digest;
        let number = self.add_for_now(lane);
        let lanes = &self.lanes;
        self.index.insert_unique(hash(digest), number, |lane| hash(lanes[*lane as usize].digest));
        number
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
        let digest = digest_of(*digest, kind);
        if let Some(lane) = self.lanes.find(digest) {
            return lane;
        }
        match self.resolve(&batch.source, who, kind, digest, out) {
            Resolved::For(lane) => self.lanes.add(lane),
            Resolved::ForNow(lane) => self.lanes.add_for_now(lane),
        }
    }

    /// A batch whose rows point past its origins was built wrongly; its money still counts, as nobody's.
    fn lane_of_unknown_origin(&mut self, batch: &UsageBatch, kind: ChargeKind, out: &mut Outcome) -> u32 {
        let nobody = self.resolve(&batch.source, &Origin::default(), kind, digest_of(0, kind), out);
        let (Resolved::For(lane) | Resolved::ForNow(lane)) = nobody;
        self.lanes.add_for_now(lane)
    }

    fn resolve(
        &mut self,
        source: &str,
        origin: &Origin,
        kind: ChargeKind,
        digest: [u32; 4],
        out: &mut Outcome,
    ) -> Resolved {
        let tariff = self.tariff(origin, kind);
        let model: Arc<str> = self.lanes.tariffs[tariff as usize].meter.model(origin).into();
        let rules = Arc::clone(&self.rules);
        let subject = self.subject(source, origin, &model);
        let mut slots = Vec::new();
        let mut comer = Comer { subject: &subject, source, chosen: None, left_out: false };
        let mut open = Vec::new();
        let judged: Vec<_> =
            rules.budgets.iter().map(|budget| selects(&budget.select, &subject, kind)).collect();
        let carved = carved_out_of(&rules.budgets, |at| matches!(judged.get(at), Some(Ok(true))));
        for (index, judgement) in judged.into_iter().enumerate() {
            match judgement {
                Ok(true) => self.enter(index, &carved, &mut comer, &mut slots, out),
                Ok(false) => {}
                Err(why) => open.push(Unjudged { budget: index, why: why.into() }),
            }
        }
        let unjudged = !open.is_empty();
        if unjudged {
            self.lanes.unjudged.insert(digest, open.into());
        }
        let instead = self.overruled(source, &subject);
        let overruled = !instead.is_empty();
        if overruled {
            self.lanes.overruled.insert(digest, instead);
        }
        let left_out = comer.left_out;
        let account = self.account(subject.trusted(field::TENANT), &model, out);
        self.note_over_cap(account, &slots);
        let special = slots.iter().any(|slot| is_special(self.budget_of(*slot)));
        let slots = Slots::new(&slots, Marks { special, unjudged, overruled });
        let lane = Lane { digest, tariff, account, slots };
        if left_out { Resolved::ForNow(lane) } else { Resolved::For(lane) }
    }

    /// Who or what an origin is.
    pub(super) fn subject(&self, source: &str, origin: &Origin, model: &str) -> Subject {
        attribute(&self.rules.attribution, origin, source, model, &self.inventory)
    }

    /// The tariff of an origin.
    fn tariff(&mut self, origin: &Origin, kind: ChargeKind) -> u32 {
        let Origin { provider, account, region, served_region, capacity, model, .. } = origin;
        let words = [provider, account, region, served_region, capacity, model].map(Box::clone);
        let key = (kind, origin.tier, words);
        if let Some(tariff) = self.lanes.tariff_index.get(&key) {
            return *tariff;
        }
        let meter = meter(&self.book, origin, kind);
        let past = self.past_books.iter();
        let mut before: Vec<_> = past.map(|past| meter_before(&past.book, origin, kind, &meter)).collect();
        if before.iter().all(Option::is_none) {
            before.clear();
        }
        let number = u32::try_from(self.lanes.tariffs.len()).unwrap_or(u32::MAX);
        let shadow = self.shadow.as_ref().map(|shadow| self::meter(&shadow.book, origin, kind));
        self.lanes.tariffs.push(Tariff { meter, before, shadow });
        self.lanes.tariff_index.insert(key, number);
        number
    }

    /// Adds the breaker of a budget for this subject, then those of the budgets that it is within.
    fn enter(
        &mut self,
        index: usize,
        carved: &BTreeSet<usize>,
        comer: &mut Comer<'_>,
        slots: &mut Vec<u32>,
        out: &mut Outcome,
    ) {
        let rules = Arc::clone(&self.rules);
        let mut next = Some(index);
        // A parent chain cannot be longer than the list of budgets; the loader refuses cycles.
        for _ in 0..rules.budgets.len() {
            let Some(at) = next.filter(|at| !carved.contains(at)) else { return };
            let Some(budget) = rules.budgets.get(at) else { return };
            let slot = self.slot(at, budget, comer, out);
            if !slots.contains(&slot) {
                slots.push(slot);
            }
            next = parent_of(&rules.budgets, budget);
        }
    }

    /// The breaker of a budget for this subject, made when first met.
    fn slot(&mut self, index: usize, budget: &Budget, comer: &mut Comer<'_>, out: &mut Outcome) -> u32 {
        let subject = comer.subject;
        let mut values: Box<[InstanceValue]> = budget.per_each.iter().map(|f| value(subject, f)).collect();
        let mut name = breaker_name(budget, &values);
        if let Some(slot) = self.slot_of(&name) {
            return slot;
        }
        let chosen = budget.per_each.iter().any(|f| subject.get(f).is_some_and(|a| a.chosen));
        if !budget.per_each.is_empty() && !self.admit(comer, chosen, out) {
            comer.left_out = true;
            values = budget.per_each.iter().map(|_| NOBODY).collect();
            name = breaker_name(budget, &values);
            if let Some(slot) = self.slot_of(&name) {
                return slot;
            }
        }
        self.make_slot(index, budget, name, values)
    }

    /// Whether somebody new may have a breaker; one subject is one, under however many budgets.
    fn admit(&mut self, comer: &mut Comer<'_>, chosen: bool, out: &mut Outcome) -> bool {
        match comer.chosen {
            Some(admitted) if chosen && self.has_room() => admitted,
            _ => {
                let admitted = self.admit_subject(comer.source, chosen, out);
                comer.chosen = comer.chosen.or(chosen.then_some(admitted));
                admitted
            }
        }
    }

    pub(super) fn make_slot(
        &mut self,
        index: usize,
        budget: &Budget,
        name: Box<str>,
        values: Box<[InstanceValue]>,
    ) -> u32 {
        let slot = u32::try_from(self.hot.len()).unwrap_or(u32::MAX);
        let mut cold = Cold::new(u16::try_from(index).unwrap_or(u16::MAX), name, values);
        if let Some(limit) = self.limit_by_label(budget, &cold.values) {
            cold.side().label = Some(limit);
        }
        cold.limit = cold.limit_of(budget, self.now);
        self.hot.push(Hot::new(first_window(&budget.window, self.now)));
        self.cold.push(cold);
        self.index.add_last(&self.cold);
        self.set_mark(slot);
        slot
    }
}

/// Whom an origin is about, on the way to the breakers.
struct Comer<'a> {
    subject: &'a Subject,
    source: &'a str,
    /// Whether the source may bring another name that callers chose, once that was asked.
    chosen: Option<bool>,
    /// A breaker was not made, and the money is nobody's.
    left_out: bool,
}

/// What an origin resolves to: until rules, prices or labels change, or for one batch.
enum Resolved {
    For(Lane),
    ForNow(Lane),
}

const NOBODY: InstanceValue = InstanceValue { value: None, trust: Trust::Trusted };

fn value(subject: &Subject, name: &str) -> InstanceValue {
    subject.get(name).map_or(NOBODY, |a| InstanceValue { value: Some(a.value.clone()), trust: a.trust })
}

/// The kind of charge that quantities make.
pub(super) const fn kind_of(quantities: &Quantities) -> ChargeKind {
    match quantities {
        Quantities::Tokens(_) => ChargeKind::Tokens,
        Quantities::Instance(_) => ChargeKind::Gpu,
        Quantities::Other(_) | Quantities::Nothing => ChargeKind::Other,
        Quantities::Billed(billed) => billed.kind,
    }
}

/// Three kinds share the digest of an origin; the low bits tell them apart.
fn digest_of(origin: u128, kind: ChargeKind) -> [u32; 4] {
    words(origin.wrapping_mul(4).wrapping_add(kind as u128))
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

/// What the origin cost in a past book, where that was another price.
fn meter_before(book: &PriceBook, origin: &Origin, kind: ChargeKind, now: &Meter) -> Option<Meter> {
    let before = meter(book, origin, kind);
    (before != *now).then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::IdKey;

    /// Rows remember the numbers of their lanes while their batch is taken: were lanes thrown away under
    /// them, money would go to whoever has the number next.
    #[test]
    fn lanes_are_thrown_away_between_batches_only() {
        let mut engine = Engine::new(crate::fact::Settings::new(IdKey([7, 7]), "test"));
        let mut out = Outcome::default();
        let filler =
            |digest| Lane { digest, tariff: 0, account: 0, slots: Slots::new(&[], Marks::default()) };
        for n in 1..MOST_LANES {
            engine.lanes.add(filler([0, 0, u32::try_from(n).unwrap(), 0]));
        }
        let batch =
            UsageBatch { origins: vec![Origin::default(); 2], digests: vec![1, 2], ..Default::default() };
        let first = engine.lane(&batch, 0, ChargeKind::Tokens, &mut out);
        let second = engine.lane(&batch, 1, ChargeKind::Tokens, &mut out);
        assert_eq!((first as usize, second as usize), (MOST_LANES - 1, MOST_LANES));
        assert_eq!(engine.lanes.get(first).digest, digest_of(1, ChargeKind::Tokens));
        let _ = engine.take_usage(&UsageBatch::default(), &mut out);
        assert!(engine.lanes.lanes.is_empty());
    }
}
