//! What a message says, before it has a form.
//!
//! One [`Message`] is made for each notice and then written as Slack blocks, as webhook JSON or as plain
//! text, so that the three can never say different things. It never holds a secret.

use std::fmt;

use policy::decision::{HoldState, Severity};
use policy::inventory::ObjectKey;

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who and what, in one line.
    pub title: String,
    /// How loud.
    pub severity: Severity,
    /// What happened, in sentences; most important first.
    pub lines: Vec<String>,
    /// Sums, limits and times, for people who check. At most ten.
    pub fields: Vec<Field>,
    /// Objects with their state.
    pub targets: Vec<TargetLine>,
    /// The largest charges of the window, largest first; at most three.
    pub charges: Vec<String>,
    /// What now: exact commands.
    pub actions: Vec<Action>,
    /// Where the rule is and what to ask for by number.
    pub footer: String,
    /// It may have arrived already: an earlier try, perhaps before a restart, was not confirmed.
    pub repeat: bool,
}

impl Message {
    /// The same, marked as a repeat where it is one.
    #[must_use]
    pub(crate) fn repeated(self, again: bool) -> Self {
        Self { repeat: self.repeat || again, ..self }
    }

    /// The command that shows all of it, for what is too long for a receiver.
    pub(crate) fn everything(&self) -> &str {
        self.actions.last().map_or("breakerbox status", |action| &action.command)
    }
}

/// A named value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name.
    pub name: &'static str,
    /// Value, with its unit.
    pub value: String,
}

/// An object that a message lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetLine {
    /// The object.
    pub target: ObjectKey,
    /// What is so about it.
    pub standing: Standing,
    /// The same for people.
    pub words: String,
}

/// What is so about an object that a message lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was written; it would have been (or would be, after a yes).
    Would,
    /// Named by the rule, and left alone for a reason.
    Left,
    /// Held, in this state.
    Held(HoldState),
}

impl Standing {
    /// The word in the webhook's body.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Would => "Would",
            Self::Left => "Left",
            Self::Held(state) => state.word(),
        }
    }

    /// One character that can be read down a column; never the only sign.
    #[must_use]
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Would => "?",
            Self::Left => "-",
            Self::Held(HoldState::Ordered) => "…",
            Self::Held(HoldState::Verified) => "✓",
            Self::Held(HoldState::NotStopped | HoldState::Contested) => "✗",
            Self::Held(HoldState::Restoring) => "↺",
            Self::Held(HoldState::Released) => "↩",
        }
    }
}

/// Something a person can do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// What it does.
    pub what: String,
    /// The exact command.
    pub command: String,
}

/// What stands above a message that may have been sent before.
pub(crate) const REPEAT: &str = "Repeat: this may have arrived already; an earlier try was not confirmed.";

impl fmt::Display for Message {
    /// The whole message as plain text, one thing to a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[{}] {}", severity_word(self.severity), self.title)?;
        if self.repeat {
            writeln!(f, "{REPEAT}")?;
        }
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        for field in &self.fields {
            writeln!(f, "{}: {}", field.name, field.value)?;
        }
        list(f, "Objects", self.targets.iter().map(ToString::to_string))?;
        list(f, "Largest charges", self.charges.iter().cloned())?;
        list(f, "What now", self.actions.iter().map(|a| format!("{}: {}", a.what, a.command)))?;
        write!(f, "{}", self.footer)
    }
}

fn list(
    f: &mut fmt::Formatter<'_>,
    heading: &str,
    items: impl ExactSizeIterator<Item = String>,
) -> fmt::Result {
    if items.len() == 0 {
        return Ok(());
    }
    writeln!(f, "{heading}:")?;
    for item in items {
        writeln!(f, "  {item}")?;
    }
    Ok(())
}

impl fmt::Display for TargetLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.standing.mark(), self.target, self.words)
    }
}

/// The word in messages and in the webhook's body.
pub(crate) const fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}
