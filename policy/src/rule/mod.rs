//! Rules: what people write in Git, checked and ready for the engine.
//!
//! The types here are the *checked* form: every reference resolved, every unit parsed, every default
//! applied, and each thing that can lead to a decision with the place it was written at. `file` reads YAML into
//! the trees of `node`, `compile` makes this from those, `diagnose` tells people what is wrong.

mod budget;
mod compile;
mod delivery;
mod diagnose;
mod file;
mod freeze;
mod glob;
mod guardrail;
mod idle;
mod node;
mod read;
mod source;
mod spot;
pub mod trial;
mod trigger;
mod when;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::price::PriceOverrides;
use crate::subject::{FieldName, field};
use crate::time::Timestamp;

pub use budget::{
    Budget, CalendarUnit, Limit, LimitOverride, OnStale, OnUnpriced, Restore, RestoreWhen, Waves, WindowSpec,
};
pub use compile::{Compiled, compile, schema};
pub use delivery::{Delivery, EVERY_DAY, Escalation, GroupBy, Grouping, QuietHours};
pub use diagnose::{Diagnostic, DiagnosticKind, Diagnostics, Severity};
pub use freeze::{FROZEN_BY_RULES, FreezeWhen, FreezeWindow, Frozen};
pub use glob::glob_matches;
pub use guardrail::{Approvers, FirstDays, Guardrail, PROTECTED_NAMESPACES, ProtectedKind};
pub use idle::{IdleAct, IdlePolicy, IdleWhen, NodeSelector, Pack};
pub use node::SourceFile;
pub use source::{Authority, SourceRule};
pub use spot::{SpotAct, SpotPolicy, SpotTrigger};
pub use trigger::{Measure, Multiple, Then, Trigger};
pub use when::When;

/// How far a rule may go. Ordered: the lower of the rule's mode and the daemon's ceiling holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// Recorded and shown; no message, no write.
    #[default]
    Observe,
    /// Messages too.
    Alert,
    /// Writes after a person's yes.
    Approve,
    /// Writes.
    Enforce,
}

impl Mode {
    /// The word in YAML, metrics and messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Alert => "alert",
            Self::Approve => "approve",
            Self::Enforce => "enforce",
        }
    }
}

/// Where something was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Path of the file, relative to the rules folder.
    pub file: Box<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A whole, valid rule set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSet {
    /// Hash of the content, for decisions and metrics; equal sets have equal ids.
    pub id: Box<str>,
    /// Git commit, with `-dirty`, where the folder is a checkout.
    pub revision: Option<Box<str>>,
    /// Budgets by name.
    pub budgets: Vec<Budget>,
    /// Routes by name.
    pub routes: BTreeMap<Box<str>, Route>,
    /// How evidence becomes tenant, team, agent.
    pub attribution: Attribution,
    /// What no rule may do.
    pub guardrail: Guardrail,
    /// Prices over the embedded book.
    pub prices: PriceOverrides,
    /// What is said of sources, by name.
    pub sources: BTreeMap<Box<str>, SourceRule>,
    /// When GPUs count as idle, and how to take them back; by name.
    pub idle: Vec<IdlePolicy>,
    /// What to do when AWS takes instances away; by name.
    pub spot: Vec<SpotPolicy>,
    /// Prices that are looked at before they count.
    pub shadow: Option<ShadowPrices>,
}

/// Prices that are looked at before they count: every charge is priced by them too, and no sum has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowPrices {
    /// All prices as they will be: those that count, and the new ones over them.
    pub prices: PriceOverrides,
    /// From then on they count; `None`: when a person says so.
    pub until: Option<Timestamp>,
}

/// Which charges count: all of these conditions, on trusted fields only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// `all: true` was written: no condition on subjects.
    pub all: bool,
    /// Conditions on subject fields or namespace labels.
    pub subjects: Vec<Condition>,
    /// Kinds of charge; empty for every kind.
    pub charges: Vec<ChargeKind>,
    /// A condition in CEL beside the others.
    pub when: Option<When>,
}

impl Selector {
    /// The one source whose charges count, where it is named exactly.
    #[must_use]
    pub fn one_source(&self) -> Option<&str> {
        self.subjects.iter().find(|condition| &*condition.field == field::SOURCE).and_then(|condition| {
            match &condition.test {
                Test::In(values) => match values.as_slice() {
                    [one] if !one.contains(['*', '?']) => Some(&**one),
                    _ => None,
                },
                Test::NotIn(_) | Test::Exists | Test::DoesNotExist => None,
            }
        })
    }
}

/// A kind of charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ChargeKind {
    /// Model tokens.
    Tokens,
    /// GPU and node time.
    Gpu,
    /// Anything else.
    Other,
}

