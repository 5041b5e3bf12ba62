//! `breakerbox explain`: why something happened, or why nothing did.

use crate::args::{Common, Format};
use crate::explain;
use crate::http::shape::{Detail, Reason};

use super::{DONE, Outcome, ask};

pub(super) async fn run(common: &Common, what: &str) -> Outcome {
    let daemon = ask::daemon(common)?;
    if is_decision(what) {
        let detail: Detail = daemon.get(&format!("/v1/decisions/{what}")).await?;
        match common.format {
            Format::Json => ask::json(&detail)?,
            Format::Human | Format::Plain => anstream::print!("{}", explain::decision(&detail)),
        }
        return Ok(DONE);
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("name", what).finish();
    let reasons: Vec<Reason> = daemon.get(&format!("/v1/explain?{query}")).await?;
    match common.format {
        Format::Json => ask::json(&reasons)?,
        Format::Human | Format::Plain => anstream::print!("{}", explain::reasons(what, &reasons)),
    }
    Ok(DONE)
}

/// `d17`; anything else is a name.
fn is_decision(what: &str) -> bool {
    what.strip_prefix('d').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}
