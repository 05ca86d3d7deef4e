"""`leverlock operator`: support and security staff. There is none until this command made one (B61)."""

from __future__ import annotations

from typing import Annotated

import typer

from leverlock.cli.connection import perform
from leverlock.cli.options import Config, Json, PasswordFile, load
from leverlock.cli.output import table, tell
from leverlock.cli.secret_input import secret

app = typer.Typer(help="Support and security staff.", no_args_is_help=True)


@app.command("create")
def create(
    login: Annotated[str, typer.Argument(help="Name to sign in with.")],
    role: Annotated[str, typer.Option(help="support or security.")] = "security",
    password_file: PasswordFile = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Create an operator."""
    settings = load(config).settings
    password = secret("password", file=password_file, prompt="Password", confirm=True)
    made = perform(settings, "operator.create", login=login, password=password, role=role)
    tell(made, as_json=as_json, lines=[f"Operator {made['operator']} ({login}, {role}) was created."])


@app.command("list")
def list_(config: Config = None, as_json: Json = False) -> None:
    """List the operators."""
    found = perform(load(config).settings, "operator.list")
    rows = [(o["login"], o["operator"], o["role"]) for o in found["operators"]]
    tell(found, as_json=as_json, lines=table(("login", "operator", "role"), rows, nothing="There are no operators."))
