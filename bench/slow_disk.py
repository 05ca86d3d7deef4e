"""P7: P2 at 64 clients on a disk whose every sync takes 2 ms longer, beside one commit for each verification.

The disk is slowed by `slow_sync.c`, compiled on the spot and loaded into the servers; without a C compiler nothing is
measured and that is said. One commit for each is the same product with room for one use case in a commit.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench.figures import Figure
from bench.product import serving
from bench.verification import Side, ours, prepare

CLIENTS = 64
ADDED_US = 2000
COUNTS = {"grouped": 2400, "single": 500}
QUICK_COUNTS = {"grouped": 800, "single": 250}
ROUNDS = 3
WHAT = f"verifications, {CLIENTS} clients, {ADDED_US / 1000:g} ms more per sync"
GOAL = ">= 10 x one commit for each"
SINGLE = "one commit for each"


def slow_sync(folder: Path) -> Path | None:
    """The shim, compiled into `folder`; None where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    built = folder / "slow_sync.so"
    source = Path(__file__).with_name("slow_sync.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", built, source, "-ldl"], check=True)
    return built


def measure(folder: Path, *, quick: bool, say: Callable[[str], None]) -> list[Figure]:
    """P7's figures. `folder` is scratch and may be removed afterwards."""
    shim = slow_sync(folder)
    if shim is None:
        say("no C compiler, so the slow disk was not measured")
        return [Figure("P7", WHAT, float("nan"), "/s", {}, GOAL)]
    counts, rounds = (QUICK_COUNTS, 2) if quick else (COUNTS, ROUNDS)
    environment = {"LD_PRELOAD": str(shim), "SLOW_SYNC_US": str(ADDED_US)}
    with ExitStack() as stack:
        sides = {}
        for name, count in counts.items():
            say(f"preparing owners for {count * rounds} verifications")
            supply = prepare(folder / name, count * rounds)
            program = serving(
                folder / name,
                log=folder / f"{name}.log",
                batch=1 if name == "single" else None,
                environment=environment,
            )
            sides[name] = ours(folder, supply, stack.enter_context(program))
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for name, side in sides.items():
                side.turn(CLIENTS, counts[name])
        found = _figures(sides["grouped"], sides["single"])
    for name in counts:
        shutil.rmtree(folder / name)
    return found


def _figures(grouped: Side, single: Side) -> list[Figure]:
    value, beside = grouped.rate(CLIENTS), single.rate(CLIENTS)
    p99 = grouped.milliseconds(CLIENTS, 0.99)
    return [
        Figure("P7", WHAT, value, "/s", {SINGLE: beside}, GOAL, value >= 10 * beside, value / beside),
        Figure("P7", f"p99, {CLIENTS} clients", p99, "ms", {SINGLE: single.milliseconds(CLIENTS, 0.99)}),
    ]
