//! The engine through its public door: facts in, decisions, orders and notices out, on a virtual clock.

mod holds;
mod ledger;
mod safety;
mod trips;
mod world;
