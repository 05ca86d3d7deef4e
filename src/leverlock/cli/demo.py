"""`leverlock demo`: the whole story on this machine, with a paper venue and an exchange client we did not write.

Everything is real but the money: the server is `leverlock serve`, the venue a process of its own reached over HTTP,
the client the unmodified ccxt package, the codes those of an authenticator app. The clock is never touched.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from leverlock.cli.demo_stage import Stage
from leverlock.cli.demo_stage import stage as opened
from leverlock.cli.output import CommandError, Exit

DIRECTORY: Final = Path(".leverlock")


def demo(
    once: Annotated[bool, typer.Option("--once", help="Walk, print, and end: 0 only if all was as expected.")] = False,
) -> None:
    """Walk the whole story against a paper venue, with ccxt; then go on serving until Ctrl-C."""
    from leverlock.cli.demo_walk import walk

    console = Console(highlight=False, soft_wrap=True)
    try:
        import ccxt
    except ImportError:
        raise CommandError("the demo needs the ccxt package: pip install ccxt", exit_code=Exit.SETTINGS) from None
    with ExitStack() as stack:
        console.print("Starting the paper venue, the API and the gateway on loopback …")
        stage = stack.enter_context(opened(DIRECTORY / "demo"))
        began = time.monotonic()
        done = walk(stage, console, ccxt)
        seconds = time.monotonic() - began
        verdict = "all as expected" if done.as_expected else "[bold red]NOT all as expected[/]"
        console.print(f"\n{done.steps} steps in {seconds:.0f} s: {verdict}.")
        if once:
            raise typer.Exit(0 if done.as_expected else int(Exit.REFUSED))
        _write_facts(
            DIRECTORY / "demo.json", {"api": stage.api, "gateway": stage.gateway, "venue": stage.venue, **done.facts}
        )
        _tell_addresses(console, stage, done.facts)
        _wait(stack)


def _write_facts(path: Path, facts: dict[str, str]) -> None:
    """Addresses and secrets of the demo, for programs; readable by this user only, and never half written."""
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(facts, file, indent=2)
        file.write("\n")
    unfinished.replace(path)


def _tell_addresses(console: Console, stage: Stage, facts: dict[str, str]) -> None:
    console.rule("Now it is yours")
    console.print(f"API       {stage.api}   (what it takes: {stage.api}/openapi.json)")
    console.print(f"Gateway   {stage.gateway}")
    console.print(f"Venue     {stage.venue}   (paper money)")
    console.print(f"Login     {facts['username']}   password {facts['password']}")
    console.print("\nPoint your own ccxt at it:\n")
    console.print(
        f"""    import ccxt
    x = ccxt.binanceusdm({{"apiKey": "{facts["api_key"]}",
                          "secret": "{facts["api_secret"]}"}})
    for name, url in list(x.urls["api"].items()):
        if isinstance(url, str):
            x.urls["api"][name] = "{stage.gateway}/" + url.split("/", 3)[3]
    x.load_markets()
    x.set_leverage(75, "ETH/USDT:USDT")
    x.create_order("ETH/USDT:USDT", "market", "buy", 0.1)   # refused, with the challenge
""",
        markup=False,
    )
    console.print("Approve it in another terminal, then send the same order again:\n")
    console.print(f"    .venv/bin/leverlock approve --login {facts['username']} --config {stage.config}", markup=False)
    console.print(f"\nThe same facts stand in {DIRECTORY / 'demo.json'}. Ctrl-C ends everything.")


def _wait(stack: ExitStack) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    stack.callback(signal.signal, signal.SIGTERM, previous)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print("\nStopping …")
