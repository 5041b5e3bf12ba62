//! `/metrics`: what the engine shows and what was observed on the way, made into text when it is asked for.
//!
//! Nothing is kept up to date for it, so it costs nothing on the path of a fact. Series are bounded: of
//! breakers and of spend by tenant and model the largest are shown, the rest of the spend is added up under
//! `(other)`, and how many were left out is a figure of its own. Amounts are floats here and nowhere else,
//! because Prometheus knows nothing better.

mod edges;
mod shadow;
mod spot;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use policy::engine::{BreakerView, View, Wanted};
use policy::money::{Money, Unit};
use policy::rule::Mode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::Api;
use super::shape::refuse;
use crate::observe::{Counted, Observed};
use crate::turn::{Gone, Surveyed};

const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Name and value of each label.
type Labels<'a> = Vec<(&'static str, &'a str)>;

const STATES: [&str; 4] = ["Clear", "Warned", "Arming", "Tripped"];

pub(super) async fn metrics(State(api): State<Api>) -> Response {
    let asked = async {
        let surveyed = api.handle.survey(Wanted::default(), api.max_series).await?;
        Ok((api.view().await?, surveyed))
    };
    let (view, surveyed) = match asked.await {
        Ok(found) => found,
        Err(Gone) => return refuse(StatusCode::SERVICE_UNAVAILABLE, &Gone.to_string()),
    };
    match render(view, surveyed, &api.observed, &api.counted, api.max_series) {
        Ok(text) => ([(header::CONTENT_TYPE, TYPE)], text).into_response(),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written"),
    }
}

/// All metrics as OpenMetrics text.
///
/// # Errors
/// When the text cannot be made.
pub fn render(
    view: View,
    surveyed: Surveyed,
    observed: &Arc<Observed>,
    counted: &Counted,
    max_series: usize,
) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("breakerbox");
    let seconds = |registry: &mut Registry,
                   name: &str,
                   help: &str,
                   of: &prometheus_client::metrics::histogram::Histogram| {
        registry.register(name, help, of.clone());
    };
    seconds(
        &mut registry,
        "decision_seconds",
        "From taking a batch to its acks, where it decided something",
        &observed.decision_seconds,
    );
    seconds(&mut registry, "commit_seconds", "Of a commit", &observed.commit_seconds);
    seconds(
        &mut registry,
        "verify_seconds",
        "From the accepted write to its proof",
        &observed.verify_seconds,
    );
    registry.register_collector(Box::new(Shown {
        view,
        surveyed,
        observed: observed.clone(),
        counted: counted.clone(),
        max_series,
    }));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Shown {
    view: View,
    surveyed: Surveyed,
    observed: Arc<Observed>,
    counted: Counted,
    max_series: usize,
}

/// Metrics of what a budget counts: spent, limit, burn, overshoot bound.
const UNIT_METRICS: [(Unit, &str, &str, &str, &str); 3] = [
    (
        Unit::Usd,
        "budget_spent_usd",
        "budget_limit_usd",
        "budget_burn_usd_per_hour",
        "budget_overshoot_bound_usd",
    ),
    (
        Unit::Tokens,
        "budget_spent_tokens",
        "budget_limit_tokens",
        "budget_burn_tokens_per_hour",
        "budget_overshoot_bound_tokens",
    ),
    (
        Unit::GpuHours,
        "budget_spent_gpu_hours",
        "budget_limit_gpu_hours",
        "budget_burn_gpu_hours_per_hour",
        "budget_overshoot_bound_gpu_hours",
    ),
];

/// 10⁻¹² of a unit as Prometheus wants it.
#[expect(clippy::cast_precision_loss, reason = "for charts; the exact sums are in the API")]
fn usd(amount: Money) -> f64 {
    amount.picos() as f64 / 1e12
}

#[expect(clippy::cast_precision_loss, reason = "seconds of an instant, for charts")]
fn seconds(at: policy::time::Timestamp) -> f64 {
    at.millis() as f64 / 1000.0
}

