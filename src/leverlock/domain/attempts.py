"""Budgets for wrong answers, of one authenticator and of one account (SECURITY numbers: `limits.py`).

A charge is written *before* the answer is compared (B74). The functions here say what the counters become;
success takes the charge back, anything else leaves it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import Limits


@dataclass(frozen=True, slots=True)
class FactorBudget:
    """Consecutive wrong answers of one authenticator: five block it, each further one doubles the block,
    fifty disable it until it is bound anew (RTS 4(3)(b), NIST SP 800-63B-4 section 3.2.2; B75)."""

    streak: int = 0
    blocked_until_ms: int = 0
    disabled: bool = False

    def charged(self, now_ms: int, limits: Limits) -> FactorBudget:
        """The budget after one more wrong answer. Raises Refused when no answer may be tried now."""
        if self.disabled:
            raise Refused(Reason.FACTOR_DISABLED)
        if now_ms < self.blocked_until_ms:
            raise Refused(Reason.FACTOR_BLOCKED, retry_after_ms=self.blocked_until_ms - now_ms)
        streak = self.streak + 1
        if streak >= limits.factor_disable_after:
            return FactorBudget(streak, self.blocked_until_ms, disabled=True)
        if streak < limits.factor_block_after:
            return FactorBudget(streak, self.blocked_until_ms)
        doublings = min(streak - limits.factor_block_after, 20)
        block_ms = min(limits.factor_block_ms << doublings, limits.factor_block_max_ms)
        return FactorBudget(streak, now_ms + block_ms)


@dataclass(frozen=True, slots=True)
class AccountBudget:
    """Times of an account's wrong answers of the last 24 h, over all surfaces and factors (B76, B77)."""

    wrong_at_ms: tuple[int, ...] = ()

    def charged(self, now_ms: int, limits: Limits) -> AccountBudget:
        """The budget after one more wrong answer. Raises Refused when the account must wait."""
        recent = tuple(at for at in self.wrong_at_ms if at > now_ms - limits.account_window_ms)
        if len(recent) >= limits.account_wrong_answers:
            next_ms = recent[-1] + limits.account_slow_ms
            if now_ms < next_ms:
                raise Refused(Reason.ACCOUNT_BUDGET_SPENT, retry_after_ms=next_ms - now_ms)
        return AccountBudget((*recent, now_ms))

    def to_bytes(self) -> bytes:
        """Stored form, version 1: big-endian 64-bit milliseconds, oldest first."""
        return _packed(self.wrong_at_ms)

    @classmethod
    def from_bytes(cls, stored: bytes) -> AccountBudget:
        return cls(_unpacked(stored)) if stored else _UNSPENT


@dataclass(frozen=True, slots=True)
class Reserve:
    """Times of an account's wrong recovery answers of the last 24 h: a budget of their own, so that who guessed codes
    away cannot keep the owner from coming back, and which no right answer fills up again (B33, B79)."""

    wrong_at_ms: tuple[int, ...] = ()

    def charged(self, now_ms: int, limits: Limits) -> Reserve:
        """The reserve after one more wrong answer. Raises Refused when it is used up."""
        recent = tuple(at for at in self.wrong_at_ms if at > now_ms - limits.recovery_window_ms)
        if len(recent) >= limits.recovery_tries:
            wait = recent[-limits.recovery_tries] + limits.recovery_window_ms - now_ms
            raise Refused(Reason.RECOVERY_BUDGET_SPENT, retry_after_ms=wait)
        return Reserve((*recent, now_ms))

    def to_bytes(self) -> bytes:
        """Stored as `AccountBudget` is."""
        return _packed(self.wrong_at_ms)

    @classmethod
    def from_bytes(cls, stored: bytes) -> Reserve:
        return cls(_unpacked(stored)) if stored else UNTOUCHED


def _packed(times: tuple[int, ...]) -> bytes:
    return struct.pack(f">{len(times)}q", *times)


def _unpacked(stored: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(stored) // 8}q", stored)


_UNSPENT = AccountBudget()
UNTOUCHED = Reserve()
UNTRIED = FactorBudget()
