//! The `breakerbox` binary.

fn main() {}
