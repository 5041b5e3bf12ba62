#!/usr/bin/env python3
"""Writes bedrock.json and ec2-gpu.json from public price lists.

    python3 -m venv venv && venv/bin/pip download --no-deps -d lists litellm==1.109.1 genai-prices==0.2.3
    python3 generate.py --lists lists --ec2 ec2-gpu.json --as-of 2026-11-20

Prices are read as decimals and written as strings of whole pico-dollars (10^-12 USD): no float on the way.
What does not fit exactly ends the run. Needs the standard library only; the two packages are read as zip
files, and genai-prices' data module is run with stand-ins for what it imports but does not use here.
"""

import argparse
import collections
import glob
import json
import os
import re
import sys
import types
import zipfile
from decimal import Decimal

PICOS = Decimal(10) ** 12
SCOPES = ["us", "eu", "apac", "jp", "au", "us-gov", "in", "ca", "global"]
LITELLM_JSON = "litellm/model_prices_and_context_window_backup.json"
# The order matters: the longer prefix first.
CLASSES = [
    ("cache_creation_input_token_cost_above_1hr", "cache_write_1h"),
    ("cache_creation_input_token_cost", "cache_write_5m"),
    ("cache_read_input_token_cost", "cache_read"),
    ("input_cost_per_token", "input"),
    ("output_cost_per_token", "output"),
]
TIERS = {"": "default", "_batches": "batch", "_flex": "flex", "_priority": "priority"}
SUFFIX = re.compile(r"^(?:_above_(\d+)k_tokens)?(_batches|_flex|_priority|)$")
# What is billed instead of tokens, by the field that says so.
UNITS = [
    ("guardrail_cost_per_unit", "unit"),
    ("input_cost_per_query", "query"),
    ("output_cost_per_image", "image"),
    ("input_cost_per_image", "image"),
    ("input_cost_per_video_per_second", "second"),
    ("input_cost_per_second", "second"),
]
# Keys that are no token price of Bedrock's runtime: commitments are time, sizes are images, and the
# Claude platform is another service with its own ids.
SKIP = re.compile(r"/\d+-month-commitment/|^bedrock/claude_platform/|^[\w-]+-x-[\w-]+/")


def only(pattern):
    """The one file of that name."""
    found = glob.glob(pattern)
    if len(found) != 1:
        sys.exit(f"expected one file {pattern}, found {found}")
    return found[0]


def litellm(lists):
    """LiteLLM's Bedrock entries by key."""
    with zipfile.ZipFile(only(os.path.join(lists, "litellm-*.whl"))) as wheel:
        everything = json.loads(wheel.read(LITELLM_JSON), parse_float=Decimal, parse_int=Decimal)
    return {
        key: fields
        for key, fields in everything.items()
        if str(fields.get("litellm_provider", "")).startswith("bedrock")
    }


def canonical(key):
    """`bedrock/<id>` and `bedrock/invoke/<id>` are the id."""
    parts = key.split("/")
    if parts[0] == "bedrock" and (len(parts) == 2 or parts[1] == "invoke"):
        return parts[-1]
    return key


def picos(price, where):
    """A decimal price as whole pico-dollars."""
    scaled = price * PICOS
    if scaled != scaled.to_integral_value():
        sys.exit(f"{where}: {price} is finer than a pico-dollar")
    return str(int(scaled))


def rates_of(key, fields):
    """The token rates of an entry by level and class. A listed 0 says that tokens are not billed here, so
    it is no price: tokens that are counted all the same must not become free."""
    levels = collections.defaultdict(dict)
    for field, price in fields.items():
        for prefix, word in CLASSES:
            if field.startswith(prefix):
                match = SUFFIX.match(field[len(prefix):])
                if match and price:
                    cliff = f">{match[1]}000" if match[1] else ""
                    levels[TIERS[match[2]] + cliff][word] = picos(price, f"{key} {field}")
                break
    return levels


def genai_input_prices(lists):
    """How genai-prices' provider `aws` prices the input of an id, in USD per million tokens."""
    for name in ("httpx2", "httpx"):
        stand_in = types.ModuleType(name)
        stand_in.Client = stand_in.AsyncClient = object
        sys.modules.setdefault(name, stand_in)
    sys.path.insert(0, only(os.path.join(lists, "genai_prices-*.whl")))
    from genai_prices import data

    models = next(provider for provider in data.providers if provider.id == "aws").models

    def price(key):
        for model in models:
            if model.match.is_match(key):
                prices = model.prices[-1].prices if isinstance(model.prices, list) else model.prices
                found = getattr(prices, "input_mtok", None)
                return getattr(found, "base", found)
        return None

    return price


