"""Options that many commands share, so that they are called and explained alike."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from leverlock.settings_sources import Loaded

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Settings file. Default: $LEVERLOCK_CONFIG, ./leverlock.toml or ./.leverlock/config.toml.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.", show_default=False)]
Account = Annotated[str, typer.Option("--account", "-a", help="Login or id of the account.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(help="File that holds the password; - reads standard input. Else asked for.", show_default=False),
]


def load(config: Path | None) -> Loaded:
    """The settings in force for a command. Raises SettingsError."""
    from leverlock.settings_sources import load_settings

    return load_settings(config, os.environ)
