"""`leverlock operator`: who may decide about recovery cases, policies and other operators. There is nobody until this
command made the first one (B61)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from leverlock.cli.connection import perform
from leverlock.cli.options import Config, Json, PasswordFile, load
from leverlock.cli.output import table, tell
from leverlock.cli.secret_input import secret

app = typer.Typer(help="Support and security staff.", no_args_is_help=True)

_ROLES = "support, security or admin."


@app.command("create")
def create(
    login: Annotated[str, typer.Argument(help="Name to sign in with.")],
    role: Annotated[str, typer.Option(help=_ROLES)] = "admin",
    password_file: PasswordFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Make an account that is to have a role. The first operator has it at once; about others the operators decide."""
    settings = load(config).settings
    password = secret("password", file=password_file, prompt="Password", confirm=True)
    made = perform(settings, "operator.create", login=login, password=password, role=role)
    lines = [f"Account {made['account']} was created for {made['login']}.", *_outcome(made, role)]
    if made["in_office"]:
        lines.append(f"Before anything at the desk opens: leverlock enrol login --login {made['login']}")
    tell(made, as_json=as_json, lines=lines)


@app.command("role")
def role_(
    account: Annotated[str, typer.Argument(help="Login or id of the account.")],
    role: Annotated[str, typer.Argument(help=f"{_ROLES[:-1]}; none for no role any more.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Propose another role from this machine: possible while fewer than two operators could decide it."""
    wanted = "" if role == "none" else role
    done = perform(load(config).settings, "operator.role", account=account, role=wanted)
    tell(done, as_json=as_json, lines=_outcome(done, role))


@app.command("approve")
def approve(
    account: Annotated[str, typer.Argument(help="Login or id of the account it is about.")],
    proposal: Annotated[str, typer.Argument(help="The proposal's id.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Agree, from this machine, to what the only operator who can decide has proposed."""
    done = perform(load(config).settings, "operator.approve", account=account, proposal=proposal)
    tell(done, as_json=as_json, lines=[f"Proposal {done['proposal']} is {done['state']}."])


@app.command("list")
def list_(config: Config = None, as_json: Json = False) -> None:
    """List the operators, and what is proposed."""
    found = perform(load(config).settings, "operator.list")
    rows = [(o["login"], o["account"], o["role"], "" if o["active"] else "locked") for o in found["operators"]]
    lines = table(("login", "account", "role", ""), rows, nothing="There are no operators.")
    lines += [f"Proposed ({p['proposal']}): {'; '.join(p['points'])}" for p in found["proposals"]]
    tell(found, as_json=as_json, lines=lines)


def _outcome(done: dict[str, Any], role: str) -> list[str]:
    if done["in_office"]:
        return [f"It has the role {role}."]
    return [f"An operator who may decide it approves proposal {done['proposal']}; until then it has no such role."]
