//! Idleness through its public door: samples in, verdicts out, on a clock that only moves when told.

mod cases;
mod signals;
mod stage;
mod targets;
