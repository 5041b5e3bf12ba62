//! Our marks on a target: the order that paused it and what it was like before, as annotations.
//!
//! They are written in the same apply as the pause, so there is never a pause of ours without its undo
//! record, and a lost journal loses no way back. They name the installation, which does not come from the
//! journal: a mark of another installation is not ours to remove.

use std::collections::BTreeMap;

pub use policy::annotation::{HOLDERS, INSTALL, INSTANCE, ORDER, PAUSED, PAUSED_REPLICAS, PRIOR};
use policy::fact::PriorState;
use policy::id::OrderId;
use serde_json::{Map, Value};

/// Field manager of every write of ours. A stable name that people may put into GitOps ignore lists.
pub const MANAGER: &str = "breakerbox";

/// Our marks as read from a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The order that paused it; `None` where the annotation is not a number of ours.
    pub order: Option<OrderId>,
    /// The installation that paused it.
    pub install: String,
    /// The process that wrote it.
    pub instance: String,
    /// Breakers that held it then.
    pub holders: Vec<Box<str>>,
    /// What it was like before; `None` where the annotation cannot be read.
    pub prior: Option<PriorState>,
}

impl Marks {
    /// The marks among an object's annotations; `None` when it carries none.
    #[must_use]
    pub fn read(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let order = annotations.get(ORDER)?;
        let text = |key: &str| annotations.get(key).cloned().unwrap_or_default();
        Some(Self {
            order: order.strip_prefix('o').and_then(|n| n.parse().ok()).map(OrderId),
            install: text(INSTALL),
            instance: text(INSTANCE),
            holders: text(HOLDERS).split(',').filter(|h| !h.is_empty()).map(Box::from).collect(),
            prior: annotations.get(PRIOR).and_then(|json| serde_json::from_str(json).ok()),
        })
    }

    /// The annotations to write, the pause among them.
    pub(crate) fn annotations(&self) -> Map<String, Value> {
        let order = self.order.map(|id| id.to_string()).unwrap_or_default();
        let prior = self.prior.as_ref().and_then(|p| serde_json::to_string(p).ok()).unwrap_or_default();
        [
            (PAUSED_REPLICAS, "0".to_owned()),
            (ORDER, order),
            (INSTALL, self.install.clone()),
            (INSTANCE, self.instance.clone()),
            (HOLDERS, self.holders.join(",")),
            (PRIOR, prior),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), Value::String(value)))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks() -> Marks {
        Marks {
            order: Some(OrderId(17)),
            install: "prod-eu".to_owned(),
            instance: "breakerbox-0".to_owned(),
            holders: vec!["tenant-daily/acme".into(), "org".into()],
            prior: Some(PriorState {
                uid: "6f1c".to_owned(),
                resource_version: "812".to_owned(),
                replicas: Some(3),
                paused_replicas: None,
                paused: None,
                hpa: Some("keda-hpa-api".to_owned()),
            }),
        }
    }

    fn written(marks: &Marks) -> BTreeMap<String, String> {
        let text = |value: Value| value.as_str().map(str::to_owned).unwrap_or_default();
        marks.annotations().into_iter().map(|(key, value)| (key, text(value))).collect()
    }

    #[test]
    fn what_was_written_reads_back_to_the_last_field() {
        assert_eq!(Marks::read(&written(&marks())), Some(marks()));
    }

    #[test]
    fn the_pause_is_always_at_zero_in_keda_s_own_form() {
        assert_eq!(written(&marks())[PAUSED_REPLICAS], "0");
    }

    #[test]
    fn a_mark_that_somebody_mangled_still_says_whose_it_is() {
        let mut annotations = written(&marks());
        annotations.insert(PRIOR.to_owned(), "{".to_owned());
        annotations.insert(ORDER.to_owned(), "seventeen".to_owned());
        let read = Marks::read(&annotations).unwrap();
        assert_eq!((read.order, read.prior, &*read.install), (None, None, "prod-eu"));
    }
}
