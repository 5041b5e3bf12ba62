//! The engine through its public door: facts in, decisions, orders and notices out, on a virtual clock.

mod burn;
mod clocks;
mod explain;
mod holds;
mod ledger;
mod modes;
mod names;
mod nasty;
mod overrides;
mod pace;
mod plan;
mod prices;
mod raises;
mod restarts;
mod rolling;
mod safety;
mod sharing;
mod sources;
mod survey;
mod trips;
mod when;
mod widened;
mod world;
