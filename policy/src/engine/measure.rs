//! Budgets that look at more than a sum of money: their pace, tokens or GPU hours, or what has no price.
//!
//! They are the rarer ones, so a lane knows whether it leads to one, and the others keep the short way.

use crate::fact::{InstanceUse, Quantities, Usage, UsageBatch};
use crate::money::{Money, Unit};
use crate::price::gpus_of;
use crate::rule::{Budget, OnUnpriced};
use crate::time::Timestamp;

use super::usage::Posting;
use super::{Engine, Outcome};

/// Milliseconds of an hour, in thousandths of an instance.
const HOUR_SHARES: i128 = 3_600_000 * 1_000;
/// 10⁻¹² of a unit in one.
const PARTS: i128 = 1_000_000_000_000;

/// Whether a budget looks at more than a sum of money.
pub(super) fn is_special(budget: &Budget) -> bool {
    !budget.triggers.is_empty() || budget.limit.unit != Unit::Usd || budget.on_unpriced != OnUnpriced::Alert
}

impl Engine {
    /// Adds a charge to a breaker whose budget may look at more than its sum of money.
    pub(super) fn post_special(&mut self, slot: u32, posting: &Posting<'_>, out: &mut Outcome) {
        let budget = self.budget_of(slot);
        let (unit, paced) = (budget.limit.unit, !budget.triggers.is_empty());
        let measured = match unit {
            Unit::Usd => *posting,
            Unit::Tokens | Unit::GpuHours => match self.counted(slot, unit, posting, out) {
                Some(amount) => Posting { amount, excess: &[], ..*posting },
                None => return,
            },
        };
        if !paced {
            return self.post(slot, &measured, out);
        }
        self.keep_pace(slot, &measured);
        self.post(slot, &measured, out);
        // What belongs to another window makes nothing of this one on time.
        let inside = match self.rolling(slot) {
            Some(length) => {
                self.slide(slot, length);
                posting.at > self.now.minus(length) || self.clock_doubt.is_some()
            }
            None => self.hot[slot as usize].window.contains(posting.at),
        };
        self.judge(slot, inside.then_some(&measured), out);
    }

    /// What a usage is in another unit than money; `None` where it has nothing of it. GPUs of an unknown type of
    /// instance are not none: they are counted as what is unknown.
    fn counted(&mut self, slot: u32, unit: Unit, posting: &Posting<'_>, out: &mut Outcome) -> Option<Money> {
        match (unit, &posting.row.quantities) {
            (Unit::Tokens, Quantities::Tokens(tokens)) => {
                let all = tokens.by_class().iter().fold(0_i128, |sum, n| sum.saturating_add(i128::from(*n)));
                Some(Money::from_picos(all.saturating_mul(PARTS)))
            }
            (Unit::GpuHours, Quantities::Instance(time)) => {
                let origin = posting.batch.origins.get(posting.row.origin as usize)?;
                match gpus_of(&origin.model) {
                    Some(gpus) => Some(gpu_hours(time, gpus)),
                    None => {
                        self.note_unpriced(slot, posting.at, out);
                        None
                    }
                }
            }
            _ => None,
        }
    }

    /// Usage without a price: what counts something else than money counts it all the same, and what assumes a
    /// price takes the highest known. Leaves those whose sum lacks it.
    pub(super) fn post_unpriced(
        &mut self,
        batch: &UsageBatch,
        row: &Usage,
        slots: &mut Vec<u32>,
        out: &mut Outcome,
    ) {
        let on_time = self.is_on_time(batch, row);
        let posting = Posting { amount: Money::ZERO, excess: &[], at: row.occurred_at, on_time, batch, row };
        for slot in slots.iter() {
            match (self.budget_of(*slot).limit.unit, self.budget_of(*slot).on_unpriced) {
                (Unit::Usd, OnUnpriced::AssumeHighestKnown) => self.assume_price(*slot, &posting, out),
                (Unit::Usd, OnUnpriced::Alert) => {}
                (Unit::Tokens | Unit::GpuHours, _) => self.post_special(*slot, &posting, out),
            }
        }
        slots.retain(|slot| self.budget_of(*slot).limit.unit == Unit::Usd);
    }

    /// An assumed price warns, and never trips: it stands beside the sum.
    fn assume_price(&mut self, slot: u32, posting: &Posting<'_>, out: &mut Outcome) {
        let Quantities::Tokens(tokens) = &posting.row.quantities else { return };
        if self.has_ended(slot) {
            self.roll(slot, out);
        }
        if !self.window_of(slot).contains(posting.at) {
            return;
        }
        let highest = *self.highest.get_or_insert_with(|| self.book.highest_rates());
        let classes = tokens.by_class().into_iter().zip(highest);
        let assumed = classes.fold(Money::ZERO, |sum, (count, rate)| sum.saturating_add(rate.times(count)));
        self.add_assumed(slot, posting.at, assumed);
        self.judge(slot, None, out);
    }

    /// Sum and what was assumed beside it: what warnings look at.
    pub(super) fn with_assumed(&self, slot: u32) -> Money {
        let assumed = self.cold[slot as usize].side.as_ref().map_or(Money::ZERO, |side| side.assumed);
        self.hot[slot as usize].sum.saturating_add(assumed)
    }
}

/// Time on a share of an instance as hours of one GPU: the difference of two readings of one running total, each
/// rounded down to 10⁻¹² of an hour, so that stretches which follow one another add up to the whole.
fn gpu_hours(time: &InstanceUse, gpus: u32) -> Money {
    let total = |at: Timestamp| {
        let shares = i128::from(at.millis()) * i128::from(time.share_milli) * i128::from(gpus);
        (shares * PARTS).div_euclid(HOUR_SHARES)
    };
    Money::from_picos(total(time.end) - total(time.start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_of_a_gpu_add_up_however_they_are_cut() {
        let start = 1_795_170_000_123;
        for (millis, share_milli) in [(7_001, 333), (2_000_000, 1000), (33, 125)] {
            let stretch = |n: i64| InstanceUse {
                start: Timestamp::from_millis(start + n * millis),
                end: Timestamp::from_millis(start + (n + 1) * millis),
                share_milli,
            };
            let whole = InstanceUse { end: stretch(719).end, ..stretch(0) };
            let sum = (0..720).map(|n| gpu_hours(&stretch(n), 8)).fold(Money::ZERO, Money::saturating_add);
            assert_eq!(sum, gpu_hours(&whole, 8));
        }
        let hours = InstanceUse {
            start: Timestamp::from_millis(0),
            end: Timestamp::from_millis(3_600_000),
            share_milli: 500,
        };
        assert_eq!(Unit::GpuHours.of(gpu_hours(&hours, 8)).to_string(), "4.00 GPU hours");
    }
}
