//! `breakerbox plan`: what the rules would do now, and what a change of them would change. Nothing is.

use std::path::Path;

use policy::time::Timestamp;

use crate::args::{Common, Format, PlanArgs, RunArgs};
use crate::clock::{Clock as _, SystemClock};
use crate::http::{Asked, AskedFile};
use crate::plan::{self, Plans};
use crate::rules::{Compiled, RuleFile, read_folder, revision};
use crate::wiring;

use super::{COULD_NOT, DONE, Failure, Outcome, WRONG, ask, config};

pub(super) async fn run(common: &Common, args: &PlanArgs) -> Outcome {
    let candidate = args.rules.as_deref().map(Candidate::read).transpose()?;
    let plans = match args.offline {
        true => without_daemon(common, args, candidate.as_ref()).await?,
        false => {
            let asked = candidate.as_ref().map(Candidate::asked).unwrap_or_default();
            match ask::daemon(common)?.post("/v1/plan", &asked).await {
                Ok(plans) => plans,
                Err(error) if error.is_unreachable() && common.server.is_none() => {
                    anstream::eprintln!(
                        "no daemon answers; the plan is made from the journal and the cluster"
                    );
                    without_daemon(common, args, candidate.as_ref()).await?
                }
                Err(error) => return Err(error.into()),
            }
        }
    };
    match common.format {
        Format::Json => ask::json(&plans)?,
        Format::Plain => anstream::print!("{}", plan::plain(&plans)),
        Format::Markdown => anstream::print!("{}", plan::markdown(&plans)),
        Format::Human => {
            let table = |title: &str, headings: &[&str], rows: &[Vec<String>]| {
                ask::rows(Format::Human, title, headings, rows)
            };
            anstream::print!("{}", plan::human(&plans, table));
        }
    }
    Ok(DONE)
}

/// A rule folder that is asked about.
struct Candidate {
    files: Vec<RuleFile>,
    revision: Option<String>,
    compiled: Compiled,
}

impl Candidate {
    fn read(folder: &Path) -> Result<Self, Failure> {
        let files =
            read_folder(folder).map_err(|error| Failure::new(COULD_NOT, format!("error: {error}")))?;
        // Here too, so that mistakes are told as `check` tells them, also where no daemon is.
        let mut compiled = wiring::compile(&files).map_err(|report| Failure::new(WRONG, report))?;
        let revision = revision(folder, &files);
        compiled.rules.revision = revision.as_deref().map(Into::into);
        if !compiled.warnings.is_empty() {
            anstream::eprintln!("{}", compiled.warnings.trim_end());
        }
        Ok(Self { files, revision, compiled })
    }

    fn asked(&self) -> Asked {
        let files = self.files.iter();
        Asked {
            files: files.map(|f| AskedFile { path: f.path.clone(), text: f.text.clone() }).collect(),
            revision: self.revision.clone(),
        }
    }
}

/// From the journal, where there is one, and the cluster, where one is configured.
async fn without_daemon(
    common: &Common,
    args: &PlanArgs,
    candidate: Option<&Candidate>,
) -> Result<Plans, Failure> {
    let could_not = |why: String| Failure::new(COULD_NOT, format!("error: {why}"));
    let config = config(common, &RunArgs::default())?;
    let now: Timestamp = SystemClock::default().read().wall;
    let has_journal = config.data_dir.join("journal.db").exists();
    let (engine, past) = match has_journal {
        true => plan::of_journal(&config.data_dir, now).map_err(could_not)?,
        false => (plan::of_nothing(config.ceiling, now), Vec::new()),
    };
    let inventory = match args.no_cluster {
        true => None,
        false => match wiring::edges::client(&config.cluster.connect).await {
            Ok(None) => None,
            Ok(Some(client)) => Some(collector::kube::inventory(&client, now).await.map_err(could_not)?),
            Err(error) => return Err(could_not(format!("{error:#}"))),
        },
    };
    // Rules that run nowhere yet are the configured ones.
    let own = match (candidate, has_journal) {
        (None, false) => Some(Candidate::read(&config.rules_dir)?),
        _ => None,
    };
    let rules = candidate.or(own.as_ref()).map(|candidate| &candidate.compiled.rules);
    Ok(plan::plans(engine, &past, inventory, rules, now))
}
