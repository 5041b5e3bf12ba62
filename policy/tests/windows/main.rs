//! Windows: where they begin and end, and that no charge is ever counted in another one than its own.

#[path = "../common/mod.rs"]
mod common;
mod edges;
mod every_zone;
mod table;
mod years;
