//! A vendor's bill as a table: FOCUS 1.x exports, and AWS's Cost and Usage Report in both of its spellings.
//!
//! `columns` finds what is needed under the names that exports use, `parse` turns a row into a charge with its
//! amount (pure), `amount` reads decimal money exactly. Only usage that was billed in USD counts; credits,
//! taxes, fees and refunds are left out and counted. A bill is the vendor's own record, and tags are set by
//! whoever owns a resource and not by its callers: both are trusted.

mod amount;
mod columns;
mod parse;

#[cfg(test)]
mod tests;

pub use parse::{Bill, LeftOut, NoBill, SOURCE};
