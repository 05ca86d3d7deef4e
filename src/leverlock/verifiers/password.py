"""Passwords: argon2id, two at a time, off the event loop and outside every transaction.

Who waits for his turn waits behind few: of each source, and of all strangers together, only so many may wait.

Parameters are OWASP's first choice for argon2id (19 MiB, t=2, p=1). A hash made with other numbers is renewed when it
is next used. For a login that does not exist the same work is done, so that time tells nothing (B62).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError

from leverlock.ports import PasswordFinding
from leverlock.ports_recovery import NewPassword

T = TypeVar("T")

MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
LANES: Final = 1
AT_ONCE: Final = 2
FINGERPRINT: Final = 16  # hexadecimal digits, of a hash that is slow to make
WAITING_EACH: Final = 8  # of one turn: a source of strangers, an account that is signed in
WAITING_STRANGERS: Final = 64  # of all sources together; about two seconds of hashing


class TooManyWaiting(Exception):
    """Too many checks of this turn wait already. Nothing was hashed."""


class PasswordHasher:
    """Hashes and checks master passwords in a bounded pool."""

    def __init__(self) -> None:
        self._argon2 = Argon2(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="leverlock-argon2")
        self._decoy: str | None = None
        self._waiting: Counter[tuple[bool, str]] = Counter()

    async def hash(self, password: str) -> str:
        """A new hash in the PHC string format."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._argon2.hash, password)

    async def hash_new(self, password: str, *, salt: bytes, turn: str) -> NewPassword:
        """A new password's hash under a salt that the same request would bring again, and that hash's fingerprint.

        Raises TooManyWaiting.
        """

        def work() -> NewPassword:
            stored_hash = self._argon2.hash(password, salt=salt)
            return NewPassword(stored_hash, hashlib.sha256(stored_hash.encode()).hexdigest()[:FINGERPRINT])

        return await self._in_turn((False, turn), work)

    async def check(
        self, password: str, *, account_id: str | None, stored_hash: str | None, turn: str, stranger: bool
    ) -> PasswordFinding | None:
        """What checking `password` found; None for an account that does not exist, after the same work.

        `turn` is who asks: the source of a stranger, or the account of somebody signed in. Raises TooManyWaiting.
        """
        return await self._in_turn((stranger, turn), lambda: self.check_now(password, account_id, stored_hash))

    async def _in_turn(self, asker: tuple[bool, str], work: Callable[[], T]) -> T:
        """Work in the pool, behind few others. Raises TooManyWaiting."""
        stranger = asker[0]
        strangers = sum(count for (strange, _), count in self._waiting.items() if strange)
        if self._waiting[asker] >= WAITING_EACH or (stranger and strangers >= WAITING_STRANGERS):
            raise TooManyWaiting
        self._waiting[asker] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting[asker] -= 1
            if not self._waiting[asker]:
                del self._waiting[asker]

    def hash_blocking(self, password: str) -> str:
        """A new hash, for a caller without an event loop; it waits its turn like every other."""
        return self._pool.submit(self._argon2.hash, password).result()

    def check_blocking(
        self, password: str, *, account_id: str | None, stored_hash: str | None
    ) -> PasswordFinding | None:
        """`check`, for a caller without an event loop."""
        return self._pool.submit(self.check_now, password, account_id, stored_hash).result()

    def check_now(self, password: str, account_id: str | None, stored_hash: str | None) -> PasswordFinding | None:
        """The same, in the caller's thread."""
        if account_id is None or not stored_hash:
            self._decoy = self._decoy or self._argon2.hash("no account has this password")
            self._matches(self._decoy, password)
            return None
        matched = self._matches(stored_hash, password)
        stale = matched and self._argon2.check_needs_rehash(stored_hash)
        return PasswordFinding(account_id, stored_hash, matched, self._argon2.hash(password) if stale else None)

    def _matches(self, stored_hash: str, password: str) -> bool:
        try:
            return self._argon2.verify(stored_hash, password) is True
        except (VerificationError, InvalidHashError):
            return False

    def close(self) -> None:
        self._pool.shutdown(wait=True)
