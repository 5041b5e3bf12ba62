//! The recorded events, and every way in which one can be wrong.

use policy::spot::{InstanceState, Loss, SpotKind, SpotNotice};
use policy::time::Timestamp;

use super::{Event, EventError, parse};

const INTERRUPTION: &str = include_str!("../../samples/eventbridge-spot-interruption.json");
const REBALANCE: &str = include_str!("../../samples/eventbridge-rebalance.json");
const RESERVATION: &str = include_str!("../../samples/eventbridge-capacity-reservation-interruption.json");
const STATE: &str = include_str!("../../samples/eventbridge-state-change.json");

fn notice(text: &str) -> SpotNotice {
    match parse(text).unwrap() {
        Event::Notice(notice) => notice,
        Event::Other(other) => panic!("{other}"),
    }
}

/// The interruption with one field changed; a value of `null` takes it out.
fn with(pointer: &str, value: &str) -> Result<Event, EventError> {
    let mut event: serde_json::Value = serde_json::from_str(INTERRUPTION).unwrap();
    *event.pointer_mut(pointer).unwrap() = serde_json::from_str(value).unwrap();
    parse(&event.to_string())
}

#[test]
fn each_recorded_event_gives_its_instance_time_and_kind() {
    let first = notice(INTERRUPTION);
    assert_eq!(
        first,
        SpotNotice {
            event: "1e5527d7-bb36-4607-3370-4164db56a40e".into(),
            kind: SpotKind::Interruption(Loss::Terminate),
            instance: "i-0123456789abcdef0".into(),
            account: "111122223333".into(),
            region: "us-east-1".into(),
            at: Timestamp::parse_rfc3339("2026-11-20T10:20:00Z").unwrap(),
        }
    );
    assert_eq!(first.deadline(), Some(Timestamp::parse_rfc3339("2026-11-20T10:22:00Z").unwrap()));
    let said = |text| {
        let notice = notice(text);
        (notice.kind, notice.instance.to_string(), notice.event.to_string())
    };
    let other = |kind, instance: &str, event: &str| (kind, instance.to_owned(), event.to_owned());
    assert_eq!(
        said(REBALANCE),
        other(SpotKind::Rebalance, "i-0123456789abcdef1", "0b5b1a52-9c1e-4b7e-8a58-2f1d6a3c9e01")
    );
    assert_eq!(
        said(RESERVATION),
        other(
            SpotKind::CapacityReservation(Loss::Terminate),
            "i-0123456789abcdef3",
            "c4d5e6f7-0a1b-4c2d-8e3f-4a5b6c7d8e03"
        )
    );
    assert_eq!(
        said(STATE),
        other(
            SpotKind::State(InstanceState::Running),
            "i-0123456789abcdef2",
            "7a1c2e90-3d44-4d0b-9a2e-5b6c7d8e9f02"
        )
    );
}

#[test]
fn each_way_of_going_is_told_apart() {
    let kind = |action: &str| match with("/detail/instance-action", action).unwrap() {
        Event::Notice(notice) => notice.kind,
        Event::Other(other) => panic!("{other}"),
    };
    assert_eq!(kind("\"stop\""), SpotKind::Interruption(Loss::Stop));
    assert_eq!(kind("\"hibernate\""), SpotKind::Interruption(Loss::Hibernate));
    for (word, gone) in
        [("pending", false), ("stopping", true), ("shutting-down", true), ("terminated", true)]
    {
        let notice = notice(&STATE.replace("running", word));
        let SpotKind::State(state) = notice.kind else { panic!("{notice:?}") };
        assert_eq!(state.is_gone(), gone, "{word}");
    }
}

#[test]
fn what_is_missing_is_refused_and_never_made_up() {
    for (pointer, field) in [
        ("/id", "id"),
        ("/detail-type", "detail-type"),
        ("/source", "source"),
        ("/account", "account"),
        ("/time", "time"),
        ("/region", "region"),
        ("/detail", "detail.instance-action"),
        ("/detail/instance-id", "detail.instance-id"),
        ("/detail/instance-action", "detail.instance-action"),
    ] {
        assert_eq!(with(pointer, "null"), Err(EventError::Missing(field)), "{pointer}");
        assert_eq!(with(pointer, "\" \""), Err(EventError::Missing(field)), "{pointer}");
    }
}

#[test]
fn what_cannot_be_right_is_refused_with_what_belongs_there() {
    for (pointer, value) in [
        ("/account", "\"12345\""),
        ("/time", "\"yesterday\""),
        ("/region", "\"us east\""),
        ("/detail/instance-id", "\"arn:aws:ec2:us-east-1b:instance/i-0123456789abcdef0\""),
        ("/detail/instance-id", "\"i-\""),
        ("/detail/instance-action", "\"explode\\u001b[31m\""),
    ] {
        let error = with(pointer, value).unwrap_err();
        assert!(matches!(error, EventError::Wrong { .. }), "{pointer}: {error}");
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }
    let long = format!("\"{}\"", "x".repeat(129));
    assert!(matches!(with("/id", &long), Err(EventError::Wrong { field: "id", .. })));
    for text in ["", "[", "{\"id\": ", "\u{0}"] {
        assert!(matches!(parse(text), Err(EventError::Json(_))), "{text}");
    }
    assert_eq!(parse("[1]"), Err(EventError::Missing("source")));
}

#[test]
fn an_event_of_another_type_or_source_is_no_mistake() {
    let other = |pointer, value| match with(pointer, value).unwrap() {
        Event::Other(other) => other,
        Event::Notice(notice) => panic!("{notice:?}"),
    };
    assert_eq!(other("/source", "\"aws.health\""), "aws.health EC2 Spot Instance Interruption Warning");
    assert_eq!(other("/detail-type", "\"EC2 Something New\""), "aws.ec2 EC2 Something New");
}
