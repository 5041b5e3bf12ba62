//! What the tests share: harnesses for real servers and for the daemon.

pub mod daemon;
pub mod servers;
