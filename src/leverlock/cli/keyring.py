"""`leverlock keyring`: the keys outside the database."""

from __future__ import annotations

from typing import Any

import typer

from leverlock.cli.connection import perform
from leverlock.cli.options import Config, Json, load
from leverlock.cli.output import CommandError, Exit, note, table, tell

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


@app.command("show")
def show(config: Config = None, as_json: Json = False) -> None:
    """Show the keys by their version, and how many secrets are sealed under each. No key is shown."""
    found = perform(load(config).settings, "keyring.show")
    rows = [
        (str(one["version"]), str(one["secrets"]), "seals now" if one["version"] == found["current"] else "")
        for one in found["versions"]
    ]
    lines = table(("version", "secrets", ""), rows, nothing="There are no keys.")
    if found["lost"]:
        lines.append(f"{found['lost']} secrets are sealed under a key that this keyring does not have.")
    tell(found, as_json=as_json, lines=lines)


@app.command("rotate")
def rotate(config: Config = None, as_json: Json = False) -> None:
    """Make a new key and seal every stored secret anew under it, while the server runs.

    Interrupted, it is called again and goes on. The older key stays in the file until `leverlock keyring retire`.
    """
    settings = load(config).settings
    begun = perform(settings, "keyring.rotate")
    if not as_json:
        what = f"Key {begun['version']} was made." if begun["new"] else f"Going on with key {begun['version']}."
        note(f"{what} {begun['secrets']} secrets to seal anew.")
    done: dict[str, Any] = {"version": begun["version"], "new": begun["new"], "resealed": 0, "broken": [], "left": 0}
    after: str | None = ""
    while after is not None:
        piece = perform(settings, "keyring.reseal", after=after)
        done["resealed"] += piece["resealed"]
        done["broken"] += piece["broken"]
        done["left"] = piece.get("left", 0)
        after = piece["next"]
        if not as_json and after is not None:
            note(f"{done['resealed']} of {begun['secrets']}")
    lines = [f"{done['resealed']} secrets were sealed anew under key {done['version']}."]
    lines += [
        f"{name} does not open in its place and was left as it is; see the audit trail." for name in done["broken"]
    ]
    if done["left"]:
        lines.append(f"{done['left']} secrets are left under an older key: call this again.")
    tell(done, as_json=as_json, lines=lines)
    if done["left"]:
        raise typer.Exit(int(Exit.REFUSED))


@app.command("retire")
def retire(config: Config = None, as_json: Json = False) -> None:
    """Forget the older keys. Refused while a secret needs one; backups from before cannot be opened afterwards."""
    done = perform(load(config).settings, "keyring.retire")
    retired = ", ".join(str(version) for version in done["retired"])
    tell(done, as_json=as_json, lines=[f"Key {retired} is gone; key {done['current']} is the only one."])
