//! What is wrong with rule files, told so that the author can put it right at once.
//!
//! Each diagnostic has a stable code word, a place, the line with a caret under the offending text, what is
//! wrong, and what to write instead. All of a set come together. A line that holds a secret that somebody
//! wrote into it is never shown: reports end up in CI logs.

mod kind;

use std::fmt;

use serde::Serialize;

use super::Place;

pub use kind::DiagnosticKind;

/// Whether it keeps the set from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The set is refused.
    Error,
    /// The set is used; the author should look.
    Warning,
}

impl Severity {
    /// The word in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of thing.
    pub kind: DiagnosticKind,
    /// Whether it keeps the set from being used.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// Characters that the caret marks.
    pub width: u32,
    /// The line there; `None` where there is none, or where it holds a secret.
    pub excerpt: Option<Box<str>>,
    /// What is wrong, with the offending text in backticks.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}[{}]: {}", self.severity.word(), self.kind.word(), self.message)?;
        let Place { file, line, column } = &self.place;
        let gutter = " ".repeat(line.to_string().len());
        writeln!(f, "{gutter}--> {file}:{line}:{column}")?;
        if let Some(excerpt) = &self.excerpt {
            let before = usize::try_from(column.saturating_sub(1)).unwrap_or(0);
            let (shown, indent) = crop(excerpt, before);
            let carets = usize::try_from(self.width).unwrap_or(1);
            let carets = carets.min(shown.chars().count().saturating_sub(indent)).max(1);
            writeln!(f, "{gutter} |\n{line} | {shown}")?;
            writeln!(f, "{gutter} | {}{}", " ".repeat(indent), "^".repeat(carets))?;
        }
        write!(f, "{gutter} = help: {}", self.help)
    }
}

/// Characters of a line that are shown at most.
const SHOWN: usize = 100;

/// The part of a line around a column, and where the column is in it. Tabs and other controls become
/// spaces: they would move the caret, or the reader's terminal.
fn crop(line: &str, column: usize) -> (String, usize) {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let length = line.chars().count();
    if length <= SHOWN {
        return (line.chars().map(clean).collect::<String>().trim_end().to_owned(), column.min(length));
    }
    let from = column.saturating_sub(SHOWN / 2).min(length - SHOWN);
    let part: String = line.chars().skip(from).take(SHOWN).map(clean).collect();
    let (left, right) = (if from > 0 { "…" } else { "" }, if from + SHOWN < length { "…" } else { "" });
    (format!("{left}{part}{right}"), column.min(length) - from + left.chars().count())
}

/// Everything that is wrong with a set, in the order of the files and lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// At most 200; see [`Self::omitted`].
    pub list: Vec<Diagnostic>,
    /// How many more there were.
    pub omitted: usize,
}

/// More than anyone reads; a hostile file could have a hundred thousand.
pub(super) const MOST: usize = 200;

/// As `to_json` writes it.
#[derive(Serialize)]
struct Row<'a> {
    code: &'a str,
    severity: &'a str,
    file: &'a str,
    line: u32,
    column: u32,
    message: &'a str,
    help: &'a str,
}

#[derive(Serialize)]
struct Report<'a> {
    diagnostics: Vec<Row<'a>>,
    omitted: usize,
}

impl Diagnostics {
    /// Sorts by place, drops repetitions and what is beyond the bound (warnings first).
    pub(super) fn new(mut list: Vec<Diagnostic>) -> Self {
        list.sort_by(|a, b| (&a.place, a.kind, &a.message).cmp(&(&b.place, b.kind, &b.message)));
        list.dedup();
        let omitted = list.len().saturating_sub(MOST);
        if omitted > 0 {
            list.sort_by_key(|d| d.severity);
            list.truncate(MOST);
            list.sort_by(|a, b| a.place.cmp(&b.place));
        }
        Self { list, omitted }
    }

    /// Whether any of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// For scripts: `{"diagnostics":[{code, severity, file, line, column, message, help}], "omitted": 0}`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let diagnostics = self
            .list
            .iter()
            .map(|d| Row {
                code: d.kind.word(),
                severity: d.severity.word(),
                file: &d.place.file,
                line: d.place.line,
                column: d.place.column,
                message: &d.message,
                help: &d.help,
            })
            .collect();
        // Text and numbers only: there is nothing that JSON cannot hold.
        serde_json::to_string(&Report { diagnostics, omitted: self.omitted }).unwrap_or_default()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.list {
            writeln!(f, "{diagnostic}\n")?;
        }
        if self.omitted > 0 {
            writeln!(f, "and {} more\n", self.omitted)?;
        }
        let count = |severity| self.list.iter().filter(|d| d.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        write!(f, "{}, {}", counted(errors, "error"), counted(warnings, "warning"))
    }
}

impl std::error::Error for Diagnostics {}

fn counted(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// Candidates that are compared at most; time zones are 597.
const CANDIDATES: usize = 1000;

/// The candidate that somebody may have meant: equal but for case and separators, or a few slips away.
pub(super) fn meant<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |t: &str| -> String {
        t.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).take(64).collect()
    };
    let wanted = plain(text);
    let slips = (wanted.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .take(CANDIDATES)
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= slips && *distance < plain(candidate).chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "`a`, `b` or `c`".
pub(super) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|w| format!("`{w}`")).collect();
    match quoted.split_last() {
        None => "nothing".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_close_and_never_far() {
        let fields = ["tenant", "team", "agent", "endUser"];
        assert_eq!(meant("tenat", fields), Some("tenant"));
        assert_eq!(meant("end_user", fields), Some("endUser"));
        assert_eq!(meant("TENANT", fields), Some("tenant"));
        assert_eq!(meant("environment", fields), None);
        assert_eq!(meant("", fields), None);
    }

    #[test]
    fn a_long_line_is_cropped_around_its_caret() {
        let line = format!("{}HERE{}", "a".repeat(300), "b".repeat(300));
        let (shown, at) = crop(&line, 300);
        assert_eq!(shown.chars().skip(at).take(4).collect::<String>(), "HERE");
        assert!(shown.starts_with('…') && shown.ends_with('…'), "{shown}");
    }

    #[test]
    fn every_code_word_is_its_own() {
        let mut words: Vec<&str> = DiagnosticKind::ALL.iter().map(|k| k.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), DiagnosticKind::ALL.len());
    }
}
