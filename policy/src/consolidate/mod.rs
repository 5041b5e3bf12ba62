//! Which under-filled nodes could be emptied: which pods fit where, and what that saves per hour.
//!
//! The plan is greedy and careful. The emptiest node comes first; all its pods must fit onto nodes that exist
//! and stay, without counting on room that another move of the plan makes. What a disruption budget, the
//! do-not-disrupt annotation or a Guardrail protects is never moved, nor what nothing brings back or what is
//! kept where it is by something that is not judged here: one such pod leaves its node as it is.
//!
//! It never acts and never guesses: equal inventories give equal plans, and a node without a price saves
//! nothing that could be said.

mod fit;
mod movable;
mod plan;
mod room;

pub use fit::fits;
pub use movable::immovable;
pub use plan::{Left, Move, Plan, Vacated, plan};
