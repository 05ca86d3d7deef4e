"""Who calls, is it he, and may he: the upstream account behind a key, a signature that holds now and never held before,
and the terms of the key."""

from __future__ import annotations

from typing import Final

from leverlock.domain.errors import Reason, Refused
from leverlock.gateway.binance.endpoints import Endpoint
from leverlock.gateway.binance.errors import RejectedKey
from leverlock.gateway.binance.signature import SignedCall, verified_call
from leverlock.gateway.replay import ReplayCaches
from leverlock.gateway.venue import VenueAccount, Venues
from leverlock.store.snapshot import KeyView, Snapshot

KEPT_ACCOUNTS: Final = 100_000


class Callers:
    """The keys that called lately, each with what is needed to check and to sign."""

    def __init__(self, snapshot: Snapshot, venues: Venues) -> None:
        self._snapshot = snapshot
        self._venues = venues
        self._seen = ReplayCaches()
        self._accounts: dict[str, VenueAccount] = {}

    async def account(self, api_key: str, endpoint: Endpoint | None, *, peer: str) -> VenueAccount:
        """The upstream account behind a key. Without a database, keys seen lately may read and cancel (B98).

        `peer` is the other end of the connection; no header says where a caller is (B71). From an address that is not
        on its list a key is as unknown as one that never was.

        Raises RejectedKey, and Refused: NOT_AUTHENTICATED, KEY_FROZEN, STORE_UNAVAILABLE.
        """
        if not (api_key.isascii() and api_key.isalnum()):
            raise RejectedKey
        try:
            view: KeyView = await self._snapshot.key(api_key)
        except Refused as refused:
            spared = refused.reason is Reason.STORE_UNAVAILABLE and (endpoint is None or endpoint.survives_outage)
            kept = self._snapshot.key_of_outage(api_key) if spared else None
            if kept is None:
                raise
            view = kept
        if not view.key.may_come_from(peer):
            raise RejectedKey
        account = self._accounts.get(api_key)
        if account is None or account.view is not view:
            if len(self._accounts) >= KEPT_ACCOUNTS:
                self._accounts.clear()
            account = self._accounts[api_key] = VenueAccount(view, self._venues)
        return account

    def must_have_scope(self, account: VenueAccount, endpoint: Endpoint) -> None:
        """Raises Refused(SCOPE_MISSING): nothing is implied, and a row without a scope is for nobody's key (B63)."""
        if endpoint.needs not in account.view.key.scopes:
            raise Refused(Reason.SCOPE_MISSING, str(endpoint.needs))

    async def verified(self, account: VenueAccount, endpoint: Endpoint | None, query: bytes, body: bytes) -> SignedCall:
        """The call that the signature covers. Raises BinanceError and ReplayRefused."""
        names = endpoint.names if endpoint is not None else frozenset[str]()
        now = await account.now_ms()
        call = verified_call(query, body, account.client_key, now=now, names=names)
        if endpoint is not None and endpoint.method != "GET":
            self._seen.remember(account.view.key.api_key, call.signature, ends_at=call.ends_at, now=now)
        self._snapshot.mark_seen(account.view.key.api_key)
        return call
