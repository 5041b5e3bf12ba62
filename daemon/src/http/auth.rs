//! Who commands: the peer of the socket, or the bearer of an operator's token.

use axum::http::{HeaderMap, header};
use policy::rule::SecretRef;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::config::Operator;

use super::socket::Peer;

/// The actor, or why there is none.
pub(super) fn actor(
    peer: Option<&Peer>,
    headers: &HeaderMap,
    operators: &[Operator],
) -> Result<String, &'static str> {
    if let Some(peer) = peer {
        return peer.actor.clone().ok_or("the kernel would not say who is at the other end of the socket");
    }
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or("commands over HTTP need an operator's token: `Authorization: Bearer …`; or use the socket")?;
    // All are compared, each in constant time: how long it takes says nothing about any of them.
    let mut found = None;
    for operator in operators {
        let known = secret(&operator.secret).is_some_and(|secret| same(&secret, token));
        if known && found.is_none() {
            found = Some(format!("token:{}", operator.name));
        }
    }
    found.ok_or("no operator has this token")
}

/// Read at each use, so that rotation works. An empty secret is none.
pub(crate) fn secret(from: &SecretRef) -> Option<String> {
    let text = match from {
        SecretRef::Env(name) => std::env::var(&**name).ok(),
        SecretRef::File(path) => std::fs::read_to_string(&**path).ok(),
    };
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn same(one: &str, other: &str) -> bool {
    Sha256::digest(one.as_bytes()).as_slice().ct_eq(Sha256::digest(other.as_bytes()).as_slice()).into()
}
