"""What an SMS says: venue, environment, the action in numbers, the code, and whom the code is for (B17).

Made from the stored canonical form and from nothing else, in the account's language. The last line is the origin-bound
one, `@host #code` (WICG, "Origin-bound one-time codes delivered via SMS"); there is no link to learn to follow. Numbers
stand in full; a long word is shown by its two ends.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from leverlock.domain.environment import Environment
from leverlock.domain.limits import MINUTE
from leverlock.domain.messages import Language
from leverlock.domain.sms_words import CATALOGUE, Words

LONG_WORD: Final = 24  # characters of a symbol that are shown in full
ENDS: Final = 11

# 3GPP TS 23.038 section 6.2.1: the default alphabet, and what takes two septets of it.
_GSM: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE: Final = frozenset("^{}\\[~]|€")

Fields = Mapping[str, str]
Tell = Callable[[Words, Fields, Fields], str]


@dataclass(frozen=True, slots=True)
class Size:
    """How a text travels. `unicode`: as UCS-2, 70 characters in one SMS instead of 160; `parts`: how many SMS it is."""

    unicode: bool
    parts: int


def size_of(text: str) -> Size:
    """The parts that a text is sent in (3GPP TS 23.040 section 9.2.3.24.1: six octets of each go to the joining)."""
    if all(character in _GSM or character in _GSM_TWICE for character in text):
        septets = sum(2 if character in _GSM_TWICE else 1 for character in text)
        return Size(False, 1 if septets <= 160 else -(-septets // 153))
    units = len(text.encode("utf-16-be")) // 2
    return Size(True, 1 if units <= 70 else -(-units // 67))


def has_text(action: str) -> bool:
    """Whether this action can be named in an SMS; what cannot be named is not approved by one."""
    return action in _TOLD


def action_text(intent: bytes, facts: bytes, *, language: Language) -> str:
    """The action in one line, legs of a bundle one after the other. Raises KeyError for one without a text."""
    words = CATALOGUE[language]
    stored: dict[str, Any] = json.loads(intent)
    known: list[dict[str, str]] = json.loads(facts)
    legs: list[dict[str, Any]] = stored.get("legs") or [stored]
    told = [
        _TOLD[leg["action"]](words, _shown(leg["fields"]), known[number] if number < len(known) else {})
        for number, leg in enumerate(legs)
    ]
    return words.several.format(count=len(told)) + "; ".join(told) if len(told) > 1 else told[0]


def code_text(
    *, action: str, environment: Environment, code: str, life_ms: int, issuer: str, host: str, language: Language
) -> str:
    """The SMS that carries the code of a challenge; `action` is what `action_text` says of it."""
    words = CATALOGUE[language]
    said = words.code.format(action=action, code=code, **_frame(words, environment, issuer), minutes=life_ms // MINUTE)
    return said + _bound_line(host, code)


def enrolment_text(
    *, environment: Environment, code: str, life_ms: int, issuer: str, host: str, language: Language
) -> str:
    """The SMS that asks a new number to prove that it is there."""
    words = CATALOGUE[language]
    said = words.enrol.format(code=code, **_frame(words, environment, issuer), minutes=life_ms // MINUTE)
    return said + _bound_line(host, code)


def farewell_text(*, environment: Environment, issuer: str, language: Language, replaced: bool) -> str:
    """The SMS to a number that serves no more: another took its place, or SMS was switched off (B14)."""
    words = CATALOGUE[language]
    said = words.replaced if replaced else words.removed
    return said.format(**_frame(words, environment, issuer))


def _frame(words: Words, environment: Environment, issuer: str) -> dict[str, str]:
    return {"issuer": issuer, "environment": words.environments[environment.value]}


def _bound_line(host: str, code: str) -> str:
    return f"\n@{host} #{code}"


# -- each action -------------------------------------------------------------------------------------------------------
def _order(words: Words, fields: Fields, facts: Fields) -> str:
    return words.order.format(**_order_parts(words, fields, facts))


def _conditional(words: Words, fields: Fields, facts: Fields) -> str:
    trigger = words.trigger.format(trigger=fields["trigger_price"]) if "trigger_price" in fields else ""
    return words.conditional.format(**_order_parts(words, fields, facts), trigger=trigger)


def _amend(words: Words, fields: Fields, facts: Fields) -> str:
    return words.amend.format(**_order_parts(words, {**fields, "type": ""}, facts))


def _order_parts(words: Words, fields: Fields, facts: Fields) -> dict[str, str]:
    whole = fields.get("close_position") == "true"
    known = "leverage" in facts
    return {
        "side": words.terms[fields["side"]],
        "size": words.whole_position if whole else fields.get("quantity", ""),
        "symbol": fields["symbol"],
        "kind": words.terms.get(fields["type"], ""),
        "price": words.price.format(price=fields["price"]) if "price" in fields else "",
        "reduces": words.reduces if fields.get("reduce_only") == "true" else "",
        "leverage": words.leverage.format(leverage=facts["leverage"]) if known else words.unknown_leverage,
    }


def _leverage(words: Words, fields: Fields, _facts: Fields) -> str:
    return words.set_leverage.format(symbol=fields["symbol"], leverage=fields["leverage"])


def _margin_mode(words: Words, fields: Fields, _facts: Fields) -> str:
    return words.set_margin_mode.format(symbol=fields["symbol"], margin_mode=words.terms[fields["margin_mode"]])


def _multi_assets(words: Words, fields: Fields, _facts: Fields) -> str:
    return words.multi_assets_on if fields["multi_assets"] == "true" else words.multi_assets_off


# A bundle is told by its legs.
_TOLD: Final[Mapping[str, Tell]] = {
    "futures.order.place": _order,
    "futures.conditional_order.place": _conditional,
    "futures.order.amend": _amend,
    "futures.leverage.set": _leverage,
    "futures.margin_mode.set": _margin_mode,
    "futures.multi_assets.set": _multi_assets,
}


def _shown(fields: Fields) -> dict[str, str]:
    """Long words by their two ends; numbers are never cut, and no canonical one is this long."""
    return {
        name: f"{text[:ENDS]}..{text[-ENDS:]}" if name == "symbol" and len(text) > LONG_WORD else text
        for name, text in fields.items()
    }
