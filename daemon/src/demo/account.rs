//! The account of the demo: who spent what, what tripped when, what it would have stopped and saved.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{Table, presets};
use policy::engine::{BreakerView, View};
use policy::money::Money;
use policy::time::Timestamp;

/// A trip, and what was spent after it in its window.
#[derive(Clone, Debug)]
struct Trip {
    at: Timestamp,
    sum: Money,
    limit: Money,
    end_sum: Money,
}

/// Collected while the month goes by.
#[derive(Clone, Debug)]
pub(super) struct Account {
    seed: u64,
    lines: usize,
    /// By breaker and start of its window.
    trips: BTreeMap<(Box<str>, Timestamp), Trip>,
    tenants: BTreeMap<String, Money>,
    calls: u64,
    duplicates: u64,
    unpriced: u64,
}

impl Account {
    pub(super) fn new(seed: u64, lines: usize) -> Self {
        let (trips, tenants) = (BTreeMap::new(), BTreeMap::new());
        Self { seed, lines, trips, tenants, calls: 0, duplicates: 0, unpriced: 0 }
    }

    /// Looks at the breakers after a delivery.
    pub(super) fn see(&mut self, now: Timestamp, breakers: &[BreakerView]) {
        for breaker in breakers {
            let key = (breaker.name.clone(), breaker.start);
            if let Some(trip) = self.trips.get_mut(&key) {
                trip.end_sum = breaker.sum;
            } else if &*breaker.state == "Tripped" && breaker.sum >= breaker.limit {
                let (sum, limit) = (breaker.sum, breaker.limit);
                self.trips.insert(key, Trip { at: now, sum, limit, end_sum: sum });
            }
        }
    }

    /// The totals at the end of the month.
    pub(super) fn close(&mut self, view: &View) {
        for spend in &view.spend {
            let tenant = spend.tenant.as_deref().unwrap_or("unattributed").to_owned();
            let total = self.tenants.entry(tenant).or_default();
            *total = total.saturating_add(spend.amount);
        }
        self.calls = view.counters.accepted;
        self.duplicates = view.counters.duplicates;
        self.unpriced = view.counters.unpriced;
    }

    pub(super) fn trips(&self) -> usize {
        self.trips.len()
    }

    /// The breakers now, for the live table.
    pub(super) fn table(breakers: &[BreakerView]) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["breaker", "spent", "limit", "of limit", "state"]);
        for breaker in breakers {
            table.add_row([
                breaker.name.to_string(),
                breaker.sum.to_string(),
                breaker.limit.to_string(),
                share(breaker),
                breaker.state.to_string(),
            ]);
        }
        table.to_string()
    }

    fn total(&self) -> Money {
        self.tenants.values().fold(Money::ZERO, |sum, money| sum.saturating_add(*money))
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = format!("November 2026, seed {}: who spent what\n", self.seed);
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["tenant", "spent"]);
        for (tenant, money) in &self.tenants {
            table.add_row([tenant.clone(), money.to_string()]);
        }
        table.add_row(["all".to_owned(), self.total().to_string()]);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{table}");
        let _ = writeln!(
            text,
            "{} log lines, {} calls, {} seen before and not counted again, {} without a price\n",
            self.lines, self.calls, self.duplicates, self.unpriced
        );
        let _ =
            writeln!(text, "What tripped, and what stopping it would have saved (the rules only observe)");
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header([
            "breaker",
            "tripped at",
            "spent then",
            "limit",
            "spent after",
            "would have stopped",
        ]);
        for ((name, _), trip) in &self.trips {
            table.add_row([
                name.to_string(),
                trip.at.to_string(),
                trip.sum.to_string(),
                trip.limit.to_string(),
                after(trip).to_string(),
                stopped(name),
            ]);
        }
        let _ = writeln!(text, "{table}");
        text
    }

    /// For scripts: amounts in 10⁻¹² USD.
    pub(super) fn json(&self) -> String {
        let picos = |money: Money| money.picos().to_string();
        let tenants: BTreeMap<&str, _> = self
            .tenants
            .iter()
            .map(|(tenant, money)| (tenant.as_str(), serde_json::json!({"total_pusd": picos(*money)})))
            .collect();
        let trips: Vec<_> = self
            .trips
            .iter()
            .map(|((name, start), trip)| {
                let (budget, tenant) = name.split_once('/').unwrap_or((name, ""));
                let day: String = start.to_string().chars().take(10).collect();
                serde_json::json!({
                    "breaker": name, "budget": budget, "tenant": tenant, "day": day,
                    "at": trip.at.to_string(), "sum_pusd": picos(trip.sum), "limit_pusd": picos(trip.limit),
                    "after_pusd": picos(after(trip)),
                })
            })
            .collect();
        serde_json::json!({
            "seed": self.seed, "lines": self.lines, "calls": self.calls, "duplicates": self.duplicates,
            "unpriced": self.unpriced, "total_pusd": picos(self.total()), "tenants": tenants, "trips": trips,
        })
        .to_string()
    }
}

fn after(trip: &Trip) -> Money {
    trip.end_sum.saturating_sub(trip.sum)
}

fn stopped(breaker: &str) -> String {
    match breaker.split_once('/') {
        Some((_, tenant)) => format!("ScaledObject/{tenant}/agents"),
        None => "nothing: it only tells people".to_owned(),
    }
}

fn share(breaker: &BreakerView) -> String {
    breaker.sum.percent_of(breaker.limit).map_or_else(|| "-".to_owned(), |share| share.to_string())
}
