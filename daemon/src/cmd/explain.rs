//! `breakerbox explain`: why something happened, or why nothing did.

use crate::args::{Common, Format};
use crate::http::shape::{Detail, Reason};

use super::{DONE, NOTHING, Outcome, ask};

pub(super) async fn run(common: &Common, what: &str) -> Outcome {
    let daemon = ask::daemon(common)?;
    if is_decision(what) {
        let detail: Detail = daemon.get(&format!("/v1/decisions/{what}")).await?;
        match common.format {
            Format::Json => ask::json(&detail)?,
            _ => anstream::print!("{}", detail.text),
        }
        return Ok(DONE);
    }
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("name", what).finish();
    let reasons: Vec<Reason> = daemon.get(&format!("/v1/explain?{query}")).await?;
    match common.format {
        Format::Json => ask::json(&reasons)?,
        _ => anstream::print!("{}", in_words(what, &reasons)),
    }
    Ok(code_of(&reasons))
}

/// A name that nobody ever bore is told apart from one that did not trip: it may be mistyped.
fn code_of(reasons: &[Reason]) -> u8 {
    if reasons.iter().any(|reason| reason.known) { DONE } else { NOTHING }
}

/// `d17`; anything else is a name.
fn is_decision(what: &str) -> bool {
    what.strip_prefix('d').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Why the breakers of a name were not stopped, a line each.
fn in_words(name: &str, reasons: &[Reason]) -> String {
    reasons.iter().map(|r| format!("{}: {}\n", r.breaker.as_deref().unwrap_or(name), r.reason)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_told_from_a_name_that_begins_with_d() {
        assert!(is_decision("d17"));
        for name in ["d", "d1x", "demo", "17", "tenant-daily/acme"] {
            assert!(!is_decision(name), "{name}");
        }
    }

    #[test]
    fn why_not_is_told_for_each_breaker() {
        let said = [
            Reason { breaker: Some("tenant-daily/acme".into()), known: true, reason: "spent little".into() },
            Reason { breaker: None, known: false, reason: "never seen".into() },
        ];
        assert_eq!((code_of(&said), code_of(&said[..1]), code_of(&said[1..])), (DONE, DONE, NOTHING));
        assert_eq!(in_words("acme", &said), "tenant-daily/acme: spent little\nacme: never seen\n");
    }
}
