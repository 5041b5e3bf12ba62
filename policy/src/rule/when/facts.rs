//! Running an expression, and what it sees: two maps of text, read where they stand. Not CEL's own map: that one has a random
//! seed, and a copy of each field.

use std::sync::{Arc, OnceLock};

use cel::common::traits::{Container, Indexer};
use cel::common::types::{CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};
use cel::{Context, Env, ExecutionError, Program, Value};

use super::super::ChargeKind;
use crate::subject::{Subject, field};

/// `subject`: each trusted field by its name.
#[derive(Clone, Debug)]
struct SubjectFacts<'s>(&'s Subject);

/// `charge`: its kind, and the provider and model that are trusted.
#[derive(Clone, Debug)]
struct ChargeFacts<'s>(&'s Subject, ChargeKind);

impl<'s> SubjectFacts<'s> {
    fn find(&self, key: &str) -> Option<&'s str> {
        self.0.trusted(key)
    }
}

impl<'s> ChargeFacts<'s> {
    fn find(&self, key: &str) -> Option<&'s str> {
        match key {
            "kind" => Some(self.1.word()),
            field::MODEL | field::PROVIDER => self.0.trusted(key),
            _ => None,
        }
    }
}

fn text_of(key: &dyn Val) -> Result<&str, ExecutionError> {
    let text = key.downcast_ref::<CelString<'_>>();
    text.map(CelString::inner).ok_or_else(|| ExecutionError::UnexpectedType {
        got: key.get_type().name().to_owned(),
        want: "text".to_owned(),
    })
}

/// Both are maps of text to CEL, by the same few lines.
macro_rules! map_of_text {
    ($name:ident) => {
        impl Val for $name<'_> {
            fn get_type(&self) -> &Type {
                &MAP_TYPE
            }

            fn cel_type() -> &'static Type {
                &MAP_TYPE
            }

            fn as_container(&self) -> Option<&dyn Container> {
                Some(self)
            }

            fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn Indexer + 'w)>
            where
                Self: 'w,
            {
                Some(self)
            }

            fn clone_as_boxed<'w>(&self) -> Box<dyn Val + 'w>
            where
                Self: 'w,
            {
                Box::new(self.clone())
            }
        }

        impl Container for $name<'_> {
            fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
                Ok(self.find(text_of(key)?).is_some())
            }
        }

        impl Indexer for $name<'_> {
            fn get<'b, 'w>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'w>, ExecutionError>
            where
                Self: 'w,
            {
                let key = text_of(key)?;
                let value = self.find(key);
                let value = value.ok_or_else(|| ExecutionError::NoSuchKey(Arc::new(key.to_owned())))?;
                Ok(CowVal::owned(CelString::from(value)))
            }

            fn steal<'w>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'w>, ExecutionError>
            where
                Self: 'w,
            {
                self.get(key).map(CowVal::into_owned)
            }
        }
    };
}

map_of_text!(SubjectFacts);
map_of_text!(ChargeFacts);

/// The standard functions of CEL, made once.
fn environment() -> Arc<Env> {
    static STANDARD: OnceLock<Arc<Env>> = OnceLock::new();
    Arc::clone(STANDARD.get_or_init(|| Arc::new(Env::stdlib())))
}

/// The answer of a program.
pub(super) fn run(program: &Program, subject: &Subject, kind: ChargeKind) -> Result<bool, String> {
    let mut context = Context::with_env(environment());
    context.add_variable_as_val("subject", Box::new(SubjectFacts(subject)));
    context.add_variable_as_val("charge", Box::new(ChargeFacts(subject, kind)));
    match program.execute(&context) {
        Ok(Value::Bool(answer)) => Ok(answer),
        Ok(other) => Err(format!("its answer is no boolean but {:?}", other.type_of())),
        Err(ExecutionError::NoSuchKey(field)) => Err(format!("the charge has no trusted `{field}`")),
        Err(error) => Err(error.to_string()),
    }
}