def lists_global_rate(key, fields, genai):
    """Whether a bare id has the global rate in LiteLLM while genai-prices has 1.1 times that."""
    if "/" in key or (key.split(".")[0] in SCOPES and key.count(".") > 1):
        return False
    listed, other = fields.get("input_cost_per_token"), genai(key)
    return bool(listed and other) and other == listed * 10**6 * Decimal("1.1")


def entry_line(key, fields, genai):
    """One entry as it is written."""
    entry = {"provider": fields["litellm_provider"]}
    unit = next((word for field, word in UNITS if field in fields), None)
    if unit:
        entry["unit"] = unit
    if lists_global_rate(key, fields, genai):
        entry["lists_global_rate"] = True
    rates = rates_of(key, fields)
    if rates:
        order = [word for _, word in CLASSES]
        entry["rates"] = {
            level: dict(sorted(rates[level].items(), key=lambda item: order.index(item[0])))
            for level in sorted(rates)
        }
    return entry


def write(path, head, name, entries):
    """One line for each key, so that a changed price is a changed line."""
    lines = [f"{json.dumps(field)}: {json.dumps(value)}," for field, value in head.items()]
    body = ",\n".join(
        f"{json.dumps(key)}: {json.dumps(entries[key], separators=(',', ':'))}" for key in sorted(entries)
    )
    with open(path, "w", encoding="utf-8") as out:
        out.write("{\n" + "\n".join(lines) + f'\n"{name}": {{\n{body}\n}}\n}}\n')


def bedrock(lists, as_of, folder):
    """Writes bedrock.json; answers how many entries and how many global rates."""
    genai = genai_input_prices(lists)
    source = litellm(lists)
    entries = {}
    # A key that needs no canonical form goes first: it is the better entry of the two.
    for key in sorted(source, key=lambda key: (canonical(key) != key, key)):
        if not SKIP.search(key):
            entries.setdefault(canonical(key), entry_line(canonical(key), source[key], genai))
    head = {
        "id": f"builtin@{as_of}",
        "as_of": as_of,
        "unit": "pico-dollars (1e-12 USD) per token",
        "source": "litellm 1.109.1 (PyPI), Bedrock entries; in-region ids marked with genai-prices 0.2.3 (PyPI)",
        "licence": "figures are facts; both packages are under the MIT licence, see README.md",
    }
    write(os.path.join(folder, "bedrock.json"), head, "models", entries)
    return len(entries), sum(entry.get("lists_global_rate", False) for entry in entries.values())


def ec2(path, folder):
    """Writes ec2-gpu.json from a table of USD per hour, or from the file itself."""
    with open(path, encoding="utf-8") as table:
        data = json.load(table)
    prices = data.get("picos_per_hour") or {
        kind: picos(Decimal(price), kind) for kind, price in data["prices"].items()
    }
    head = {
        "region": data["region"],
        "unit": "pico-dollars (1e-12 USD) per hour, Linux, shared tenancy, on demand",
        "as_of": data.get("as_of", "2026-07-20"),
        "source": "aws/karpenter-provider-aws pkg/providers/pricing/zz_generated.pricing_aws.go, "
        "commit 1d927085dd81 (Apache-2.0), generated 2026-07-20; GPU and accelerator types only",
    }
    write(os.path.join(folder, "ec2-gpu.json"), head, "picos_per_hour", prices)
    return len(prices)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--lists", required=True, help="folder with the two wheels")
    args.add_argument("--ec2", default=os.path.join(here, "ec2-gpu.json"), help="table of USD per hour")
    args.add_argument("--as-of", required=True, help="date of the list, YYYY-MM-DD")
    args.add_argument("--out", default=here, help="folder to write to")
    args = args.parse_args()
    entries, marked = bedrock(args.lists, args.as_of, args.out)
    print(f"{entries} Bedrock keys, {marked} of them bare ids with the global rate")
    print(f"{ec2(args.ec2, args.out)} instance types")


if __name__ == "__main__":
    main()
