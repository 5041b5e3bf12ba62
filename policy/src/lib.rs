//! Decides. Pure: no clock, no I/O, no async, no randomness.
//!
//! A stream of [`fact::Fact`]s goes into [`engine::Engine`], which prices them, posts them to the ledger,
//! advances breakers and answers with [`decision::Decision`]s, orders and notices.

pub mod attribution;
pub mod breaker;
pub mod decision;
pub mod engine;
pub mod explain;
pub mod fact;
pub mod inventory;
pub mod ledger;
pub mod money;
pub mod price;
pub mod rule;
pub mod subject;
pub mod time;
pub mod units;
pub mod window;