/// Writes families, each with its help once.
struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    fn gauges<'l>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> std::fmt::Result {
        let gauge = ConstGauge::new(0.0);
        let mut family = self.0.encode_descriptor(name, help, None, gauge.metric_type())?;
        for (labels, value) in rows {
            ConstGauge::new(value).encode(family.encode_family(&LabelPairs(labels))?)?;
        }
        Ok(())
    }

    fn counters<'l, N: prometheus_client::encoding::EncodeCounterValue + Copy>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Labels<'l>, N)>,
    ) -> std::fmt::Result
    where
        ConstCounter<N>: EncodeMetric,
    {
        let kind = ConstCounter::new(0_u64).metric_type();
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in rows {
            ConstCounter::new(value).encode(family.encode_family(&LabelPairs(labels))?)?;
        }
        Ok(())
    }
}

struct LabelPairs<'a>(Labels<'a>);

impl EncodeLabelSet for LabelPairs<'_> {
    fn encode(&self, encoder: &mut prometheus_client::encoding::LabelSetEncoder<'_>) -> std::fmt::Result {
        self.0.as_slice().encode(encoder)
    }
}

impl Collector for Shown {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut out = Writer(encoder);
        self.spend(&mut out)?;
        shadow::shadow(self.view.shadow.as_ref(), self.max_series, &mut out)?;
        shadow::asides(&self.view.asides, &mut out)?;
        self.breakers(&mut out)?;
        self.holds_and_sources(&mut out)?;
        self.usage(&mut out)?;
        edges::edges(&self.counted, &mut out)?;
        spot::spot(&self.view.spot, &mut out)?;
        self.posture(&mut out)?;
        self.process(&mut out)
    }
}

impl Shown {
    fn spend(&self, out: &mut Writer<'_>) -> std::fmt::Result {
        let mut spend: Vec<_> = self.view.spend.iter().collect();
        spend.sort_by(|a, b| {
            b.amount.cmp(&a.amount).then_with(|| (&a.tenant, &a.model).cmp(&(&b.tenant, &b.model)))
        });
        let (shown, rest) = spend.split_at(spend.len().min(self.max_series));
        let mut rows: Vec<(Labels<'_>, f64)> = shown
            .iter()
            .map(|s| {
                (
                    vec![("tenant", s.tenant.as_deref().unwrap_or("unattributed")), ("model", &*s.model)],
                    usd(s.amount),
                )
            })
            .collect();
        if !rest.is_empty() {
            let sum = rest.iter().fold(Money::ZERO, |sum, s| sum.saturating_add(s.amount));
            rows.push((vec![("tenant", "(other)"), ("model", "(other)")], usd(sum)));
        }
        out.counters("spend_usd", "Charges by tenant and model since the journal began", rows)?;
        let unattributed = spend
            .iter()
            .filter(|s| s.tenant.is_none())
            .fold(Money::ZERO, |sum, s| sum.saturating_add(s.amount));
        out.counters("unattributed_usd", "Charges without a trusted tenant", [(vec![], usd(unattributed))])?;
        let unpriced = spend.iter().filter(|s| s.unpriced > 0).take(self.max_series);
        let rows = unpriced.map(|s| {
            (
                vec![("model", &*s.model), ("tenant", s.tenant.as_deref().unwrap_or("unattributed"))],
                s.unpriced,
            )
        });
        out.counters("unpriced_usages", "Usage without a price by tenant and model", rows)
    }

    fn breakers<'s>(&'s self, out: &mut Writer<'_>) -> std::fmt::Result {
        let shown = &self.surveyed.breakers;
        for (unit, spent, limit, burn, overshoot) in UNIT_METRICS {
            let of_unit = || shown.iter().filter(|b| b.unit == unit);
            if unit != Unit::Usd && of_unit().next().is_none() {
                continue;
            }
            let labels = |b: &&'s BreakerView| vec![("budget", &*b.budget), ("breaker", &*b.name)];
            let rows = of_unit().map(|b| (labels(&b), usd(b.sum)));
            out.gauges(spent, "Sum in the window, by breaker", rows)?;
            let rows = of_unit().map(|b| (labels(&b), usd(b.limit)));
            out.gauges(limit, "Limit in the window, by breaker", rows)?;
            let burns = of_unit().filter_map(|b| b.burn.map(|burn| (b, burn)));
            out.gauges(
                burn,
                "Charged per hour, by breaker: recently, or where that is not measured on average in its window",
                burns.map(|(b, burn)| {
                    let mut labels = labels(&b);
                    labels.push(("basis", burn.basis.word()));
                    (labels, usd(burn.per_hour))
                }),
            )?;
            let bounds = of_unit().filter_map(|b| b.overshoot.map(|bound| (labels(&b), usd(bound))));
            out.gauges(
                overshoot,
                "What may still be spent until a stop is proven, by breaker: its rate for as long as that takes, and \
                 what is under way",
                bounds,
            )?;
        }
        let level =
            |state: &str| STATES.iter().position(|s| *s == state).map_or(0.0, |at| [0.0, 1.0, 2.0, 3.0][at]);
        out.gauges(
            "breaker_state",
            "0 Clear, 1 Warned, 2 Arming, 3 Tripped",
            shown.iter().map(|b| (vec![("budget", &*b.budget), ("breaker", &*b.name)], level(&b.state))),
        )?;
        let counts = STATES.map(|state| {
            let n = self.surveyed.count(|is| is == state);
            (vec![("state", state)], f64::from(u32::try_from(n).unwrap_or(u32::MAX)))
        });
        out.gauges("breakers", "Breakers by state", counts)?;
        let left_out = self.surveyed.count(|_| true).saturating_sub(shown.len())
            + self.view.spend.len().saturating_sub(self.max_series);
        out.gauges(
            "series_left_out",
            "Breakers and spend accounts beyond the series limit",
            [(vec![], f64::from(u32::try_from(left_out).unwrap_or(u32::MAX)))],
        )
    }

