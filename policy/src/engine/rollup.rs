//! Charges of one step added up by minute, tenant and model, for the journal.
//!
//! Nearly every fact of a step falls into the minute in which its account was last added to, or into the
//! first: both stand in a cursor for each account, and only further minutes are looked up. With thousands of
//! tenants in one step this is the difference between one read and a table that is filled anew each time.

use crate::money::Money;
use crate::time::Timestamp;

use super::{FixedMap, Rollup};

const MINUTE: i64 = 60_000;

/// Where an account's sums of this step stand.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    step: u64,
    first: (i64, u32),
    last: (i64, u32),
}

/// Finds the rollup of an account and minute. A cache: made anew with each step.
#[derive(Clone, Debug, Default)]
pub(super) struct Rollups {
    step: u64,
    cursors: Vec<Cursor>,
    further: FixedMap<(u32, i64), u32>,
}

impl Rollups {
    /// Another step begins.
    pub fn begin(&mut self) {
        self.step += 1;
        self.further.clear();
    }

    /// The rollup of that account and minute among those of the step, made where there is none.
    pub fn of<'o>(&mut self, account: u32, at: Timestamp, all: &'o mut Vec<Rollup>) -> &'o mut Rollup {
        let minute = at.millis().div_euclid(MINUTE) * MINUTE;
        let index = self.index(account, minute, u32::try_from(all.len()).unwrap_or(u32::MAX)) as usize;
        if index == all.len() {
            let minute = Timestamp::from_millis(minute);
            all.push(Rollup { minute, account, amount: Money::ZERO, facts: 0, unpriced: 0 });
        }
        &mut all[index]
    }

    /// Where it stands; `next` where it is new.
    fn index(&mut self, account: u32, minute: i64, next: u32) -> u32 {
        let at = account as usize;
        if self.cursors.len() <= at {
            self.cursors.resize(at + 1, Cursor::default());
        }
        let cursor = &mut self.cursors[at];
        if cursor.step != self.step {
            *cursor = Cursor { step: self.step, first: (minute, next), last: (minute, next) };
        } else if cursor.last.0 != minute {
            let index = match cursor.first.0 == minute {
                true => cursor.first.1,
                false => *self.further.entry((account, minute)).or_insert(next),
            };
            cursor.last = (minute, index);
        }
        cursor.last.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_and_minute_of_a_step_has_one_place() {
        let mut rollups = Rollups::default();
        for _ in 0..2 {
            rollups.begin();
            let mut known: Vec<(u32, i64)> = Vec::new();
            for n in 0..5_000_u32 {
                let (account, minute) = (n * 7 % 13, i64::from(n * 31 % 17) * MINUTE);
                let index = rollups.index(account, minute, u32::try_from(known.len()).unwrap()) as usize;
                if index == known.len() {
                    known.push((account, minute));
                }
                assert_eq!(known[index], (account, minute));
            }
            assert_eq!(known.len(), 13 * 17);
        }
    }
}
