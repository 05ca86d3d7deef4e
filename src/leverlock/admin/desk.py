"""The desk at which operations are done: what they have at hand, and who is said to have done them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from leverlock.domain.account import canonical_login
from leverlock.domain.api_key import KeyAlgorithm
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import is_id
from leverlock.ports import Clock, Store, Transaction, World


class VenueFindings(Protocol):
    """What asking the venue found.

    `accepted` is None where it could not be asked. `clock_offset_ms` is the venue's clock minus ours; `permissions`
    are the venue's own words about its key; `warnings` are sentences about what an operator should change.
    """

    @property
    def accepted(self) -> bool | None: ...
    @property
    def clock_offset_ms(self) -> int | None: ...
    @property
    def permissions(self) -> Mapping[str, bool]: ...
    @property
    def warnings(self) -> Sequence[str]: ...


class VenueProbe(Protocol):
    """Asks a venue about its clock and about a key of its own; changes nothing there."""

    async def __call__(
        self, *, base_urls: Mapping[str, str], api_key: str, algorithm: KeyAlgorithm, secret: bytes
    ) -> VenueFindings: ...


class PasswordHashing(Protocol):
    """Makes the stored form of a new password, off the event loop."""

    async def hash(self, password: str) -> str: ...


class KeyringAtHand(Protocol):
    """The keys outside the database, to be looked at and changed."""

    @property
    def current(self) -> int: ...
    @property
    def versions(self) -> list[int]: ...
    def add_key(self) -> int: ...
    def drop_older_keys(self) -> int: ...


@dataclass(frozen=True)
class Desk:
    """`by` is the principal of the audit trail: the user of this machine who gave the command."""

    store: Store
    world: World
    clock: Clock
    passwords: PasswordHashing
    probe: VenueProbe
    keyring: KeyringAtHand
    by: str


def account_named(tx: Transaction, name: str) -> str:
    """The account behind a login name or an id. Raises Refused(UNKNOWN_ID)."""
    known = tx.account(name) is not None if is_id("acc", name) else False
    found = name if known else tx.account_of_login(canonical_login(name))
    if found is None:
        raise Refused(Reason.UNKNOWN_ID, f"there is no account {name!r}", field="account")
    return found
