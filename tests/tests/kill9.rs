//! `kill -9` at any moment while logs come in: nothing durable is lost, nothing is counted twice.

use std::time::Duration;

use anyhow::{Context, Result};
use policy::money::Money;
use tests::daemon::{Daemon, PICOS_PER_TOKEN, Site, YEARLY_BUDGET, bedrock_record, breakers, now};
use tests::servers::{wait_for, wait_until};

const ATTRIBUTION: &str = r#"---
apiVersion: breakerbox.dev/v1alpha1
kind: Attribution
metadata: {name: roles}
spec:
  principals:
    - {principal: "111122223333:role/acme", set: {tenant: acme}}
"#;

/// Lives of the daemon that are cut short.
const ROUNDS: u64 = 200;

/// Lines of one file, of which a tenth stand in it twice.
const LINES: u64 = 200;

/// A small generator: the moments differ from round to round, and are the same in each run.
fn draw(round: u64) -> u64 {
    round.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17) % 24
}

/// Sum and number of charges of the one breaker.
async fn breaker(port: u16) -> Result<(Money, u64)> {
    let all = breakers(port).await?;
    let one = all.into_iter().find(|(name, ..)| name == "tenant-yearly/acme").context("no breaker yet")?;
    Ok((one.1, one.2))
}

#[tokio::test]
async fn killed_at_random_moments_the_daemon_loses_nothing_and_counts_nothing_twice() -> Result<()> {
    let site = Site::new(&format!("{YEARLY_BUDGET}{ATTRIBUTION}"))?;
    let (mut tokens, mut calls) = (0_u64, 0_u64);
    let now = now()?;
    for round in 0..ROUNDS {
        let mut lines = Vec::new();
        for n in 0..LINES {
            let used = 100 + (round * LINES + n) % 977;
            let line = bedrock_record(&format!("r{round}-{n}"), "acme", used, &now);
            (tokens, calls) = (tokens + used, calls + 1);
            lines.extend((n % 10 == 0).then(|| line.clone()));
            lines.push(line);
        }
        site.write_log(&format!("{round:04}.jsonl"), &lines)?;
        let mut daemon = Daemon::spawn(&site, &[])?;
        // So many looks from now: from before it has opened its journal to after it has read the file.
        let mut looks = 0;
        wait_until("the moment to kill", Duration::from_secs(5), async || {
            looks += 1;
            Ok(looks > draw(round))
        })
        .await?;
        daemon.kill_9();
    }
    let daemon = Daemon::start(&site).await?;
    let (sum, facts) = wait_for("all files to be read", Duration::from_secs(30), async || {
        let (sum, facts) = breaker(site.port).await?;
        Ok((facts >= calls).then_some((sum, facts)))
    })
    .await
    .with_context(|| daemon.log_tail())?;
    assert_eq!(facts, calls);
    assert_eq!(sum, Money::from_picos(i128::from(tokens) * PICOS_PER_TOKEN), "{}", daemon.log_tail());
    Ok(())
}
