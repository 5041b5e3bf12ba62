//! One message to a notice. Pure.
//!
//! Nothing is guessed: an event without its instance, its time or an action that we know is refused and kept
//! as a dead letter. An event of another type is none of ours, and said so: it is no mistake.

use policy::spot::{InstanceState, Loss, SpotKind, SpotNotice};

use super::wire::Envelope;
use crate::instant;
use crate::json::{Obj, Text};

/// Bytes of an id that are believed.
const MOST_ID: usize = 128;

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is about an instance.
    Notice(SpotNotice),
    /// It is of a type that nobody here asked for: its `source` and `detail-type`.
    Other(String),
}

/// Why a message is no event that can be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not JSON, or no object.
    #[error("the message is no JSON object: {0}")]
    Json(String),
    /// A field that must be there.
    #[error("the event has no `{0}`")]
    Missing(&'static str),
    /// A field that cannot be right.
    #[error("`{field}` cannot be `{value}`; it is {wanted}")]
    Wrong {
        /// The field.
        field: &'static str,
        /// What stands there, shortened.
        value: String,
        /// What belongs there.
        wanted: &'static str,
    },
}

/// Reads one message.
///
/// # Errors
/// When it is no event, or lacks what an event about an instance must have.
pub fn parse(text: &str) -> Result<Event, EventError> {
    let event = serde_json::from_str::<Obj<Envelope<'_>>>(text);
    let Obj(event) = event.map_err(|error| EventError::Json(error.to_string()))?;
    let kind_of: Read =
        match (required(&event.source, "source")?, required(&event.detail_type, "detail-type")?) {
            ("aws.ec2", "EC2 Spot Instance Interruption Warning") => |e| Ok(SpotKind::Interruption(loss(e)?)),
            ("aws.ec2", "EC2 Instance Rebalance Recommendation") => |_| Ok(SpotKind::Rebalance),
            ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning") => {
                |e| Ok(SpotKind::CapacityReservation(loss(e)?))
            }
            ("aws.ec2", "EC2 Instance State-change Notification") => |e| Ok(SpotKind::State(state(e)?)),
            (source, other) => return Ok(Event::Other(shortened(&format!("{source} {other}")))),
        };
    let time = required(&event.time, "time")?;
    let at =
        instant::parse(time).map_err(|_| wrong("time", time, "a time such as `2026-11-20T10:20:00Z`"))?;
    Ok(Event::Notice(SpotNotice {
        event: checked(&event.id, "id", "an id of at most 128 bytes", |id| id.len() <= MOST_ID)?.into(),
        kind: kind_of(&event)?,
        instance: checked(
            &event.detail.0.instance_id,
            "detail.instance-id",
            "an instance id, `i-` and hex",
            is_instance,
        )?
        .into(),
        account: checked(&event.account, "account", "an account of 12 digits", is_account)?.into(),
        region: checked(&event.region, "region", "a region such as `us-east-1`", is_region)?.into(),
        at,
    }))
}

type Read = fn(&Envelope<'_>) -> Result<SpotKind, EventError>;

fn loss(event: &Envelope<'_>) -> Result<Loss, EventError> {
    match required(&event.detail.0.instance_action, "detail.instance-action")? {
        "terminate" => Ok(Loss::Terminate),
        "stop" => Ok(Loss::Stop),
        "hibernate" => Ok(Loss::Hibernate),
        other => Err(wrong("detail.instance-action", other, "`terminate`, `stop` or `hibernate`")),
    }
}

fn state(event: &Envelope<'_>) -> Result<InstanceState, EventError> {
    match required(&event.detail.0.state, "detail.state")? {
        "pending" => Ok(InstanceState::Pending),
        "running" => Ok(InstanceState::Running),
        "stopping" => Ok(InstanceState::Stopping),
        "stopped" => Ok(InstanceState::Stopped),
        "shutting-down" => Ok(InstanceState::ShuttingDown),
        "terminated" => Ok(InstanceState::Terminated),
        other => Err(wrong("detail.state", other, "a state of an instance, such as `terminated`")),
    }
}

fn required<'t>(text: &'t Text<'_>, field: &'static str) -> Result<&'t str, EventError> {
    match text.as_str().trim() {
        "" => Err(EventError::Missing(field)),
        text => Ok(text),
    }
}

fn checked<'t>(
    text: &'t Text<'_>,
    field: &'static str,
    wanted: &'static str,
    is_right: fn(&str) -> bool,
) -> Result<&'t str, EventError> {
    let text = required(text, field)?;
    if is_right(text) { Ok(text) } else { Err(wrong(field, text, wanted)) }
}

fn is_instance(text: &str) -> bool {
    let hex = |rest: &str| (8..=32).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_hexdigit());
    text.strip_prefix("i-").is_some_and(hex)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_region(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (4..=32).contains(&text.len()) && text.bytes().all(inner) && text.contains('-')
}

fn wrong(field: &'static str, value: &str, wanted: &'static str) -> EventError {
    EventError::Wrong { field, value: shortened(value), wanted }
}

fn shortened(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(clean).take(80).collect()
}
