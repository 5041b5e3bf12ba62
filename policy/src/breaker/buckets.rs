//! The buckets of a rolling window: what it was charged, by when that was spent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Side, bucket};
use crate::money::Money;
use crate::time::{Span, Timestamp};

/// What a stretch of a rolling window holds, or all of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Sum of its charges.
    pub sum: Money,
    /// How much of that changes of prices have added.
    pub excess: Money,
    /// Charges in the sum.
    pub facts: u64,
    /// Usage without a price.
    pub unpriced: u64,
    /// What that was assumed to cost.
    pub assumed: Money,
}

impl Bucket {
    fn add(&mut self, more: &Self) {
        self.sum = self.sum.saturating_add(more.sum);
        self.excess = self.excess.saturating_add(more.excess);
        self.facts = self.facts.saturating_add(more.facts);
        self.unpriced = self.unpriced.saturating_add(more.unpriced);
        self.assumed = self.assumed.saturating_add(more.assumed);
    }
}

impl Side {
    /// Adds to the bucket of an instant.
    pub fn add_bucket(&mut self, length: Span, at: Timestamp, more: &Bucket) {
        let (number, _) = bucket(length, at);
        self.buckets.entry(number).or_default().add(more);
    }

    /// Drops what has left the window and adds up the rest.
    pub fn slide(&mut self, length: Span, now: Timestamp) -> Bucket {
        let (oldest, _) = bucket(length, now.minus(length));
        self.buckets.retain(|number, _| *number >= oldest);
        total(&self.buckets, oldest)
    }

    /// All that is within the window as of an instant; `None` where nothing has left it since it last slid.
    #[must_use]
    pub fn slid(&self, length: Span, now: Timestamp) -> Option<Bucket> {
        let (oldest, _) = bucket(length, now.minus(length));
        let (first, _) = self.buckets.first_key_value()?;
        (*first < oldest).then(|| total(&self.buckets, oldest))
    }

    /// Whether what a person or a reload said of a rolling window has left it. A clock that stepped back from
    /// days ahead makes nothing last longer than the window does.
    pub fn has_left(until: &mut Option<Timestamp>, length: Span, now: Timestamp) -> bool {
        *until = until.map(|until| until.min(now.plus(length))).filter(|until| now < *until);
        until.is_none()
    }
}

fn total(buckets: &BTreeMap<i64, Bucket>, oldest: i64) -> Bucket {
    let mut all = Bucket::default();
    buckets.range(oldest..).for_each(|(_, bucket)| all.add(bucket));
    all
}
