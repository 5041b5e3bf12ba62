//! Which answers an expression can have: every field that it looks at is missing, one of the texts that it is
//! compared with, or something else. Only for expressions that compare whole texts: what `startsWith` may find
//! cannot be listed.

use super::super::ChargeKind;
use super::When;
use super::check::{Scope, check};
use crate::subject::{Subject, Trust};

/// What was seen among all combinations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Outcomes {
    pub(in super::super) yes: bool,
    pub(in super::super) no: bool,
    /// No answer, for a field that is missing.
    pub(in super::super) open: bool,
}

/// Combinations that are tried.
const MOST: usize = 2_000;
/// A value that nobody writes.
const ELSE: &str = "\u{1}else";

/// The answers over all combinations. `given` are fields that other conditions fix to some values. `None` where
/// they cannot be listed.
pub(in super::super) fn outcomes(
    when: &When,
    kinds: &[ChargeKind],
    given: &[(&str, &[Box<str>])],
) -> Option<Outcomes> {
    let checked = check(&when.text).ok().filter(|checked| checked.plain)?;
    let mut names: Vec<&str> = checked
        .reads
        .iter()
        .filter(|read| read.of == Scope::Subject || read.name != "kind")
        .map(|read| read.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    let values: Vec<Vec<Option<&str>>> = names
        .iter()
        .map(|name| match given.iter().find(|(field, _)| field == name) {
            Some((_, list)) => list.iter().map(|value| Some(&**value)).collect(),
            None => {
                let texts = checked.texts.iter().map(|text| Some(text.as_str()));
                texts.chain([Some(ELSE), None]).collect()
            }
        })
        .collect();
    let combinations = values.iter().try_fold(1_usize, |product, list| product.checked_mul(list.len()))?;
    if combinations > MOST {
        return None;
    }
    let mut seen = Outcomes::default();
    for number in 0..combinations {
        let subject = combination(number, &names, &values);
        for kind in kinds {
            match when.holds(&subject, *kind) {
                Ok(true) => seen.yes = true,
                Ok(false) => seen.no = true,
                Err(_) => seen.open = true,
            }
        }
    }
    Some(seen)
}

/// The combination of that number, counted like digits.
fn combination(mut number: usize, names: &[&str], values: &[Vec<Option<&str>>]) -> Subject {
    let mut subject = Subject::default();
    for (name, list) in names.iter().zip(values) {
        let digit = number.checked_rem(list.len()).unwrap_or(0);
        number = number.checked_div(list.len()).unwrap_or(0);
        if let Some(Some(value)) = list.get(digit) {
            subject.set(name, value, Trust::Trusted, "a sample");
        }
    }
    subject
}
