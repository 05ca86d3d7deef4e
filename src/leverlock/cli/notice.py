"""`leverlock notice`: where an owner is rung for a challenge and told of security events."""

from __future__ import annotations

from typing import Annotated

import typer

from leverlock.cli.connection import perform
from leverlock.cli.options import Account, Config, Json, load
from leverlock.cli.output import table, tell

app = typer.Typer(help="Where an owner is rung for a challenge and told of security events.", no_args_is_help=True)


@app.command("set")
def set_(
    account: Account,
    channel: Annotated[str, typer.Argument(help="email, webhook or chat.")],
    target: Annotated[
        str, typer.Argument(help="Mail address, https address of a webhook, or a chat service's, such as tgram://…")
    ],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Set the owner's address on a channel; it replaces the one before."""
    done = perform(load(config).settings, "notice.set", account=account, channel=channel, target=target)
    lines = [f"{account} is told by {channel} at {target}."]
    if "secret" in done:
        lines.append(f"Calls are signed with {done['secret']} (Standard Webhooks).")
    tell(done, as_json=as_json, lines=lines)


@app.command("list")
def list_(account: Account, config: Config = None, as_json: Json = False) -> None:
    """List the owner's addresses."""
    found = perform(load(config).settings, "notice.list", account=account)
    rows = [(a["channel"], a["target"], a["state"]) for a in found["addresses"]]
    heads = ("channel", "address", "state")
    tell(found, as_json=as_json, lines=table(heads, rows, nothing="The owner is told nowhere."))
