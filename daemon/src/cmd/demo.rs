//! `breakerbox demo`: a month of spending replayed through the real daemon.

use crate::args::{Common, Format};
use crate::demo::{self, Ask};

use super::{COULD_NOT, DONE, Failure, Outcome};

pub(super) async fn run(common: &Common, seed: u64, log: Option<std::path::PathBuf>) -> Outcome {
    let ask = Ask { seed, log, json: common.format == Format::Json };
    demo::run(&ask).await.map_err(|error| Failure::new(COULD_NOT, format!("error: {error:#}")))?;
    Ok(DONE)
}
