"""Key rotation: every sealed secret is sealed anew under the keyring's current key, account by account (B84).

What was begun goes on wherever it was interrupted: a row that has the current version is done. Until the last one is,
the keyring keeps the old key, so that every secret opens at every moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from leverlock.app.alarms import seal_broken
from leverlock.domain.account import SYSTEM_ACCOUNT
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.errors import Reason, Refused
from leverlock.ports import SealBroken, Transaction, World

RESEALED: Final = "resealed"  # the setting "version time" of the last pass that left nothing under an older key
RETIRE_AFTER_MS: Final = 60_000  # longer than any transaction that sealed under the old key can still be under way


@dataclass(frozen=True, slots=True)
class Resealed:
    """What was done for one account. `broken`: rows that do not open, as `table/id`; they stay as they are."""

    count: int
    broken: tuple[str, ...]


def note_rotation(tx: Transaction, *, version: int, by: str) -> None:
    """A key of this version is about to be made."""
    tx.lock_account(SYSTEM_ACCOUNT)
    tx.record(AuditEvent(EventKind.KEYRING_ROTATED, by, {"version": version}))


def reseal_account(tx: Transaction, world: World, *, account_id: str, by: str) -> Resealed:
    """Seal what this account has under an older key anew. Raises Refused(CONFLICT) for a row that moved meanwhile."""
    version = world.sealer.current
    tx.lock_account(account_id)
    count, broken = 0, []
    for stored in tx.sealed_secrets(account_id, other_than=version):
        try:
            secret = world.sealer.open(stored.secret, context=stored.context)
        except SealBroken:
            seal_broken(tx, world, stored, by=by)
            broken.append(f"{stored.table}/{stored.row_id}")
            continue
        if not tx.reseal(stored, world.sealer.seal(secret, context=stored.context)):
            raise Refused(Reason.CONFLICT)
        count += 1
    if count:
        tx.record(AuditEvent(EventKind.SECRETS_RESEALED, by, {"version": version, "count": count}))
    return Resealed(count, tuple(broken))


def note_done(tx: Transaction, *, version: int) -> None:
    """A pass has left nothing that opens under an older key: from now on that can be retired."""
    tx.lock_account(SYSTEM_ACCOUNT)
    if (tx.setting(RESEALED) or "").split(" ")[0] != str(version):
        tx.set_setting(RESEALED, f"{version} {tx.now}")


def begin_retirement(tx: Transaction, *, version: int, retired: list[int], broken: int, by: str) -> None:
    """Check that nothing needs the older keys any more, and record that they go. `broken` rows no key opens.

    Raises Refused(CONFLICT) while a secret is sealed under one of them, or may just be being written.
    """
    tx.lock_account(SYSTEM_ACCOUNT)
    left = sum(count for found, count in tx.sealed_versions().items() if found != version)
    if left != broken:
        raise Refused(Reason.CONFLICT, "secrets were sealed under an older key meanwhile; rotate first")
    done, _, at = (tx.setting(RESEALED) or "").partition(" ")
    if done != str(version):
        raise Refused(Reason.CONFLICT, "no rotation to the current key was finished")
    if tx.now < int(at) + RETIRE_AFTER_MS:
        wait = int(at) + RETIRE_AFTER_MS - tx.now
        raise Refused(Reason.CONFLICT, "the rotation has just finished; try again in a minute", retry_after_ms=wait)
    tx.record(AuditEvent(EventKind.KEYRING_RETIRED, by, {"current": version, "retired": retired, "broken": broken}))
