//! Sums by minute and hour, for questions later.
//!
//! Added up here and written at most once a second of the turn's own clock: a row is then written once for
//! a second of traffic and not once for each turn. Amounts are texts, since SQLite's integers have 64 bits
//! and ours 128; the sum is made here, with a check.

use std::collections::BTreeMap;

use policy::engine::{Rollup, Spend};
use policy::money::Money;
use policy::time::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::JournalError;

/// How often rollups are written, in milliseconds of the turn's clock.
pub const ROLLUP_EVERY_MS: i64 = 1_000;

/// Or sooner, when so many rows wait.
const MOST_WAITING: usize = 20_000;

const HOUR_MS: i64 = 3_600_000;

/// Start, account.
type Key = (i64, u32);

#[derive(Clone, Debug, Default)]
struct Sum {
    picos: i128,
    facts: u64,
    unpriced: u64,
}

/// Sums that are not yet written.
#[derive(Debug, Default)]
pub(super) struct Rollups {
    minutes: BTreeMap<Key, Sum>,
    hours: BTreeMap<Key, Sum>,
    /// Everything up to this turn is written.
    pub(super) written_to: u64,
    last_write: Option<Timestamp>,
}

impl Rollups {
    pub(super) fn starting_at(written_to: u64) -> Self {
        Self { written_to, ..Self::default() }
    }

    /// Adds what a turn said. Turns that are already written (a replay) are passed over.
    pub(super) fn add(&mut self, seq: u64, rollups: &[Rollup]) {
        if seq <= self.written_to {
            return;
        }
        for rollup in rollups {
            let minute = rollup.minute.millis();
            add_to(&mut self.minutes, minute, rollup);
            add_to(&mut self.hours, minute - minute.rem_euclid(HOUR_MS), rollup);
        }
    }

    pub(super) fn due(&self, now: Timestamp) -> bool {
        let waited = self.last_write.is_none_or(|last| {
            // A clock that went back must not stop them.
            !(0..ROLLUP_EVERY_MS).contains(&now.since(last).millis())
        });
        waited || self.minutes.len() > MOST_WAITING
    }

    /// Writes all that waits, as part of the turn `seq`.
    pub(super) fn write(
        &self,
        tx: &Transaction<'_>,
        seq: u64,
        accounts: &[Spend],
    ) -> Result<(), JournalError> {
        write_to(tx, "rollups_minute", &self.minutes, accounts)?;
        write_to(tx, "rollups_hour", &self.hours, accounts)?;
        tx.prepare_cached("UPDATE meta SET value = ?1 WHERE key = 'rollups_seq'")
            .and_then(|mut s| s.execute(params![signed(seq)]))
            .map_err(JournalError::sql("mark its rollups"))?;
        Ok(())
    }

    /// After the commit of what [`Self::write`] wrote.
    pub(super) fn written(&mut self, seq: u64, now: Timestamp) {
        self.minutes.clear();
        self.hours.clear();
        self.written_to = seq;
        self.last_write = Some(now);
    }
}

fn add_to(sums: &mut BTreeMap<Key, Sum>, start: i64, rollup: &Rollup) {
    let sum = sums.entry((start, rollup.account)).or_default();
    sum.picos = sum.picos.saturating_add(rollup.amount.picos());
    sum.facts = sum.facts.saturating_add(rollup.facts);
    sum.unpriced = sum.unpriced.saturating_add(rollup.unpriced);
}

fn write_to(
    tx: &Transaction<'_>,
    table: &str,
    sums: &BTreeMap<Key, Sum>,
    accounts: &[Spend],
) -> Result<(), JournalError> {
    let fail = || JournalError::sql("write its rollups");
    let mut get = tx
        .prepare_cached(&format!(
            "SELECT amount FROM {table} WHERE start = ?1 AND tenant = ?2 AND model = ?3"
        ))
        .map_err(fail())?;
    let mut put = tx
        .prepare_cached(&format!(
            "INSERT INTO {table}(start, tenant, model, amount, facts, unpriced)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT(start, tenant, model) DO UPDATE SET amount = excluded.amount,
               facts = facts + excluded.facts, unpriced = unpriced + excluded.unpriced"
        ))
        .map_err(fail())?;
    for ((start, account), sum) in sums {
        let of = accounts.get(*account as usize);
        // Empty where it is unknown: a tenant's name is never empty.
        let tenant = of.and_then(|of| of.tenant.as_deref()).unwrap_or("");
        let model = of.map_or("", |of| &*of.model);
        let before: Option<String> =
            get.query_row(params![start, tenant, model], |row| row.get(0)).optional().map_err(fail())?;
        let before: i128 = before.and_then(|text| text.parse().ok()).unwrap_or(0);
        let amount = before.saturating_add(sum.picos).to_string();
        put.execute(params![start, tenant, model, amount, signed(sum.facts), signed(sum.unpriced)])
            .map_err(fail())?;
    }
    Ok(())
}

/// SQLite's integers are signed; ours never come near the sign.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Amount of a rollup row.
pub(super) fn amount(text: &str) -> Money {
    Money::from_picos(text.parse().unwrap_or(0))
}
