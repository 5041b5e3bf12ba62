//! An EventBridge event, borrowed from the message, as far as one about an instance needs it.
//!
//! `resources` is passed over on purpose: its ARNs have a zone where the region belongs.

use serde::de::MapAccess;

use crate::json::{Fields, Obj, Text, skip};

/// The envelope.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    pub id: Text<'a>,
    pub detail_type: Text<'a>,
    pub source: Text<'a>,
    pub account: Text<'a>,
    pub time: Text<'a>,
    pub region: Text<'a>,
    pub detail: Obj<Detail<'a>>,
}

impl<'de> Fields<'de> for Envelope<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "id" => self.id = map.next_value()?,
            "detail-type" => self.detail_type = map.next_value()?,
            "source" => self.source = map.next_value()?,
            "account" => self.account = map.next_value()?,
            "time" => self.time = map.next_value()?,
            "region" => self.region = map.next_value()?,
            "detail" => self.detail = map.next_value()?,
            _ => skip(map)?,
        }
        Ok(())
    }
}

/// What it is about.
#[derive(Debug, Default)]
pub(super) struct Detail<'a> {
    pub instance_id: Text<'a>,
    pub instance_action: Text<'a>,
    pub state: Text<'a>,
}

impl<'de> Fields<'de> for Detail<'de> {
    fn take<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "instance-id" => self.instance_id = map.next_value()?,
            "instance-action" => self.instance_action = map.next_value()?,
            "state" => self.state = map.next_value()?,
            _ => skip(map)?,
        }
        Ok(())
    }
}
