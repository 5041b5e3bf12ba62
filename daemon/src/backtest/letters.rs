//! What was not counted: how much of it for each reason, and where the first of it stands.

use std::collections::BTreeMap;

use serde::Serialize;

/// Letters that are shown with their place; all are counted.
const MOST_SHOWN: usize = 20;
/// Characters of a detail.
const MOST_DETAIL: usize = 300;

/// Something that was not counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// `log/a.jsonl: byte 1200`, `bill.csv: line 7`.
    pub place: String,
    /// The word of its reason.
    pub reason: String,
    /// What is wrong with it.
    pub detail: String,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Letters {
    /// How many, by reason.
    pub counts: BTreeMap<String, u64>,
    /// The first of them.
    pub first: Vec<Letter>,
}

impl Letters {
    /// One more.
    pub fn add(&mut self, place: impl FnOnce() -> String, reason: &str, detail: &str) {
        match self.counts.get_mut(reason) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert(reason.to_owned(), 1)),
        }
        if self.first.len() < MOST_SHOWN {
            let detail: String = detail.chars().take(MOST_DETAIL).filter(|c| !c.is_control()).collect();
            self.first.push(Letter { place: place(), reason: reason.to_owned(), detail });
        }
    }

    /// How many in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// With those of another.
    pub fn join(&mut self, other: Self) {
        for (reason, count) in other.counts {
            *self.counts.entry(reason).or_default() += count;
        }
        let room = MOST_SHOWN.saturating_sub(self.first.len());
        self.first.extend(other.first.into_iter().take(room));
    }
}
