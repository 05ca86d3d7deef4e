"""`leverlock serve`: API, gateway, metrics and the admin socket, in one process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from leverlock.cli.options import Config, Json, load


def serve(
    ready_file: Annotated[
        Path | None,
        typer.Option(help="Written, with the addresses, once every door answers.", show_default=False),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Serve until SIGTERM or Ctrl-C, then let calls under way finish.

    With --json the addresses are printed as one line on standard output once every door answers.
    """
    from leverlock.bootstrap import run_server

    loaded = load(config)

    def ready(document: dict[str, Any]) -> None:
        if as_json:
            print(json.dumps(document), flush=True)

    run_server(loaded.settings, ready_file=ready_file, on_ready=ready)
