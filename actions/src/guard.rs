//! Everything that can say no just before an effect.
//!
//! A pure function over evidence that the gateway has read at this moment: nine questions, always all of
//! them, always in the order of [`GuardCheck`] (less `Inventory`, which is the engine's: here the object was
//! just read), so that a receipt shows what was asked and a person can see that nothing was skipped. Whatever could not be found out is a no for a stop. The guard never reads and
//! never writes; the gateway writes only with a yes of its own in hand.
//!
//! Giving back is judged differently from stopping: it goes on in a freeze, needs no blast radius and no
//! protection, and no rule's mode (the hold was made under one that allowed it). It still needs the
//! daemon's ceiling, the Lease, the same object and a clock that can be believed.

use policy::attribution::glob_matches;
use policy::decision::Blast;
use policy::fact::{GuardAnswer, GuardCheck};
use policy::inventory::ObjectKey;
use policy::rule::{Guardrail, Mode, PROTECTED_NAMESPACES};
use policy::time::Timestamp;

use crate::operator::Version;

/// What kind of write is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A target is newly stopped, or the same stop is carried on.
    Stop,
    /// A raise of something that we hold is reversed.
    Reverse,
    /// A target is given back.
    GiveBack,
    /// A person said `release --all`: no order, no daemon, only the marks on the object.
    PersonGivesBack,
}

impl Deed {
    pub(crate) const fn gives_back(self) -> bool {
        matches!(self, Self::GiveBack | Self::PersonGivesBack)
    }
}

/// What is known of a freeze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FreezeSeen {
    /// There is none.
    None,
    /// Somebody froze, with the reason.
    Frozen(String),
    /// The marker cannot be read, which counts as frozen.
    Unreadable(String),
}

/// What the gateway has found out for one write.
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    /// The kind of write.
    pub deed: Deed,
    /// The order's mode.
    pub mode: Mode,
    /// The daemon's ceiling now.
    pub ceiling: Mode,
    /// Who approved the order, or who said `release --all`.
    pub approved_by: Option<&'a str>,
    /// What protects the target, where something does.
    pub protected: Option<String>,
    /// Whether we lead now.
    pub leads: bool,
    /// When the order expires.
    pub expires_at: Timestamp,
    /// The wall clock.
    pub now: Timestamp,
    /// What the engine counted.
    pub blast: Blast,
    /// What the gateway counted: distinct newly stopped targets in the window, this one among them.
    pub counted: u32,
    /// The guardrail's cap for all rules, as loaded now.
    pub cap: u32,
    /// What is known of a freeze.
    pub freeze: FreezeSeen,
    /// `metadata.uid` that the order was given for.
    pub wanted_uid: &'a str,
    /// `metadata.uid` just read.
    pub seen_uid: &'a str,
    /// KEDA's version, or why it is not known.
    pub operator: Result<Version, String>,
    /// Whether the wall clock agrees with the monotonic one.
    pub clock_agrees: bool,
}

type Verdict = (bool, String);

/// Asks every question, in order.
#[must_use]
pub fn judge(e: &Evidence<'_>) -> Vec<GuardAnswer> {
    [
        (GuardCheck::Mode, mode(e)),
        (GuardCheck::Protected, protected(e)),
        (GuardCheck::Leadership, leadership(e)),
        (GuardCheck::Expiry, expiry(e)),
        (GuardCheck::BlastRadius, blast_radius(e)),
        (GuardCheck::Freeze, freeze(e)),
        (GuardCheck::Identity, identity(e)),
        (GuardCheck::Operator, operator(e)),
        (GuardCheck::Clock, clock(e)),
    ]
    .into_iter()
    .map(|(check, (pass, detail))| GuardAnswer { check, pass, detail })
    .collect()
}

/// How many questions there are; fewer answers than that let nothing through.
pub const QUESTIONS: usize = 9;

/// Whether the answers let the write through.
#[must_use]
pub fn lets_through(answers: &[GuardAnswer]) -> bool {
    answers.len() == QUESTIONS && answers.iter().all(|answer| answer.pass)
}

fn mode(e: &Evidence<'_>) -> Verdict {
    let by = e.approved_by;
    match e.deed {
        Deed::PersonGivesBack => (true, format!("{} said release --all", by.unwrap_or("a person"))),
        Deed::GiveBack => match by {
            Some(by) => (true, format!("approved by {by}")),
            None => (e.ceiling >= Mode::Approve, format!("the daemon's ceiling is {}", e.ceiling.word())),
        },
        Deed::Stop | Deed::Reverse => {
            let effective = e.mode.min(e.ceiling);
            match (effective, by) {
                (Mode::Enforce, _) => (true, "enforce".to_owned()),
                (Mode::Approve, Some(by)) => (true, format!("approved by {by}")),
                (low, _) => {
                    (false, format!("{} (rule {}, daemon {})", low.word(), e.mode.word(), e.ceiling.word()))
                }
            }
        }
    }
}

