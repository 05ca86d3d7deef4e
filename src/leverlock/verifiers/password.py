"""Passwords: argon2id, two at a time, off the event loop and outside every transaction.

Parameters are OWASP's first choice for argon2id (19 MiB, t=2, p=1). A hash made with other numbers is renewed when it
is next used. For a login that does not exist the same work is done, so that time tells nothing (B62).
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError

from leverlock.ports import PasswordFinding

MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
LANES: Final = 1
AT_ONCE: Final = 2


class PasswordHasher:
    """Hashes and checks master passwords in a bounded pool."""

    def __init__(self) -> None:
        self._argon2 = Argon2(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="leverlock-argon2")
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        """A new hash in the PHC string format."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._argon2.hash, password)

    async def check(self, password: str, *, account_id: str | None, stored_hash: str | None) -> PasswordFinding | None:
        """What checking `password` found; None for an account that does not exist, after the same work."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, self.check_now, password, account_id, stored_hash
        )

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
