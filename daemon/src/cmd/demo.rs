//! `breakerbox demo`: a month of spending replayed through the real daemon; `--cluster`: a stop in a real cluster.

use crate::args::{Common, DemoArgs, Format};
use crate::demo::{self, Ask, cluster};

use super::{COULD_NOT, DONE, Failure, Outcome, WRONG};

pub(super) async fn run(common: &Common, args: DemoArgs) -> Outcome {
    let done = if args.cluster {
        cluster::run(&cluster::Ask { context: args.context, yes: args.yes, keep: args.keep }).await
    } else {
        demo::run(&Ask { seed: args.seed, log: args.log, json: common.format == Format::Json }).await
    };
    done.map(|()| DONE).map_err(|error| {
        let code = if error.is::<cluster::NobodyToAsk>() { WRONG } else { COULD_NOT };
        Failure::new(code, format!("error: {error:#}"))
    })
}
