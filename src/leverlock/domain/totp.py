"""HOTP and TOTP: the arithmetic of RFC 4226 and RFC 6238, and the rule that a step serves once.

The rules, in the order in which `match_step` applies them:

1. Accepted are exactly the steps of the window around server time, never more than three (B3, B12).
2. Every candidate is compared, in constant time, without leaving the loop early (B86).
3. If the digits match several steps, the highest counts, so that the others die with it (B6).
4. A step at or below the last accepted one was used already (RFC 6238 section 5.2, B4).
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

SEED_BYTES = 20  # RFC 4226 section 4, R6: 160 bit recommended
DIGITS = 6
STEP_SECONDS = 30  # RFC 6238 section 4: X
NEVER_USED = -1  # a factor whose first code was not yet accepted

HashName = Literal["sha1", "sha256", "sha512"]

_ANSWER = re.compile(r"[0-9]{6,8}", re.ASCII)


class Window(StrEnum):
    """Which steps around now are accepted (RFC 6238 section 5.2)."""

    STANDARD = "standard"  # one step back for typing, one ahead for a fast phone
    NARROW = "narrow"  # this step only: the 30 s lifetime that ASVS 6.5.5 asks for

    def steps_at(self, step: int) -> tuple[int, ...]:
        return (step,) if self is Window.NARROW else (step - 1, step, step + 1)


class StepUsed(Exception):
    """The code was right, but its step was accepted before: the owner waits for the next one."""


class NoMatch(Exception):
    """The code belongs to no accepted step of this secret."""


@dataclass(frozen=True, slots=True)
class Match:
    """The step that a code proved. Worth nothing until the store has burned it (B5)."""

    step: int


def hotp(secret: bytes, counter: int, *, digits: int = DIGITS, algorithm: HashName = "sha1") -> str:
    """The HOTP value of RFC 4226 section 5.3, zero-padded; the counter is 64 bit wide, big-endian."""
    mac = hmac.digest(secret, counter.to_bytes(8, "big"), algorithm)
    offset = mac[-1] & 0x0F
    truncated = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(truncated % 10**digits).zfill(digits)


def step_at(now_ms: int) -> int:
    """The time step T of RFC 6238 section 4.2 at a server time in milliseconds."""
    return now_ms // 1000 // STEP_SECONDS


def is_code(text: object) -> bool:
    """Whether an answer has the only accepted form: a string of six to eight ASCII digits (B8)."""
    return isinstance(text, str) and _ANSWER.fullmatch(text) is not None


def match_step(secret: bytes, code: str, *, now_ms: int, last_step: int, window: Window) -> Match:
    """The highest step of the window that `code` proves and that was not used before.

    Raises NoMatch, or StepUsed when the digits are right but every step they belong to is spent.
    """
    if not is_code(code):
        raise NoMatch
    given = code.encode("ascii")
    matched = NEVER_USED
    for step in window.steps_at(step_at(now_ms)):
        if step < 0:
            continue
        hit = hmac.compare_digest(hotp(secret, step).encode("ascii"), given)
        matched = max(matched, step * hit + NEVER_USED * (not hit))
    if matched == NEVER_USED:
        raise NoMatch
    if matched <= last_step:
        raise StepUsed
    return Match(matched)
