//! The engine through its public door: facts in, decisions, orders and notices out, on a virtual clock.

mod burn;
mod explain;
mod holds;
mod ledger;
mod names;
mod nasty;
mod safety;
mod trips;
mod world;
