//! `breakerbox demo`: a month of four tenants through the real daemon in observe mode, in seconds.
//!
//! The stream drives the clock: both clocks of the daemon stand at the time of what was delivered last, and
//! go on with the next delivery. Everything else is as in production: Bedrock's own log lines, the parser,
//! the journal with its commits, the engine, the rules as people write them. It touches nothing outside a
//! folder of its own.

mod account;
pub mod cluster;
pub mod stream;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use collector::bedrock::{Assume, Parser};
use policy::engine::{BreakerView, KUBERNETES, Wanted};
use policy::fact::{Fact, SourceHealth, SourceState, UsageBatchBuilder};
use policy::inventory::{Inventory, InventoryChange, Namespace, ObjectKey, ScaledObject};
use policy::time::{Span, Timestamp};

use crate::app::{App, Deps, Running};
use crate::clock::ManualClock;
use crate::config::{Config, Overrides};
use crate::edge::Nothing;
use crate::keeper;
use crate::observe::Counted;
use crate::wiring::compile;
use account::Account;
use stream::{END, Line, START};

/// The rules of the demo, as its platform engineers would write them.
pub(crate) const RULES: &str = include_str!("rules.yaml");
/// Longest stretch of the stream that is one delivery: well below the fifteen minutes that are on time.
const STRETCH: Span = Span::from_mins(10);
/// Lines of one delivery.
const LINES: usize = 512;

/// What the demo is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The month.
    pub seed: u64,
    /// Where the raw log is written too.
    pub log: Option<PathBuf>,
    /// The account as JSON, for scripts.
    pub json: bool,
}

/// Replays the month and prints the account.
///
/// # Errors
/// When a folder cannot be written or the daemon ends.
pub async fn run(ask: &Ask) -> Result<()> {
    let lines = stream::month(ask.seed);
    if let Some(folder) = &ask.log {
        write_log(folder, &lines)?;
    }
    let home = std::env::temp_dir().join(format!("breakerbox-demo-{}", std::process::id()));
    let result = replay(ask, &lines, &home).await;
    let _ = std::fs::remove_dir_all(&home);
    let account = result?;
    let text = if ask.json { account.json() } else { account.text() };
    anstream::println!("{}", text.trim_end());
    Ok(())
}

async fn replay(ask: &Ask, lines: &[Line], home: &Path) -> Result<Account> {
    let clock = Arc::new(ManualClock::at(START));
    let running = start(home, Arc::clone(&clock)).await?;
    running.intake.put_durably(Fact::Inventory(InventoryChange::Snapshot(cluster()))).await?;
    let mut account = Account::new(ask.seed, lines.len());
    let mut screen = Screen::new(ask.json);
    for delivery in deliveries(lines) {
        let Some(last) = delivery.last() else { continue };
        clock.advance_to(last.delivered_at);
        let heard = SourceHealth { source: KUBERNETES.into(), state: SourceState::Heard };
        running.intake.put_durably(Fact::Health(heard)).await?;
        running.intake.put_durably(batch(&running, delivery)?).await?;
        let mut breakers = running.handle.survey(Wanted::default(), 100).await?.breakers;
        // By name, so that no row of the live table jumps.
        breakers.sort_by(|a, b| a.name.cmp(&b.name));
        account.see(last.delivered_at, &breakers);
        screen.show(last.delivered_at, &breakers, &account)?;
    }
    clock.advance_to(END);
    running.intake.put_durably(Fact::Tick).await?;
    let view = running.handle.look(|engine, now| engine.view(now)).await?;
    account.close(&view);
    screen.end()?;
    running.drain().await?;
    Ok(account)
}

