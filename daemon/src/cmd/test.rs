//! `breakerbox test`: the tests that stand beside the rules, run by the daemon's own engine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use policy::trial::{Failure as Differs, Report};
use serde_json::{Value, json};

use crate::args::{Common, Format, RunArgs};
use crate::trials::{RanFile, run_all, untested};

use super::{COULD_NOT, DONE, Failure, Outcome, WRONG, ask, config};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const FAINT: Style = Style::new().dimmed();
const HEAD: Style = Style::new().bold();

pub(super) fn run(common: &Common, path: Option<PathBuf>, filter: Option<&str>) -> Outcome {
    let path = match path {
        Some(path) => path,
        None => {
            let config = config(common, &RunArgs::default());
            // 2 would say that a test failed.
            config.map_err(|failure| Failure { code: COULD_NOT, ..failure })?.rules_dir
        }
    };
    let ran = run_all(&path, filter).map_err(|error| Failure::new(COULD_NOT, format!("error: {error}")))?;
    let tally = Tally::of(&ran);
    if let Some(nothing) = nothing_to_run(&path, filter, &ran, &tally) {
        return Err(Failure::new(COULD_NOT, nothing));
    }
    let left = if path.is_dir() { untested(&path, &ran) } else { Vec::new() };
    match common.format {
        Format::Json => ask::json(&shape(&ran, &tally, &left))?,
        Format::Plain => ran.iter().for_each(print_plain),
        Format::Human | Format::Markdown => {
            ran.iter().for_each(print_human);
            print_end(&tally, &left);
        }
    }
    Ok(tally.code())
}

/// How many came to what.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    /// Files that could not be run.
    broken: usize,
    took: Duration,
}

impl Tally {
    fn of(ran: &[RanFile]) -> Self {
        let mut tally = Self::default();
        for file in ran {
            let Ok(reports) = &file.ran else {
                tally.broken += 1;
                continue;
            };
            for (report, took) in reports {
                tally.took += *took;
                *(if report.passed() { &mut tally.passed } else { &mut tally.failed }) += 1;
            }
        }
        tally
    }

    /// What could not be run may have failed: that is said first.
    const fn code(&self) -> u8 {
        match (self.broken, self.failed) {
            (0, 0) => DONE,
            (0, _) => WRONG,
            _ => COULD_NOT,
        }
    }
}

/// A run of no test passes nothing.
fn nothing_to_run(path: &Path, filter: Option<&str>, ran: &[RanFile], tally: &Tally) -> Option<String> {
    let path = path.display();
    if ran.is_empty() {
        return Some(format!(
            "error: there is no test in `{path}`: put a `*.test.yaml` file beside the rules that it tests"
        ));
    }
    let none = tally.passed + tally.failed + tally.broken == 0;
    let text = filter.filter(|_| none)?;
    Some(format!(
        "error: no test in `{path}` has `{text}` in its name; take `--filter` out to see all of them"
    ))
}

fn print_human(file: &RanFile) {
    anstream::println!("{HEAD}{}{HEAD:#}", file.path);
    match &file.ran {
        Err(report) => anstream::println!("  {BAD}could not be run{BAD:#}\n{}\n", indented(report, "  ")),
        Ok(reports) => {
            let width = reports.iter().map(|(report, _)| report.name.chars().count()).max().unwrap_or(0);
            for (report, took) in reports {
                print_report(report, *took, width);
            }
            anstream::println!();
        }
    }
}

fn print_report(report: &Report, took: Duration, width: usize) {
    let (style, word) = if report.passed() { (GOOD, "ok  ") } else { (BAD, "FAIL") };
    let held = report.expectations.saturating_sub(report.failures.len().min(report.expectations));
    let figures = format!("{held} of {} as expected, {} ms", report.expectations, took.as_millis());
    anstream::println!("  {style}{word}{style:#} {:width$}  {FAINT}{figures}{FAINT:#}", report.name);
    for failure in &report.failures {
        anstream::print!("{}", failure_in_words(failure));
    }
}

/// Where, what was wanted, what was there, and why.
fn failure_in_words(failure: &Differs) -> String {
    let place = &failure.place;
    let mut text = format!(
        "       {}:{}:{}, at +{} ({})\n       wanted  {}\n       found   {BAD}{}{BAD:#}\n",
        place.file, place.line, place.column, failure.after, failure.at, failure.wanted, failure.found
    );
    for (at, because) in failure.because.iter().enumerate() {
        let label = if at == 0 { "why" } else { "" };
        text.push_str(&format!("       {label:<7} {because}\n"));
    }
    text
}

fn indented(text: &str, by: &str) -> String {
    let lines = text.lines().map(|line| if line.is_empty() { String::new() } else { format!("{by}{line}") });
    lines.collect::<Vec<_>>().join("\n")
}

fn print_end(tally: &Tally, left: &[String]) {
    let all = tally.passed + tally.failed;
    let style = if tally.code() == DONE { GOOD } else { BAD };
    let broken = match tally.broken {
        0 => String::new(),
        files => format!(", {files} file(s) could not be run"),
    };
    anstream::println!(
        "{style}{all} test(s): {} passed, {} failed{broken}{style:#}, {} ms",
        tally.passed,
        tally.failed,
        tally.took.as_millis()
    );
    for path in left {
        anstream::println!("no test is about {path}");
    }
}

fn print_plain(file: &RanFile) {
    match &file.ran {
        Err(report) => {
            anstream::println!("error\t{}\t{}", file.path, report.lines().next().unwrap_or_default());
        }
        Ok(reports) => {
            for (report, _) in reports {
                let word = if report.passed() { "ok" } else { "fail" };
                anstream::println!("{word}\t{}\t{}", report.place, report.name);
                for failure in &report.failures {
                    let Differs { place, after, wanted, found, .. } = failure;
                    anstream::println!("differs\t{place}\t+{after}\t{wanted}\t{found}");
                }
            }
        }
    }
}

fn shape(ran: &[RanFile], tally: &Tally, left: &[String]) -> Value {
    let files: Vec<Value> = ran
        .iter()
        .map(|file| match &file.ran {
            Err(report) => json!({ "file": file.path, "error": report, "tests": [] }),
            Ok(reports) => {
                let tests: Vec<Value> =
                    reports.iter().map(|(report, took)| shape_of(report, *took)).collect();
                json!({ "file": file.path, "tests": tests })
            }
        })
        .collect();
    json!({
        "passed": tally.passed, "failed": tally.failed, "couldNotRun": tally.broken, "files": files, "untested": left,
    })
}

fn shape_of(report: &Report, took: Duration) -> Value {
    let failures: Vec<Value> = report
        .failures
        .iter()
        .map(|f| {
            json!({
                "line": f.place.line, "column": f.place.column, "at": f.at.to_string(),
                "after": f.after.to_string(), "wanted": f.wanted, "found": f.found, "because": f.because,
            })
        })
        .collect();
    json!({
        "name": report.name, "line": report.place.line, "passed": report.passed(),
        "expectations": report.expectations, "millis": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "failures": failures,
    })
}
