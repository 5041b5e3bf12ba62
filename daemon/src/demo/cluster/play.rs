//! The play: the daemon in this process, the made-up spend, and what is seen of the stop, line by line.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actions::gateway::Settings;
use anyhow::{Context as _, Result, bail};
use policy::decision::HoldState;
use policy::engine::{BreakerView, HoldView, KUBERNETES, View};
use policy::fact::{Command, CommandKind};
use policy::money::Percent;
use policy::rule::Mode;
use policy::time::Timestamp;
use tokio::time::Instant;

use super::connect::Site;
use super::{LOOK, NAMESPACE, QUIET, RUNAWAY};
use crate::app::{App, Running};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{BedrockSource, Config, Overrides};
use crate::edge::Nothing;
use crate::http::socket::actor_of;
use crate::wiring::{self};

const RULES: &str = include_str!("rules.yaml");
const BREAKER: &str = "tenant-daily/runaway";
/// The Lease and the first list of the cluster.
const READY: Duration = Duration::from_secs(60);
/// From the first call to the proof: seconds, and a pod's grace where a node is slow.
const PROVEN: Duration = Duration::from_secs(120);
/// KEDA scales up again, and pods start.
const BACK: Duration = Duration::from_secs(120);
/// Calls in each burst of the runaway: 4 USD.
const BURST: usize = 20;
/// Looks from one burst to the next: half a second.
const EVERY: u32 = 5;

/// A daemon in this process, and a folder for what it writes here.
pub(super) struct Play {
    running: Running,
    home: Home,
    began: Timestamp,
    calls: usize,
}

/// A folder of ours alone, which goes with the play.
struct Home(PathBuf);

impl Home {
    fn make(id: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("breakerbox-{id}"));
        // Fails where it exists, so that nobody else can have put it there.
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("cannot make `{}`", path.display()))?;
        let home = Self(path);
        for folder in ["rules", "logs"] {
            fs::create_dir(home.0.join(folder))?;
        }
        fs::write(home.0.join("rules/rules.yaml"), RULES)?;
        Ok(home)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn now() -> Timestamp {
    SystemClock::default().read().wall
}

impl Play {
    /// Starts the daemon: in enforce, its Lease and freeze marker in the demo's namespace.
    ///
    /// # Errors
    /// It does not start.
    pub(super) async fn start(site: &Site) -> Result<Self> {
        let home = Home::make(&site.id)?;
        let config = config(site, &home.0)?;
        // The guard never stops anything in the namespace of the installation that it is part of. That one is
        // always called `breakerbox` here, so that the demo's namespace can have both the Lease and the targets.
        let settings = Settings { namespace: "breakerbox".to_owned(), ..wiring::gateway_settings(&config) };
        let mut deps = wiring::deps_on(&config, Some(site.client.clone()), settings, false)?;
        deps.messenger = Arc::new(Nothing);
        let running = App::new(config, deps).start().await.context("the daemon does not start")?;
        Ok(Self { running, home, began: now(), calls: 0 })
    }

    /// The runaway is stopped, and given back by a reset.
    ///
    /// # Errors
    /// Something did not happen in time, or the daemon ended: with what it said last.
    pub(super) async fn act(&mut self) -> Result<()> {
        self.until("the daemon leads and knows the cluster", READY, ready).await?;
        self.began = now();
        self.say("enforces", "it holds its Lease and has listed the cluster; the runaway begins to spend");
        self.spend_until_proven().await?;
        if let Some(other) = self.view().await?.holds.iter().find(|hold| hold.target != target()) {
            bail!("`{}` is held too, which nobody asked for: report it as a bug", other.target);
        }
        self.reset().await
    }

    /// Gives back what is held, and ends the daemon.
    ///
    /// # Errors
    /// Something is still held, or the daemon ended badly.
    pub(super) async fn end(mut self) -> Result<()> {
        let view = self.view().await;
        let held = view.as_ref().map_or(true, |view| hold(view).is_some_and(|hold| !released(hold)));
        let back = if held { self.reset().await } else { Ok(()) };
        let drained = self.running.drain().await.context("the daemon did not end well");
        drop(self.home);
        back.and(drained)
    }

