//! The breakerbox daemon: the only place where policy, collector and actions meet.

pub mod clock;
pub mod config;
pub mod journal;
pub mod rules;
