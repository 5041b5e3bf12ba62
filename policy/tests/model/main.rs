//! The engine against a slow model of it that is written separately and is obviously right.

#[path = "../common/mod.rs"]
mod common;
mod made;
mod rule;
mod side_by_side;
mod slow;
mod thousand;

use proptest::prelude::*;

/// `BREAKERBOX_CASES=100000 cargo test -p policy --test model` for a long run; `PROPTEST_RNG_SEED=…` for another
/// one, or the same again: a failure says which case it was.
fn cases() -> ProptestConfig {
    let cases = std::env::var("BREAKERBOX_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1000);
    ProptestConfig { cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn sums_states_moments_and_reasons_are_those_of_the_model(case in made::case()) {
        side_by_side::run(&case);
    }
}
