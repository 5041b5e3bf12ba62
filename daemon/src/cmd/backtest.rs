//! `breakerbox backtest`: what rules would have done on recorded spend.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{BacktestArgs, Common, Format, RunArgs};
use crate::backtest::gather::Order;
use crate::backtest::{self, Ask, BacktestError, Progress, Rules};
use crate::rules::{read_folder, revision};
use crate::wiring;

use super::{COULD_NOT, DONE, Failure, NOTHING, Outcome, WRONG, config};

pub(super) fn run(common: &Common, args: BacktestArgs) -> Outcome {
    let folder = match args.rules_dir {
        Some(folder) => folder,
        None => config(common, &RunArgs::default())?.rules_dir,
    };
    let ask = Ask {
        inputs: args.inputs,
        rules: rules(&folder)?,
        against: args.against.as_deref().map(rules).transpose()?,
        order: if args.as_they_came { Order::File } else { Order::Time },
        events_believed: !args.doubt_events,
    };
    let mut screen = Screen::new();
    let report = backtest::run(&ask, &mut |progress| screen.show(progress));
    screen.end();
    let report = report.map_err(|error| Failure::chain(code_of(&error), &error))?;
    if let Some(path) = &args.html {
        std::fs::write(path, backtest::page(&report)).map_err(|error| {
            Failure::new(COULD_NOT, format!("error: cannot write `{}`: {error}", path.display()))
        })?;
        anstream::eprintln!("the report is in {}", path.display());
    }
    match common.format {
        Format::Json => {
            let text = backtest::json(&report).map_err(|error| Failure::new(COULD_NOT, error.to_string()))?;
            anstream::println!("{text}");
        }
        format => anstream::print!("{}", backtest::text(&report, format)),
    }
    Ok(DONE)
}

fn code_of(error: &BacktestError) -> u8 {
    match error {
        BacktestError::Run(_) => WRONG,
        BacktestError::Nothing { .. } => NOTHING,
        BacktestError::Input(_) | BacktestError::Journal(_) | BacktestError::Sort(_) => COULD_NOT,
    }
}

/// Reads and judges a folder of rules as the daemon does.
fn rules(folder: &Path) -> Result<Rules, Failure> {
    let files = read_folder(folder).map_err(|error| Failure::new(COULD_NOT, format!("error: {error}")))?;
    let compiled = wiring::compile(&files).map_err(|report| Failure::new(WRONG, report))?;
    let warnings = compiled.warnings.trim_end();
    if !warnings.is_empty() {
        anstream::eprintln!("{warnings}");
    }
    let mut set = compiled.rules;
    set.revision = revision(folder, &files).map(Into::into);
    Ok(Rules { folder: shown(folder), set })
}

fn shown(folder: &Path) -> String {
    let path: PathBuf = folder.components().collect();
    path.display().to_string()
}

/// How far it is, on a terminal.
struct Screen(Option<ProgressBar>);

impl Screen {
    fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(0);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(Some(bar))
    }

    fn show(&mut self, progress: Progress) {
        let Some(bar) = &self.0 else { return };
        let (done, all, template) = match progress {
            Progress::Read(done, all) => {
                (done, all, "reading {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
            }
            Progress::Ran(done, all) => (done, all, "running {wide_bar} {human_pos}/{human_len} facts {eta}"),
        };
        if bar.length() != Some(all) {
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.reset();
            bar.set_length(all);
        }
        bar.set_position(done);
    }

    fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
