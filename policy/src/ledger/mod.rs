//! The ledger: idempotent sums of charges.

mod seen;

pub use seen::{Recall, Seen};
