//! Questions to the journal, over a connection of its own: no question ever waits for a turn or holds one up.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use policy::decision::{Decision, Effect, Notice, Order};
use policy::fact::{Receipt, Settings};
use policy::id::{DecisionId, OrderId};
use policy::inventory::ObjectKey;
use policy::money::Money;
use policy::time::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};

use super::decode::{decode, made_with, turn};
use super::record::{Delivery, StoredTurn};
use super::rollup::{amount, signed};
use super::{FILE, Journal, JournalError};

/// Turns that a [`Tail`] reads at a time. Each may hold tens of thousands of facts.
const PAGE: u32 = 8;

/// A read-only view of a journal.
#[derive(Debug)]
pub struct Reader {
    conn: Connection,
    path: PathBuf,
}

/// An order with what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderRecord {
    /// The order.
    pub order: Order,
    /// Word of the last receipt that moved it; `Ordered` before the first.
    pub state: String,
    /// Whether nothing more is to come.
    pub resolved: bool,
    /// All receipts, in order.
    pub receipts: Vec<Receipt>,
}

/// A decision with its orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRecord {
    /// The decision.
    pub decision: Decision,
    /// Number of the turn in which it was made.
    pub seq: u64,
    /// Its orders, in order.
    pub orders: Vec<OrderRecord>,
}

