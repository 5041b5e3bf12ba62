//! Test files beside rules (`*.test.yaml`): found, read with the rules that they name, and run.
//!
//! Paths in a test file are from its own folder, so that a folder of rules can be moved whole. Everything that a
//! test says comes from `policy`; here are only the files.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use policy::rule::trial::{TrialFile, link, read_trials};
use policy::rule::{RuleSet, SourceFile, compile};
use policy::trial::{Report, run};

use crate::rules::{FolderError, RuleFile, read_file, read_folder, read_trial_files};

/// What came of a test file.
#[derive(Debug)]
pub struct RanFile {
    /// Its path, as people know it.
    pub path: String,
    /// The files that its tests were about.
    pub rules: Vec<PathBuf>,
    /// What came of each test that was wanted; or why none could be run, a whole report.
    pub ran: Result<Vec<(Report, Duration)>, String>,
}

/// Runs the tests of a file, or of all files under a folder; with a filter those whose name has it in it.
///
/// # Errors
/// When the file or the folder cannot be read.
pub fn run_all(path: &Path, filter: Option<&str>) -> Result<Vec<RanFile>, FolderError> {
    let (folder, files) = if path.is_file() {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        (folder, vec![read_file(folder, path)?])
    } else {
        (path, read_trial_files(path)?)
    };
    Ok(files.iter().map(|file| run_file(folder, file, filter)).collect())
}

/// Rule files under a folder that none of those test files is about.
#[must_use]
pub fn untested(folder: &Path, ran: &[RanFile]) -> Vec<String> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let tested: Vec<PathBuf> = ran.iter().flat_map(|file| &file.rules).map(|path| real(path)).collect();
    let all = read_folder(folder).unwrap_or_default();
    let left = all.iter().map(|file| folder.join(&file.path)).filter(|path| !tested.contains(&real(path)));
    left.map(|path| path.display().to_string()).collect()
}

fn run_file(folder: &Path, file: &RuleFile, filter: Option<&str>) -> RanFile {
    let path = folder.join(&file.path);
    let shown = path.display().to_string();
    let source = SourceFile { path: &shown, text: &file.text };
    let trials = match read_trials(&source) {
        Ok(trials) => trials,
        Err(all) => return RanFile { path: shown, rules: Vec::new(), ran: Err(all.to_string()) },
    };
    let beside = path.parent().unwrap_or(folder);
    let rules = trials.rules.iter().chain(&trials.prices).map(|named| beside.join(&*named.path)).collect();
    let ran = rules_of(beside, &trials).and_then(|rules| {
        link(&source, &trials.trials, &rules).map_err(|all| all.to_string())?;
        let wanted = trials.trials.iter().filter(|trial| filter.is_none_or(|text| trial.name.contains(text)));
        Ok(wanted.map(|trial| timed(&rules, trial)).collect())
    });
    RanFile { path: shown, rules, ran }
}

fn timed(rules: &RuleSet, trial: &policy::rule::trial::Trial) -> (Report, Duration) {
    let begin = Instant::now();
    let report = run(rules, trial);
    (report, begin.elapsed())
}

/// The rules of a test file, compiled as the daemon compiles them.
fn rules_of(beside: &Path, trials: &TrialFile) -> Result<RuleSet, String> {
    let mut texts: Vec<RuleFile> = Vec::new();
    for named in trials.rules.iter().chain(&trials.prices) {
        let path = beside.join(&*named.path);
        let read = read_file(beside, &path).map_err(|error| format!("error: {}: {error}", named.place))?;
        texts.push(RuleFile { path: path.display().to_string(), ..read });
    }
    let sources: Vec<SourceFile<'_>> =
        texts.iter().map(|file| SourceFile { path: &file.path, text: &file.text }).collect();
    compile(&sources).map(|compiled| compiled.rules).map_err(|all| all.to_string())
}
