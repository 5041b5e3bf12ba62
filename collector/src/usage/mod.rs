//! Our own usage event, `usage.v1`, and the same in a CloudEvent: what others push to us.
//!
//! `wire` is the event as it comes, `parse` turns it into a usage (pure). What an event says of its own cost,
//! trust or price key has no field here at all: it cannot be believed by mistake.

mod parse;
mod wire;

#[cfg(test)]
mod tests;

pub use parse::{CLOUD_TYPE, EventError, EventParser, Fixed, SCHEMA};
pub(crate) use parse::{error_of, id_shown};
pub(crate) use wire::Event;
