"""The peers of P1, run by the interpreter of .bench-venv: reads one question a line, answers its time in microseconds.

Only the standard library and the peers can be imported here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache, partial

import cedarpy
import cel

from bench.timing import microseconds

ACTION = "futures.order.place"
CONTEXT = {"action": ACTION, "environment": "futures", "symbol": "BTCUSDT", "side": "BUY", "margin_mode": "CROSSED"}


@cache
def cel_rules(thresholds: tuple[int, ...], leverage: int, *, kept: bool = False) -> Callable[[], object]:
    """A program per rule, all over one context, made of the order's attributes; or `kept` from an earlier decision."""
    rule = 'action == "{}" && environment == "futures" && leverage > {}'
    programs = [cel.compile(rule.format(ACTION, level)) for level in thresholds]
    attributes = {**CONTEXT, "leverage": leverage}
    earlier = cel.Context(variables=attributes) if kept else None

    def decide() -> list[int]:
        context = earlier or cel.Context(variables=attributes)
        return [number for number, program in enumerate(programs) if program.execute(context)]

    assert decide() == ([len(thresholds) - 1] if leverage > 50 else [])
    return decide


@cache
def cedar_rules(thresholds: tuple[int, ...], leverage: int) -> Callable[[], object]:
    """A forbidding policy per rule in one parsed set, with parsed entities."""
    rule = (
        'forbid(principal, action == Action::"{}", resource) '
        'when {{ context.environment == "futures" && context.leverage > {} }};'
    )
    text = "\n".join(["permit(principal, action, resource);", *(rule.format(ACTION, level) for level in thresholds)])
    policies, entities = cedarpy.PolicySet.from_str(text), cedarpy.Entities.from_json_str("[]")
    request = {
        "principal": 'Key::"k"',
        "action": f'Action::"{ACTION}"',
        "resource": 'Account::"a"',
        "context": {**CONTEXT, "leverage": leverage},
    }

    def decide() -> object:
        return cedarpy.is_authorized(request, policies, entities).decision

    assert decide() == (cedarpy.Decision.Deny if leverage > 50 else cedarpy.Decision.Allow)
    return decide


ENGINES = {"cel": cel_rules, "cel, kept": partial(cel_rules, kept=True), "cedar": cedar_rules}


def answer(line: str) -> float:
    asked = json.loads(line)
    decide = ENGINES[asked["engine"]](tuple(asked["thresholds"]), asked["leverage"])
    return microseconds(decide, seconds=asked["seconds"])


if __name__ == "__main__":
    for question in sys.stdin:
        print(json.dumps(answer(question)), flush=True)
