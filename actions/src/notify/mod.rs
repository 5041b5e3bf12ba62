//! Messages to people.
mod fit;
mod held;
mod message;
mod render;
pub mod slack;
pub mod webhook;
mod words;

pub use message::{Action, Field, Message, Standing, TargetLine};
pub use render::render;
