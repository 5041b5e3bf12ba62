//! `breakerbox check`: the rule files, judged by the same reader and compiler as the daemon's.

use std::path::PathBuf;

use crate::args::{Common, Format, RunArgs};
use crate::clock::{Clock as _, SystemClock};
use crate::rules::read_folder;
use crate::wiring;

use super::{COULD_NOT, DONE, Failure, Outcome, WRONG, ask, config};

pub(super) fn run(common: &Common, rules: Option<PathBuf>) -> Outcome {
    let folder = match rules {
        Some(folder) => folder,
        None => config(common, &RunArgs::default())?.rules_dir,
    };
    let files = read_folder(&folder).map_err(|error| Failure::new(COULD_NOT, format!("error: {error}")))?;
    match wiring::compile(&files) {
        Ok(compiled) => {
            let (rules, warnings) = (&compiled.rules, compiled.warnings.trim_end());
            let freezes = rules.guardrail.freezes_in_words(SystemClock::default().read().wall);
            match common.format {
                Format::Json => ask::json(&serde_json::json!({
                    "ok": true, "rules": rules.id, "files": files.len(),
                    "budgets": rules.budgets.len(), "routes": rules.routes.len(), "warnings": warnings,
                    "freezes": freezes,
                }))?,
                Format::Plain => {
                    anstream::println!("ok\t{}\t{}\t{}", rules.id, files.len(), rules.budgets.len());
                }
                Format::Human | Format::Markdown => anstream::println!(
                    "ok: {} file(s), {} budget(s), {} route(s); rules {}",
                    files.len(),
                    rules.budgets.len(),
                    rules.routes.len(),
                    rules.id
                ),
            }
            if common.format == Format::Human {
                freezes.iter().for_each(|freeze| anstream::println!("{freeze}"));
            }
            if !warnings.is_empty() && common.format != Format::Json {
                anstream::eprintln!("{warnings}");
            }
            Ok(DONE)
        }
        Err(_) if common.format == Format::Json => {
            anstream::println!("{}", wiring::edges::diagnose_json(&files).unwrap_or_default());
            Ok(WRONG)
        }
        Err(report) => Err(Failure::new(WRONG, report)),
    }
}
