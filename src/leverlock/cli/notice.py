"""`leverlock notice`: where an owner is rung for a challenge and told of security events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leverlock.cli.agree import ApiUrl, CodeFile, Login, LoginCodeFile, agreed, path_id, signed_in
from leverlock.cli.connection import perform
from leverlock.cli.options import Account, Config, Json, PasswordFile, load
from leverlock.cli.output import table, tell
from leverlock.cli.secret_input import secret

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


@app.command()
def mine(
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Owner: list your own addresses: named, serving, and leaving."""
    with signed_in(api_url, config, login, password_file, login_code_file) as (api, _):
        found = api.call("GET", "/v1/addresses")
    rows = [(a["id"], a["channel"], a["target"], a["state"]) for a in found["addresses"]]
    heads = ("id", "channel", "address", "state")
    tell(found, as_json=as_json, lines=table(heads, rows, nothing="You are told nowhere."))


@app.command()
def name(
    channel: Annotated[str, typer.Argument(help="email or webhook.")],
    target: Annotated[str, typer.Argument(help="Mail address, or https address of a webhook.")],
    replaces: Annotated[str | None, typer.Option(help="Id of the address that leaves once this one serves.")] = None,
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    code_file: CodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Owner: name a new address. It is sent a code, and serves once you `notice confirm` it."""
    body = {"channel": channel, "target": target, **({"replaces": replaces} if replaces else {})}
    with signed_in(api_url, config, login, password_file, login_code_file) as (api, password):
        named = agreed(api, "POST", "/v1/addresses", body, password=password, code_file=code_file)
    lines = [f"{target} was sent a code. Give it to `leverlock notice confirm {named['id']}`."]
    if "secret" in named:
        lines.append(f"Calls are signed with {named['secret']} (Standard Webhooks).")
    tell(named, as_json=as_json, lines=lines)


@app.command()
def confirm(
    address: Annotated[str, typer.Argument(help="Id of the named address.")],
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    address_code_file: Annotated[
        Path | None, typer.Option(help="File with the code that the address was sent.", show_default=False)
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Owner: type the code that a new address was sent, and be told there from now on."""
    code = secret("address_code", file=address_code_file, prompt="Code that the address was sent")
    with signed_in(api_url, config, login, password_file, login_code_file) as (api, _):
        served = api.call("POST", f"/v1/addresses/{path_id(address)}/confirmation", {"code": code.strip()})
    tell(served, as_json=as_json, lines=[f"You are told at {served['target']} from now on."])


@app.command()
def leave(
    address: Annotated[str, typer.Argument(help="Id of the address.")],
    login: Login = None,
    api_url: ApiUrl = None,
    password_file: PasswordFile = None,
    login_code_file: LoginCodeFile = None,
    code_file: CodeFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Owner: be told at an address for a week more, and then no longer."""
    with signed_in(api_url, config, login, password_file, login_code_file) as (api, password):
        agreed(api, "DELETE", f"/v1/addresses/{path_id(address)}", None, password=password, code_file=code_file)
    tell({"address": address, "state": "leaving"}, as_json=as_json, lines=["It is told for a week more."])


@app.command("list")
def list_(account: Account, config: Config = None, as_json: Json = False) -> None:
    """List the owner's addresses."""
    found = perform(load(config).settings, "notice.list", account=account)
    rows = [(a["channel"], a["target"], a["state"]) for a in found["addresses"]]
    heads = ("channel", "address", "state")
    tell(found, as_json=as_json, lines=table(heads, rows, nothing="The owner is told nowhere."))
