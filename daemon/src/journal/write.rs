//! The commit of a turn.

use policy::decision::{Decision, Notice, Order};
use policy::engine::Rollup;
use policy::fact::{Fact, Receipt};
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::record::{Committed, Delivery, TurnRecord, TurnRef, decision_word, fingerprint, outcome_word};
use super::rollup::signed;
use super::{Journal, JournalError};
use crate::failpoint;

impl Journal {
    /// Makes a turn durable: facts, decisions, orders, notices, receipts and deliveries in one commit.
    ///
    /// # Errors
    /// When it could not be made durable. The caller must end: nothing of the turn may be acked or done.
    pub fn commit(&mut self, record: &TurnRecord<'_>) -> Result<Committed, JournalError> {
        let seq = self.seq + 1;
        let now = record.clock.wall;
        self.rollups.add(seq, &record.outcome.rollups);
        let roll = self.rollups.due(now);
        let blob = postcard::to_stdvec(&TurnRef { clock: record.clock, facts: record.facts })
            .map_err(JournalError::damaged("turn", seq))?;
        let tx = self.conn.transaction().map_err(JournalError::sql("begin a turn"))?;
        put_turn(&tx, seq, record, &blob)?;
        put_decisions(&tx, seq, &record.outcome.decisions)?;
        put_orders(&tx, seq, &record.outcome.orders)?;
        for fact in record.facts {
            if let Fact::Receipt(receipt) = fact {
                put_receipt(&tx, seq, receipt)?;
            }
        }
        put_deliveries(&tx, record.deliveries)?;
        let new_notices = put_notices(&tx, seq, &record.outcome.notices)?;
        if roll {
            self.rollups.write(&tx, seq, record.accounts)?;
        }
        failpoint::before_commit(record.facts, &record.outcome.orders);
        tx.commit().map_err(JournalError::sql("commit a turn"))?;
        failpoint::after_commit(record.facts, &record.outcome.orders);
        self.seq = seq;
        if roll {
            self.rollups.written(seq, now);
        }
        Ok(Committed { seq, new_notices })
    }

    /// Keeps a word under a key, durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_mark(&mut self, key: &str, value: &str) -> Result<(), JournalError> {
        self.conn
            .execute("INSERT OR REPLACE INTO meta VALUES('mark ' || ?1, ?2)", params![key, value])
            .map_err(JournalError::sql("write a mark"))?;
        Ok(())
    }

    /// The word under a key.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn mark(&self, key: &str) -> Result<Option<String>, JournalError> {
        self.conn
            .query_row("SELECT value FROM meta WHERE key = 'mark ' || ?1", [key], |row| row.get(0))
            .optional()
            .map_err(JournalError::sql("read a mark"))
    }

    /// Adds up again the rollups of a turn that was replayed at start and may not have been written.
    pub fn replayed(&mut self, seq: u64, rollups: &[Rollup]) {
        self.rollups.add(seq, rollups);
    }
}

fn encode<T: serde::Serialize>(what: &'static str, number: u64, value: &T) -> Result<Vec<u8>, JournalError> {
    postcard::to_stdvec(value).map_err(JournalError::damaged(what, number))
}

fn put_turn(
    tx: &Transaction<'_>,
    seq: u64,
    record: &TurnRecord<'_>,
    blob: &[u8],
) -> Result<(), JournalError> {
    let print = signed(fingerprint(record.outcome));
    tx.prepare_cached("INSERT INTO turns(seq, wall, fingerprint, blob) VALUES(?1, ?2, ?3, ?4)")
        .and_then(|mut s| s.execute(params![signed(seq), record.clock.wall.millis(), print, blob]))
        .map_err(JournalError::sql("write a turn"))?;
    Ok(())
}

