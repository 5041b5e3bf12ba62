//! Turns orders into effects and receipts.
