"""`leverlock init`: settings, keyring and database of a new deployment, in one go."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from leverlock.cli.options import Json
from leverlock.cli.output import CommandError, Exit, note, tell

COSTS = {
    "literal": "every order above 50x waits for a code, a protective one that reduces risk too",
    "trader": "reducing and closing orders pass without a code; whoever holds a key can close positions at a bad price",
}


def init(
    policy: Annotated[
        str | None, typer.Option(help="literal, trader or a policy file; asked for if left out.", show_default=False)
    ] = None,
    issuer: Annotated[str, typer.Option(help="Your name in authenticator apps, before the environment.")] = "Leverlock",
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="LEVERLOCK_CONFIG", help="Settings file to write.")
    ] = Path(".leverlock/config.toml"),
    as_json: Json = False,
) -> None:
    """Write settings, make a keyring and a database. Nothing that exists is touched."""
    from leverlock.policy_office import read_policy
    from leverlock.settings_sources import load_settings
    from leverlock.store.host import SystemClock, SystemEntropy
    from leverlock.store.sealing import Keyring, KeyringError
    from leverlock.store.sqlite import SqliteStore

    if config.exists():
        raise CommandError(f"{config} exists already; this deployment is set up")
    chosen = policy or _asked()
    written = chosen if chosen in COSTS else str(Path(chosen).absolute())
    read_policy(written)
    made_directory = not config.parent.exists()
    try:
        config.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as problem:
        raise CommandError(f"{config} cannot be written: {problem.strerror}", exit_code=Exit.SETTINGS) from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(_TEMPLATE.format(policy=_toml(written), issuer=_toml(issuer)))
        settings = load_settings(config, os.environ).settings
        if settings.store.path.exists():
            raise CommandError(f"{settings.store.path} exists already; its keyring and settings belong with it")
        Keyring.create(settings.keyring.path, entropy=SystemEntropy())
        SqliteStore.create(settings.store.path, clock=SystemClock())
    except BaseException as problem:
        # Half a deployment would look like a whole one to the next attempt.
        config.unlink(missing_ok=True)
        if made_directory and not any(config.parent.iterdir()):
            config.parent.rmdir()
        if isinstance(problem, KeyringError):
            raise CommandError(str(problem)) from None
        raise
    made = {"config": str(config), "policy": written}
    made |= {"keyring": str(settings.keyring.path), "database": str(settings.store.path)}
    lines = [f"{what:<9} {where}" for what, where in made.items()]
    if not as_json:
        note("Keep a copy of the keyring apart from the database's. Next: `leverlock serve`.")
    tell(made, as_json=as_json, lines=lines)


def _asked() -> str:
    note("Which policy?")
    for name, cost in COSTS.items():
        note(f"  {name:<8} {cost}")
    return str(typer.prompt("Policy", default="literal", err=True))


def _toml(text: str) -> str:
    """A TOML basic string; JSON's escapes are a subset of TOML's."""
    return json.dumps(text, ensure_ascii=False)


_TEMPLATE = """\
# Settings of this Leverlock. Every setting and its bounds: `leverlock config schema`; what is in force and from where:
# `leverlock config show`. Relative paths start at the directory of this file. An environment variable such as
# LEVERLOCK__SERVER__API_PORT wins over the line here; a secret may stand in a file of its own,
# named by LEVERLOCK__SMTP__PASSWORD_FILE or by `password_file` in its section.

# Which orders wait for a code: "literal", "trader", or the path of a policy file.
policy = {policy}

# The name in authenticator apps, before the environment: "Acme" shows as "Acme Futures".
issuer = {issuer}

[server]
# api_port = 8700
# gateway_port = 8701
# metrics_port = 8702
# api_url = "https://2fa.example.com"
# gateway_url = "https://gateway.example.com"

[store]
path = "leverlock.db"

[keyring]
path = "keyring.json"

[smtp]
# host = "mail.example.com"
# sender = "Acme security <security@example.com>"

[webhook]
# hosts = ["hooks.example.com"]
"""
