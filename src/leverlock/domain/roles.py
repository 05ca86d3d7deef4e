"""Operators: accounts that have a role, and what each role permits. One table; what is not in it is refused.

An operator signs in, answers the login challenge and binds his authenticator like anybody else. His role opens his own
session nothing of other people's accounts but what stands here, and never a secret of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What an operator is there for. The rules and the staff are kept apart from the cases."""

    SUPPORT = "support"  # recovery cases
    SECURITY = "security"  # recovery cases, locks, policies
    ADMIN = "admin"  # who is an operator, and policies; no cases


class Permission(StrEnum):
    """What an operator's call may need."""

    FIND_ACCOUNT = "accounts.find"
    LOCK_ACCOUNT = "accounts.lock"
    UNLOCK_ACCOUNT = "accounts.unlock"
    READ_CASES = "cases.read"
    OPEN_CASE = "cases.open"
    VIEW_DOCUMENTS = "cases.documents"
    DECIDE_CASE = "cases.decide"
    READ_PROPOSALS = "proposals.read"
    CHANGE_POLICY = "policy.change"
    CHANGE_OPERATORS = "operators.change"


_CASES: Final = frozenset(
    {Permission.READ_CASES, Permission.OPEN_CASE, Permission.VIEW_DOCUMENTS, Permission.DECIDE_CASE}
)

PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.SUPPORT: frozenset({Permission.FIND_ACCOUNT, Permission.LOCK_ACCOUNT, *_CASES}),
    Role.SECURITY: frozenset(
        {
            Permission.FIND_ACCOUNT,
            Permission.LOCK_ACCOUNT,
            Permission.UNLOCK_ACCOUNT,
            *_CASES,
            Permission.READ_PROPOSALS,
            Permission.CHANGE_POLICY,
        }
    ),
    Role.ADMIN: frozenset(
        {
            Permission.FIND_ACCOUNT,
            Permission.READ_PROPOSALS,
            Permission.CHANGE_POLICY,
            Permission.CHANGE_OPERATORS,
        }
    ),
}


def may(role: Role | None, permission: Permission) -> bool:
    """Whether a role permits this; nobody without a role may anything."""
    return role is not None and permission in PERMISSIONS[role]


@dataclass(frozen=True, slots=True)
class Operator:
    """An account with its role. `since`: when it was given, in server milliseconds; `active`: it is not locked."""

    account_id: str
    login: str
    role: Role
    since: int
    active: bool = True

    @property
    def principal(self) -> str:
        return operator_principal(self.account_id)


def operator_principal(account_id: str) -> str:
    """How the audit trail names an operator: by his account, whichever session he acted in."""
    return f"operator:{account_id}"