impl ChargeKind {
    /// The word in YAML and in expressions.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Gpu => "gpu",
            Self::Other => "other",
        }
    }
}

/// A condition on one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The field.
    pub field: FieldName,
    /// What it must be.
    pub test: Test,
}

/// What a field must be. Values may be globs (`*` any run, `?` any one character).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Test {
    /// One of these.
    In(Vec<Box<str>>),
    /// Present and none of these.
    NotIn(Vec<Box<str>>),
    /// Present.
    Exists,
    /// Absent.
    DoesNotExist,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Tell a route.
    Notify {
        /// Name of a [`Route`] that exists.
        route: Box<str>,
        /// Where it was written.
        place: Place,
    },
    /// Scale ScaledObjects to zero and hold them there.
    PauseScaledObjects {
        /// Which.
        targets: TargetSelector,
        /// Where it was written.
        place: Place,
    },
}

/// Which objects an act is for. All conditions hold; at least one is there unless `all` is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetSelector {
    /// `all: true` was written.
    pub all: bool,
    /// Namespaces by exact name.
    pub namespaces: Vec<Template>,
    /// Labels that the namespace must have.
    pub namespace_labels: Vec<(Box<str>, Template)>,
    /// Labels that the object must have.
    pub labels: Vec<(Box<str>, Template)>,
    /// Labels (of the object or its namespace) that exempt it.
    pub except: Vec<(Box<str>, Box<str>)>,
}

/// A value in a target selector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Template {
    /// As written.
    Literal(Box<str>),
    /// `${field}`: the breaker's own value of a `perEach` field, only where trusted and not empty.
    Field(FieldName),
}

/// Where messages go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// `metadata.name`.
    pub name: Box<str>,
    /// Where it was written.
    pub place: Place,
    /// All of these get each message.
    pub receivers: Vec<Receiver>,
    /// When and how often.
    pub delivery: Delivery,
}

/// One receiver of a route. Secrets are never in rule files: only the name of the environment variable
/// or file that holds one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Receiver {
    /// Slack incoming webhook; cannot edit.
    SlackWebhook {
        /// Where the URL is.
        url: SecretRef,
    },
    /// Slack `chat.postMessage`; edits for progress.
    SlackChat {
        /// Where the bot token is.
        token: SecretRef,
        /// Channel id or name.
        channel: Box<str>,
    },
    /// A signed JSON POST.
    Webhook {
        /// The address.
        url: Box<str>,
        /// Where the HMAC secret is.
        secret: SecretRef,
    },
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretRef {
    /// Environment variable.
    Env(Box<str>),
    /// File, read at each use, so that rotation works.
    File(Box<str>),
}

/// How evidence becomes fields of a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribution {
    /// Principals whose word about some fields is believed (shared gateways). First match holds.
    pub delegates: Vec<Delegate>,
    /// Fixed fields by principal. First match holds.
    pub principals: Vec<PrincipalRule>,
    /// Namespace label key → field, applied once the namespace is trusted.
    pub namespace_labels: Vec<(Box<str>, FieldName)>,
    /// Claim key (requestMetadata, event subject) → field it refines, always asserted.
    pub claims: Vec<(Box<str>, FieldName)>,
    /// New subjects (breaker instances) that one source may bring in an hour; more go to `unattributed`.
    pub max_new_subjects_per_source: u32,
}

/// Namespace labels that are read where no rule says which.
pub const NAMESPACE_LABELS: [(&str, &str); 2] = [("tenant", field::TENANT), ("team", field::TEAM)];

/// New subjects that one source may bring in an hour where no rule says how many.
pub const MAX_NEW_SUBJECTS: u32 = 1000;

impl Default for Attribution {
    /// What holds where no rule says otherwise: the namespace labels `tenant` and `team`, no delegates.
    fn default() -> Self {
        Self {
            delegates: Vec::new(),
            principals: Vec::new(),
            namespace_labels: NAMESPACE_LABELS.iter().map(|(k, f)| ((*k).into(), (*f).into())).collect(),
            claims: Vec::new(),
            max_new_subjects_per_source: MAX_NEW_SUBJECTS,
        }
    }
}

/// A principal whose word is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegate {
    /// Glob over the account-qualified short principal, `111122223333:role/team-search-agent`.
    pub principal: Box<str>,
    /// Fields it may set.
    pub fields: Vec<FieldName>,
    /// Where it was written.
    pub place: Place,
}

/// Fixed fields of a principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrincipalRule {
    /// Glob as in [`Delegate::principal`].
    pub principal: Box<str>,
    /// Field and value; `namespace` brings its labels with it.
    pub set: Vec<(FieldName, Box<str>)>,
    /// Where it was written.
    pub place: Place,
}
