//! Windows: where they begin and end, and that no charge is ever counted in another one than its own.

mod edges;
mod every_zone;
#[path = "../ground/mod.rs"]
mod ground;
mod table;
mod years;