    fn holds_and_sources(&self, out: &mut Writer<'_>) -> std::fmt::Result {
        let holds = self.view.holds.iter().take(self.max_series);
        out.gauges(
            "hold",
            "1 for each hold, by target and state",
            holds.map(|h| (vec![("target", h.target.as_str()), ("state", h.state.word())], 1.0)),
        )?;
        let sources = &self.view.sources;
        let heard = sources
            .iter()
            .filter_map(|(name, s)| s.heard_at.map(|at| (vec![("source", &**name)], seconds(at))));
        out.gauges("source_heard_timestamp_seconds", "When a source was last heard", heard)?;
        let usage = sources
            .iter()
            .filter_map(|(name, s)| s.usage_at.map(|at| (vec![("source", &**name)], seconds(at))));
        out.gauges("source_usage_timestamp_seconds", "When a source last brought usage", usage)?;
        let flag = |on: bool| if on { 1.0 } else { 0.0 };
        out.gauges(
            "source_stale",
            "1 for a source that is broken or stale",
            sources
                .iter()
                .map(|(name, s)| (vec![("source", &**name)], flag(s.broken.is_some() || s.stale.is_some()))),
        )?;
        out.counters(
            "subjects_over_cap",
            "How often a new subject beyond the cap of a source was counted as nobody, once a batch",
            sources.iter().map(|(name, s)| (vec![("source", &**name)], s.over_cap)),
        )
    }

