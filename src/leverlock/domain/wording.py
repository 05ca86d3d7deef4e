"""An action in words and numbers, made from the server's stored canonical form and from nothing else (B49).

What the owner reads in a terminal, in a ring or behind a link is what the digest covers: every bound field, in full.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from leverlock.domain.actions import ACTIONS
from leverlock.domain.environment import MARKETS, Environment


@dataclass(frozen=True, slots=True)
class Description:
    """A headline, and every bound field and fact as (label, value) in a fixed order; legs are numbered."""

    headline: str
    lines: tuple[tuple[str, str], ...]


def describe(intent: bytes, facts: bytes) -> Description:
    """The stored intent and its facts as a person should read them."""
    stored = json.loads(intent)
    known: list[dict[str, str]] = json.loads(facts)
    title = ACTIONS[stored["action"]].title if stored["action"] in ACTIONS else stored["action"]
    legs: list[Mapping[str, Any]] = stored.get("legs") or [stored]
    lines: list[tuple[str, str]] = [("action", title)]
    headlines: list[str] = []
    for number, leg in enumerate(legs, start=1):
        leg_facts = known[number - 1] if number <= len(known) else {}
        headlines.append(_headline(leg["action"], leg["fields"], leg_facts))
        prefix = f"{number}. " if len(legs) > 1 else ""
        for name, value in sorted(leg["fields"].items()):
            lines.append((prefix + name.replace("_", " "), value))
            if not value.isascii():
                lines.append((prefix + name.replace("_", " ") + ", letter by letter", _letters(value)))
        lines += [
            (prefix + name.replace("_", " ") + " at the venue", value) for name, value in sorted(leg_facts.items())
        ]
        # What is left out is the venue's to choose, so it is said: money has been lost by a missing memo.
        unsaid = _UNSAID if leg["action"].endswith(".withdraw") else {}
        lines += [(prefix + name, text) for name, text in unsaid.items() if name not in leg["fields"]]
        if "leverage" not in leg_facts and leg["action"] in _PLACED:
            lines.append((prefix + "leverage at the venue", "unknown"))
    if stored.get("target"):
        lines.append(("account at the venue", stored["target"]))
    return Description(" + ".join(headlines), tuple(lines))


_UNSAID: Final = {"network": "not said: the venue chooses", "memo": "none"}


def _letters(value: str) -> str:
    """What lies beyond ASCII by number and name: a Cyrillic letter looks like a Latin one."""
    named = (f"{c} is U+{ord(c):04X} {unicodedata.name(c, 'without a name')}" for c in value if not c.isascii())
    return "; ".join(dict.fromkeys(named))


_PLACED = {"futures.order.place", "futures.conditional_order.place", "futures.order.amend"}


def _on(flag: str) -> str:
    return "on" if flag == "true" else "off"


def _position(fields: Mapping[str, str]) -> str:
    side = fields.get("position_side", "BOTH")
    return fields["symbol"] if side == "BOTH" else f"{fields['symbol']} {side.lower()}"


def _position_margin(fields: Mapping[str, str]) -> str:
    if fields["direction"] == "ADD":
        return f"add {fields['amount']} margin to {_position(fields)}"
    return f"take {fields['amount']} margin out of {_position(fields)}"


def _withdrawal(fields: Mapping[str, str]) -> str:
    network = f" over {fields['network']}" if "network" in fields else ""
    memo = f" with memo {json.dumps(fields['memo'])}" if "memo" in fields else ""
    return f"withdraw {fields['amount']} {fields['asset']}{network} to {fields['address']}{memo}"


def _transfer(market: Environment, fields: Mapping[str, str]) -> str:
    source = fields.get("from", f"the {market.label} wallet")
    return f"transfer {fields['amount']} {fields['asset']} from {source} to {fields['to']}"


def _loan(verb: str, fields: Mapping[str, str]) -> str:
    account = f"isolated margin of {fields['symbol']}" if "symbol" in fields else "margin"
    return f"{verb} {fields['amount']} {fields['asset']} on {account}"


def _key(verb: str, fields: Mapping[str, str]) -> str:
    named = "" if verb == "make" else f" {fields['key']}"
    whence = f" from {fields['ips']}" if "ips" in fields else " from anywhere"
    codes = ", codes with the call" if fields.get("otp_allowed") == "true" else ""
    return (
        f"{verb} API key{named} {json.dumps(fields['label'], ensure_ascii=False)} for {fields['scopes']}{whence}{codes}"
    )


_HEADLINES: Final[Mapping[str, Callable[[Mapping[str, str]], str]]] = {
    "futures.multi_assets.set": lambda f: f"switch multi-assets mode {_on(f['multi_assets'])}",
    "futures.delta_mode.set": lambda f: f"switch delta mode {_on(f['delta_mode'])}",
    "futures.position_margin.change": _position_margin,
    "futures.adl.set": lambda f: f"set auto-deleveraging rank of {_position(f)} to {f['rank'].lower()}",
    "margin.borrow": partial(_loan, "borrow"),
    "margin.repay": partial(_loan, "repay"),
    **{f"{market}.withdraw": _withdrawal for market in MARKETS},
    **{f"{environment}.api_key.create": partial(_key, "make") for environment in Environment},
    **{f"{environment}.api_key.edit": partial(_key, "change") for environment in Environment},
    **{f"{market}.transfer_out": partial(_transfer, market) for market in MARKETS},
}


def _headline(action: str, fields: Mapping[str, str], facts: Mapping[str, str]) -> str:
    symbol = fields.get("symbol", "")
    leverage = f"{facts['leverage']}x" if "leverage" in facts else "unknown leverage"
    if action in _PLACED:
        verb = {"BUY": "buy", "SELL": "sell"}.get(fields.get("side", ""), "order")
        if action == "futures.order.amend":
            verb = f"change {verb} order"
        size = "the whole position" if fields.get("close_position") == "true" else fields.get("quantity", "")
        price = f" at {fields['price']}" if "price" in fields else ""
        trigger = f" when {fields['trigger_price']} is reached" if "trigger_price" in fields else ""
        kind = fields.get("type", "").lower().replace("_", " ")
        # On an amendment the venue only checks the flag: the order stays what it was, and may open.
        reduces = fields.get("reduce_only") == "true" and action != "futures.order.amend"
        reducing = ", reduce-only" if reduces else ""
        return " ".join(f"{verb} {size} {symbol} {kind}{price}{trigger} on {leverage}{reducing}".split())
    if action == "futures.leverage.set":
        now = f" (now {facts['current_leverage']}x)" if "current_leverage" in facts else ""
        return f"set leverage of {symbol} to {fields['leverage']}x{now}"
    if action == "futures.margin_mode.set":
        return f"switch margin mode of {symbol} to {fields['margin_mode'].lower()}"
    if action in _HEADLINES:
        return _HEADLINES[action](fields)
    return ACTIONS[action].title.lower() if action in ACTIONS else action
