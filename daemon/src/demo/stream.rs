//! A month in the life of four tenants, as Bedrock writes it to its invocation log.
//!
//! Everything follows from the seed: the same seed gives the same bytes. Three tenants behave (office
//! hours, nights, a weekly batch); on one afternoon an agent of the fourth falls into a loop that carries
//! its whole context along with each call. The log also holds what real logs hold: calls that failed,
//! records delivered twice, and some that come a few minutes late.

use policy::time::{Span, Timestamp};

/// First instant of the month.
pub const START: Timestamp = Timestamp::from_millis(1_793_491_200_000); // 2026-11-01T00:00:00Z
/// First instant after it.
pub const END: Timestamp = Timestamp::from_millis(1_796_083_200_000); // 2026-12-01T00:00:00Z
/// Account that all calls are made from.
pub const ACCOUNT: &str = "111122223333";
/// Region that all calls are made in.
pub const REGION: &str = "us-east-1";

/// One line of the log, and when it is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it reaches the daemon.
    pub delivered_at: Timestamp,
    /// The record, one JSON object without a line break.
    pub json: String,
}

/// SplitMix64: small, and good enough to make up a month. Not for secrets.
#[derive(Clone, Debug)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Between the two, both included.
    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }
}

/// How one tenant calls models.
#[derive(Clone, Copy, Debug)]
struct Habit {
    role: &'static str,
    operation: &'static str,
    model: &'static str,
    /// Calls an hour, in office hours and outside.
    busy: u64,
    quiet: u64,
    input: (u64, u64),
    cache_read: (u64, u64),
    cache_write: (u64, u64),
    output: (u64, u64),
}

const HABITS: [Habit; 4] = [
    Habit {
        role: "checkout-assistant",
        operation: "Converse",
        model: "us.anthropic.claude-sonnet-4-6",
        busy: 60,
        quiet: 8,
        input: (400, 2_400),
        cache_read: (4_000, 9_000),
        cache_write: (0, 600),
        output: (150, 700),
    },
    Habit {
        role: "support-triage",
        operation: "InvokeModel",
        model: "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/s1u2p3p4o5r6",
        busy: 90,
        quiet: 30,
        input: (800, 3_000),
        cache_read: (0, 0),
        cache_write: (0, 0),
        output: (80, 400),
    },
    Habit {
        role: "search-indexer",
        operation: "InvokeModel",
        model: "amazon.titan-embed-text-v2:0",
        busy: 40,
        quiet: 120,
        input: (200, 8_000),
        cache_read: (0, 0),
        cache_write: (0, 0),
        output: (0, 0),
    },
    Habit {
        role: "atlas-research-agent",
        operation: "ConverseStream",
        model: "us.anthropic.claude-sonnet-4-6",
        busy: 25,
        quiet: 4,
        input: (1_000, 6_000),
        cache_read: (6_000, 20_000),
        cache_write: (500, 3_000),
        output: (400, 1_800),
    },
];

/// The tenant that runs away is the last one.
const RUNAWAY: usize = HABITS.len() - 1;

/// The whole month, in the order of delivery.
#[must_use]
pub fn month(seed: u64) -> Vec<Line> {
    let mut dice = Dice(seed);
    let runaway = runaway(&mut dice);
    let mut lines = Vec::new();
    let mut hour = START;
    while hour < END {
        for (tenant, habit) in HABITS.iter().enumerate() {
            let mean = if is_office_hour(hour) { habit.busy } else { habit.quiet };
            for _ in 0..dice.between(mean / 2, mean + mean / 2) {
                let at = hour.plus(Span::from_secs(i64::try_from(dice.between(0, 3599)).unwrap_or(0)));
                deliver(&mut lines, &mut dice, at, habit, None);
            }
            if tenant == RUNAWAY {
                run_away(&mut lines, &mut dice, hour, runaway);
            }
        }
        hour = hour.plus(Span::from_hours(1));
    }
    // Equal instants keep the order in which they were made, so the bytes follow from the seed alone.
    lines.sort_by_key(|line| line.delivered_at);
    lines
}

/// When the loop begins: an afternoon in the middle of the month; it ends when somebody finds it, at six
/// the next morning.
fn runaway(dice: &mut Dice) -> (Timestamp, Timestamp) {
    let day = i64::try_from(dice.between(9, 19)).unwrap_or(9);
    let minute = i64::try_from(dice.between(13 * 60, 16 * 60)).unwrap_or(0);
    let midnight = START.plus(Span::from_hours(24 * day));
    (midnight.plus(Span::from_mins(minute)), midnight.plus(Span::from_hours(30)))
}

/// The loop: a call each few seconds, each with a longer context than the one before, until it is cut.
fn run_away(lines: &mut Vec<Line>, dice: &mut Dice, hour: Timestamp, (from, until): (Timestamp, Timestamp)) {
    let mut at = hour;
    while at < hour.plus(Span::from_hours(1)) {
        at = at.plus(Span::from_secs(i64::try_from(dice.between(4, 9)).unwrap_or(4)));
        if from <= at && at < until {
            let turns = u64::try_from(at.since(from).millis() / 6_000).unwrap_or(0) % 120;
            deliver(lines, dice, at, &HABITS[RUNAWAY], Some(2_000 + turns * 1_200));
        }
    }
}

