//! What a page is about. The engine pages, and so does a daemon that is in trouble itself, by a fact.

use serde::{Deserialize, Serialize};

/// What a page about ourselves is about. A closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PageTopic {
    /// A model without a price was used under a budget.
    Unpriced,
    /// A source is stale.
    SourceStale,
    /// The cluster was not heard for 120 s.
    InventoryStale,
    /// The clocks disagree.
    Clock,
    /// A rule change brought breakers over.
    RuleChange,
    /// A source brings more new subjects than it may.
    SubjectCap,
    /// Marked objects that the journal does not know.
    Orphans,
    /// The daemon may not do what it was configured to do.
    Posture,
    /// A source that was silent brings usage again.
    SourceHeard,
    /// A budget cannot tell whether it counts some charges.
    Unjudged,
    /// Budgets may do more from now on: their first days are over.
    FirstDays,
}

impl PageTopic {
    /// The word in YAML tests and in the webhook's body.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unpriced => "unpriced",
            Self::SourceStale => "source-stale",
            Self::InventoryStale => "inventory-stale",
            Self::Clock => "clock",
            Self::RuleChange => "rule-change",
            Self::SubjectCap => "subject-cap",
            Self::Orphans => "orphans",
            Self::Posture => "posture",
            Self::SourceHeard => "source-heard",
            Self::Unjudged => "unjudged",
            Self::FirstDays => "first-days",
        }
    }
}
