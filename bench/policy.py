"""P1: one policy decision in process, an order with its attributes, beside a floor and two policy engines.

    python -m bench P1            ours and the floor; the peers too where .bench-venv has them
    python -m bench P1 --peers    install the peers into .bench-venv first

Rules have the form `action is A and leverage > L`, of which the last one alone matches, or none. Candidates take turns
within each round and the median of the rounds counts. Every candidate is given the order's attributes as a mapping,
its policies parsed once and kept; *context kept* shows what CEL could save if two orders were ever the same.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Self

import msgspec

from bench.figures import Figure
from bench.timing import SLICE_SECONDS, microseconds
from leverlock.domain.action import Action, parse
from leverlock.domain.policy import Condition, Policy, Rule, Standing, decide
from leverlock.domain.requirement import Requirement
from leverlock.domain.trading_actions import ORDER_AMEND, ORDER_PLACE

ROOT = Path(__file__).resolve().parent.parent
PEER_PYTHON = ROOT / ".bench-venv" / "bin" / "python"
COUNTS = (10, 100, 1000)
CASES = {"last": 75, "miss": 20}  # the leverage at which only the last rule matches, or none
BESIDE = {
    "dict dispatch": "dict dispatch (floor)",
    "cel": "Rust CEL, a program per rule",
    "cel, kept": "Rust CEL, context kept",
    "cedar": "Cedar (cedarpy)",
}
ENGINES = ("cel", "cel, kept", "cedar")
ROUNDS = 7
TOTP = Requirement.of("totp")
READY = Standing(protected=True, usable_factor=True)

Call = Callable[[], object]
Measured = dict[tuple[str, int, str], float]  # (candidate, rules, case) -> microseconds


def thresholds(count: int) -> list[int]:
    """Of `count` rules the last one is the 50x that matches; the others lie above any leverage."""
    return [*range(1000, 1000 + count - 1), 50]


def one_threshold(count: int, action: str = ORDER_PLACE.name) -> list[Rule]:
    return [
        Rule(f"{action} {n}", action, TOTP, (Condition("leverage", above=level),))
        for n, level in enumerate(thresholds(count))
    ]


def two_thresholds(count: int) -> list[Rule]:
    """Rules that no ladder can hold: each has to be looked at."""
    return [
        Rule(rule.name, rule.action, TOTP, (*rule.conditions, Condition("quantity", above=0)))
        for rule in one_threshold(count)
    ]


def order(leverage: int) -> Action:
    fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1.5", "price": "50000"}
    return parse(ORDER_PLACE, fields, {"leverage": str(leverage), "margin_mode": "CROSSED"})


def policy(rules: list[Rule]) -> Policy:
    return Policy("bench", "v", tuple(rules))


# --- candidates -------------------------------------------------------------------------------------------------------


class Judged(msgspec.Struct):
    """What the floor dispatches on."""

    action: str
    environment: str
    leverage: int


def floor(leverage: int) -> Call:
    """The least that Python can do: one look-up by (action, environment), one compare."""
    handlers: dict[tuple[str, str], Callable[[Judged], bool]] = {
        (ORDER_PLACE.name, "futures"): lambda order: order.leverage > 50
    }
    judged = Judged(ORDER_PLACE.name, "futures", leverage)
    return lambda: handlers[judged.action, judged.environment](judged)


def ours(count: int, leverage: int) -> dict[str, Call]:
    """Our ways to ask: the requirement for given attributes, as peers are asked, and the whole decision."""
    action, attributes = order(leverage), order(leverage).attributes
    plain, linear = policy(one_threshold(count)), policy(two_thresholds(count))
    crowded = policy(one_threshold(count) + one_threshold(1000, ORDER_AMEND.name))
    for each in (plain, linear, crowded):
        assert (each.demand(ORDER_PLACE.name, attributes) == TOTP) is (leverage > 50)
    return {
        "ours": lambda: plain.demand(ORDER_PLACE.name, attributes),
        "ours, 1000 rules of another action": lambda: crowded.demand(ORDER_PLACE.name, attributes),
        "ours, two bounds per rule": lambda: linear.demand(ORDER_PLACE.name, attributes),
        "ours, decide() on a parsed action": lambda: decide(plain, action, READY),
    }


class Peers(AbstractContextManager["Peers"]):
    """The peers in their own interpreter, asked for one measurement at a time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> Self:
        command = [str(PEER_PYTHON), "-m", "bench.policy_peers"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=10)  # closing its input ends it

    def microseconds(self, engine: str, count: int, leverage: int) -> float:
        asked = {"engine": engine, "leverage": leverage, "thresholds": thresholds(count), "seconds": self._seconds}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the peers' interpreter ended; its error stands above")
        return float(json.loads(answer))


