//! Instance time: prices by the hour, charged for stretches of milliseconds without drift.
//!
//! A price per hour is whole pico-dollars, a price per millisecond is not. So a stretch costs the
//! difference of two readings of one running total, `total(t) = hours·rate + floor(rate·ms/3,600,000)`,
//! taken from the UTC hour: sixty minutes cost exactly the hour, however they are cut and in any order.

use serde::{Deserialize, Serialize};

use super::{Amount, PriceFlags, UnpricedReason};
use crate::money::{HourRate, Money};

const MS_PER_HOUR: i128 = 3_600_000;
const WHOLE_SHARE: i128 = 1000;

/// What an hour of one instance costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstancePrice {
    /// EC2 instance type.
    pub instance_type: String,
    /// `on-demand`, `spot`, …
    pub capacity_type: String,
    /// The key in the book: region (or `*`), instance type, capacity type.
    pub key: String,
    /// The price of an hour of the whole instance.
    pub rate: HourRate,
    /// How sure it is.
    pub flags: PriceFlags,
}

impl InstancePrice {
    /// What the time from `start_ms` to `end_ms` costs (milliseconds since the Unix epoch), for a share of
    /// the instance in thousandths. Each reading is rounded down to a pico-dollar; stretches that follow
    /// one another add up to the whole.
    ///
    /// # Errors
    /// [`UnpricedReason::BadTime`] when the end is before the start, or the amount does not fit.
    pub fn charge(&self, start_ms: i64, end_ms: i64, share_milli: u32) -> Result<Amount, UnpricedReason> {
        if end_ms < start_ms {
            return Err(UnpricedReason::BadTime);
        }
        self.total(end_ms, share_milli)
            .zip(self.total(start_ms, share_milli))
            .and_then(|(until, from)| until.checked_sub(from))
            .map(|picos| Amount { money: Money::from_picos(picos), flags: self.flags })
            .ok_or(UnpricedReason::BadTime)
    }

    /// The running total at an instant, from the Unix epoch.
    fn total(&self, at_ms: i64, share_milli: u32) -> Option<i128> {
        let per_hour = i128::from(self.rate.picos()).checked_mul(i128::from(share_milli))?;
        let at = i128::from(at_ms);
        let hours = at.div_euclid(MS_PER_HOUR).checked_mul(per_hour)?;
        let within = per_hour.checked_mul(at.rem_euclid(MS_PER_HOUR))?.div_euclid(MS_PER_HOUR);
        hours.checked_add(within).map(|thousandths| thousandths.div_euclid(WHOLE_SHARE))
    }
}
