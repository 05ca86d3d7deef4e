"""TOTP: opens the enrolled seed and finds the step that a code proves (RFC 6238)."""

from __future__ import annotations

from leverlock.domain.authenticator import Authenticator
from leverlock.domain.totp import Match, Window, match_step
from leverlock.ports import Sealer


class TotpVerifier:
    """`ports.CodeVerifier` for authenticator apps."""

    def __init__(self, sealer: Sealer, *, window: Window) -> None:
        self._sealer = sealer
        self._window = window

    def verify(self, authenticator: Authenticator, code: str, *, now_ms: int) -> Match:
        """The step that `code` proves, not yet burned. Raises NoMatch, StepUsed or SealBroken."""
        seed = self._sealer.open(authenticator.secret, context=authenticator.seal_context)
        return match_step(seed, code, now_ms=now_ms, last_step=authenticator.last_step, window=self._window)
