"""`leverlock config`: what is set, from where, and whether it holds."""

from __future__ import annotations

from typing import Annotated

import typer

from leverlock.cli.options import Config, Json, load
from leverlock.cli.output import table, tell

app = typer.Typer(help="What is set, from where, and whether it holds.", no_args_is_help=True)


@app.command("check")
def check(config: Config = None, as_json: Json = False) -> None:
    """Read the settings and the policy as `serve` would, and say what is wrong with them."""
    from leverlock.policy_office import read_policy

    loaded = load(config)
    policy = read_policy(loaded.settings.policy)
    source = "no settings file" if loaded.file is None else str(loaded.file)
    document = {"file": None if loaded.file is None else str(loaded.file), "policy": policy.name}
    tell(document, as_json=as_json, lines=[f"The settings hold ({source}; policy {policy.name})."])


@app.command("show")
def show(
    changed: Annotated[bool, typer.Option("--changed", help="Only what is not left at its default.")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show every setting in force and where it comes from. Secrets are never shown."""
    from leverlock.settings_sources import shown

    found = [(name, value, source) for name, value, source in shown(load(config)) if not changed or source != "default"]
    document = {"settings": [{"setting": name, "value": value, "source": source} for name, value, source in found]}
    rows = [(name, "not set" if value is None else value, source) for name, value, source in found]
    tell(document, as_json=as_json, lines=table(("setting", "value", "source"), rows, nothing="Nothing is set."))


@app.command("schema")
def schema_() -> None:
    """Print the JSON Schema of the settings file."""
    from leverlock.settings_sources import schema

    tell(schema(), as_json=True)
