//! Turns the outside into facts.
