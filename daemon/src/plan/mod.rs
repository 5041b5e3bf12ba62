//! What a rule set would do, tried on an engine of its own.
//!
//! The engine is made from the journal, beside the daemon that writes it: the newest snapshot and the turns after
//! it, as a restart would. So the turn waits for nothing, and whatever is tried is thrown away. It takes the
//! memory of a second engine meanwhile; one plan is made at a time.

mod difference;
mod render;

use std::path::Path;

use policy::engine::{Engine, Past, Plan};
use policy::fact::{Fact, IdKey, Posture, Settings};
use policy::inventory::Inventory;
use policy::rule::{Mode, RuleSet};
use policy::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::journal::{Reader, snapshot};
use crate::replay;

pub use difference::{Change, differences};
pub use render::{human, markdown, plain};

/// Rows of spend by hour that are read for budgets that are new.
const MOST_PAST: u32 = 500_000;
/// How far back those are read: a year and a day, the longest calendar window.
const FURTHEST: Span = Span::from_hours(24 * 367);

/// What the rules in force would do, and what others would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plans {
    /// Of the rules in force; empty where there are none.
    pub in_force: Plan,
    /// Of the rules that were asked about.
    pub candidate: Option<Plan>,
}

/// The engine as of the journal's last turn, with what was spent by hour.
///
/// # Errors
/// What cannot be read, in words.
pub fn of_journal(folder: &Path, now: Timestamp) -> Result<(Engine, Vec<Past>), String> {
    let words = |error: crate::journal::JournalError| error.to_string();
    let reader = Reader::of(folder).map_err(words)?;
    let (journal, settings) = reader.made_with().map_err(words)?;
    let base = snapshot::newest(folder, &journal, u64::MAX).map_err(words)?;
    let restored = base.and_then(|base| Engine::restore(&base.bytes).ok().map(|engine| (engine, base.seq)));
    let (mut engine, mut seq) = restored.unwrap_or_else(|| (Engine::new(settings), 0));
    for turn in reader.again().map_err(words)?.turns_after(seq) {
        let turn = turn.map_err(words)?;
        if turn.seq != seq + 1 {
            return Err(format!("the journal begins at turn {}, and no snapshot leads there", turn.seq));
        }
        let _ = replay::step(&mut engine, &turn);
        seq = turn.seq;
    }
    let rows = reader.rollups_by_hour(now.minus(FURTHEST), MOST_PAST).map_err(words)?;
    let past = rows.into_iter().map(|row| Past {
        at: row.start,
        tenant: row.tenant,
        model: row.model,
        amount: row.amount,
    });
    Ok((engine, past.collect()))
}

/// An engine that knows nothing, under that ceiling: for rules that run nowhere yet.
#[must_use]
pub fn of_nothing(ceiling: Mode, now: Timestamp) -> Engine {
    let mut engine = Engine::new(Settings::new(IdKey([0, 0]), "plan"));
    let started = Fact::Started(Posture { ceiling, because: None });
    let _ = engine.step(policy::fact::Clock { wall: now, mono: 0 }, &[started]);
    engine
}

/// What that engine's rules would do, and what the candidate's would. `inventory` stands in for what the engine
/// last knew of the cluster.
#[must_use]
pub fn plans(
    mut engine: Engine,
    past: &[Past],
    inventory: Option<Inventory>,
    candidate: Option<&RuleSet>,
    now: Timestamp,
) -> Plans {
    if let Some(inventory) = inventory {
        engine.suppose(inventory, now);
    }
    let in_force = engine.plan(&Default::default());
    let candidate = candidate.map(|rules| engine.rehearse(rules, past, now));
    Plans { in_force, candidate }
}
