//! What a dead daemon left behind, read from its journal.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use daemon::journal::{Journal, OrderRecord};
use policy::fact::{ReceiptOutcome, Settings};
use policy::id::DecisionId;
use rusqlite::Connection;
use tempfile::TempDir;

use super::Site;

/// Every order in the journal of a site whose daemon is dead, with its receipts, in the order of their numbers.
///
/// A copy is read: opening the journal itself would fold its write-ahead log back, and so do for the next
/// daemon what that one must be able to do alone.
///
/// # Errors
/// When there is no journal, or it cannot be read.
pub fn orders_of(site: &Site) -> Result<Vec<OrderRecord>> {
    let copy = copy_of(site)?;
    let journal = Journal::open(copy.path(), |key| Settings::new(key, "a copy"))?.journal;
    let plain = Connection::open(copy.path().join("journal.db"))?;
    let mut decisions = plain.prepare("SELECT DISTINCT decision FROM orders ORDER BY decision")?;
    let ids: Vec<i64> = decisions.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let reader = journal.reader()?;
    let mut orders = Vec::new();
    for id in ids {
        let record = reader.decision(DecisionId(u64::try_from(id)?))?;
        orders.extend(record.with_context(|| format!("decision {id} of an order"))?.orders);
    }
    orders.sort_by_key(|record| record.order.id);
    Ok(orders)
}

/// Keys of every message that is to be told, whether it was or not.
///
/// # Errors
/// As [`orders_of`].
pub fn notices_of(site: &Site) -> Result<BTreeSet<String>> {
    let copy = copy_of(site)?;
    let plain = Connection::open(copy.path().join("journal.db"))?;
    let mut keys = plain.prepare("SELECT key FROM notices")?;
    Ok(keys.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

fn copy_of(site: &Site) -> Result<TempDir> {
    let copy = tempfile::tempdir()?;
    for name in ["journal.db", "journal.db-wal"] {
        let from = site.path("data").join(name);
        if from.exists() {
            std::fs::copy(&from, copy.path().join(name)).with_context(|| format!("copy `{name}`"))?;
        }
    }
    Ok(copy)
}

/// How far an order had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It is durable, and nothing is known of it but perhaps what its target was like before.
    Given,
    /// It is durable that the API server took its write, and not what came of it.
    Accepted,
    /// Its last receipt is durable.
    Resolved,
}

impl Stage {
    /// The stage of an order.
    #[must_use]
    pub fn of(record: &OrderRecord) -> Self {
        let accepted = |outcome: &ReceiptOutcome| matches!(outcome, ReceiptOutcome::Accepted { .. });
        if record.resolved {
            Self::Resolved
        } else if record.receipts.iter().any(|receipt| accepted(&receipt.outcome)) {
            Self::Accepted
        } else {
            Self::Given
        }
    }
}