/// Monday to Friday, eight to eighteen, UTC. 1 November 2026 is a Sunday.
fn is_office_hour(hour: Timestamp) -> bool {
    let hours = hour.since(START).millis() / 3_600_000;
    let (day, of_day) = (hours / 24 % 7, hours % 24);
    (1..=5).contains(&day) && (8..18).contains(&of_day)
}

/// Writes one call to the log: sometimes late, sometimes twice, sometimes as an error.
fn deliver(lines: &mut Vec<Line>, dice: &mut Dice, at: Timestamp, habit: &Habit, context: Option<u64>) {
    let json = record(dice, at, habit, context);
    let mut lag = dice.between(1, 40);
    if dice.one_in(200) {
        lag += dice.between(60, 600);
    }
    let delivered_at = at.plus(Span::from_secs(i64::try_from(lag).unwrap_or(0)));
    if dice.one_in(100) {
        let again = delivered_at.plus(Span::from_secs(i64::try_from(dice.between(1, 3_600)).unwrap_or(1)));
        lines.push(Line { delivered_at: again, json: json.clone() });
    }
    lines.push(Line { delivered_at, json });
}

fn record(dice: &mut Dice, at: Timestamp, habit: &Habit, context: Option<u64>) -> String {
    let (high, low) = (dice.next(), dice.next());
    let id = format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xFFFF,
        high & 0xFFF,
        (low >> 48) & 0xFFF,
        low & 0xFFFF_FFFF_FFFF
    );
    let Habit { role, operation, model, .. } = habit;
    let head = format!(
        r#"{{"schemaType":"ModelInvocationLog","schemaVersion":"1.0","timestamp":"{at}","accountId":"{ACCOUNT}","identity":{{"arn":"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/session"}},"region":"{REGION}","requestId":"{id}","operation":"{operation}","modelId":"{model}""#
    );
    if dice.one_in(150) {
        return format!(
            r#"{head},"errorCode":"ThrottlingException","input":{{"inputContentType":"application/json"}}}}"#
        );
    }
    let mut draw = |(low, high): (u64, u64)| dice.between(low, high);
    let (input, read) = (draw(habit.input), context.unwrap_or(0) + draw(habit.cache_read));
    let (write, output) = (draw(habit.cache_write), draw(habit.output));
    let hour_share = if habit.operation == "Converse" { write / 4 } else { 0 };
    format!(
        r#"{head},"input":{{"inputContentType":"application/json","inputTokenCount":{input},"cacheReadInputTokenCount":{read},"cacheWriteInputTokenCount":{write}}},"output":{{"outputContentType":"application/json","outputTokenCount":{output}{}}}}}"#,
        body(habit.operation, input, read, write, hour_share, output)
    )
}

/// The body tells how cache writes split by their time to live; each operation has its own form.
fn body(operation: &str, input: u64, read: u64, write: u64, hour: u64, output: u64) -> String {
    match operation {
        "Converse" => format!(
            r#","outputBodyJson":{{"usage":{{"inputTokens":{input},"outputTokens":{output},"totalTokens":{},"cacheReadInputTokens":{read},"cacheWriteInputTokens":{write},"cacheDetails":[{{"ttl":"1h","inputTokens":{hour}}},{{"ttl":"5m","inputTokens":{}}}]}},"stopReason":"end_turn"}}"#,
            input + output + read + write,
            write - hour
        ),
        "ConverseStream" => format!(
            r#","outputBodyJson":[{{"metadata":{{"usage":{{"inputTokens":{input},"outputTokens":{output},"totalTokens":{},"cacheReadInputTokens":{read},"cacheWriteInputTokens":{write}}}}}}}]"#,
            input + output + read + write
        ),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_month_and_another_one_another() {
        assert_eq!(month(7), month(7));
        assert_ne!(month(7), month(8));
    }

    #[test]
    fn a_month_is_in_order_of_delivery_and_every_line_is_a_record() {
        let lines = month(1);
        assert!(lines.len() > 50_000, "{} lines", lines.len());
        assert!(lines.is_sorted_by_key(|line| line.delivered_at));
        for line in lines.iter().step_by(97) {
            let record: serde_json::Value = serde_json::from_str(&line.json).unwrap();
            assert_eq!(record["schemaType"], "ModelInvocationLog");
        }
    }

    #[test]
    fn the_month_holds_duplicates_errors_and_one_tenant_that_runs_away() {
        let lines = month(1);
        let mut records: Vec<&str> = lines.iter().map(|line| line.json.as_str()).collect();
        let all = records.len();
        records.sort_unstable();
        records.dedup();
        assert!(all > records.len());
        assert!(records.iter().any(|json| json.contains("ThrottlingException")));
        let of = |role: &str| records.iter().filter(|json| json.contains(role)).count();
        assert!(of("atlas-research-agent") > of("checkout-assistant") / 2);
    }
}