pub(crate) async fn start(home: &Path, clock: Arc<ManualClock>) -> Result<Running> {
    let rules = home.join("rules");
    std::fs::create_dir_all(&rules).with_context(|| format!("cannot make `{}`", rules.display()))?;
    std::fs::write(rules.join("rules.yaml"), RULES)?;
    let (data, rules) = (home.join("data"), rules.display().to_string());
    let yaml = format!(
        "dataDir: {}\nrulesDir: {rules}\nhttp: {{listen: \"127.0.0.1:0\"}}\ninstallId: demo\n\
         limits: {{diskReserve: 1 B}}\n",
        data.display()
    );
    let config = Config::parse("demo", &yaml, &Overrides::default())?;
    let deps = Deps {
        clock,
        sources: Vec::new(),
        ingest: None,
        actuator: None,
        messenger: Arc::new(Nothing),
        levers: Arc::new(Nothing),
        letters: Box::new(Nothing),
        counted: Counted::default(),
        leading: None,
        compile,
        every: keeper::Every::default(),
        accept_lost_journal: false,
    };
    Ok(App::new(config, deps).start().await?)
}

/// What the tenants run: a namespace and an autoscaled workload each.
pub(crate) fn cluster() -> Inventory {
    let mut all = Inventory::default();
    for tenant in ["checkout", "support", "search", "atlas"] {
        let labels = [("tenant".into(), tenant.into())].into();
        all.namespaces.insert(tenant.into(), Namespace { labels });
        let object = ScaledObject { uid: format!("demo-{tenant}").into(), ..ScaledObject::default() };
        all.scaled_objects.insert(ObjectKey::scaled_object(tenant, "agents"), object);
    }
    all
}

/// The stream cut where ten minutes or 512 lines are full.
pub(crate) fn deliveries(lines: &[Line]) -> impl Iterator<Item = &[Line]> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        let until = rest.first()?.delivered_at.plus(STRETCH);
        let count = rest.iter().take(LINES).take_while(|line| line.delivered_at < until).count();
        let (delivery, next) = rest.split_at(count.max(1));
        rest = next;
        Some(delivery)
    })
}

/// The lines through the parser of the Bedrock source.
pub(crate) fn batch(running: &Running, lines: &[Line]) -> Result<Fact> {
    let mut parser = Parser::new(Assume::default());
    let mut batch = UsageBatchBuilder::new(running.id_key, "bedrock-log", false);
    for line in lines {
        parser.parse(line.json.as_bytes(), None, &mut batch)?;
    }
    Ok(Fact::Usage(batch.finish()))
}

/// One file a day, in the order of delivery.
pub(crate) fn write_log(folder: &Path, lines: &[Line]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    for day in lines.chunk_by(|a, b| day_of(a) == day_of(b)) {
        let Some(first) = day.first() else { continue };
        let path = folder.join(format!("{}.jsonl", day_of(first)));
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path)?);
        for line in day {
            writeln!(file, "{}", line.json)?;
        }
        file.flush()?;
    }
    Ok(())
}

fn day_of(line: &Line) -> String {
    line.delivered_at.to_string().chars().take(10).collect()
}

/// The live table: drawn over itself on a terminal, a line each day elsewhere.
struct Screen {
    live: bool,
    height: usize,
    day: String,
}

impl Screen {
    fn new(json: bool) -> Self {
        Self { live: !json && std::io::stderr().is_terminal(), height: 0, day: String::new() }
    }

    fn show(&mut self, now: Timestamp, breakers: &[BreakerView], account: &Account) -> Result<()> {
        let hour: String = now.to_string().chars().take(if self.live { 13 } else { 10 }).collect();
        if hour == self.day {
            return Ok(());
        }
        self.day = hour;
        let mut out = anstream::stderr().lock();
        if self.live {
            let table = Account::table(breakers);
            if self.height > 0 {
                write!(out, "\x1b[{}A\x1b[J", self.height)?;
            }
            self.height = table.lines().count() + 1;
            writeln!(out, "{now}\n{table}")?;
        } else {
            writeln!(out, "{}  {} tenant-days over", self.day, account.trips())?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        writeln!(anstream::stderr().lock())?;
        Ok(())
    }
}
