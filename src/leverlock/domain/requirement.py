"""What must be proved before an action executes, and how several demands become one: the strictest wins."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import reduce


class ProofKind(StrEnum):
    """A way to prove oneself. Each has one verifier; a policy may only name kinds that have one."""

    TOTP = "totp"  # the live code of the action's own environment
    PASSWORD = "password"  # the master password, typed anew


@dataclass(frozen=True, slots=True)
class Requirement:
    """All of `proofs` are needed. The empty requirement is no permission: `join` of nothing is refused by its users."""

    proofs: frozenset[ProofKind]

    def join(self, other: Requirement) -> Requirement:
        """The strictest of both. Joining can only add, so a further rule never weakens an earlier one (I17)."""
        return Requirement(self.proofs | other.proofs)

    def covers(self, other: Requirement) -> bool:
        """Whether whoever meets this requirement has also met `other`."""
        return self.proofs >= other.proofs

    def words(self) -> list[str]:
        """Stored and wire form: the names of the proofs, sorted."""
        return sorted(self.proofs)

    @classmethod
    def of(cls, *proofs: ProofKind | str) -> Requirement:
        return cls(frozenset(ProofKind(proof) for proof in proofs))


def join_all(requirements: list[Requirement]) -> Requirement | None:
    """The joined requirement, or None where nothing is required."""
    return reduce(Requirement.join, requirements) if requirements else None
