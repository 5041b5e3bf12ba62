//! Decides. Pure: no clock, no I/O, no async, no randomness.
//!
//! A stream of [`fact::Fact`]s goes into [`engine::Engine`], which prices them, posts them to the ledger,
//! advances breakers and answers with [`decision::Decision`]s, orders and notices.
//!
//! What it never does: read a clock, a file, a socket, the environment or a random source; count in
//! floats; depend on the order of a hash map; print. `clippy.toml` beside `Cargo.toml` has the list, the
//! tidy test holds the dependencies.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::float_arithmetic,
    clippy::float_cmp,
    clippy::lossy_float_literal,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    clippy::panic,
    clippy::unreachable,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::iter_over_hash_type
)]
// A test says what must hold by panicking.
#![cfg_attr(test, allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, clippy::unreachable))]

pub mod annotation;
pub mod attribution;
#[deny(clippy::arithmetic_side_effects)]
pub mod breaker;
#[deny(clippy::arithmetic_side_effects)]
pub mod burn;
#[deny(clippy::arithmetic_side_effects)]
pub mod consolidate;
pub mod decision;
pub mod engine;
pub mod explain;
pub mod fact;
pub mod gpu;
pub mod id;
#[deny(clippy::arithmetic_side_effects)]
pub mod idle;
pub mod inventory;
pub mod ledger;
pub mod money;
pub mod page;
pub mod price;
pub mod rule;
pub mod spot;
pub mod subject;
pub mod time;
pub mod trial;
pub mod window;
