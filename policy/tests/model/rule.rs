//! A budget as the model knows it, and the text that the engine gets of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::common::calendar::Unit;
use crate::common::ms;

/// 10⁻¹² USD in a cent.
pub const CENT: i128 = 10_000_000_000;

/// What is known of who spends: a value and whether it can be believed.
pub type Subject = BTreeMap<String, (String, bool)>;

#[derive(Clone, Debug)]
pub struct Rule {
    pub name: String,
    /// Empty: everything.
    pub select: Vec<(&'static str, Is)>,
    /// Empty: every kind.
    pub kinds: Vec<&'static str>,
    pub per_each: Vec<&'static str>,
    pub cents: u32,
    pub overrides: Vec<Override>,
    pub time: Time,
    /// Index of the budget that it is within.
    pub within: Option<usize>,
    pub warn_at: Vec<u32>,
    pub trip_at: u32,
    pub grace: i64,
    pub back: Back,
    pub min_hold: i64,
    pub most_trips: u32,
}

#[derive(Clone, Debug)]
pub struct Override {
    pub field: &'static str,
    pub value: &'static str,
    pub cents: u32,
    pub until: Option<i64>,
}

#[derive(Clone, Debug)]
pub enum Is {
    In(Vec<&'static str>),
    NotIn(Vec<&'static str>),
    There(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    Calendar(Unit, &'static str),
    Rolling(i64),
    Lifetime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Back {
    Rolls,
    Below(u32),
    Manual,
}

impl Rule {
    /// Whether a charge of that kind, by that subject, counts: only what can be believed is looked at.
    pub fn selects(&self, subject: &Subject, kind: &str) -> bool {
        let value = |field: &str| subject.get(field).filter(|(_, trusted)| *trusted).map(|(value, _)| value);
        let any =
            |globs: &[&str], value: &str| globs.iter().any(|glob| fits(glob.as_bytes(), value.as_bytes()));
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && self.select.iter().all(|(field, is)| match (is, value(field)) {
                (Is::In(globs), Some(value)) => any(globs, value),
                (Is::NotIn(globs), Some(value)) => !any(globs, value),
                (Is::There(there), value) => *there == value.is_some(),
                (Is::In(_) | Is::NotIn(_), None) => false,
            })
    }

    /// The limit of one breaker as of an instant.
    pub fn limit(&self, subject: &Subject, at: i64) -> i128 {
        let is_for = |o: &&Override| {
            o.until.is_none_or(|until| at < until)
                && subject.get(o.field).is_some_and(|(value, trusted)| *trusted && value == o.value)
        };
        i128::from(self.overrides.iter().find(is_for).map_or(self.cents, |o| o.cents)) * CENT
    }

    pub fn text(&self, all: &[Self]) -> String {
        let mut text = format!(
            "---\napiVersion: breakerbox.dev/v1alpha1\nkind: Budget\nmetadata: {{name: {}}}\nspec:\n  mode: alert\n",
            self.name
        );
        let _ = writeln!(text, "  select: {}", self.select_text());
        let _ = writeln!(text, "  perEach: [{}]", self.per_each.join(", "));
        let _ = writeln!(text, "  limit: {}", self.limit_text());
        let window = match self.time {
            Time::Calendar(unit, zone) => match unit.word {
                "quarter" | "year" => {
                    format!("calendar: {}, timezone: {zone}, fiscalStart: {}", unit.word, unit.fiscal)
                }
                word => format!("calendar: {word}, timezone: {zone}"),
            },
            Time::Rolling(length) => format!("rolling: {length}ms"),
            Time::Lifetime => "lifetime: true".to_owned(),
        };
        let _ = writeln!(text, "  window: {{{window}}}");
        if let Some(parent) = self.within {
            let _ = writeln!(text, "  within: {}", all[parent].name);
        }
        let warn: Vec<String> = self.warn_at.iter().map(|share| format!("{share}%")).collect();
        let _ = writeln!(text, "  warnAt: [{}]\n  tripAt: {}%", warn.join(", "), self.trip_at);
        let _ = writeln!(text, "  grace: {}ms\n  onTrip: [{{notify: {{route: finops}}}}]", self.grace);
        let when = match self.back {
            Back::Rolls => "when: window-rolls".to_owned(),
            Back::Manual => "when: manual".to_owned(),
            Back::Below(share) => format!("below: {share}%"),
        };
        let (hold, most) = (self.min_hold, self.most_trips);
        let _ = writeln!(text, "  restore: {{{when}, minHold: {hold}ms, maxTripsPerWindow: {most}}}");
        text
    }

    fn select_text(&self) -> String {
        let list = |globs: &[&str]| globs.iter().map(|g| format!("{g:?}")).collect::<Vec<_>>().join(", ");
        let conditions: Vec<String> = self
            .select
            .iter()
            .map(|(field, is)| match is {
                Is::In(globs) => format!("{field}: [{}]", list(globs)),
                Is::NotIn(globs) => format!("{field}: {{notIn: [{}]}}", list(globs)),
                Is::There(there) => format!("{field}: {{exists: {there}}}"),
            })
            .collect();
        let which = match conditions.is_empty() {
            true => "all: true".to_owned(),
            false => format!("subjects: {{{}}}", conditions.join(", ")),
        };
        match self.kinds.is_empty() {
            true => format!("{{{which}}}"),
            false => format!("{{{which}, charges: [{}]}}", self.kinds.join(", ")),
        }
    }

    fn limit_text(&self) -> String {
        let usd = |cents: u32| format!("{}.{:02} USD", cents / 100, cents % 100);
        let overrides: Vec<String> = self
            .overrides
            .iter()
            .map(|o| {
                let until = o.until.map_or(String::new(), |at| format!(", until: {:?}", ms(at).to_string()));
                format!("{{match: {{{}: {:?}}}, amount: {}{until}}}", o.field, o.value, usd(o.cents))
            })
            .collect();
        format!("{{amount: {}, overrides: [{}]}}", usd(self.cents), overrides.join(", "))
    }
}

/// `*` is any run of characters, `?` any one, as the words say it.
pub fn fits(glob: &[u8], text: &[u8]) -> bool {
    match glob.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skip| fits(rest, &text[skip..])),
        Some((wanted, rest)) => text
            .split_first()
            .is_some_and(|(found, more)| (*wanted == b'?' || wanted == found) && fits(rest, more)),
    }
}

/// The share of an amount, rounded up to the next 10⁻¹² USD.
pub fn share(amount: i128, percent: u32) -> i128 {
    (amount * i128::from(percent) + 99).div_euclid(100)
}
