"""`leverlock integrator`: back ends of a venue that ask for decisions about its accounts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from leverlock.cli.connection import perform
from leverlock.cli.options import Config, Json, load
from leverlock.cli.output import CommandError, Exit, moment, note, table, tell

app = typer.Typer(help="Back ends of a venue that ask for decisions about its accounts.", no_args_is_help=True)


keys = typer.Typer(help="Keys with which a back end signs what it says about its users.", no_args_is_help=True)
app.add_typer(keys, name="key")


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


@keys.command("add")
def add_key(
    integrator: Annotated[str, typer.Argument(help="Its id, as `integrator list` shows it.")],
    public_key: Annotated[Path, typer.Argument(help="PEM file with its public key: Ed25519 or P-256.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Let a back end say, signed, that its user has just typed his password there."""
    try:
        pem = public_key.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as problem:
        raise CommandError(f"{public_key} cannot be read: {problem}", exit_code=Exit.USAGE) from None
    added = perform(load(config).settings, "integrator.key.add", integrator=integrator, public_key=pem)
    lines = [
        f"Key {added['key']} of {integrator}; its statements name it and this deployment:",
        f"  alg  {added['algorithm']}",
        f"  kid  {added['key']}",
        f"  iss  {integrator}",
        f"  aud  {added['audience']}",
    ]
    tell(added, as_json=as_json, lines=lines)


@keys.command("list")
def list_keys(config: Config = None, as_json: Json = False) -> None:
    """List the keys of all integrators."""
    found = perform(load(config).settings, "integrator.key.list")
    rows = [
        (k["key"], k["integrator"], k["algorithm"], "removed" if k["removed"] else "active", moment(k["created_at"]))
        for k in found["keys"]
    ]
    titles = ("key", "integrator", "algorithm", "state", "added (UTC)")
    tell(found, as_json=as_json, lines=table(titles, rows, nothing="There are none."))


@keys.command("remove")
def remove_key(
    key: Annotated[str, typer.Argument(help="Its id, as `integrator key list` shows it.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Accept nothing more that is signed with this key."""
    done = perform(load(config).settings, "integrator.key.remove", key=key)
    tell(done, as_json=as_json, lines=[f"Key {key} is removed."])
