//! `select.when`: a condition in CEL (the Common Expression Language), where a table of fields is not enough.
//!
//! The text is what is kept, compared and written to the journal; the program is made from it anew. What an
//! expression may say is a small part of CEL, held by `check`: text, comparisons and logic over the trusted
//! fields of a subject and the kind of charge, and loops over written lists alone. So it always ends, costs no
//! more than its length, and means the same for every charge of an origin. Never: a clock, a regular
//! expression, an amount, or anything that only the caller asserts.
//!
//! A field that a charge does not have is unknown, and unknown is neither yes nor no: an expression that needs
//! it has no answer, and the charge is not counted. `has(subject.tenant)` asks first.

mod bounds;
mod check;
mod facts;
mod outcomes;
mod problem;

use std::sync::Arc;

use cel::Program;
use serde::{Deserialize, Serialize};

use super::{ChargeKind, Place};
use crate::subject::Subject;
use facts::run;

pub(super) use check::{Read, Scope, check};
pub(super) use outcomes::outcomes;
pub(super) use problem::{Problem, ProblemKind};

/// A condition in CEL.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct When {
    text: Box<str>,
    place: Place,
    /// `None` where this version cannot read what another one wrote.
    program: Option<Arc<Program>>,
}

/// What is kept of it.
#[derive(Serialize, Deserialize)]
struct Written {
    text: Box<str>,
    place: Place,
}

impl From<Written> for When {
    fn from(Written { text, place }: Written) -> Self {
        let program = check(&text).ok().map(|checked| Arc::new(checked.program));
        Self { text, place, program }
    }
}

impl From<When> for Written {
    fn from(When { text, place, .. }: When) -> Self {
        Self { text, place }
    }
}

/// Equal conditions say the same, wherever they stand: an edit above one must not end its budget's breakers.
impl PartialEq for When {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for When {}

impl When {
    pub(super) fn new(text: &str, place: Place, program: Program) -> Self {
        Self { text: text.into(), place, program: Some(Arc::new(program)) }
    }

    /// As written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where it was written.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether a charge of that kind is meant, judged by what is trusted of its subject.
    ///
    /// # Errors
    /// Why there is no answer, for people: mostly a field that the charge does not have.
    pub fn holds(&self, subject: &Subject, kind: ChargeKind) -> Result<bool, String> {
        match &self.program {
            Some(program) => run(program, subject, kind),
            None => Err("this version cannot read the expression".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