# --- measuring --------------------------------------------------------------------------------------------------------


def measured(rounds: int, seconds: float, peers: Peers | None) -> Measured:
    taken: dict[tuple[str, int, str], list[float]] = {}
    calls = {
        (name, count, case): call
        for count in COUNTS
        for case, leverage in CASES.items()
        for name, call in {"dict dispatch": floor(leverage), **ours(count, leverage)}.items()
    }
    for _ in range(rounds):
        for key, call in calls.items():
            taken.setdefault(key, []).append(microseconds(call, seconds=seconds))
        for engine in ENGINES if peers is not None else ():
            for count in COUNTS:
                for case, leverage in CASES.items():
                    assert peers is not None
                    once = peers.microseconds(engine, count, leverage)
                    taken.setdefault((engine, count, case), []).append(once)
    return {key: median(values) for key, values in taken.items()}


def figures(us: Measured) -> list[Figure]:
    """P1's rows from the medians."""
    rows = []
    for count in COUNTS:
        limit = 1.0 if count == 10 else 0.5 + 0.08 * count
        for case in CASES:
            value = us["ours", count, case]
            beside = {name: us[key, count, case] for key, name in BESIDE.items() if (key, count, case) in us}
            rows.append(Figure("P1", f"{count} rules, {case}", value, "us", beside, f"<= {limit:g} us", value <= limit))
    rows += [
        _faster(us, "cel", 10, 5),
        _faster(us, "cel, kept", 10, 5),
        _faster(us, "cel", 1000, 5),
        _faster(us, "cedar", 10, 50),
    ]
    crowd = us["ours, 1000 rules of another action", 10, "last"] / us["ours", 10, "last"]
    rows.append(Figure("P1", "10 rules among 1000 of another action: times", crowd, "x", {}, "<= 1.2 x", crowd <= 1.2))
    flat = us["ours", 1000, "last"] / us["ours", 10, "last"]
    rows.append(Figure("P1", "1000 rules instead of 10: times (stretch)", flat, "x", {}, "<= 2 x", flat <= 2))
    for count in COUNTS:
        limit = 0.5 + 0.08 * count
        value = us["ours, two bounds per rule", count, "last"]
        rows.append(
            Figure("P1", f"{count} rules of two bounds each", value, "us", {}, f"<= {limit:g} us", value <= limit)
        )
    whole = us["ours, decide() on a parsed action", 10, "last"]
    rows.append(Figure("P1", "decide() whole, attributes made from the parsed order", whole, "us"))
    return rows


def _faster(us: Measured, engine: str, count: int, goal: int) -> Figure:
    what = f"{count} rules: times faster than {engine}"
    if (engine, count, "last") not in us:
        return Figure("P1", what, float("nan"), "x", {}, f">= {goal} x")
    ratio = us[engine, count, "last"] / us["ours", count, "last"]
    return Figure("P1", what, ratio, "x", {}, f">= {goal} x", ratio >= goal)


def medians(*, rounds: int = ROUNDS, seconds: float = SLICE_SECONDS, with_peers: bool = True) -> Measured:
    """Measure everything. Peers take part where .bench-venv has them."""
    if with_peers and PEER_PYTHON.exists():
        with Peers(seconds) as peers:
            return measured(rounds, seconds, peers)
    return measured(rounds, seconds, None)
