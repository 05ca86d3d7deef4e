"""Secrets that a command needs: from a file, the environment or a prompt; never from the command line, where every
user of the machine could read them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from leverlock.cli.output import CommandError, Exit

MOST = 64 * 1024


def secret(name: str, *, file: Path | None, prompt: str, confirm: bool = False) -> str:
    """The secret called `name`: from `file` (`-` is standard input), else from `LEVERLOCK_<NAME>_FILE`, else from
    `LEVERLOCK_<NAME>`, else typed. Raises CommandError."""
    variable = f"LEVERLOCK_{name.upper()}"
    pointed = os.environ.get(f"{variable}_FILE")
    if file is not None:
        return _read(file)
    if pointed:
        return _read(Path(pointed))
    if os.environ.get(variable):
        return os.environ[variable]
    if not sys.stdin.isatty():
        option = f"--{name.lower().replace('_', '-')}-file"
        raise CommandError(
            f"no {prompt.lower()} was given: use {option} or {variable}_FILE, or run this in a terminal",
            exit_code=Exit.USAGE,
        )
    return _typed(prompt, confirm=confirm)


def is_typed(name: str, *, file: Path | None) -> bool:
    """Whether this secret is typed each time it is asked for, so that a second one can be asked for."""
    variable = f"LEVERLOCK_{name.upper()}"
    given = file is not None or os.environ.get(f"{variable}_FILE") or os.environ.get(variable)
    return not given and sys.stdin.isatty()


def _read(file: Path) -> str:
    try:
        text = sys.stdin.read(MOST) if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise CommandError(f"{file} cannot be read: {problem}", exit_code=Exit.USAGE) from None
    # One line end belongs to the file and not to the secret; blanks may be part of it.
    return text.removesuffix("\n").removesuffix("\r")


def _typed(prompt: str, *, confirm: bool) -> str:
    from getpass import getpass

    while True:
        given = getpass(f"{prompt}: ")
        if not confirm or getpass(f"{prompt} again: ") == given:
            return given
        print("The two are not the same. Once more.", file=sys.stderr)
