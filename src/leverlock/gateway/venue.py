"""One upstream account as the gateway uses it: signs with the venue's key, knows the venue's clock, sends once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from leverlock.domain.api_key import KeyAlgorithm
from leverlock.gateway.binance.keys import Ed25519ClientKey, Ed25519VenueKey, HmacKey, SigningKey, VerifyingKey
from leverlock.gateway.binance.signature import signed_bytes
from leverlock.gateway.upstream import Answered, Outcome, UnreadableAnswer, Upstream
from leverlock.gateway.venue_answers import VenueRead, decoded
from leverlock.ports import Clock
from leverlock.store.snapshot import KeyView

CLOCK_LIFE_SECONDS: Final = 60.0
CLOCK_WAIT_SECONDS: Final = 0.5
CLOCK_TRIP_SECONDS: Final = 1.0  # a slower answer says the venue's time only to half of its own journey
PUBLIC_CONNECTIONS: Final = 16


class Venues:
    """Pools of kept connections, one per venue host, and each venue's clock.

    A venue's clock is what it told once, carried on by the monotonic clock: a step of our own wall clock, for which
    the venue's callers cannot be made to pay, moves no receive window.
    """

    def __init__(self, clock: Clock, **upstream: Any) -> None:
        """`upstream`: the options of every `Upstream`, such as `ca_file` and the time-outs."""
        self._clock = clock
        self._options = upstream
        self._pools: dict[tuple[str, bool], Upstream] = {}
        self._told: dict[str, tuple[float, int]] = {}  # when it was measured (monotonic seconds), what was told (ms)
        self._measuring: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._measuring.values():
            task.cancel()
        for pool in self._pools.values():
            await pool.__aexit__(None, None, None)
        self._pools.clear()

    async def pool(self, base: str) -> Upstream:
        """The connections to one host. Raises ValueError for an address that is none."""
        return await self._pool(base, self._options, public=False)

    async def public_pool(self, base: str) -> Upstream:
        """Those for what anybody may ask without a key: a stranger's calls take none from orders and cancels (B99)."""
        return await self._pool(base, {**self._options, "connections": PUBLIC_CONNECTIONS}, public=True)

    async def _pool(self, base: str, options: Mapping[str, Any], *, public: bool) -> Upstream:
        pool = self._pools.get((base, public))
        if pool is None:
            pool = Upstream([base], **options)
            await pool.__aenter__()
            other = self._pools.setdefault((base, public), pool)
            if other is not pool:
                await pool.__aexit__(None, None, None)
            pool = other
        return pool

    async def now_ms(self, base: str) -> int:
        """The venue's clock, measured when first needed and renewed in the background; ours until it was told."""
        known = self._told.get(base)
        if known is None or time.monotonic() - known[0] > CLOCK_LIFE_SECONDS:
            task = self._measuring.get(base)
            if task is None or task.done():
                task = self._measuring[base] = asyncio.ensure_future(self._measure(base))
            if known is None:
                await asyncio.wait({task}, timeout=CLOCK_WAIT_SECONDS)
                known = self._told.get(base)
        if known is None:
            return self._clock.now_ms()
        return known[1] + round((time.monotonic() - known[0]) * 1000)

    async def _measure(self, base: str) -> None:
        pool = await self.pool(base)
        began = time.monotonic()
        outcome = await pool.send(base, "GET", "/fapi/v1/time")
        trip = time.monotonic() - began
        found = decoded(outcome.body) if isinstance(outcome, Answered) and outcome.status == 200 else None
        told = found.get("serverTime") if isinstance(found, dict) else None
        if isinstance(told, int) and not isinstance(told, bool) and trip <= CLOCK_TRIP_SECONDS:
            self._told[base] = (began + trip / 2, told)


class VenueAccount:
    """What the gateway does with one key of ours: check the client's signature, sign and send with the venue's key."""

    def __init__(self, view: KeyView, venues: Venues) -> None:
        self.view = view
        self.upstream_id = view.upstream.upstream_id
        self.client_key = _client_key(view)
        self._venues = venues
        self._signer = _signer(view)
        self._api_key = {"X-MBX-APIKEY": view.upstream.api_key}

    def reaches(self, name: str) -> bool:
        """Whether the account has an address for this host of the venue, and one to ask for the time."""
        return name in self.view.upstream.base_urls and "fapi" in self.view.upstream.base_urls

    def base(self, name: str) -> str:
        """The address of one of the venue's hosts. Raises KeyError where the account has none."""
        return self.view.upstream.base_urls[name]

    async def now_ms(self) -> int:
        return await self._venues.now_ms(self.base("fapi"))

    async def send_signed(
        self,
        base: str,
        method: str,
        path: str,
        parameters: Iterable[tuple[str, str]],
        *,
        timestamp: int,
        receive_window: int | None,
    ) -> Outcome:
        """Sign and send, once: in the query for GET and DELETE, in the body otherwise, as the venue asks for it."""
        text = signed_bytes(parameters, timestamp=timestamp, receive_window=receive_window, key=self._signer)
        pool = await self._venues.pool(base)
        if method in ("GET", "DELETE"):
            return await pool.send(base, method, path, query=text, headers=self._api_key)
        return await pool.send(base, method, path, body=text, headers=self._api_key)

    async def send_plain(self, base: str, method: str, path: str, query: bytes) -> Outcome:
        """Send a call that the venue takes with the key alone."""
        pool = await self._venues.pool(base)
        return await pool.send(base, method, path, query=query, headers=self._api_key)

    @property
    def read(self) -> VenueRead:
        """Signed reads of our own, for facts."""
        return self._read

    async def _read(self, path: str, parameters: Mapping[str, str]) -> Any:
        outcome = await self.send_signed(
            self.base("fapi"), "GET", path, parameters.items(), timestamp=await self.now_ms(), receive_window=None
        )
        if not isinstance(outcome, Answered) or outcome.status != 200:
            return None
        try:
            return decoded(outcome.plain_body())
        except UnreadableAnswer:
            return None


def _client_key(view: KeyView) -> VerifyingKey:
    if view.key.algorithm is KeyAlgorithm.ED25519:
        assert view.key.public_key is not None
        return Ed25519ClientKey(Ed25519PublicKey.from_public_bytes(view.key.public_key))
    assert view.secret is not None
    return HmacKey(view.secret)


def _signer(view: KeyView) -> SigningKey:
    return signing_key(view.upstream.algorithm, view.upstream_secret)


def signing_key(algorithm: KeyAlgorithm, secret: bytes) -> SigningKey:
    """The venue's key from its stored form: the HMAC secret, or an Ed25519 private key in PEM."""
    if algorithm is KeyAlgorithm.HMAC_SHA256:
        return HmacKey(secret)
    private = load_pem_private_key(secret, password=None)
    if not isinstance(private, Ed25519PrivateKey):
        raise ValueError("the venue's key is no Ed25519 private key")
    return Ed25519VenueKey(private)
