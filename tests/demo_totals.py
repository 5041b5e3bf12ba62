#!/usr/bin/env python3
"""Prices the raw log of `breakerbox demo` on its own and compares the totals with the demo's account.

Shares no code and no price file with the daemon: the five rates below are typed in from the vendors' list
(USD per million tokens, in-region and geo). Usage:

    breakerbox demo --seed 7 --log LOGS --format json > account.json
    tests/demo_totals.py LOGS account.json
"""

import json
import pathlib
import sys
from collections import defaultdict
from fractions import Fraction

RATES = {  # input, output, cache read, cache write 5 m, cache write 1 h
    "us.anthropic.claude-sonnet-4-6": ("3.30", "16.50", "0.33", "4.125", "6.60"),
    "us.anthropic.claude-haiku-4-5": ("1.10", "5.50", "0.11", "1.375", "2.20"),
    "amazon.titan-embed-text-v2:0": ("0.02", "0", "0", "0", "0"),
}
PROFILES = {"s1u2p3p4o5r6": "us.anthropic.claude-haiku-4-5"}
TENANTS = {
    "checkout-assistant": "checkout",
    "support-triage": "support",
    "search-indexer": "search",
    "atlas-research-agent": "atlas",
}
LIMIT = Fraction(50)


def write_split(record):
    """Cache writes by time to live: what the body says, else all of them for five minutes."""
    written = record["input"].get("cacheWriteInputTokenCount", 0)
    body = record.get("output", {}).get("outputBodyJson")
    hour = 0
    if isinstance(body, dict):
        details = body.get("usage", {}).get("cacheDetails", [])
        hour = sum(d["inputTokens"] for d in details if d["ttl"] == "1h")
    return written - hour, hour


def cost(record):
    model = record["modelId"].rsplit("/", 1)[-1]
    rates = [Fraction(rate) for rate in RATES[PROFILES.get(model, model)]]
    five, hour = write_split(record)
    counts = (
        record["input"].get("inputTokenCount", 0),
        record["output"].get("outputTokenCount", 0),
        record["input"].get("cacheReadInputTokenCount", 0),
        five,
        hour,
    )
    return sum(rate * count for rate, count in zip(rates, counts)) / 1_000_000


def main(folder, account):
    seen, totals, days = set(), defaultdict(Fraction), defaultdict(Fraction)
    lines = 0
    for path in sorted(pathlib.Path(folder).rglob("*.jsonl")):
        for line in path.read_text().splitlines():
            lines += 1
            record = json.loads(line)
            if record["requestId"] in seen or "errorCode" in record:
                continue
            seen.add(record["requestId"])
            tenant = TENANTS[record["identity"]["arn"].split("/")[1]]
            money = cost(record)
            totals[tenant] += money
            days[tenant, record["timestamp"][:10]] += money
    said = json.loads(pathlib.Path(account).read_text())
    wrong = []

    def compare(what, mine, theirs):
        mine = int(mine * 10**12)
        if mine != int(theirs):
            wrong.append(f"{what}: the log says {mine}, the daemon says {theirs} (10^-12 USD)")

    compare("total", sum(totals.values()), said["total_pusd"])
    for tenant, money in sorted(totals.items()):
        compare(tenant, money, said["tenants"][tenant]["total_pusd"])
    mine = sorted(key for key, money in days.items() if money >= LIMIT)
    theirs = sorted((trip["tenant"], trip["day"]) for trip in said["trips"] if trip["budget"] == "tenant-daily")
    if mine != theirs:
        wrong.append(f"days over the limit: the log says {mine}, the daemon says {theirs}")
    for line in wrong:
        print(f"demo totals: {line}", file=sys.stderr)
    dollars = float(sum(totals.values()))
    print(f"demo totals: {lines} lines, {len(seen)} calls, {dollars:.2f} USD, {len(mine)} tenant-days over the limit")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
