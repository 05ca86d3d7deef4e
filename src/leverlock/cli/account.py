"""`leverlock account`: the people whose trades are protected."""

from __future__ import annotations

from typing import Annotated

import typer

from leverlock.cli.connection import perform
from leverlock.cli.options import Config, Json, PasswordFile, load
from leverlock.cli.output import table, tell
from leverlock.cli.secret_input import secret

app = typer.Typer(help="The people whose trades are protected.", no_args_is_help=True)


@app.command("create")
def create(
    login: Annotated[str, typer.Argument(help="Name to sign in with.")],
    password_file: PasswordFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Create an account. Its owner signs in with this password and then enrols an authenticator."""
    settings = load(config).settings
    password = secret("password", file=password_file, prompt="Password", confirm=True)
    made = perform(settings, "account.create", login=login, password=password)
    tell(made, as_json=as_json, lines=[f"Account {made['account']} was created for {made['login']}."])


@app.command("list")
def list_(config: Config = None, as_json: Json = False) -> None:
    """List the accounts and the environments in which each has protection switched on."""
    settings = load(config).settings
    accounts, after = [], ""
    while True:
        page = perform(settings, "account.list", after=after)
        accounts += page["accounts"]
        if page["next"] is None:
            break
        after = page["next"]
    rows = [(a["login"], a["account"], a["state"], ", ".join(a["protected"]) or "nothing") for a in accounts]
    lines = table(("login", "account", "state", "protected"), rows, nothing="There are no accounts yet.")
    tell({"accounts": accounts}, as_json=as_json, lines=lines)


Named = Annotated[str, typer.Argument(help="Login or id of the account.")]


@app.command("lock")
def lock(account: Named, config: Config = None, as_json: Json = False) -> None:
    """Stop an account: sessions end, what was asked and approved is void, and only cancels pass."""
    done = perform(load(config).settings, "account.lock", account=account)
    tell(done, as_json=as_json, lines=[f"Account {account} is locked."])


@app.command("unlock")
def unlock(account: Named, config: Config = None, as_json: Json = False) -> None:
    """Let a locked account go on. What the lock voided stays void."""
    done = perform(load(config).settings, "account.unlock", account=account)
    tell(done, as_json=as_json, lines=[f"Account {account} is active again."])
