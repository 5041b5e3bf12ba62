//! Limits that a label of a namespace states.
//!
//! Whoever may label a namespace may set its limit: that is what the rule says by naming the label. What a label
//! brings over its limit was spent by nobody, so it waits for a person, as after a change of rules.

use crate::breaker::InstanceValue;
use crate::decision::DecisionKind;
use crate::money::Money;
use crate::page::PageTopic;
use crate::rule::Budget;
use crate::subject::{Trust, field};
use crate::time::Span;

use super::{Engine, Outcome};

impl Engine {
    /// What the label says of an instance. Of several namespaces that belong to it, the smallest limit holds.
    pub(super) fn limit_by_label(&self, budget: &Budget, values: &[InstanceValue]) -> Option<Money> {
        let label = budget.limit.from_label.as_ref()?;
        let fields: Vec<_> = budget.per_each.iter().zip(values).collect();
        let theirs = self.inventory.namespaces.iter().filter(|(name, namespace)| {
            fields.iter().all(|(name_of, value)| {
                let Some(value) = value.value.as_deref().filter(|_| value.trust == Trust::Trusted) else {
                    return false;
                };
                self.value_in(name, &namespace.labels, name_of) == Some(value)
            })
        });
        theirs
            .filter_map(|(_, namespace)| namespace.labels.get(label))
            .filter_map(|text| stated(budget, text))
            .min()
    }

    /// What a namespace says of a field.
    fn value_in<'a>(
        &self,
        namespace: &'a str,
        labels: &'a std::collections::BTreeMap<Box<str>, Box<str>>,
        name: &str,
    ) -> Option<&'a str> {
        if name == field::NAMESPACE {
            return Some(namespace);
        }
        let mapped = self.rules.attribution.namespace_labels.iter().find(|(_, field)| **field == *name);
        let key = mapped.map_or(name, |(label, _)| label);
        labels.get(key).map(|value| &**value)
    }

    /// Labels have changed: limits are read anew.
    pub(super) fn read_labels(&mut self, out: &mut Outcome) {
        if self.rules.budgets.iter().all(|budget| budget.limit.from_label.is_none()) {
            return;
        }
        self.tell_unreadable_labels(out);
        let over_before = self.over();
        let mut newly_over = Vec::new();
        for slot in 0..u32::try_from(self.hot.len()).unwrap_or(u32::MAX) {
            if !self.take_label(slot) {
                continue;
            }
            let before = self.cold[slot as usize].limit;
            if !self.has_ended(slot) && self.change_limit(slot, &over_before, out) {
                newly_over.push(self.difference(slot, before));
            }
        }
        self.page_reload("labels put {} breaker(s) over their limit", &newly_over, out);
    }

    /// Reads the label of one breaker anew; true where it says otherwise now.
    pub(super) fn take_label(&mut self, slot: u32) -> bool {
        let at = slot as usize;
        let label = self.limit_by_label(self.budget_of(slot), &self.cold[at].values);
        let known = self.cold[at].side.as_ref().and_then(|side| side.label);
        if label != known {
            self.cold[at].side().label = label;
        }
        label != known
    }

    /// A label that says no limit is not obeyed, and somebody must know.
    fn tell_unreadable_labels(&mut self, out: &mut Outcome) {
        let mut wrong = Vec::new();
        for budget in &self.rules.budgets {
            let Some(label) = &budget.limit.from_label else { continue };
            for (name, namespace) in &self.inventory.namespaces {
                if let Some(text) = namespace.labels.get(label).filter(|text| stated(budget, text).is_none())
                {
                    wrong.push(format!(
                        "namespace `{name}` has the label `{label}: {text}`, which is no limit in {} for budget \
                         `{}`; the limit of the rule holds",
                        budget.limit.unit.word(),
                        budget.name
                    ));
                }
            }
        }
        for detail in wrong {
            let key = format!("label {detail}");
            let kind = DecisionKind::Page { topic: PageTopic::RuleChange, detail };
            self.page_once(&key, Span::from_hours(24), kind, out);
        }
    }
}

/// What a label says, above 0. Labels have no room for a space or a sign: a bare number is in the unit of the limit.
fn stated(budget: &Budget, text: &str) -> Option<Money> {
    let unit = budget.limit.unit;
    let number = text.strip_suffix("-USD").or_else(|| text.strip_suffix("USD")).unwrap_or(text);
    let amount = match unit {
        crate::money::Unit::Usd => unit.read(&format!("{number} USD")),
        crate::money::Unit::Tokens | crate::money::Unit::GpuHours => unit.read(text),
    };
    amount.filter(|amount| !amount.is_zero())
}
