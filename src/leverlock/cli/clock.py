"""`leverlock clock`: the server's clock, and what to do where it stands behind what the database has seen (B11)."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from leverlock.cli.connection import perform
from leverlock.cli.options import Config, Json, load
from leverlock.cli.output import CommandError, Exit, moment, note, tell

app = typer.Typer(help="The server's clock, which no code can be judged without.", no_args_is_help=True)

WORD = "void everything"


@app.command("show")
def show(config: Config = None, as_json: Json = False) -> None:
    """Show the clock and the latest time the database has seen. Ends with 1 where nothing is verified."""
    found = perform(load(config).settings, "clock.show")
    lines = [f"Now            {moment(found['now'])} UTC", f"Latest seen    {moment(found['mark'])} UTC"]
    if found["fence"] is not None:
        lines.append(f"Fence {found['fence']} is being raised; nothing is verified until it stands.")
    elif not found["verifies"]:
        lines.append(f"The clock is {found['behind_ms'] // 1000} s behind; nothing is verified until it is right.")
    tell(found, as_json=as_json, lines=lines)
    if not found["verifies"]:
        raise typer.Exit(int(Exit.REFUSED))


@app.command("reset")
def reset(
    clock_is_right: Annotated[
        bool, typer.Option("--clock-is-right", help="First answer: this machine's clock is right now.")
    ] = False,
    void_everything: Annotated[
        bool, typer.Option("--void-everything", help="Second answer: end every session, challenge and grant.")
    ] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Let time go on from now, where the clock was ahead before and is right again.

    It raises a fence: every session, challenge and grant ends, and every code up to the next one is spent. Owners can
    answer again within 90 seconds. An interrupted reset is finished by the next one, or by the next start.
    """
    settings = load(config).settings
    found = perform(settings, "clock.show")
    if found["verifies"]:
        raise CommandError("the clock is not behind; there is nothing to reset")
    note(f"The database has seen {moment(found['mark'])} UTC, and this machine says {moment(found['now'])} UTC.")
    if not clock_is_right:
        _must_answer("Is this machine's clock right? Type yes", "yes", option="--clock-is-right")
    if not void_everything:
        _must_answer(f"Every session, challenge and grant ends. Type {WORD}", WORD, option="--void-everything")
    done = perform(settings, "clock.reset", mark=found["mark"])
    lines = [
        f"Fence {done['fence']} stands over {done['accounts']} accounts; time goes on from {moment(done['now'])} UTC."
    ]
    tell(done, as_json=as_json, lines=lines)


def _must_answer(question: str, answer: str, *, option: str) -> None:
    if not sys.stdin.isatty():
        raise CommandError(f"not confirmed: use {option}, or run this in a terminal", exit_code=Exit.USAGE)
    print(f"{question}: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != answer:
        raise CommandError("not confirmed; nothing was changed")
