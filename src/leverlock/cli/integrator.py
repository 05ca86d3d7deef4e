"""`leverlock integrator`: back ends of a venue that ask for decisions about its accounts."""

from __future__ import annotations

from typing import Annotated

import typer

from leverlock.cli.connection import perform
from leverlock.cli.options import Config, Json, load
from leverlock.cli.output import note, table, tell

app = typer.Typer(help="Back ends of a venue that ask for decisions about its accounts.", no_args_is_help=True)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What you call it.")], config: Config = None, as_json: Json = False
) -> None:
    """Let a back end ask for decisions. Its token is shown now and never again."""
    made = perform(load(config).settings, "integrator.create", name=name)
    if not as_json:
        note("The token is shown this once.")
    tell(made, as_json=as_json, lines=[f"Integrator {made['integrator']} ({name}):", f"  token  {made['token']}"])


@app.command("list")
def list_(config: Config = None, as_json: Json = False) -> None:
    """List the integrators. Tokens are never shown again."""
    found = perform(load(config).settings, "integrator.list")
    rows = [(i["integrator"], i["name"], "revoked" if i["revoked"] else "active") for i in found["integrators"]]
    tell(found, as_json=as_json, lines=table(("integrator", "name", "state"), rows, nothing="There are none."))


@app.command("revoke")
def revoke(
    integrator: Annotated[str, typer.Argument(help="Its id, as `integrator list` shows it.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """End an integrator's access at once."""
    done = perform(load(config).settings, "integrator.revoke", integrator=integrator)
    tell(done, as_json=as_json, lines=[f"Integrator {integrator} is revoked."])
