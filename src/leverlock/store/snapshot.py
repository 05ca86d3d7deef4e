"""The snapshot from which ordinary requests are decided: no database, never more than a second behind (B88).

Entries are read when first needed and kept until something about their account changes. A small task reads the list of
changes a few times a second; while it cannot, nothing that would need the database is decided from memory, except what
the numbers of an outage name (B98): keys seen lately may cancel and read for a while.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from leverlock.domain.account import SYSTEM_ACCOUNT, AccountState
from leverlock.domain.api_key import ApiKey, KeyState, Upstream
from leverlock.domain.authenticator import StoredSecret
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import Limits
from leverlock.domain.policy import Policy, Standing
from leverlock.ports import Clock, SealBroken, Sealer, Store, Transaction, UseCase
from leverlock.store.acts_upkeep import CHANGES_KEPT_MS

ENTRIES: Final = 100_000

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class AccountView:
    """What ordinary decisions need of an account."""

    account_id: str
    active: bool
    protected: frozenset[Environment]
    usable: frozenset[Environment]

    def standing(self, environment: Environment, *, legacy_key: bool = False) -> Standing:
        return Standing(environment in self.protected, environment in self.usable, legacy_key)


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key with its secret opened, its account and the upstream account it reaches."""

    key: ApiKey
    secret: bytes | None
    account: AccountView
    upstream: Upstream
    upstream_secret: bytes

    def __repr__(self) -> str:
        return f"KeyView({self.key.key_id})"


