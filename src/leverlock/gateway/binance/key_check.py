"""Asking the venue about its clock and about the key it gave us: what `venue connect` and `venue test` tell.

Three signed or public reads and nothing that changes anything. The most valuable warning comes from here: a venue key
that works from any address, or that may withdraw, defeats a gateway that guards everything else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from leverlock.domain.api_key import KeyAlgorithm
from leverlock.gateway.binance.keys import SigningKey
from leverlock.gateway.binance.signature import FUTURE_LIMIT_MS, signed_bytes
from leverlock.gateway.upstream import Answered, Outcome, UnreadableAnswer, Upstream
from leverlock.gateway.venue import signing_key

TIME: Final = "/fapi/v1/time"
BALANCE: Final = "/fapi/v3/balance"
RESTRICTIONS: Final = "/sapi/v1/account/apiRestrictions"
WINDOW_MS: Final = 10_000
BAD_KEY: Final = frozenset({-1002, -1022, -2008, -2014, -2015})  # the venue's words for a key or signature it refuses


@dataclass(frozen=True, slots=True)
class KeyFindings:
    """What the venue said. `accepted`: None where it could not be asked. `clock_offset_ms`: its clock minus ours."""

    accepted: bool | None
    clock_offset_ms: int | None = None
    permissions: Mapping[str, bool] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class KeyCheck:
    """Checks keys at venues; `now_ms` is our clock."""

    def __init__(self, now_ms: Callable[[], int], **upstream: Any) -> None:
        """`upstream`: the options of every `Upstream`, such as `ca_file` and the time-outs."""
        self._now_ms: Final = now_ms
        self._options: Final = upstream

    async def __call__(
        self, *, base_urls: Mapping[str, str], api_key: str, algorithm: KeyAlgorithm, secret: bytes
    ) -> KeyFindings:
        """Raises ValueError for addresses that no venue has and for a secret that is no key."""
        key = signing_key(algorithm, secret)
        upstream = Upstream(set(base_urls.values()), **self._options)
        async with upstream:
            offset = await self._offset(upstream, base_urls["fapi"])
            if offset is None:
                return KeyFindings(None, warnings=("the venue's futures address does not answer; test again later",))
            ask = _SignedRead(upstream, api_key, key, lambda: self._now_ms() + offset)
            balance = await ask(base_urls["fapi"], BALANCE)
            restrictions = await ask(base_urls["sapi"], RESTRICTIONS)
        return _findings(offset, balance, restrictions)

    async def _offset(self, upstream: Upstream, base: str) -> int | None:
        before = self._now_ms()
        answer = _read(await upstream.send(base, "GET", TIME))
        after = self._now_ms()
        theirs = answer[1].get("serverTime") if answer is not None and isinstance(answer[1], dict) else None
        return theirs - (before + after) // 2 if isinstance(theirs, int) else None


@dataclass(frozen=True, slots=True)
class _SignedRead:
    upstream: Upstream
    api_key: str
    key: SigningKey
    venue_now: Callable[[], int]

    async def __call__(self, base: str, path: str) -> tuple[int, Any] | None:
        query = signed_bytes((), timestamp=self.venue_now(), receive_window=WINDOW_MS, key=self.key)
        headers = {"X-MBX-APIKEY": self.api_key}
        return _read(await self.upstream.send(base, "GET", path, query=query, headers=headers))


def _findings(offset: int, balance: tuple[int, Any] | None, restrictions: tuple[int, Any] | None) -> KeyFindings:
    warnings: list[str] = []
    if abs(offset) >= FUTURE_LIMIT_MS:
        warnings.append(f"this machine's clock differs from the venue's by {offset} ms; set it automatically")
    if _refused(balance) or _refused(restrictions):
        return KeyFindings(False, offset, warnings=tuple(warnings))
    permissions = _permissions(restrictions)
    if permissions:
        warnings += _about(permissions)
    else:
        warnings.append("the venue does not tell this key's permissions; check by hand that it has an IP list "
                        "and may not withdraw")  # fmt: skip
    asked = balance is not None and balance[0] == 200
    if not asked:
        warnings.append("the futures account could not be read with this key")
    return KeyFindings(True if asked or permissions else None, offset, permissions, tuple(warnings))


def _about(permissions: Mapping[str, bool]) -> list[str]:
    found = []
    if not permissions.get("ipRestrict", False):
        found.append("this key has no IP list: whoever copies it can use it past the gateway; restrict it to this host")
    if permissions.get("enableWithdrawals", False):
        found.append("this key may withdraw; use one that may not")
    if permissions.get("permitsUniversalTransfer", False) or permissions.get("enableInternalTransfer", False):
        found.append("this key may move funds between wallets; use one that may not, unless you need it")
    if not permissions.get("enableFutures", True):
        found.append("this key may not trade futures")
    return found


def _permissions(answer: tuple[int, Any] | None) -> dict[str, bool]:
    if answer is None or answer[0] != 200 or not isinstance(answer[1], dict):
        return {}
    return {name: value for name, value in answer[1].items() if isinstance(name, str) and isinstance(value, bool)}


def _refused(answer: tuple[int, Any] | None) -> bool:
    return answer is not None and isinstance(answer[1], dict) and answer[1].get("code") in BAD_KEY


def _read(outcome: Outcome) -> tuple[int, Any] | None:
    """Status and JSON of an answer; None where there was none or it is no JSON."""
    if not isinstance(outcome, Answered):
        return None
    try:
        return outcome.status, json.loads(outcome.plain_body())
    except (UnreadableAnswer, ValueError):
        return None
