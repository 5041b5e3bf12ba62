//! The real edges: from a configuration to everything that a daemon is made of.

use std::sync::Arc;

use actions::gateway::Gateway;
use actions::live::Live;
use actions::notify::{EnvironmentAndFiles, Notifier};
use actions::now::Now;
use anyhow::Context as _;
use async_trait::async_trait;
use collector::bedrock::LogFolder;
use collector::deadletter;
use collector::envelope::Intake;
use collector::kube::{KubeSource, Pace};
use policy::engine::{KUBERNETES, Letter};
use policy::rule::{Mode, SourceFile};

use super::hands::{Hands, TurnClock, contend, gateway_settings};
use super::voice::{Deliveries, Switchboard, Voice};
use crate::app::Deps;
use crate::clock::{Clock, SystemClock};
use crate::config::{BedrockSource, Config, Connect};
use crate::edge::{Actuator, Source, SourceContext};
use crate::keeper;
use crate::observe::Counted;
use crate::rules::{Compiled, RuleFile};
use crate::turn::DeadLetters;

/// Reads rule files with the policy's own compiler.
///
/// # Errors
/// The report of all that is wrong.
pub fn compile(files: &[RuleFile]) -> Result<Compiled, String> {
    match policy::rule::compile(&borrowed(files)) {
        Ok(compiled) => {
            let none = compiled.warnings.list.is_empty();
            let warnings = if none { String::new() } else { compiled.warnings.to_string() };
            Ok(Compiled { rules: compiled.rules, warnings })
        }
        Err(diagnostics) => Err(diagnostics.to_string()),
    }
}

/// The same report for machines; nothing where nothing is wrong.
#[must_use]
pub fn diagnose_json(files: &[RuleFile]) -> Option<String> {
    policy::rule::compile(&borrowed(files)).err().map(|diagnostics| diagnostics.to_json())
}

fn borrowed(files: &[RuleFile]) -> Vec<SourceFile<'_>> {
    files.iter().map(|file| SourceFile { path: &file.path, text: &file.text }).collect()
}

/// Everything that the configuration asks for.
///
/// # Errors
/// When the cluster's credentials cannot be read, or the system has no root certificates.
pub async fn deps(config: &Config, accept_lost_journal: bool) -> anyhow::Result<Deps> {
    let client = client(&config.cluster.connect).await?;
    deps_on(config, client, gateway_settings(config), accept_lost_journal)
}

/// The same over a client and gateway settings that the caller has made; the demo does.
///
/// # Errors
/// When the system has no root certificates.
pub fn deps_on(
    config: &Config,
    client: Option<kube::Client>,
    settings: actions::gateway::Settings,
    accept_lost_journal: bool,
) -> anyhow::Result<Deps> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let now: Arc<dyn Now> = Arc::new(TurnClock(clock.clone()));
    let live = Live::new();
    let deliveries = Arc::new(Deliveries::new(clock.clone(), config.limits.keep));
    let notifier = Notifier::new(Arc::new(EnvironmentAndFiles), deliveries.clone())
        .context("cannot send messages: the system has no root certificates; install `ca-certificates`")?;
    let notifier = Arc::new(match &config.slack_api {
        Some(url) => notifier.with_slack_api_url(url),
        None => notifier,
    });
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    let (mut actuator, mut leading): (Option<Arc<dyn Actuator>>, _) = (None, None);
    if let Some(client) = client {
        sources.push(Box::new(Cluster { client: client.clone() }));
        let gateway = Arc::new(Gateway::new(client.clone(), live.clone(), now.clone(), settings));
        let contest = (config.ceiling >= Mode::Approve).then(|| {
            let (contest, news) = contend(client, live.clone(), now, config);
            leading = Some(news);
            contest
        });
        actuator = Some(Arc::new(Hands::new(gateway, contest)));
    }
    let letters = deadletter::DeadLetters::new(&config.dead_letter_dir, deadletter::Limits::default());
    let counted = Counted {
        letters: Some(letters.clone()),
        requests: Arc::default(),
        plain_only: notifier.plain_only(),
    };
    for log in &config.bedrock {
        sources.push(Box::new(BedrockLogs(log.clone(), letters.clone())));
    }
    Ok(Deps {
        clock,
        sources,
        ingest: super::ingest::routes(config, letters.clone(), counted.requests.clone()),
        actuator,
        messenger: Arc::new(Voice::new(notifier.clone(), deliveries)),
        levers: Arc::new(Switchboard::new(live, notifier)),
        letters: Box::new(letters),
        counted,
        leading,
        compile,
        every: keeper::Every::default(),
        accept_lost_journal,
    })
}

