//! The breakerbox daemon: the only place where policy, collector and actions meet.

pub mod journal;