/// Charges of one tenant and model in one minute or hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupRow {
    /// Start of the minute or hour.
    pub start: Timestamp,
    /// Tenant, where it is known and trusted.
    pub tenant: Option<String>,
    /// Resolved model.
    pub model: String,
    /// Sum.
    pub amount: Money,
    /// Charges.
    pub facts: u64,
    /// Usage without a price.
    pub unpriced: u64,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(path, flags).map_err(JournalError::sql("open a reader"))?;
        conn.busy_timeout(std::time::Duration::from_secs(5)).map_err(JournalError::sql("open a reader"))?;
        Ok(Self { conn, path: path.to_owned() })
    }

    /// A view of the journal in that data folder, beside the daemon that writes it.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    pub fn of(folder: &Path) -> Result<Self, JournalError> {
        Self::open(&folder.join(FILE))
    }

    /// Its id and settings, as they were when it was made.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn made_with(&self) -> Result<(String, Settings), JournalError> {
        made_with(&self.conn).map(|(id, settings, _)| (id, settings))
    }

    /// Another view of the same journal.
    ///
    /// # Errors
    /// When the file cannot be opened again.
    pub fn again(&self) -> Result<Self, JournalError> {
        Self::open(&self.path)
    }

    /// The first turn that is still there.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn first_turn(&self) -> Result<Option<u64>, JournalError> {
        let first: Option<i64> = self
            .conn
            .query_row("SELECT min(seq) FROM turns", [], |row| row.get(0))
            .map_err(JournalError::sql("find its first turn"))?;
        Ok(first.map(|seq| u64::try_from(seq).unwrap_or(0)))
    }

    /// Up to which turn the rollups are written. A snapshot goes no further, so that a replay from it can
    /// add up the rest.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn rollups_seq(&self) -> Result<u64, JournalError> {
        let seq: i64 = self
            .conn
            .query_row("SELECT value FROM meta WHERE key = 'rollups_seq'", [], |row| row.get(0))
            .map_err(JournalError::sql("read its marks"))?;
        Ok(u64::try_from(seq).unwrap_or(0))
    }

    /// The turns after `seq`, in order, a few at a time.
    #[must_use]
    pub fn turns_after(self, seq: u64) -> Tail {
        Tail { reader: self, next: seq + 1, page: VecDeque::new(), done: false }
    }

    fn page(&self, from: u64) -> Result<VecDeque<StoredTurn>, JournalError> {
        let fail = || JournalError::sql("read its turns");
        let mut statement = self
            .conn
            .prepare_cached("SELECT seq, fingerprint, blob FROM turns WHERE seq >= ?1 ORDER BY seq LIMIT ?2")
            .map_err(fail())?;
        let mut rows = statement.query(params![signed(from), PAGE]).map_err(fail())?;
        let mut turns = VecDeque::new();
        while let Some(row) = rows.next().map_err(fail())? {
            let blob = row.get_ref(2).and_then(|v| Ok(v.as_blob()?)).map_err(fail())?;
            turns.push_back(turn(row.get(0).map_err(fail())?, row.get(1).map_err(fail())?, blob)?);
        }
        Ok(turns)
    }

    /// A decision with its orders and their receipts.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn decision(&self, id: DecisionId) -> Result<Option<DecisionRecord>, JournalError> {
        let found: Option<(i64, Vec<u8>)> = self
            .conn
            .prepare_cached("SELECT seq, blob FROM decisions WHERE id = ?1")
            .and_then(|mut s| s.query_row([signed(id.0)], |row| Ok((row.get(0)?, row.get(1)?))).optional())
            .map_err(JournalError::sql("read a decision"))?;
        let Some((seq, blob)) = found else { return Ok(None) };
        let decision = decode("decision", id.0, &blob)?;
        let orders = self.orders("decision = ?1", signed(id.0))?;
        Ok(Some(DecisionRecord { decision, seq: u64::try_from(seq).unwrap_or(0), orders }))
    }

    /// The last decisions, newest first; of one breaker where it is named.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn decisions(&self, breaker: Option<&str>, limit: u32) -> Result<Vec<Decision>, JournalError> {
        let fail = || JournalError::sql("read its decisions");
        let mut statement = self
            .conn
            .prepare_cached(
                "SELECT id, blob FROM decisions WHERE ?1 IS NULL OR breaker = ?1 ORDER BY id DESC LIMIT ?2",
            )
            .map_err(fail())?;
        let rows = statement.query_map(params![breaker, limit], numbered).map_err(fail())?;
        rows.map(|row| row.map_err(fail()).and_then(|(id, blob)| decode("decision", id, &blob))).collect()
    }

    fn orders(&self, condition: &str, value: i64) -> Result<Vec<OrderRecord>, JournalError> {
        let fail = || JournalError::sql("read its orders");
        let mut statement = self
            .conn
            .prepare_cached(&format!(
                "SELECT id, blob, state, resolved FROM orders WHERE {condition} ORDER BY id"
            ))
            .map_err(fail())?;
        let mut rows = statement.query([value]).map_err(fail())?;
        let mut orders = Vec::new();
        while let Some(row) = rows.next().map_err(fail())? {
            let (id, blob) = numbered(row).map_err(fail())?;
            let order: Order = decode("order", id, &blob)?;
            let receipts = self.receipts(order.id)?;
            let state = row.get(2).map_err(fail())?;
            orders.push(OrderRecord { order, state, resolved: row.get(3).map_err(fail())?, receipts });
        }
        Ok(orders)
    }

    fn receipts(&self, order: OrderId) -> Result<Vec<Receipt>, JournalError> {
        let fail = || JournalError::sql("read its receipts");
        let mut statement = self
            .conn
            .prepare_cached("SELECT order_id, blob FROM receipts WHERE order_id = ?1 ORDER BY id")
            .map_err(fail())?;
        let rows = statement.query_map([signed(order.0)], numbered).map_err(fail())?;
        rows.map(|row| row.map_err(fail()).and_then(|(id, blob)| decode("receipt", id, &blob))).collect()
    }

    /// Sums by hour from `from` on, oldest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn rollups_by_hour(&self, from: Timestamp, limit: u32) -> Result<Vec<RollupRow>, JournalError> {
        self.rollups("rollups_hour", from, limit)
    }

    /// Sums by minute from `from` on, oldest first.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn rollups_by_minute(&self, from: Timestamp, limit: u32) -> Result<Vec<RollupRow>, JournalError> {
        self.rollups("rollups_minute", from, limit)
    }

    fn rollups(&self, table: &str, from: Timestamp, limit: u32) -> Result<Vec<RollupRow>, JournalError> {
        let fail = || JournalError::sql("read its rollups");
        let mut statement = self
            .conn
            .prepare_cached(&format!(
                "SELECT start, tenant, model, amount, facts, unpriced FROM {table}
                 WHERE start >= ?1 ORDER BY start, tenant, model LIMIT ?2"
            ))
            .map_err(fail())?;
        let rows = statement.query_map(params![from.millis(), limit], rollup_row).map_err(fail())?;
        rows.map(|row| row.map_err(fail())).collect()
    }
}

