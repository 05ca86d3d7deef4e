"""Authenticator apps that we did not write, and which of their codes may be used now."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable

import pyotp

STEP_SECONDS = 30
EDGE_SECONDS = 3.0  # so close to the end of a step its predecessor's code might arrive too late

App = Callable[[bytes, int], str]
"""An authenticator app: (seed, step) -> six digits."""


def pyotp_code(seed: bytes, step: int) -> str:
    """The code that the library pyotp computes."""
    return pyotp.TOTP(base64.b32encode(seed).decode()).at(step * STEP_SECONDS)


def oathtool_code(seed: bytes, step: int) -> str:
    """The code that oathtool computes; tests that use it carry `@pytest.mark.debian("oathtool")`."""
    command = ["oathtool", "--totp", f"--now=@{step * STEP_SECONDS}", seed.hex()]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def next_step(last_used: int) -> int:
    """The lowest step after `last_used` whose code the product takes now: T-1, T or T+1.

    Near the end of a step it may wait for the next one, at most `EDGE_SECONDS`. Raises AssertionError when the three
    are used up: that flow wants an account of its own.
    """
    current, into = divmod(time.time(), STEP_SECONDS)
    at_the_edge = into > STEP_SECONDS - EDGE_SECONDS
    step = max(last_used + 1, int(current) if at_the_edge else int(current) - 1)
    if step > current + 1 and at_the_edge:
        deadline = (current + 1) * STEP_SECONDS
        while time.time() < deadline:
            time.sleep(0.05)
        current += 1
    assert step <= current + 1, "three codes were used in one half minute: give this flow an account of its own"
    return step


def wrong_code(app: App, seed: bytes) -> str:
    """Six digits that no step around now has."""
    now = int(time.time()) // STEP_SECONDS
    taken = {app(seed, now + offset) for offset in range(-3, 4)}
    return next(text for text in (f"{number:06d}" for number in range(1, 9)) if text not in taken)
