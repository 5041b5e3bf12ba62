//! Turns orders into effects and receipts.

pub mod notify;
