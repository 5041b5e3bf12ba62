//! The engine against a slow model of it that is written separately and is obviously right.

mod breaker;
#[path = "../ground/mod.rs"]
mod ground;
mod made;
mod rule;
mod side_by_side;
mod slow;
mod thousand;

use std::hash::BuildHasher as _;

use proptest::test_runner::{Config, RngSeed, TestRunner};

/// `BREAKERBOX_CASES=100000 cargo test -p policy --test model` for a long run; a failure prints its seed and what
/// is left of its case when all that it does not need is taken out.
#[test]
fn sums_states_moments_and_reasons_are_those_of_the_model() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("BREAKERBOX_SEED").unwrap_or_else(|| std::hash::RandomState::new().hash_one(0));
    println!("seed {seed} (again with BREAKERBOX_SEED={seed})");
    let cases = number("BREAKERBOX_CASES").and_then(|cases| cases.try_into().ok()).unwrap_or(1000);
    let rng_seed = RngSeed::Fixed(seed);
    let config = Config { cases, rng_seed, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&made::case(), |case| {
        side_by_side::run(&case);
        Ok(())
    });
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
}
