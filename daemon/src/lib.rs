//! The breakerbox daemon: the only place where policy, collector and actions meet.

pub mod app;
pub mod args;
pub mod backtest;
pub mod client;
pub mod clock;
pub mod cmd;
pub mod config;
pub mod demo;
mod durable;
pub mod edge;
pub mod failpoint;
pub mod http;
pub mod journal;
pub mod keeper;
pub mod marker;
pub mod observe;
pub mod plan;
pub mod replay;
pub mod rules;
pub mod server_clock;
pub mod trials;
pub mod turn;
pub mod wiring;

#[cfg(test)]
mod testing;
