"""`leverlock keyring`: the keys outside the database."""

from __future__ import annotations

import typer

from leverlock.cli.options import Config, Json, load
from leverlock.cli.output import CommandError, Exit, note, tell

app = typer.Typer(help="The keys outside the database.", no_args_is_help=True)


@app.command("init")
def init(config: Config = None, as_json: Json = False) -> None:
    """Make a new keyring file, readable by this user only. Refused where one exists."""
    from leverlock.store.host import SystemEntropy
    from leverlock.store.sealing import Keyring, KeyringError

    path = load(config).settings.keyring.path
    try:
        Keyring.create(path, entropy=SystemEntropy())
    except KeyringError as problem:
        raise CommandError(str(problem)) from None
    except OSError as problem:
        raise CommandError(f"{path} cannot be written: {problem.strerror}", exit_code=Exit.SETTINGS) from None
    if not as_json:
        note("Keep a copy apart from the database's: without it no sealed secret can be opened again.")
    tell({"keyring": str(path)}, as_json=as_json, lines=[f"Keyring {path} was made."])
