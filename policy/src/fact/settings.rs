//! What a journal fixes for its engine.

use serde::{Deserialize, Serialize};

use super::IdKey;
use crate::time::Span;

/// What a journal fixes for its engine. Changing one changes what a replay gives, so they are kept in
/// the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Secret of ids.
    pub id_key: IdKey,
    /// Install id, as on the objects that we mark; empty where nothing is ever written. Configured, so
    /// that it survives the journal.
    pub install: Box<str>,
    /// For how long ids are remembered, in event time. Default 48 h.
    pub horizon: Span,
    /// Older than this, a fact adds up but trips nothing by itself. Default 15 m.
    pub on_time: Span,
    /// Further ahead of the clock than this, a fact is refused. Default 5 m.
    pub max_ahead: Span,
    /// How long an order may wait before it is refused as stale. Default 5 m.
    pub order_expiry: Span,
    /// Without a proof after this, a pause is fired again (the cause checked anew). Default 60 s.
    pub refire_after: Span,
    /// How often a pause is fired at most. Default 3.
    pub max_attempts: u32,
    /// An inventory not heard for longer is stale. Default 120 s.
    pub inventory_stale_after: Span,
    /// How far the wall clock may drift from the monotonic one between turns. Default 30 s.
    pub max_clock_drift: Span,
}

impl Settings {
    /// The defaults above under that secret, for that install.
    #[must_use]
    pub fn new(id_key: IdKey, install: &str) -> Self {
        Self {
            id_key,
            install: install.into(),
            horizon: Span::from_hours(48),
            on_time: Span::from_mins(15),
            max_ahead: Span::from_mins(5),
            order_expiry: Span::from_mins(5),
            refire_after: Span::from_secs(60),
            max_attempts: 3,
            inventory_stale_after: Span::from_secs(120),
            max_clock_drift: Span::from_secs(30),
        }
    }
}
