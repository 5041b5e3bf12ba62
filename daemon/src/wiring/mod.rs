//! The real edges, where the daemon meets the other crates: made from a configuration, and handed to `app`.
//!
//! A source or an actuator is added here and nowhere else.

pub mod edges;
pub mod emergency;
mod hands;
mod ingest;
mod voice;

pub use edges::{compile, deps, deps_on};
pub use hands::gateway_settings;
