//! Breakers by name. The names stand with the breakers, once: with 100,000 of them a second copy is felt.

use std::hash::BuildHasher as _;

use hashbrown::HashTable;

use crate::breaker::Cold;

use super::Engine;

/// Numbers of breakers by the hash of their name. A cache: made anew from a snapshot.
#[derive(Clone, Debug, Default)]
pub(super) struct Index(HashTable<u32>);

fn hash(name: &str) -> u64 {
    foldhash::fast::FixedState::default().hash_one(name)
}

impl Index {
    /// The breaker of that name.
    pub fn get(&self, breakers: &[Cold], name: &str) -> Option<u32> {
        self.0.find(hash(name), |slot| *breakers[*slot as usize].name == *name).copied()
    }

    /// Adds the last of the breakers; its name must be new.
    pub fn add_last(&mut self, breakers: &[Cold]) {
        let Some(last) = breakers.len().checked_sub(1) else { return };
        let hash_of = |slot: &u32| hash(&breakers[*slot as usize].name);
        let slot = u32::try_from(last).unwrap_or(u32::MAX);
        self.0.insert_unique(hash_of(&slot), slot, hash_of);
    }

    /// All of them anew.
    pub fn of(breakers: &[Cold]) -> Self {
        let mut index = Self(HashTable::with_capacity(breakers.len()));
        for known in 1..=breakers.len() {
            index.add_last(&breakers[..known]);
        }
        index
    }
}

impl Engine {
    /// The breaker of that name.
    pub(super) fn slot_of(&self, name: &str) -> Option<u32> {
        self.index.get(&self.cold, name)
    }
}
