//! Rows of a bill to charges.
//!
//! A row says what a period came to, not when in it: the charge is put at the last instant of its period, in
//! the window that the period lies in, and never earlier than the money was spent.

use std::collections::BTreeMap;
use std::io::Read;

use csv::StringRecord;
use policy::fact::{Billed, OriginRef, Quantities, UsageBatchBuilder, UsageFlags, UsageRef};
use policy::money::Money;
use policy::rule::ChargeKind;
use policy::subject::Trust;
use policy::time::{Span, Timestamp};

use super::amount::usd;
use super::columns::{Column, Columns};
use crate::bedrock;
use crate::deadletter::Reason;
use crate::recorded::Wrong;

/// Bytes that one row has at most: a quote that is never closed must not take the rest of a file into memory.
const MOST_ROW: usize = 4 << 20;
/// Source that rows of a bill count under.
pub const SOURCE: &str = "bill";
/// Kinds of rows that are usage, as FOCUS and CUR name them.
const USAGE: [&str; 4] = ["Usage", "DiscountedUsage", "SavingsPlanCoveredUsage", ""];
/// Kinds of rows told apart among those that are left out; further ones count together.
const MOST_KINDS: usize = 32;

/// Why a file is no bill.
#[derive(Debug, thiserror::Error)]
pub enum NoBill {
    /// Without that column there is nothing to count.
    #[error(
        "no column `{0}`; a FOCUS export has it, and a Cost and Usage Report has it as `lineItem/…` or `line_item_…`"
    )]
    Column(&'static str),
    /// The file cannot be read any further.
    #[error("cannot be read as a table")]
    Table(#[source] csv::Error),
}

/// Rows that are no usage, by kind: how many, and what they come to.
pub type LeftOut = BTreeMap<Box<str>, (u64, Money)>;

/// A bill that is being read.
#[derive(Debug)]
pub struct Bill<R> {
    name: String,
    table: csv::Reader<Bounded<R>>,
    columns: Columns,
    row: StringRecord,
    left_out: LeftOut,
}

/// Text of which only so much is given.
#[derive(Debug)]
struct Bounded<R> {
    text: R,
    left: usize,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            let why = format!("a row has more than {} MiB: is a quote not closed?", MOST_ROW >> 20);
            return Err(std::io::Error::other(why));
        }
        let most = buffer.len().min(self.left);
        let count = self.text.read(&mut buffer[..most])?;
        self.left -= count;
        Ok(count)
    }
}

impl<R: Read> Bill<R> {
    /// A bill under the name of its file.
    ///
    /// # Errors
    /// When its head cannot be read or lacks a column.
    pub fn new(name: &str, text: R) -> Result<Self, NoBill> {
        let text = Bounded { text, left: MOST_ROW };
        let mut table = csv::ReaderBuilder::new().flexible(true).from_reader(text);
        let columns = Columns::of(table.headers().map_err(NoBill::Table)?).map_err(NoBill::Column)?;
        let (row, left_out) = (StringRecord::new(), LeftOut::new());
        Ok(Self { name: name.to_owned(), table, columns, row, left_out })
    }