    fn usage(&self, out: &mut Writer<'_>) -> std::fmt::Result {
        let counters = &self.view.counters;
        let rows = [
            ("accepted", counters.accepted),
            ("duplicate", counters.duplicates),
            ("conflict", counters.conflicts),
        ];
        out.counters(
            "usages",
            "Usage by what became of it",
            rows.map(|(outcome, n)| (vec![("outcome", outcome)], n)),
        )?;
        out.counters(
            "refused_usages",
            "Usage refused, by reason",
            counters.refused.iter().map(|(reason, n)| (vec![("reason", reason.word())], *n)),
        )?;
        out.counters(
            "refused_usd",
            "What refused usage would have cost",
            [(vec![], usd(counters.refused_amount))],
        )?;
        out.counters("unpriced", "Usage without a price", [(vec![], counters.unpriced)])?;
        let unjudged = "Charges of which the `when` of some budget could not tell whether it counts them";
        out.counters("unjudged_charges", unjudged, [(vec![], counters.unjudged)])?;
        let number = |n: usize| [(vec![], f64::from(u32::try_from(n).unwrap_or(u32::MAX)))];
        out.gauges("remembered_ids", "Ids remembered for dedupe", number(self.view.remembered))?;
        out.gauges(
            "known_log_files",
            "Log files of which it is remembered how far they were read",
            number(self.view.files),
        )
    }

    fn posture(&self, out: &mut Writer<'_>) -> std::fmt::Result {
        let flag = |on: bool| [(vec![], if on { 1.0 } else { 0.0 })];
        let level = match self.view.ceiling {
            Mode::Observe => 0.0,
            Mode::Alert => 1.0,
            Mode::Approve => 2.0,
            Mode::Enforce => 3.0,
        };
        out.gauges(
            "ceiling",
            "What the daemon may do: 0 observe, 1 alert, 2 approve, 3 enforce",
            [(vec![], level)],
        )?;
        out.gauges(
            "held_back",
            "1 while the daemon may do less than it is configured to",
            flag(self.view.because.is_some()),
        )?;
        out.gauges("frozen", "1 during a freeze", flag(self.view.freeze.is_some()))?;
        out.gauges("clock_doubted", "1 while the clocks disagree", flag(self.view.clock_doubt.is_some()))?;
        out.gauges(
            "disk_low",
            "1 while intake waits because the disk is nearly full",
            flag(self.observed.disk_low.load(Ordering::Relaxed)),
        )?;
        out.gauges(
            "rules_current",
            "1 while the rules folder holds what is in force",
            flag(self.observed.rules_current.load(Ordering::Relaxed)),
        )?;
        let labels = vec![
            ("rules", &*self.view.rules),
            ("prices", &*self.view.prices),
            ("version", env!("CARGO_PKG_VERSION")),
        ];
        out.gauges("info", "Ids of what is in force", [(labels, 1.0)])
    }

    fn process(&self, out: &mut Writer<'_>) -> std::fmt::Result {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let observed = &self.observed;
        for (name, help, counter) in [
            ("turns", "Turns committed by this process", &observed.turns),
            ("usage_rows", "Rows of usage in them", &observed.rows),
            ("decisions", "Decisions in them", &observed.decisions),
            ("orders", "Orders in them", &observed.orders),
            ("notices_failed", "Messages that could not be delivered or queued", &observed.notices_failed),
            ("rules_taken", "Rule sets taken", &observed.rules_taken),
            ("rules_refused", "Rule sets refused", &observed.rules_refused),
        ] {
            out.counters(name, help, [(vec![], load(counter))])?;
        }
        #[expect(clippy::cast_precision_loss, reason = "for charts")]
        let gauge = |counter: &AtomicU64| [(vec![], load(counter) as f64)];
        out.gauges("orders_waiting", "Orders that wait for room", gauge(&observed.orders_waiting))?;
        let number = |n: usize| [(vec![], f64::from(u32::try_from(n).unwrap_or(u32::MAX)))];
        out.gauges(
            "messages_held",
            "Messages that wait for their group or the end of quiet hours",
            number(self.view.messages_held),
        )?;
        out.gauges(
            "unanswered",
            "Critical messages that nobody has acknowledged",
            number(self.view.alarms.len()),
        )?;
        out.gauges("notices_waiting", "Notices that wait for room", gauge(&observed.notices_waiting))?;
        out.gauges("snapshot_turn", "Turn of the newest snapshot", gauge(&observed.snapshot_seq))?;
        out.gauges(
            "diverged_turn",
            "First turn whose replay differed; 0 for none",
            gauge(&observed.diverged_at),
        )
    }
}