fn protected(e: &Evidence<'_>) -> Verdict {
    match &e.protected {
        None => (true, "nothing protects it".to_owned()),
        Some(by) if e.deed.gives_back() => (true, format!("{by}, which does not forbid giving back")),
        Some(by) => (false, by.clone()),
    }
}

fn leadership(e: &Evidence<'_>) -> Verdict {
    match (e.deed, e.leads) {
        (Deed::PersonGivesBack, _) => (true, "a person needs no Lease".to_owned()),
        (_, true) => (true, "we lead".to_owned()),
        (_, false) => (false, "we do not hold the Lease".to_owned()),
    }
}

fn expiry(e: &Evidence<'_>) -> Verdict {
    match e.deed {
        Deed::PersonGivesBack => (true, "said now".to_owned()),
        _ => (e.now < e.expires_at, format!("holds until {}", e.expires_at)),
    }
}

fn blast_radius(e: &Evidence<'_>) -> Verdict {
    if e.deed != Deed::Stop {
        return (true, "stops nothing new".to_owned());
    }
    let b = e.blast;
    let overall_cap = b.overall_cap.min(e.cap);
    let counts = format!(
        "by this rule {} of at most {}, by all {} of at most {overall_cap}",
        b.by_rule,
        b.rule_cap,
        e.counted.max(b.overall),
    );
    let within = b.by_rule <= b.rule_cap && b.overall <= overall_cap && e.counted <= overall_cap;
    match e.approved_by {
        Some(by) if !within => (true, format!("{counts}; approved by {by}")),
        _ => (within, counts),
    }
}

fn freeze(e: &Evidence<'_>) -> Verdict {
    match &e.freeze {
        _ if e.deed.gives_back() => (true, "a freeze does not stop giving back".to_owned()),
        FreezeSeen::None => (true, "no freeze".to_owned()),
        FreezeSeen::Frozen(why) => (false, format!("frozen: {why}")),
        FreezeSeen::Unreadable(why) => (false, format!("the freeze marker cannot be read: {why}")),
    }
}

fn identity(e: &Evidence<'_>) -> Verdict {
    let same = !e.seen_uid.is_empty() && e.seen_uid == e.wanted_uid;
    match same {
        true => (true, format!("uid {}", e.seen_uid)),
        false => (false, format!("uid `{}` is not `{}`, which was judged", e.seen_uid, e.wanted_uid)),
    }
}

fn operator(e: &Evidence<'_>) -> Verdict {
    match &e.operator {
        _ if e.deed.gives_back() => (true, "any operator may be given its object back".to_owned()),
        Ok(version) if *version >= Version::OLDEST => (true, format!("KEDA {version}")),
        Ok(version) => (
            false,
            format!("KEDA {version} cannot be proven to stop; {} is the oldest that can", Version::OLDEST),
        ),
        Err(why) => (false, why.clone()),
    }
}

fn clock(e: &Evidence<'_>) -> Verdict {
    match (e.deed, e.clock_agrees) {
        (Deed::PersonGivesBack, _) => (true, "a person needs no clock".to_owned()),
        (_, true) => (true, "the clocks agree".to_owned()),
        (_, false) => (false, "the wall clock disagrees with the monotonic one".to_owned()),
    }
}

/// What protects an object: a namespace (always those of the control plane, of KEDA and ours), a label of
/// it or of its namespace, its name, or its kind.
#[must_use]
pub fn protection<'a>(
    rail: &Guardrail,
    own_namespace: &str,
    keys: &[&ObjectKey],
    labels: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Option<String> {
    for key in keys {
        let namespace = &*key.namespace;
        let always = PROTECTED_NAMESPACES.contains(&namespace) || namespace == own_namespace;
        if always || rail.protected_namespaces.iter().any(|glob| glob_matches(glob, namespace)) {
            return Some(format!("namespace `{namespace}` is protected"));
        }
        if rail.protected_objects.contains(key) {
            return Some(format!("`{key}` is protected by name"));
        }
        if let Some(kind) = rail.protected_kinds.iter().find(|kind| kind.is(key.kind)) {
            return Some(format!("objects of kind {} are protected", kind.word()));
        }
    }
    let protects = |key: &str, value: &str| {
        key == ALWAYS.0 && value == ALWAYS.1
            || rail.protected_labels.iter().any(|(k, v)| &**k == key && &**v == value)
    };
    labels
        .into_iter()
        .find(|(key, value)| protects(key, value))
        .map(|(key, value)| format!("label `{key}={value}` protects it"))
}

/// The label that always protects, whatever the rules say.
const ALWAYS: (&str, &str) = (policy::annotation::PROTECTED, "true");

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