    /// The line that is read next.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.table.position().line()
    }

    /// Rows left out so far.
    #[must_use]
    pub const fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// Reads at most so many rows; whether there may be more. A row that cannot be used is told with its line.
    ///
    /// # Errors
    /// When the file itself cannot be read.
    pub fn read(
        &mut self,
        rows: usize,
        out: &mut UsageBatchBuilder,
        wrong: &mut Vec<Wrong>,
    ) -> Result<bool, NoBill> {
        for _ in 0..rows {
            self.table.get_mut().left = MOST_ROW;
            match self.table.read_record(&mut self.row) {
                Ok(false) => return Ok(false),
                Ok(true) => {
                    let line = self.row.position().map_or(0, csv::Position::line);
                    if let Err((reason, detail)) = self.take(line, out) {
                        wrong.push(Wrong { at: line, reason, detail });
                    }
                }
                Err(error) if error.is_io_error() => return Err(NoBill::Table(error)),
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    wrong.push(Wrong { at: line, reason: Reason::NotUtf8, detail: error.to_string() });
                }
            }
        }
        Ok(true)
    }

    fn take(&mut self, line: u64, out: &mut UsageBatchBuilder) -> Result<(), (Reason, String)> {
        let cell = |column| self.columns.cell(&self.row, column);
        let bad = |name: &str, text: &str, help: &str| {
            let shown: String = text.chars().take(40).collect();
            (Reason::BadField, format!("`{}` in `{name}`: {help}", shown.escape_debug()))
        };
        let text = cell(Column::Amount);
        let amount = usd(text).ok_or_else(|| bad("BilledCost", text, "not an amount of money"))?;
        let currency = cell(Column::Currency);
        if !currency.is_empty() && currency != "USD" {
            return Err(bad("BillingCurrency", currency, "only USD is read"));
        }
        let category = cell(Column::Category);
        if !USAGE.contains(&category) {
            leave_out(&mut self.left_out, category, amount);
            return Ok(());
        }
        if amount < Money::ZERO {
            leave_out(&mut self.left_out, "negative usage", amount);
            return Ok(());
        }
        let start = cell(Column::Start);
        let start = instant(start).ok_or_else(|| bad("ChargePeriodStart", start, "not a time"))?;
        let end = match cell(Column::End) {
            "" => start,
            end => instant(end).ok_or_else(|| bad("ChargePeriodEnd", end, "not a time"))?,
        };
        let (provider, kind) = service(cell(Column::Service), cell(Column::Sku), cell(Column::Unit));
        let tags = tags(&self.columns, &self.row);
        let claims: Vec<_> = tags.iter().map(|(n, v)| (n.as_str(), v.as_str(), Trust::Trusted)).collect();
        out.push(&UsageRef {
            key: &format!("{}:{line}", self.name),
            occurred_at: end.minus(Span::from_millis(1)).max(start),
            quantities: Quantities::Billed(Billed { amount, kind }),
            flags: UsageFlags::default(),
            origin: OriginRef {
                provider,
                account: cell(Column::Account),
                region: cell(Column::Region),
                model: model(cell(Column::Sku), cell(Column::Resource)),
                record: Trust::Trusted,
                claims: &claims,
                ..OriginRef::default()
            },
            end: None,
            links: &[],
        });
        Ok(())
    }
}

fn leave_out(all: &mut LeftOut, kind: &str, amount: Money) {
    let kind: String = kind.chars().take(40).collect();
    let known = all.contains_key(kind.as_str()) || all.len() < MOST_KINDS;
    let kind = if known { kind } else { "other".to_owned() };
    let (count, sum) = all.entry(kind.into()).or_default();
    *count += 1;
    *sum = sum.saturating_add(amount);
}

/// RFC 3339, or `2026-11-20 10:00:00.000` as CUR 2.0 writes it in some engines, which is UTC.
fn instant(text: &str) -> Option<Timestamp> {
    crate::instant::parse(text).ok().or_else(|| {
        let (day, time) = text.split_once([' ', 'T'])?;
        Timestamp::parse_rfc3339(&format!("{day}T{time}Z")).ok()
    })
}

/// Provider and kind of charge of a service. Time of instances is what is counted in hours of boxes.
fn service(name: &str, sku: &str, unit: &str) -> (&'static str, ChargeKind) {
    let has = |text: &str, part: &str| text.to_ascii_lowercase().contains(part);
    if has(name, "bedrock") {
        return (bedrock::PROVIDER, ChargeKind::Tokens);
    }
    if has(name, "elastic compute cloud") || has(name, "amazonec2") {
        let boxes = ["boxusage", "spotusage", "instanceusage"].iter().any(|part| has(sku, part));
        let kind =
            if boxes || has(unit, "hrs") || has(unit, "hour") { ChargeKind::Gpu } else { ChargeKind::Other };
        return ("aws.ec2", kind);
    }
    ("aws", ChargeKind::Other)
}

/// What was bought: the SKU up to a `/`, else the resource.
fn model<'a>(sku: &'a str, resource: &'a str) -> &'a str {
    match sku.split('/').next() {
        Some(head) if !head.is_empty() => head,
        _ => resource,
    }
}

/// Tags, under the names that people gave them, sorted; those of AWS itself are left out.
fn tags(columns: &Columns, row: &StringRecord) -> Vec<(String, String)> {
    let of_columns =
        columns.tags.iter().filter_map(|(at, name)| Some((name.to_string(), row.get(*at)?.to_owned())));
    let json = columns.cell(row, Column::Tags);
    let of_json: BTreeMap<String, serde_json::Value> = serde_json::from_str(json).unwrap_or_default();
    let of_json = of_json.into_iter().filter_map(|(name, value)| {
        let name = name.strip_prefix("user:").or_else(|| name.strip_prefix("user_")).unwrap_or(&name);
        Some((name.to_owned(), value.as_str()?.to_owned()))
    });
    let all =
        of_columns.chain(of_json).filter(|(name, value)| !name.starts_with("aws:") && !value.is_empty());
    all.collect::<BTreeMap<_, _>>().into_iter().collect()
}