class Snapshot:
    """Accounts and keys as of at most `limits.snapshot_age_ms` ago."""

    def __init__(
        self,
        store: Store,
        sealer: Sealer,
        clock: Clock,
        limits: Limits,
        *,
        broken: Callable[[StoredSecret], UseCase[None]],
    ) -> None:
        """`broken` is the use case that raises the alarm about a secret that does not open in its place (B83)."""
        self._store = store
        self._broken = broken
        self._told: OrderedDict[StoredSecret, None] = OrderedDict()
        self._sealer = sealer
        self._clock = clock
        self._limits = limits
        self._accounts: OrderedDict[str, AccountView] = OrderedDict()
        self._keys: OrderedDict[str, KeyView] = OrderedDict()
        self._seen_at: dict[str, int] = {}
        self._integrators: OrderedDict[bytes, str] = OrderedDict()
        self._policy_version: str | None = None
        self._last_change = -1
        self._fresh_at = 0
        self._away = False  # whether the last look at the database failed
        self._refreshing: asyncio.Task[bool] | None = None

    async def follow(self) -> None:
        """Keep up with changes until cancelled."""
        while True:
            await asyncio.shield(self._look())
            await asyncio.sleep(self._limits.snapshot_age_ms / 1000 / 3)

    async def refresh(self) -> bool:
        """Forget what changed since the last look; whether the database could be asked."""
        began = self._clock.now_ms()
        try:
            if self._last_change < 0:
                self._last_change = await self._store.read(lambda tx: tx.last_change())
            (self._last_change, changed), self._policy_version = await self._store.read(
                lambda tx: (tx.changes(after=self._last_change), tx.setting("policy_version"))
            )
        except Refused:
            self._away = True
            return False
        self._away = False
        if began - self._fresh_at > CHANGES_KEPT_MS // 2:
            # Whoever slept this long (a stopped process) may have missed changes that were pruned meanwhile.
            for cache in (self._accounts, self._keys, self._seen_at, self._integrators):
                cache.clear()
        for account_id in changed:
            self._forget(account_id)
        self._fresh_at = began
        return True

    @property
    def fresh(self) -> bool:
        """Whether every entry is known to be no older than allowed. A clock set back makes nothing younger."""
        return 0 <= self._age() <= self._limits.snapshot_age_ms

    def _age(self) -> int:
        return self._clock.now_ms() - self._fresh_at

    @property
    def policy_version(self) -> str | None:
        """The policy in force, as of the last look."""
        return self._policy_version

    def in_force(self, policy: Policy) -> bool:
        """Whether this is the policy in force, as of the last look. Another process may have put one in its place."""
        return self._policy_version == policy.version

    async def account(self, account_id: str) -> AccountView:
        """Raises Refused(UNKNOWN_ID) or STORE_UNAVAILABLE."""
        await self._must_be_fresh()
        view = self._accounts.get(account_id)
        if view is None:
            seen = self._last_change
            view = await self._store.read(lambda tx: _account_view(tx, account_id))
            self._keep(self._accounts, account_id, view, seen)
        return view

    async def key(self, api_key: str) -> KeyView:
        """The view of an active key. Raises Refused: NOT_AUTHENTICATED, KEY_FROZEN, STORE_UNAVAILABLE."""
        view = self._keys.get(api_key)
        if view is not None and self.fresh:
            return view
        await self._must_be_fresh()
        view = self._keys.get(api_key)
        if view is None:
            seen = self._last_change
            found = await self._store.read(lambda tx: self._key_view(tx, api_key))
            if isinstance(found, StoredSecret):
                await self._alarm(found)
                raise Refused(Reason.NOT_AUTHENTICATED)
            view = found
            self._keep(self._keys, api_key, view, seen)
        return view

    async def _alarm(self, broken: StoredSecret) -> None:
        """Once for each damaged row in this process: whoever holds the key's name could ask without end."""
        if broken not in self._told:
            self._keep(self._told, broken, None, self._last_change)
            await self._store.run(self._broken(broken))

    async def integrator(self, token_hash: bytes) -> str:
        """The principal behind an integrator's token. Raises Refused: NOT_AUTHENTICATED, STORE_UNAVAILABLE."""
        await self._must_be_fresh()
        name = self._integrators.get(token_hash)
        if name is None:
            seen = self._last_change
            name = await self._store.read(lambda tx: tx.integrator_of_token(token_hash))
            if name is None:
                raise Refused(Reason.NOT_AUTHENTICATED)
            self._keep(self._integrators, token_hash, name, seen)
        return f"integrator:{name}"

    def key_of_outage(self, api_key: str) -> KeyView | None:
        """A key verified lately: it may cancel and read while the database is away (B98). None when it may not."""
        view = self._keys.get(api_key)
        if view is None or not 0 <= self._age() <= self._limits.outage_reads_ms:
            return None
        # "Lately" is counted from when the database was last there: what is seen only since then proves nothing.
        lately = self._fresh_at - self._seen_at.get(api_key, 0) <= self._limits.outage_key_seen_ms
        return view if lately else None

    def mark_seen(self, api_key: str) -> None:
        """A call of this key was verified while the snapshot was fresh."""
        if self.fresh:
            self._seen_at[api_key] = self._fresh_at

    def _look(self) -> asyncio.Task[bool]:
        """`refresh`, once for all who wait: a database that hangs is asked by one, not by every call (B98)."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.ensure_future(self.refresh())
        return self._refreshing

    async def _must_be_fresh(self) -> None:
        """Raises Refused(STORE_UNAVAILABLE). Once the database is known to be away nobody waits to hear it again."""
        if self.fresh:
            return
        away = self._away
        look = self._look()
        if away or not await asyncio.shield(look):
            raise Refused(Reason.STORE_UNAVAILABLE, "the database cannot be reached")

    def _key_view(self, tx: Transaction, api_key: str) -> KeyView | StoredSecret:
        """The view, or the secret behind it that does not open."""
        key = tx.key_by_name(api_key)
        if key is None or key.state is KeyState.REVOKED:
            raise Refused(Reason.NOT_AUTHENTICATED)
        if key.state is KeyState.FROZEN:
            raise Refused(Reason.KEY_FROZEN)
        upstream = tx.upstream(key.account_id, key.upstream_id)
        if upstream is None or upstream.removed:
            raise Refused(Reason.NOT_AUTHENTICATED)
        opened: list[bytes | None] = []
        for stored in (key.stored, upstream.stored):
            if stored is None:
                opened.append(None)
                continue
            try:
                opened.append(self._sealer.open(stored.secret, context=stored.context))
            except SealBroken:
                return stored
        secret, upstream_secret = opened
        assert upstream_secret is not None
        return KeyView(key, secret, _account_view(tx, key.account_id), upstream, upstream_secret)

    def _keep(self, cache: OrderedDict[K, V], name: K, view: V, seen: int) -> None:
        """Keep what was read, unless changes were taken in meanwhile: it may be older than they are."""
        if self._last_change != seen:
            return
        cache[name] = view
        if len(cache) > ENTRIES:
            cache.popitem(last=False)

    def _forget(self, account_id: str) -> None:
        if account_id == SYSTEM_ACCOUNT:
            self._integrators.clear()
        self._accounts.pop(account_id, None)
        for name in [name for name, view in self._keys.items() if view.key.account_id == account_id]:
            del self._keys[name]
            self._seen_at.pop(name, None)


def _account_view(tx: Transaction, account_id: str) -> AccountView:
    account = tx.account(account_id)
    if account is None:
        raise Refused(Reason.UNKNOWN_ID, "no such account")
    bound: Mapping[Environment, bool] = {
        environment: found is not None and not found.budget.disabled
        for environment in Environment
        for found in [tx.bound_authenticator(account_id, environment)]
    }
    return AccountView(
        account_id,
        account.state is AccountState.ACTIVE,
        frozenset(tx.protections(account_id)),
        frozenset(environment for environment, usable in bound.items() if usable),
    )
