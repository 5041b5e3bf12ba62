//! Starting, in the order that the module's head gives.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use collector::envelope::Intake;
use policy::decision::{Notice, Order};
use policy::engine::Engine;
use policy::fact::{Fact, Trouble};
use policy::page::PageTopic;
use policy::rule::Mode;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::messages::Post;
use super::posture::{Circumstances, Leading, posture_of};
use super::reload::{Reload, refused};
use super::{App, Ended, Ingest, Running, StartError};
use crate::config::Config;
use crate::edge::{Actuator, Source, SourceContext};
use crate::http::{self, Api};
use crate::journal::disk::Reserve;
use crate::journal::{Journal, JournalError};
use crate::keeper::Keeper;
use crate::marker::FreezeMarker;
use crate::observe::Observed;
use crate::replay::{Replayed, replay};
use crate::rules::{Compiled, Watcher};
use crate::server_clock;
use crate::turn::{Handle, Parts, Telling, Turn, TurnError};

/// Envelopes that wait for the turn. Each may hold thousands of rows; more would only be a longer wait.
const INTAKE: usize = 64;

/// Mark in the journal: it was made while objects were already held.
const LOST: &str = "lost";

/// Mark in the journal: a start has compared it with what is marked in the cluster.
const COMPARED: &str = "compared";

/// What was open when the last process ended.
struct Open {
    orders: Vec<Order>,
    notices: Vec<Notice>,
}

impl App {
    /// Starts everything.
    ///
    /// # Errors
    /// When the journal, the rules or a listener do not allow it. Nothing is then acted on.
    #[expect(
        clippy::too_many_lines,
        reason = "the order of a start is one list, and splitting it would hide it"
    )]
    pub async fn start(self) -> Result<Running, StartError> {
        let App { config, mut deps } = self;
        let observed = Arc::new(Observed::default());
        let mut replayed = open(&config).await?;
        observed.snapshot_seq.store(replayed.snapshot, Ordering::Relaxed);
        let mut watcher = Watcher::new(&config.rules_dir, deps.compile);
        let rules = first_rules(&mut watcher, &replayed, &observed)?;
        let listener = listen(&config).await?;
        let socket = http::socket::bind(&config.socket)
            .map_err(|error| StartError::Listen(config.socket.display().to_string(), error))?;
        let lost =
            lost_journal(&config, deps.actuator.as_ref(), &mut replayed, deps.accept_lost_journal).await?;
        let circumstances = Circumstances {
            configured: config.ceiling,
            lost,
            diverged: replayed.diverged,
            leading: deps.leading.as_ref().map(|leading| leading.borrow().clone()),
        };
        let open = Open {
            orders: replayed.journal.unresolved_orders().map_err(journal)?,
            notices: replayed.journal.undelivered_notices().map_err(journal)?,
        };
        let deliveries = replayed.journal.deliveries().map_err(journal)?;
        if let Some(actuator) = &deps.actuator {
            let from = deps.clock.read().wall.minus(replayed.engine.rules().guardrail.per);
            actuator.seed(replayed.journal.stops_since(from).map_err(journal)?);
        }
        let positions: Vec<_> =
            deps.sources.iter().map(|source| replayed.engine.positions_of(&source.name())).collect();
        let id_key = replayed.journal.settings().id_key;
        let settings_now = config.settings(id_key);
        let other_settings = (*replayed.engine.settings() != settings_now).then_some(settings_now);
        let keeper = Keeper::new(&replayed.journal, replayed.snapshot, deps.every, observed.clone())
            .map_err(journal)?;
        let reader = replayed.journal.reader().map_err(journal)?;
        let journal_id = replayed.journal.id().to_owned();

        deps.letters.put_missing(&replayed.letters);

        let (intake, usage) = Intake::new(INTAKE);
        let (order, orders) = mpsc::channel(1024);
        let (notice, notices) = mpsc::channel(1024);
        let (turn, handle, pressure) = Turn::new(Parts {
            engine: replayed.engine,
            journal: replayed.journal,
            clock: deps.clock.clone(),
            intake: usage,
            orders: order,
            notices: notice.clone(),
            letters: deps.letters,
            levers: deps.levers,
            observed: observed.clone(),
            tick: config.poll.tick,
            reserve: Reserve { bytes: config.limits.disk_reserve },
            keep: config.limits.keep,
        });
        let turn = run_turn(turn)?;
        deps.messenger.begin(&deliveries, &handle);
        handle.fact(Fact::Started(posture_of(&circumstances))).await?;
        if let Some(settings) = other_settings {
            tracing::info!(
                "the configuration has other limits or another install id than before; they hold from now on"
            );
            handle.fact(Fact::Settings(Box::new(settings))).await?;
        }
        bring_rules(&handle, rules).await?;
        // After the rules: a new journal knows no route before, and a page must not go nowhere.
        if let Some(why) = &circumstances.lost {
            let detail = format!("the daemon may only observe: {why}");
            handle.fact(Fact::Trouble(Trouble { topic: PageTopic::Posture, detail })).await?;
        }
        let marker = FreezeMarker::new(&config, deps.actuator.clone());
        marker.take_file(&handle).await?;
        marker.take_cluster(&handle).await?;

        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let post = Post {
            messenger: deps.messenger,
            handle: handle.clone(),
            clock: deps.clock.clone(),
            observed: observed.clone(),
            stop: stop.clone(),
        };
        tasks.spawn(post.run(notices));
        let (may, may_act) = watch::channel(deps.leading.is_none());
        tasks.spawn(again(open, notice, deps.actuator.clone(), handle.clone(), orders, may_act));
        for (source, positions) in deps.sources.into_iter().zip(positions) {
            let context = SourceContext {
                intake: intake.clone(),
                handle: handle.clone(),
                id_key,
                positions,
                stop: stop.child_token(),
            };
            tasks.spawn(run_source(source, context, handle.clone()));
        }
        let reload = Reload {
            watcher,
            handle: handle.clone(),
            observed: observed.clone(),
            every: config.poll.rules,
            stop: stop.clone(),
        };
        tasks.spawn(reload.run());
        tasks.spawn(marker.clone().follow(handle.clone(), stop.clone()));
        if let Some(actuator) = deps.actuator.clone() {
            tasks.spawn(server_clock::follow(actuator, deps.clock.clone(), handle.clone(), stop.clone()));
        }
        let (end, ended) = watch::channel(None);
        if let Some(leading) = deps.leading {
            tasks.spawn(follow_lease(leading, circumstances, handle.clone(), end, may, stop.clone()));
        }
        let addr = listener.local_addr().map_err(|e| StartError::Listen(config.listen.to_string(), e))?;
        let ingest = deps.ingest.map(|routes| routes(Ingest { intake: intake.clone(), id_key, pressure }));
        let api = Api::new(&config, handle.clone(), reader, observed, deps.counted, journal_id, marker)
            .planning(&config, deps.compile);
        http::serve(api, ingest, listener, socket, &stop, &mut tasks);
        let keeper =
            keeper.start(handle.clone(), tokio::runtime::Handle::current()).map_err(StartError::Thread)?;
        Ok(Running {
            addr,
            socket: config.socket,
            handle,
            id_key,
            intake,
            stop,
            tasks,
            ended,
            turn: Some(turn),
            actuator: deps.actuator,
            keeper: Some(keeper),
        })
    }
}

