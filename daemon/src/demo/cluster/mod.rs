//! `breakerbox demo --cluster`: one tenant runs away and is stopped, proven and given back, in a real cluster.
//!
//! The daemon of `breakerbox run`, in this process, with its real edges; only the money is made up. All that is
//! written lies in the namespace [`NAMESPACE`], the Lease of this daemon too, and goes with it at the end. What
//! the daemon reads, it reads cluster-wide, as it always does. Nothing is written before a person's yes.

mod connect;
mod play;
mod stage;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use actions::api_error::ApiError;
use anyhow::{Context as _, Result, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};

use connect::Site;
use play::Play;
use stage::Stage;

/// The one namespace that is written to.
pub const NAMESPACE: &str = "breakerbox-demo";
/// The tenants, with the pods that each runs. The first runs away.
const TENANTS: [(&str, i32); 2] = [(RUNAWAY, 2), (QUIET, 1)];
const RUNAWAY: &str = "runaway";
const QUIET: &str = "quiet";
/// KEDA scales up again, and pods start.
const RUNS_AGAIN: Duration = Duration::from_secs(120);
/// How long one request may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How often a wait looks.
const LOOK: Duration = Duration::from_millis(100);

/// What the demo is asked for.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Context of the kubeconfig; by default the current one.
    pub context: Option<String>,
    /// The yes, given before.
    pub yes: bool,
    /// Leave the namespace at the end.
    pub keep: bool,
}

/// There is nobody to ask, and no yes was given.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "there is no terminal to ask on: nothing was done; look at what it would do, above, and say `--yes` if \
     that is what you want"
)]
pub struct NobodyToAsk;

/// Shows what it would do, asks, does it, and cleans up.
///
/// # Errors
/// [`NobodyToAsk`]; a cluster without KEDA, a namespace of somebody else, a right that is missing, a step that
/// does not come to its end. What was made is then given back and deleted, or it is said how.
pub async fn run(ask: &Ask) -> Result<()> {
    let site = connect::connect(ask.context.clone()).await?;
    let stage = Stage::look(&site).await?;
    anstream::println!("{}", plan(&site, &stage, ask.keep));
    consent(ask.yes).await?;
    let mut stop = Stop::new()?;
    // From here on a signal no longer ends the process: what was begun is cleaned up first.
    let shown = show(&site, &stage, &mut stop).await;
    let cleaned = if ask.keep { Ok(false) } else { stop.second(stage.strike()).await };
    match &cleaned {
        Ok(true) => anstream::println!("deleted: the namespace `{NAMESPACE}`, with all that was in it"),
        Ok(false) if ask.keep => anstream::println!("kept, as asked; to delete it: {}", by_hand(&site)),
        Ok(false) => anstream::println!("nothing is left of it"),
        Err(error) => anstream::eprintln!("not cleaned up: {error:#}; to do it by hand: {}", by_hand(&site)),
    }
    shown.and(cleaned.map(|_| ()))
}

async fn show(site: &Site, stage: &Stage, stop: &mut Stop) -> Result<()> {
    anstream::println!("\nmaking `{NAMESPACE}` and waiting for its pods");
    stop.first(stage.raise(site)).await?;
    let mut play = Play::start(site).await?;
    let acted = stop.first(play.act()).await;
    if let Err(error) = &acted {
        anstream::eprintln!("{error:#}: giving back and cleaning up");
    }
    // Also after an error or a signal: nothing stays held.
    let ended = stop.second(play.end()).await;
    acted.and(ended)?;
    stop.first(stage.runs(site, RUNS_AGAIN)).await?;
    anstream::println!("          runs        `{RUNAWAY}` has its pods again; `{QUIET}` was not stopped");
    Ok(())
}

/// SIGINT and SIGTERM. The first cuts short what is shown, the second the cleaning up too.
struct Stop {
    int: Signal,
    term: Signal,
    seen: u32,
}

impl Stop {
    fn new() -> Result<Self> {
        let of = |kind| signal(kind).context("signals cannot be awaited");
        Ok(Self { int: of(SignalKind::interrupt())?, term: of(SignalKind::terminate())?, seen: 0 })
    }

    /// That, unless a signal comes.
    async fn first<T>(&mut self, that: impl Future<Output = Result<T>>) -> Result<T> {
        self.unless(1, that).await
    }

    /// That, unless a second signal comes.
    async fn second<T>(&mut self, that: impl Future<Output = Result<T>>) -> Result<T> {
        self.unless(2, that).await
    }

    async fn unless<T>(&mut self, limit: u32, that: impl Future<Output = Result<T>>) -> Result<T> {
        let mut that = std::pin::pin!(that);
        while self.seen < limit {
            tokio::select! {
                done = &mut that => return done,
                _ = self.int.recv() => self.seen += 1,
                _ = self.term.recv() => self.seen += 1,
            }
        }
        bail!("stopped by a signal")
    }
}

/// A request with a deadline; `what` is for people.
async fn ask<T>(what: &str, request: impl Future<Output = Result<T, kube::Error>>) -> Result<T> {
    Ok(ApiError::within(ANSWER, what, request).await?)
}

fn by_hand(site: &Site) -> String {
    format!("kubectl delete namespace {NAMESPACE} --context {}", site.context)
}

/// All that a person should know before a yes.
fn plan(site: &Site, stage: &Stage, keep: bool) -> String {
    let first = if stage.left_over { "deletes what an earlier demo left of it, then makes" } else { "makes" };
    let last = if keep { "leaves the namespace (--keep)" } else { "deletes the namespace, and all in it" };
    let pods = TENANTS.map(|(tenant, pods)| format!("`{tenant}` ({pods} pod(s))")).join(" and ");
    format!(
        "context   {context}
server    {server}

This is what will be done there, as you:
  {first} the namespace `{NAMESPACE}`
  in it: a Deployment and a ScaledObject for each of {pods}, image {image};
         the Lease of a breakerbox that runs in this process and enforces
  pauses the ScaledObject `{RUNAWAY}` once its made-up spend is over 50 USD, proves the stop, gives it back
  {last}
Nothing is written outside `{NAMESPACE}`. No message is sent and no model is called; the spend is a log file
in a temporary folder here.
Read, and kept in that folder until the end: namespaces, ScaledObjects, Deployments and StatefulSets of the
whole cluster, as the daemon always lists and watches them; KEDA's operator in `{keda}`.
Your rights must reach further than the daemon's own: to create and delete that namespace and to create
what is in it, besides reading all of the above.
It takes about a minute. Should it be cut off: {by_hand}
",
        context = site.context,
        server = site.server,
        image = stage::IMAGE,
        keda = site.keda,
        by_hand = by_hand(site),
    )
}

async fn consent(yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(NobodyToAsk.into());
    }
    anstream::print!("Go on? Write `yes`: ");
    std::io::stdout().flush()?;
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    match read.await??.trim() {
        "yes" => Ok(()),
        _ => bail!("you did not write `yes`: nothing was done"),
    }
}