// OR REPLACE, here and below: only an engine of another version, which numbered its replay otherwise, can
// use a number twice. It must then show its own decision rather than end in a loop of failed commits.
fn put_decisions(tx: &Transaction<'_>, seq: u64, decisions: &[Decision]) -> Result<(), JournalError> {
    let fail = || JournalError::sql("write a decision");
    for decision in decisions {
        let blob = encode("decision", decision.id.0, decision)?;
        let breaker = decision.why.breaker.as_ref().map(|b| &*b.name);
        tx.prepare_cached(
            "INSERT OR REPLACE INTO decisions(id, seq, at, kind, breaker, blob) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .and_then(|mut s| {
            let kind = decision_word(&decision.kind);
            s.execute(params![
                signed(decision.id.0),
                signed(seq),
                decision.at.millis(),
                kind,
                breaker,
                blob
            ])
        })
        .map_err(fail())?;
    }
    Ok(())
}

fn put_orders(tx: &Transaction<'_>, seq: u64, orders: &[Order]) -> Result<(), JournalError> {
    for order in orders {
        let blob = encode("order", order.id.0, order)?;
        tx.prepare_cached(
            "INSERT OR REPLACE INTO orders(id, seq, decision, target, state, blob)
             VALUES(?1, ?2, ?3, ?4, 'Ordered', ?5)",
        )
        .and_then(|mut s| {
            let target = order.target.to_string();
            s.execute(params![signed(order.id.0), signed(seq), signed(order.decision.0), target, blob])
        })
        .map_err(JournalError::sql("write an order"))?;
    }
    Ok(())
}

/// Keeps a receipt and moves its order (or notice) on. What is resolved stays as it was first resolved.
fn put_receipt(tx: &Transaction<'_>, seq: u64, receipt: &Receipt) -> Result<(), JournalError> {
    let fail = || JournalError::sql("write a receipt");
    let order = signed(receipt.order.0);
    let blob = encode("receipt", receipt.order.0, receipt)?;
    tx.prepare_cached("INSERT INTO receipts(order_id, seq, blob) VALUES(?1, ?2, ?3)")
        .and_then(|mut s| s.execute(params![order, signed(seq), blob]))
        .map_err(fail())?;
    let (word, resolved) = outcome_word(&receipt.outcome);
    let moved = tx
        .prepare_cached("UPDATE orders SET state = ?2, resolved = ?3 WHERE id = ?1 AND resolved = 0")
        .and_then(|mut s| s.execute(params![order, word, resolved]))
        .map_err(fail())?;
    if moved == 0 && resolved {
        tx.prepare_cached("UPDATE notices SET settled = 1 WHERE id = ?1")
            .and_then(|mut s| s.execute(params![order]))
            .map_err(fail())?;
    }
    Ok(())
}

fn put_deliveries(tx: &Transaction<'_>, deliveries: &[Delivery]) -> Result<(), JournalError> {
    for delivery in deliveries {
        tx.prepare_cached(
            "INSERT OR REPLACE INTO deliveries(key, receiver, thread, handle, at) VALUES(?1, ?2, ?3, ?4, ?5)",
        )
        .and_then(|mut s| {
            s.execute(params![
                delivery.key,
                delivery.receiver,
                delivery.thread,
                delivery.handle,
                delivery.at.millis()
            ])
        })
        .map_err(JournalError::sql("write a delivery"))?;
    }
    Ok(())
}

/// A key that was told before is not told again (F13: once per budget instance, threshold and window).
fn put_notices(tx: &Transaction<'_>, seq: u64, notices: &[Notice]) -> Result<Vec<usize>, JournalError> {
    let mut fresh = Vec::new();
    for (index, notice) in notices.iter().enumerate() {
        let blob = encode("notice", notice.id.0, notice)?;
        let added = tx
            .prepare_cached(
                "INSERT OR IGNORE INTO notices(id, seq, at, key, thread, route, blob)
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )
            .and_then(|mut s| {
                s.execute(params![
                    signed(notice.id.0),
                    signed(seq),
                    notice.decision.at.millis(),
                    notice.key,
                    notice.thread,
                    notice.route,
                    blob
                ])
            })
            .map_err(JournalError::sql("write a notice"))?;
        if added == 1 {
            fresh.push(index);
        }
    }
    Ok(fresh)
}
