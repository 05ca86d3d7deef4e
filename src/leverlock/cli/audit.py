"""`leverlock audit`: the trail of everything that was asked, answered and done."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leverlock.cli.options import Config, Json, load
from leverlock.cli.output import CommandError, Exit, tell

if TYPE_CHECKING:
    from leverlock.app.trail import Report
    from leverlock.config import Settings

app = typer.Typer(help="The trail of everything that was asked, answered and done.", no_args_is_help=True)


@app.command("verify")
def verify(
    checkpoints: Annotated[
        Path | None,
        typer.Option(help="Check against this copy of the checkpoint file, kept elsewhere.", show_default=False),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Check every chain of records and every signed checkpoint. Ends with 1 where something was changed.

    It reads the database itself and asks no server, which might be the one that changed it.
    """
    settings = load(config).settings
    report = _verified(settings, checkpoints or settings.checkpoint.file)
    document = {
        "whole": report.ok,
        "accounts": report.accounts,
        "records": report.records,
        "checkpoints": report.checkpoints,
        "unsealed": report.unsealed,
        "findings": [{"where": found.where, "what": found.what} for found in report.findings],
        "notes": [{"where": found.where, "what": found.what} for found in report.notes],
    }
    looked = f"{report.records} records of {report.accounts} accounts, {report.checkpoints} checkpoints"
    lines = [f"Whole: {looked}; {report.unsealed} records not yet sealed." if report.ok else f"CHANGED: {looked}."]
    lines += [f"  {found.where}: {found.what}" for found in report.findings]
    lines += [f"  (note) {found.where}: {found.what}" for found in report.notes]
    tell(document, as_json=as_json, lines=lines)
    if not report.ok:
        raise typer.Exit(int(Exit.REFUSED))


def _verified(settings: Settings, checkpoint_file: Path) -> Report:
    from leverlock.checkpoints import public_key_of, verify_all
    from leverlock.store.host import SystemClock
    from leverlock.store.sealing import Keyring, KeyringError
    from leverlock.store.sqlite import SqliteStore

    try:
        public_key = public_key_of(Keyring.load(settings.keyring.path).signing_key)
    except KeyringError as problem:
        raise CommandError(str(problem), exit_code=Exit.SETTINGS) from None
    if not settings.store.path.exists():
        raise CommandError(f"no database at {settings.store.path}", exit_code=Exit.SETTINGS)
    # Not started: it only reads.
    store = SqliteStore(settings.store.path, clock=SystemClock(), limits=settings.limits)
    try:
        return asyncio.run(verify_all(store, checkpoint_file=checkpoint_file, public_key=public_key))
    except OSError as problem:
        raise CommandError(f"{checkpoint_file} cannot be read: {problem}", exit_code=Exit.SETTINGS) from None
    finally:
        store.close()