    /// A burst of calls each half second, and a line for everything that happens.
    async fn spend_until_proven(&mut self) -> Result<()> {
        let deadline = Instant::now() + PROVEN;
        let mut told = Told::default();
        for look in 0_u32.. {
            let view = self.view().await?;
            let breaker = self.breaker().await?;
            self.tell(breaker.as_ref(), &view, &mut told);
            match hold(&view) {
                Some(hold) if hold.state == HoldState::Verified => return Ok(()),
                Some(hold) if matches!(hold.state, HoldState::NotStopped | HoldState::Contested) => {
                    bail!("`{}` was not stopped: {}", hold.target, hold.detail)
                }
                _ => {}
            }
            if Instant::now() >= deadline {
                bail!("no stop was proven within {} s; {}", PROVEN.as_secs(), last_words(&view));
            }
            if look % EVERY == 0 && !told.tripped {
                self.spend()?;
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn tell(&self, breaker: Option<&BreakerView>, view: &View, told: &mut Told) {
        if let Some(breaker) = breaker {
            let sum = format!("{BREAKER}: {} of {}", breaker.sum, breaker.limit);
            let tripped = &*breaker.state == "Tripped";
            if (tripped || &*breaker.state == "Warned") && !std::mem::replace(&mut told.warned, true) {
                self.say("warned", &format!("{sum} (from 80% on)"));
            }
            if tripped && !std::mem::replace(&mut told.tripped, true) {
                self.say("tripped", &sum);
            }
        }
        let Some(hold) = hold(view) else { return };
        if let Some(at) = hold.accepted_at
            && !std::mem::replace(&mut told.accepted, true)
        {
            let what = format!("the API server took the pause of `{}`, nothing is proven yet", hold.target);
            self.say_at(at, "accepted", &what);
        }
        if let (HoldState::Verified, Some(at)) = (hold.state, hold.verified_at) {
            self.say_at(at, "proven", "KEDA says paused at 0, no HPA, scale 0, no pods");
        }
    }

    /// A person forgives what was spent; the hold is given back, and seen to run.
    async fn reset(&mut self) -> Result<()> {
        let kind = CommandKind::Reset { breaker: BREAKER.to_owned(), more: Percent::from_ppm(100_000) };
        let actor = actor_of(nix::unistd::Uid::current().as_raw());
        // A refusal (it is being given back already) changes nothing in what is waited for.
        self.running.handle.command(Command { actor, kind }).await?;
        self.say("reset", "as `breakerbox reset tenant-daily/runaway` does");
        self.until("it is given back", BACK, |view| hold(view).is_none_or(released)).await?;
        self.say("given back", "the ScaledObject is as it was, KEDA scales it again");
        Ok(())
    }

    async fn until(&mut self, what: &str, within: Duration, is: impl Fn(&View) -> bool) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let view = self.view().await?;
            if is(&view) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("not within {} s: {what}; {}", within.as_secs(), last_words(&view));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn view(&mut self) -> Result<View> {
        let handle = self.running.handle.clone();
        tokio::select! {
            ended = self.running.broken() => bail!("the daemon ended: {ended}"),
            view = handle.look(|engine, now| engine.view(now)) => Ok(view?),
        }
    }

    async fn breaker(&self) -> Result<Option<BreakerView>> {
        Ok(self.running.handle.look(|engine, now| engine.breaker(BREAKER, now)).await?)
    }

    /// Twenty calls of the runaway at 0.20 USD and one of the other tenant, as Bedrock logs them.
    fn spend(&mut self) -> Result<()> {
        let mut lines = String::new();
        for (tenant, calls) in [(RUNAWAY, BURST), (QUIET, 1)] {
            for _ in 0..calls {
                self.calls += 1;
                lines.push_str(&record(self.calls, tenant));
            }
        }
        // Written beside the folder first: what is renamed into it is whole.
        let next = self.home.0.join("next");
        fs::write(&next, lines)?;
        Ok(fs::rename(next, self.home.0.join(format!("logs/{:06}.jsonl", self.calls)))?)
    }

    fn say(&self, word: &str, what: &str) {
        self.say_at(now(), word, what);
    }

    fn say_at(&self, at: Timestamp, word: &str, what: &str) {
        let tenths = at.since(self.began).millis().max(0) / 100;
        anstream::println!("{:>4}.{} s  {word:<10}  {what}", tenths / 10, tenths % 10);
    }
}

/// What was said already.
#[derive(Default)]
struct Told {
    warned: bool,
    tripped: bool,
    accepted: bool,
}

fn config(site: &Site, home: &Path) -> Result<Config> {
    let yaml = format!(
        "http: {{listen: \"127.0.0.1:0\"}}\nceiling: enforce\ninstallId: {}\nlimits: {{diskReserve: 1 B}}\n\
         poll: {{tick: 200ms}}\n\
         cluster: {{connect: kubeconfig, namespace: {NAMESPACE}, kedaNamespace: {}}}\n",
        site.id, site.keda
    );
    let overrides = Overrides {
        data_dir: Some(home.join("data")),
        rules_dir: Some(home.join("rules")),
        ..Overrides::default()
    };
    let mut config = Config::parse("the demo's configuration", &yaml, &overrides)?;
    let path = home.join("logs").display().to_string();
    config.bedrock = vec![BedrockSource {
        name: "bedrock-log".to_owned(),
        path,
        poll: Duration::from_millis(100),
        settle: Duration::from_secs(30),
        assume: collector::bedrock::Assume::default(),
    }];
    Ok(config)
}

fn hold(view: &View) -> Option<&HoldView> {
    view.holds.iter().find(|hold| hold.target == target())
}

fn target() -> String {
    format!("ScaledObject/{NAMESPACE}/{RUNAWAY}")
}

fn released(hold: &HoldView) -> bool {
    hold.state == HoldState::Released
}

fn ready(view: &View) -> bool {
    let heard = |name: &str| view.sources.iter().any(|(n, s)| &**n == name && s.heard_at.is_some());
    view.ceiling == Mode::Enforce && heard(KUBERNETES) && heard("bedrock-log")
}

/// What stands in the way, as far as the daemon knows.
fn last_words(view: &View) -> String {
    let hold = hold(view).map(|hold| format!("{}: {}", hold.state.word(), hold.detail));
    let broken =
        view.sources.iter().find_map(|(name, s)| s.broken.clone().map(|why| format!("{name}: {why}")));
    let because = view.because.clone();
    hold.or(broken).or(because).unwrap_or_else(|| "the daemon gives no reason".to_owned())
}

/// A call of Sonnet 4.6 through its `us.` profile, 60,606 tokens in: 0.20 USD at 3.30 USD a million.
fn record(call: usize, tenant: &str) -> String {
    let (at, tokens) = (now(), 60_606);
    format!(
        r#"{{"schemaType":"ModelInvocationLog","schemaVersion":"1.0","timestamp":"{at}","accountId":"111122223333","identity":{{"arn":"arn:aws:sts::111122223333:assumed-role/{tenant}/session"}},"region":"us-east-1","requestId":"call-{call}","operation":"Converse","modelId":"us.anthropic.claude-sonnet-4-6","input":{{"inputContentType":"application/json","inputTokenCount":{tokens}}},"output":{{"outputContentType":"application/json","outputTokenCount":0}}}}"#
    ) + "\n"
}