impl Journal {
    /// Orders that were given and not resolved: to be carried out (again) after a restart.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn unresolved_orders(&self) -> Result<Vec<Order>, JournalError> {
        self.list("order", "SELECT id, blob FROM orders WHERE resolved = 0 ORDER BY id")
    }

    /// Targets that were newly stopped at or after `from`, with when that was ordered: they count for the
    /// blast radius.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn stops_since(&self, from: Timestamp) -> Result<Vec<(ObjectKey, Timestamp)>, JournalError> {
        let orders: Vec<Order> = self.list(
            "order",
            "SELECT id, blob FROM orders WHERE state IN ('Accepted', 'Verified', 'NotObserved')
             ORDER BY id DESC LIMIT 10000",
        )?;
        let recent = orders.into_iter().take_while(|order| order.issued_at >= from);
        let stops = recent.filter(|order| matches!(order.effect, Effect::PauseToZero));
        Ok(stops.map(|order| (order.target, order.issued_at)).collect())
    }

    /// Notices that not every receiver has: to be sent (again) after a restart, marked as a repeat.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn undelivered_notices(&self) -> Result<Vec<Notice>, JournalError> {
        self.list("notice", "SELECT id, blob FROM notices WHERE settled = 0 ORDER BY id")
    }

    /// What was delivered, with handles for later edits.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn deliveries(&self) -> Result<Vec<Delivery>, JournalError> {
        let fail = || JournalError::sql("read its deliveries");
        let mut statement = self
            .conn
            .prepare("SELECT key, receiver, thread, handle, at FROM deliveries ORDER BY at, key, receiver")
            .map_err(fail())?;
        let rows = statement
            .query_map([], |row| {
                Ok(Delivery {
                    key: row.get(0)?,
                    receiver: row.get(1)?,
                    thread: row.get(2)?,
                    handle: row.get(3)?,
                    at: Timestamp::from_millis(row.get(4)?),
                })
            })
            .map_err(fail())?;
        rows.map(|row| row.map_err(fail())).collect()
    }

    fn list<T: serde::de::DeserializeOwned>(
        &self,
        what: &'static str,
        sql: &str,
    ) -> Result<Vec<T>, JournalError> {
        let fail = || JournalError::sql("read what is open");
        let mut statement = self.conn.prepare(sql).map_err(fail())?;
        let rows = statement.query_map([], numbered).map_err(fail())?;
        rows.map(|row| row.map_err(fail()).and_then(|(id, blob)| decode(what, id, &blob))).collect()
    }
}

fn numbered(row: &Row<'_>) -> rusqlite::Result<(u64, Vec<u8>)> {
    Ok((u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0), row.get(1)?))
}

fn rollup_row(row: &Row<'_>) -> rusqlite::Result<RollupRow> {
    let count = |at: usize| row.get::<_, i64>(at).map(|n| u64::try_from(n).unwrap_or(0));
    Ok(RollupRow {
        start: Timestamp::from_millis(row.get(0)?),
        tenant: Some(row.get::<_, String>(1)?).filter(|tenant| !tenant.is_empty()),
        model: row.get(2)?,
        amount: amount(&row.get::<_, String>(3)?),
        facts: count(4)?,
        unpriced: count(5)?,
    })
}

/// Turns in order, a few at a time in memory.
#[derive(Debug)]
pub struct Tail {
    reader: Reader,
    next: u64,
    page: VecDeque<StoredTurn>,
    done: bool,
}

impl Iterator for Tail {
    type Item = Result<StoredTurn, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && !self.done {
            match self.reader.page(self.next) {
                Ok(page) => self.page = page,
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
            self.done = self.page.is_empty();
        }
        let turn = self.page.pop_front()?;
        self.next = turn.seq + 1;
        Some(Ok(turn))
    }
}