/// A client of the configured cluster; none without one.
///
/// # Errors
/// When the credentials cannot be read.
pub async fn client(connect: &Connect) -> anyhow::Result<Option<kube::Client>> {
    let config = match connect {
        Connect::None => return Ok(None),
        Connect::InCluster => {
            kube::Config::incluster().context("`connect: in-cluster` needs the service account of a pod")?
        }
        Connect::Kubeconfig { file, context } => kubeconfig(file.as_deref(), context.clone()).await?,
    };
    // Without the client's own retries, which have no overall deadline (A28); ours have.
    let client = actions::gateway::client(config).context("cannot make a client of the cluster")?;
    Ok(Some(client))
}

async fn kubeconfig(file: Option<&std::path::Path>, context: Option<String>) -> anyhow::Result<kube::Config> {
    let read = match file {
        Some(path) => kube::config::Kubeconfig::read_from(path)
            .with_context(|| format!("cannot read the kubeconfig `{}`", path.display()))?,
        None => kube::config::Kubeconfig::read()
            .context("cannot read the kubeconfig that KUBECONFIG or the home folder name")?,
    };
    let options = kube::config::KubeConfigOptions { context, ..kube::config::KubeConfigOptions::default() };
    kube::Config::from_custom_kubeconfig(read, &options)
        .await
        .context("the kubeconfig names no usable cluster")
}

impl DeadLetters for deadletter::DeadLetters {
    fn put(&mut self, letters: &[Letter]) {
        self.put_refused(letters);
    }

    fn put_missing(&mut self, letters: &[Letter]) {
        self.put_refused_missing(letters);
    }
}

/// A folder of Bedrock invocation logs as a source.
struct BedrockLogs(BedrockSource, deadletter::DeadLetters);

#[async_trait]
impl Source for BedrockLogs {
    fn name(&self) -> String {
        self.0.name.clone()
    }

    async fn run(self: Box<Self>, context: SourceContext) -> Result<(), String> {
        let folder = LogFolder {
            name: self.0.name.clone(),
            path: self.0.path.clone().into(),
            poll: self.0.poll,
            settle: self.0.settle,
            assume: self.0.assume,
            letters: self.1,
            id_key: context.id_key,
            positions: context.positions,
        };
        tokio::select! {
            () = context.stop.cancelled() => Ok(()),
            closed = folder.run(context.intake) => Err(closed.to_string()),
        }
    }
}

/// The watched cluster as a source.
struct Cluster {
    client: kube::Client,
}

#[async_trait]
impl Source for Cluster {
    fn name(&self) -> String {
        KUBERNETES.to_owned()
    }

    async fn run(self: Box<Self>, context: SourceContext) -> Result<(), String> {
        // A way in of its own, ahead of usage: what exists must be known although usage waits for room on the
        // disk, or the engine goes blind on what it holds.
        let (intake, mut told) = Intake::new(64);
        let forward = async {
            while let Some(envelope) = told.recv().await {
                if context.handle.envelope(envelope).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = context.stop.cancelled() => Ok(()),
            () = forward => Ok(()),
            () = KubeSource::new(intake, Pace::default()).run(self.client) => {
                Err("the watch of the cluster ended".to_owned())
            }
        }
    }
}
