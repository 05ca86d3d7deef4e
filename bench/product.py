"""The product as it is served, for the bench: `leverlock serve` over a prepared folder.

    python -m bench.product FOLDER --batch 1

Run as a module it is `leverlock serve` with another number of use cases in one commit: P7 compares with one for each.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from bench.processes import Program
from leverlock.cli.main import run
from leverlock.store import sqlite


def serving(
    folder: Path, *, log: Path, batch: int | None = None, environment: Mapping[str, str] | None = None
) -> Program:
    """The server over `folder`; its ready line holds the addresses of its doors."""
    if batch is not None:
        arguments = ["-m", "bench.product", str(folder), "--batch", str(batch)]
    else:
        arguments = ["-m", "leverlock", "serve", "--json", "--config", str(folder / "config.toml")]
    return Program([sys.executable, *arguments], log=log, environment=environment)


def port_of(program: Program, door: str) -> int:
    """Where a door of a running server listens."""
    port = urlsplit(program.ready[door]).port
    assert port is not None, program.ready
    return int(port)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch", type=int, required=True)
    arguments = parser.parse_args()
    sqlite.BATCH = arguments.batch
    run(["serve", "--json", "--config", str(arguments.folder / "config.toml")])


if __name__ == "__main__":
    main()
