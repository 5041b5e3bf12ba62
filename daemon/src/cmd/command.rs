//! Commands that go to the daemon and nowhere else.

use crate::args::{Common, Format};
use crate::edge::GivenBack;
use crate::http::{Said, Saying};

use super::{DONE, Failure, Outcome, REFUSED, WRONG, ask};

/// `approve d17`, `approve clock`, `approve prices`.
pub(super) async fn approve(common: &Common, what: String) -> Outcome {
    let saying = match what.as_str() {
        "clock" => Saying::ApproveClock {},
        "prices" => Saying::ApprovePrices {},
        _ => Saying::Approve { decision: what },
    };
    say(common, &saying).await
}

pub(super) async fn ack(common: &Common, what: String) -> Outcome {
    say(common, &Saying::Ack { what }).await
}

pub(super) async fn trip(common: &Common, breaker: String, reason: String) -> Outcome {
    say(common, &Saying::Trip { breaker, reason }).await
}

pub(super) async fn reset(common: &Common, breaker: String, more: String) -> Outcome {
    say(common, &Saying::Reset { breaker, more }).await
}

pub(super) async fn release(common: &Common, target: String) -> Outcome {
    say(common, &Saying::Release { target }).await
}

pub(super) async fn ack_idle(common: &Common, object: String) -> Outcome {
    say(common, &Saying::AckIdle { object }).await
}

async fn say(common: &Common, saying: &Saying) -> Outcome {
    saying.parse().map_err(|error| Failure::new(WRONG, format!("error: {error}")))?;
    let said: Said = ask::daemon(common)?.post("/v1/commands", saying).await?;
    show(common.format, &said)
}

/// What came of it; a refusal has its own exit code.
pub(super) fn show(format: Format, said: &Said) -> Outcome {
    match format {
        Format::Json => ask::json(said)?,
        Format::Plain => {
            let answer = said.refused.as_deref().map_or("done".to_owned(), |why| format!("refused\t{why}"));
            anstream::println!("{}\t{answer}", said.what);
        }
        Format::Human | Format::Markdown => match &said.refused {
            None => {
                anstream::println!("done: {}", said.what);
                for order in &said.orders {
                    anstream::println!("  ordered: {order}");
                }
            }
            Some(why) => anstream::eprintln!("refused: {}: {why}", said.what),
        },
    }
    if format != Format::Json {
        for GivenBack { object, held } in &said.released {
            let what = held.as_deref().map_or("given back".to_owned(), |why| format!("STILL HELD: {why}"));
            anstream::println!("  {object}: {what}");
        }
    }
    if let Some(warning) = &said.warning {
        anstream::eprintln!("warning: {warning}");
    }
    Ok(if said.refused.is_some() { REFUSED } else { DONE })
}
