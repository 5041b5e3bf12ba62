//! What the asking commands share: where the daemon is, and how to print.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::args::{Common, Format, RunArgs};
use crate::client::Daemon;

use super::{COULD_NOT, Failure, config};

/// The daemon that was meant: the server named, else the socket named, else the configured one.
pub(super) fn daemon(common: &Common) -> Result<Daemon, Failure> {
    if let Some(address) = &common.server {
        let token = std::env::var("BREAKERBOX_TOKEN").ok().filter(|token| !token.is_empty());
        let address = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
        return Ok(Daemon::Http { address, token });
    }
    if let Some(socket) = &common.socket {
        return Ok(Daemon::Socket(socket.clone()));
    }
    Ok(Daemon::Socket(config(common, &RunArgs::default())?.socket))
}

/// JSON on stdout.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Failure::new(COULD_NOT, e.to_string()))?;
    anstream::println!("{text}");
    Ok(())
}

/// Rows with headings for people, tab-separated without them for shells. Nothing where there is no row.
pub(super) fn rows(format: Format, title: &str, headings: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    if format == Format::Plain {
        return rows.iter().map(|row| format!("{title}\t{}\n", row.join("\t"))).collect();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings.iter().map(|h| h.to_uppercase()).collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.clone());
    }
    format!("{title}\n{}\n\n", table.trim_fmt())
}
