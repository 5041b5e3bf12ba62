//! Mistakes in a configuration, as people read them: place, excerpt, help.

use std::fmt;
use std::path::Path;

use serde_saphyr::Location;

/// A place in the file; nowhere for flags, environment and defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// Line, from 1; 0 for nowhere.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl From<Location> for Spot {
    fn from(location: Location) -> Self {
        let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Self { line: number(location.line()), column: number(location.column()) }
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub spot: Spot,
    /// What is wrong, with the offending text in backticks.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// All that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    name: String,
    /// Mistakes in the order of their places, each with the line it is on.
    mistakes: Vec<(Mistake, String)>,
}

impl ConfigError {
    pub(super) fn new(name: &str, text: &str, mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by_key(|m| m.spot);
        let line = |spot: Spot| {
            let index = usize::try_from(spot.line).ok()?.checked_sub(1)?;
            text.lines().nth(index)
        };
        let mistakes = mistakes
            .into_iter()
            .map(|m| {
                let excerpt = line(m.spot).unwrap_or("").to_owned();
                (m, excerpt)
            })
            .collect();
        Self { name: name.to_owned(), mistakes }
    }

    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let mistake = Mistake {
            spot: Spot::default(),
            message: format!("cannot read `{}`: {error}", path.display()),
            help: "name the file with `--config` or BREAKERBOX_CONFIG".to_owned(),
        };
        Self::new(&path.display().to_string(), "", vec![mistake])
    }

    /// The mistakes.
    pub fn mistakes(&self) -> impl Iterator<Item = &Mistake> {
        self.mistakes.iter().map(|(mistake, _)| mistake)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (mistake, excerpt)) in self.mistakes.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            let Spot { line, column } = mistake.spot;
            if line == 0 {
                writeln!(f, "error: {}", mistake.message)?;
            } else {
                writeln!(f, "error: {}:{line}:{column}: {}", self.name, mistake.message)?;
                let width = line.to_string().len();
                let indent = usize::try_from(column).unwrap_or(1).saturating_sub(1);
                writeln!(f, "{:width$} |", "")?;
                writeln!(f, "{line} | {excerpt}")?;
                writeln!(f, "{:width$} | {:indent$}^", "", "")?;
            }
            writeln!(f, "  help: {}", mistake.help)?;
        }
        Ok(())
    }
}

/// The name that was probably meant.
pub(super) fn nearest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    names
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
        .map(|(_, name)| name)
}