fn journal(error: JournalError) -> StartError {
    StartError::Replay(error.into())
}

async fn open(config: &Config) -> Result<Replayed, StartError> {
    let config = config.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let opened = Journal::open(&config.data_dir, |key| config.settings(key))?;
        replay(opened)
    });
    match opened.await {
        Ok(replayed) => {
            let replayed = replayed?;
            tracing::info!(
                turns = replayed.turns,
                snapshot = replayed.snapshot,
                new = replayed.is_new,
                "the journal is open"
            );
            Ok(replayed)
        }
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// The rules at start: the folder's, or with a loud word those that were in force before.
fn first_rules(
    watcher: &mut Watcher,
    replayed: &Replayed,
    observed: &Observed,
) -> Result<Result<Compiled, String>, StartError> {
    match watcher.first() {
        Ok(compiled) => {
            observed.rules(true);
            Ok(Ok(compiled))
        }
        Err(report) if replayed.engine.rules().id.is_empty() => Err(StartError::Rules(report)),
        Err(report) => {
            observed.rules(false);
            tracing::error!(
                "the rules folder holds no valid set; the rules from before stay in force\n{report}"
            );
            Ok(Err(report))
        }
    }
}

async fn bring_rules(handle: &Handle, rules: Result<Compiled, String>) -> Result<(), StartError> {
    let fact = match rules {
        Ok(compiled) => {
            if !compiled.warnings.is_empty() {
                tracing::warn!("the rules have warnings\n{}", compiled.warnings);
            }
            Fact::Rules(Box::new(compiled.rules))
        }
        Err(report) => Fact::Trouble(refused(&report)),
    };
    handle.fact(fact).await?;
    Ok(())
}

async fn listen(config: &Config) -> Result<TcpListener, StartError> {
    TcpListener::bind(config.listen)
        .await
        .map_err(|error| StartError::Listen(config.listen.to_string(), error))
}

/// A new journal beside marked objects was lost, not begun: it knows nothing of what is held (A30). The mark
/// stays in the journal until a person has looked. New is a journal that no start compared with the cluster: the
/// start that made it may have failed, or had nothing to compare it for.
async fn lost_journal(
    config: &Config,
    actuator: Option<&Arc<dyn Actuator>>,
    replayed: &mut Replayed,
    accepted: bool,
) -> Result<Option<String>, StartError> {
    let said = |replayed: &Replayed, mark| -> Result<Option<String>, StartError> {
        Ok(replayed.journal.mark(mark).map_err(journal)?.filter(|text| !text.is_empty()))
    };
    if accepted {
        replayed.journal.set_mark(LOST, "").map_err(journal)?;
        replayed.journal.set_mark(COMPARED, "yes").map_err(journal)?;
        return Ok(None);
    }
    if let Some(actuator) = actuator
        && said(replayed, COMPARED)?.is_none()
        && config.ceiling >= Mode::Approve
    {
        if let Some(how) = unknown_marks(actuator.as_ref(), &replayed.engine).await {
            let is =
                if replayed.journal.seq() == 0 { "is new" } else { "was never compared with the cluster" };
            let why = format!(
                "the journal {is} and {how}: holds are kept and watched, nothing new is stopped; look at them \
                 with `breakerbox status`, then restart with `--accept-lost-journal`"
            );
            replayed.journal.set_mark(LOST, &why).map_err(journal)?;
        }
        replayed.journal.set_mark(COMPARED, "yes").map_err(journal)?;
    }
    said(replayed, LOST)
}

/// What carries our marks although the engine does not know why, in words; nothing where there is no such object.
async fn unknown_marks(actuator: &dyn Actuator, engine: &Engine) -> Option<String> {
    let known = |name: &str| {
        let hold = name.parse().ok().and_then(|key| engine.hold_view(&key));
        hold.is_some_and(|hold| !hold.orphan)
    };
    match actuator.marked().await {
        Ok(mut marked) => {
            marked.retain(|name| !known(name));
            let carry = || format!("{} object(s) carry our marks ({})", marked.len(), first_few(&marked));
            (!marked.is_empty()).then(carry)
        }
        Err(error) => Some(format!("nobody can tell whether objects carry our marks ({error})")),
    }
}

fn first_few(names: &[String]) -> String {
    let shown = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 5 { format!("{shown}, …") } else { shown }
}

/// The turn on a thread and a small runtime of its own: its commits block.
fn run_turn(turn: Turn) -> Result<oneshot::Receiver<Result<(), TurnError>>, StartError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(StartError::Thread)?;
    let (tell, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("turn".to_owned())
        .spawn(move || {
            // Nobody listens any more only when the process is ending.
            let _ = tell.send(runtime.block_on(turn.run()));
        })
        .map_err(StartError::Thread)?;
    Ok(ended)
}

/// What was open before a restart, first; then every order as it comes.
async fn again(
    open: Open,
    notices: mpsc::Sender<Telling>,
    actuator: Option<Arc<dyn Actuator>>,
    handle: Handle,
    mut orders: mpsc::Receiver<Order>,
    mut may_act: watch::Receiver<bool>,
) {
    if !open.orders.is_empty() || !open.notices.is_empty() {
        tracing::info!(
            orders = open.orders.len(),
            notices = open.notices.len(),
            "taken up again after a restart"
        );
    }
    for notice in open.notices {
        if notices.send(Telling { notice, repeat: true }).await.is_err() {
            return;
        }
    }
    // The turn keeps its own sender; this one would hold the queue open after it.
    drop(notices);
    let Some(actuator) = actuator else {
        // Without a cluster nothing is ever ordered; should it be, it stays unresolved, and is seen.
        while let Some(order) = orders.recv().await {
            tracing::error!(order = %order.id, target = %order.target, "no cluster is configured to carry this out");
        }
        return;
    };
    // Without the Lease the guard would refuse them, and a refusal resolves an order: the stop would then wait
    // for the engine to give another. No new order comes meanwhile, since the posture is to observe.
    if !open.orders.is_empty() && may_act.wait_for(|may| *may).await.is_err() {
        return;
    }
    for order in open.orders {
        actuator.dispatch(order, &handle).await;
    }
    while let Some(order) = orders.recv().await {
        actuator.dispatch(order, &handle).await;
    }
}

async fn run_source(source: Box<dyn Source>, context: SourceContext, handle: Handle) {
    use policy::fact::{SourceHealth, SourceState};
    let name = source.name();
    if let Err(why) = source.run(context).await {
        tracing::error!(source = name, error = %why, "the source ended");
        let state = SourceState::Broken(why);
        // The turn may be ending too.
        let _ = handle.fact(Fact::Health(SourceHealth { source: name.into(), state })).await;
    }
}

/// A Lease that is won raises the posture; one that is lost ends the process.
async fn follow_lease(
    mut leading: watch::Receiver<Leading>,
    mut circumstances: Circumstances,
    handle: Handle,
    end: watch::Sender<Option<Arc<Ended>>>,
    may_act: watch::Sender<bool>,
    stop: CancellationToken,
) {
    loop {
        let now = leading.borrow_and_update().clone();
        if let Leading::Lost(why) = now {
            tracing::error!("the Lease was lost: {why}");
            end.send_replace(Some(Arc::new(Ended::LeaseLost(why))));
            return;
        }
        let leads = now == Leading::Yes;
        if circumstances.leading.as_ref() != Some(&now) {
            circumstances.leading = Some(now);
            if handle.fact(Fact::Posture(posture_of(&circumstances))).await.is_err() {
                return;
            }
        }
        // After the posture: the guard reads the ceiling that comes with it.
        may_act.send_replace(leads);
        tokio::select! {
            () = stop.cancelled() => return,
            changed = leading.changed() => if changed.is_err() {
                // Who kept the Lease is gone; so is our certainty that we hold it.
                end.send_replace(Some(Arc::new(Ended::LeaseLost("nobody renews it any more".to_owned()))));
                return;
            }
        }
    }
}
