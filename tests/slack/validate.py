"""Slack's own SDK against our blocks and our fake of Slack.

usage: validate.py GOLDENS API_URL HOOK_URL TOKEN

Each `*.slack.json` in GOLDENS must be taken by slack_sdk's validators and come out of its models as it went
in. Then slack_sdk's own clients call the fake: what they take for Slack, our client may take for Slack too.
Prints one line for each part; exits 1 with what is wrong.
"""

import json
import pathlib
import sys

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackObjectFormationError
from slack_sdk.models.blocks import Block
from slack_sdk.webhook import WebhookClient


def parsed(blocks):
    """The blocks as slack_sdk's models, each validated by them."""
    models = Block.parse_all(blocks)
    assert len(models) == len(blocks) <= 50, f"{len(models)} of {len(blocks)} blocks were understood"
    for model in models:
        model.validate_json()
    return models


def check_goldens(folder):
    files = sorted(pathlib.Path(folder).glob("*.slack.json"))
    assert files, f"no *.slack.json in {folder}"
    count = 0
    for file in files:
        post = json.loads(file.read_text(encoding="utf-8"))
        assert post["text"] and len(post["text"]) <= 40_000, f"{file.name}: text"
        try:
            models = parsed(post["blocks"])
        except (AssertionError, SlackObjectFormationError) as error:
            raise SystemExit(f"{file.name}: {error}")
        for model, block in zip(models, post["blocks"]):
            assert model.to_dict() == block, f"{file.name}: {model.to_dict()} is not {block}"
        count += len(models)
    return files, count


def check_validators():
    """The validators must be able to say no, or the check above is worth nothing."""
    header = {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}
    wide = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
    for block in (header, wide):
        try:
            parsed([block])
        except SlackObjectFormationError:
            continue
        raise SystemExit(f"slack_sdk takes a {block['type']} that Slack refuses")


def check_client(url, token, post):
    client = WebClient(token=token, base_url=f"{url}/")
    assert client.auth_test()["ok"]
    sent = client.chat_postMessage(channel="#oncall", **post)
    assert sent["message"]["blocks"] == post["blocks"]
    edited = client.chat_update(channel=sent["channel"], ts=sent["ts"], text="edited", blocks=post["blocks"])
    assert edited["ts"] == sent["ts"]
    refused(client, "channel_not_found", channel="#nowhere", **post)
    refused(client, "no_text", channel="#oncall")
    refused(WebClient(token="xoxb-other", base_url=f"{url}/"), "invalid_auth", channel="#oncall", **post)


def refused(client, code, **arguments):
    try:
        client.chat_postMessage(**arguments)
    except SlackApiError as error:
        assert error.response["error"] == code, f"{error.response['error']} is not {code}"
        return error.response
    raise SystemExit(f"not refused with {code}")


def check_limit(url, token, post):
    """The test has told the fake to answer 429 once."""
    client = WebClient(token=token, base_url=f"{url}/")
    answer = refused(client, "ratelimited", channel="#oncall", **post)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7"), answer.headers


def check_hook(url, post):
    answer = WebhookClient(url).send(text=post["text"], blocks=post["blocks"])
    assert (answer.status_code, answer.body) == (200, "ok"), answer.body


def main():
    folder, url, hook, token = sys.argv[1:]
    files, count = check_goldens(folder)
    check_validators()
    print(f"{count} blocks of {len(files)} messages taken by slack_sdk")
    post = json.loads((pathlib.Path(folder) / "tripped-enforce.slack.json").read_text(encoding="utf-8"))
    check_limit(url, token, post)
    check_client(url, token, post)
    check_hook(hook, post)
    print("slack_sdk's clients take the fake for Slack")


if __name__ == "__main__":
    main()
