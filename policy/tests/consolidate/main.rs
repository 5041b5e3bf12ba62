//! Plans: what they empty, what they leave, and that no plan breaks what a slow separate checker knows.

mod checker;
mod plans;
mod random;
