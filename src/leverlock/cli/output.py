"""What commands print, and the exit codes they end with.

Results go to standard output: readable lines, or with `--json` one JSON document and nothing else. Errors go to
standard error as a plain sentence, or with `--json` as `{"error": {...}}`. A traceback is a bug of ours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, NoReturn

from leverlock.domain.errors import Reason, Refused


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    REFUSED = 1  # a rule said no, or a check found something wrong
    USAGE = 2  # the command line itself
    SETTINGS = 3  # settings, keyring, policy or database cannot be used
    UNAVAILABLE = 4  # the server, the store or the venue does not answer
    INTERRUPTED = 130


EXIT_MEANINGS = {
    Exit.DONE: "done",
    Exit.REFUSED: "refused by a rule (name taken, unknown id, wrong code), or a check found something wrong",
    Exit.USAGE: "the command line is wrong",
    Exit.SETTINGS: "settings, keyring, policy or database cannot be used",
    Exit.UNAVAILABLE: "the server, the store or the venue does not answer",
    Exit.INTERRUPTED: "interrupted",
}

_SENTENCES = {
    Reason.SIGN_IN_FAILED: "signing in failed: login or password is wrong",
    Reason.NOT_AUTHENTICATED: "not signed in, or signed in too long ago",
    Reason.WRONG_CODE: "this code is not right",
    Reason.CODE_ALREADY_USED: "this code was used already; wait for the next one",
    Reason.CLOCK_BEHIND: "this machine's clock runs behind what the database has seen; set it right",
    Reason.STORE_UNAVAILABLE: "the database cannot be used now; nothing was changed",
    Reason.CONFLICT: "something else changed this at the same moment; try again",
}
_UNAVAILABLE = frozenset({Reason.STORE_UNAVAILABLE, Reason.CLOCK_BEHIND})


class CommandError(Exception):
    """A command cannot go on: the sentence to print, and the code to exit with."""

    def __init__(self, sentence: str, *, exit_code: Exit = Exit.REFUSED, facts: dict[str, Any] | None = None) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
        self.facts = facts or {}


def refused(problem: Refused) -> CommandError:
    """A refusal as a sentence."""
    plain = problem.reason.value.replace("_", " ")
    sentence = problem.detail or _SENTENCES.get(problem.reason, plain)
    if problem.retry_after_ms is not None:
        sentence += f"; try again in {max(1, round(problem.retry_after_ms / 1000))} s"
    facts = {"reason": problem.reason.value, "field": problem.field}
    code = Exit.UNAVAILABLE if problem.reason in _UNAVAILABLE else Exit.REFUSED
    return CommandError(sentence, exit_code=code, facts={name: v for name, v in facts.items() if v is not None})


def tell(document: Any, *, as_json: bool, lines: Iterable[str] = ()) -> None:
    """The result of a command: the document with `--json`, else the lines."""
    if as_json:
        print(json.dumps(document, indent=2, ensure_ascii=False, default=str))
        return
    for line in lines:
        print(visible(line))


def fail(problem: CommandError, *, as_json: bool) -> NoReturn:
    """Print the error and end the process."""
    if as_json:
        document = {"error": {"message": str(problem), "exit_code": int(problem.exit_code), **problem.facts}}
        print(json.dumps(document, ensure_ascii=False), file=sys.stderr)
    else:
        print(visible(f"leverlock: {problem}"), file=sys.stderr)
    raise SystemExit(int(problem.exit_code))


def note(sentence: str) -> None:
    """Something a person should read beside the result; never part of a JSON document."""
    print(visible(sentence), file=sys.stderr)


def table(titles: Sequence[str], rows: Sequence[Sequence[Any]], *, nothing: str) -> list[str]:
    """Rows under titles, in columns as wide as their contents; one sentence where there are none."""
    if not rows:
        return [nothing]
    cells = [[visible("" if cell is None else str(cell)) for cell in row] for row in rows]
    widths = [max(len(title), *(len(row[i]) for row in cells)) for i, title in enumerate(titles)]
    formatted = [titles, *cells]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in formatted]


def moment(at_ms: int) -> str:
    """A time in UTC, to the second."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")


def visible(text: str) -> str:
    """`text` without what could move the cursor, hide or reverse other text (B49)."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
