//! Free ports on the loopback.
//!
//! They are drawn from below the kernel's ephemeral range (32768 and up on Linux), so that no
//! outgoing connection of another process takes a port between our look and the server's bind.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// `N` different ports that nobody listens on at 127.0.0.1 now.
///
/// # Errors
/// No free port was found in 500 draws.
pub(super) fn free<const N: usize>() -> Result<[u16; N]> {
    let random = RandomState::new();
    // Held until all are drawn, so that no two of them are the same.
    let mut held = Vec::with_capacity(N);
    for draw in 0..500_u32 {
        if held.len() == N {
            break;
        }
        let port = FIRST + (random.hash_one(draw) % u64::from(COUNT)) as u16;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
    }
    let ports: Vec<u16> = held.iter().map(|(port, _)| *port).collect();
    match ports.try_into() {
        Ok(ports) => Ok(ports),
        Err(found) => bail!("found only {} of {N} free ports on 127.0.0.1", found.len()),
    }
}

/// One such port.
///
/// # Errors
/// No free port was found.
pub fn free_port() -> Result<u16> {
    free::<1>().map(|[port]| port)
}
