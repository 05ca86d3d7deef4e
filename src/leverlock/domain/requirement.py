"""What must be proved before an action executes, and how several demands become one: the strictest wins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from typing import Final


class ProofKind(StrEnum):
    """A way to prove oneself. Each has one verifier; a policy may only name kinds that have one."""

    TOTP = "totp"  # the live code of the action's own environment
    PASSWORD = "password"  # the master password, typed anew
    WALLET = "wallet"  # layer 1 of a movement: a code that opens the wallet, before the one that moves something
    MOVEMENT = "movement"  # layer 2: a security key, else password and a later code; settled when the owner is asked
    SECURITY_KEY = "security_key"  # what MOVEMENT becomes where the account has one; no policy file names it (M22)


class Backup(StrEnum):
    """What may stand in for the live code where a rule says so and the owner switched it on."""

    SMS = "sms"


KEY_ALONE: Final = frozenset({ProofKind.SECURITY_KEY})
LATER_CODE: Final = frozenset({ProofKind.PASSWORD, ProofKind.TOTP})  # layer 2 of an account without a security key


@dataclass(frozen=True, slots=True)
class Requirement:
    """All of `proofs` are needed; a backup may stand in for the code. The empty requirement is no permission: `join`
    of nothing is refused by its users."""

    proofs: frozenset[ProofKind]
    backups: frozenset[Backup] = frozenset()

    def join(self, other: Requirement) -> Requirement:
        """The strictest of both. Joining can only add proofs and take backups away (I17)."""
        return Requirement(self.proofs | other.proofs, self.backups & other.backups)

    def covers(self, other: Requirement) -> bool:
        """Whether whoever meets this requirement has also met `other`."""
        return self.proofs >= other.proofs and self.backups <= other.backups

    def settled(self, movement: frozenset[ProofKind]) -> Requirement:
        """The same with layer 2 as this account has to prove it."""
        if ProofKind.MOVEMENT not in self.proofs:
            return self
        return Requirement((self.proofs - {ProofKind.MOVEMENT}) | movement, self.backups)

    @property
    def needs_factor(self) -> bool:
        """Whether the environment's own authenticator has to be able to answer: always, but for what a key proves."""
        return self.proofs != KEY_ALONE

    def without(self, given: frozenset[ProofKind]) -> Requirement:
        """What is left once `given` holds already."""
        return Requirement(self.proofs - given, self.backups) if given else self

    @property
    def layer(self) -> Requirement:
        """What the next answer has to prove: the wallet is opened by an answer of its own."""
        return Requirement(frozenset({ProofKind.WALLET})) if ProofKind.WALLET in self.proofs else self

    def words(self) -> list[str]:
        """The names of the proofs, sorted."""
        return sorted(self.proofs)

    def text(self) -> str:
        """Stored form: the proofs, then what may stand in for the code, such as `password totp` or `totp | sms`."""
        proofs = " ".join(self.words())
        return f"{proofs} | {' '.join(sorted(self.backups))}" if self.backups else proofs

    @classmethod
    def of_text(cls, stored: str) -> Requirement:
        """The requirement of a stored form. Raises ValueError for a word that is none."""
        proofs, _, backups = stored.partition(" | ")
        return cls.of(*proofs.split(), backups=backups.split())

    @classmethod
    def of(cls, *proofs: ProofKind | str, backups: Iterable[Backup | str] = ()) -> Requirement:
        return cls(frozenset(ProofKind(proof) for proof in proofs), frozenset(Backup(word) for word in backups))


def join_all(requirements: list[Requirement]) -> Requirement | None:
    """The joined requirement, or None where nothing is required."""
    return reduce(Requirement.join, requirements) if requirements else None
