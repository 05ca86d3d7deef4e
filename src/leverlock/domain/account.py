"""Accounts, their sessions and the principals that act for them."""

from __future__ import annotations

import ipaddress
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from leverlock.domain.attempts import UNTOUCHED, AccountBudget, Reserve
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import Limits
from leverlock.domain.values import has_invisible

SYSTEM_ACCOUNT = "system"  # whose audit chain holds what concerns no single account
MAX_LOGIN = 128
MIN_PASSWORD = 12  # ASVS 6.2.1 asks for at least 8; a long one replaces rules about its letters
MAX_PASSWORD = 256
SUBSCRIBER_BITS = 64  # of an IPv6 address


class AccountState(StrEnum):
    ACTIVE = "active"
    LOCKED = "locked"  # by an operator: nothing passes but cancels


class SessionState(StrEnum):
    """How far somebody got in. Only FULL opens anything but the way to it; RECOVERY only ways back (M1, B61)."""

    LOGIN_CHALLENGE = "login_challenge"
    RECOVERY = "recovery"  # the owner says that he has lost what the login challenge asks for, or his password
    FULL = "full"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Account:
    """A locked account row: the budget and the audit chain that its transaction carries on."""

    account_id: str
    login: str
    state: AccountState
    password_hash: str
    budget: AccountBudget
    chain_seq: int
    chain_head: bytes
    reserve: Reserve = UNTOUCHED

    def must_be_active(self) -> None:
        """Raises Refused while an operator has locked it: no answer is even looked at (B52)."""
        if self.state is not AccountState.ACTIVE:
            raise Refused(Reason.ACCOUNT_LOCKED)


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser or terminal. Identified by the hash of its token; the token itself is never stored.

    `password_at`: when the password was typed in it. `by_mail`: a link in a mail opened it, no password at all.
    """

    account_id: str
    session_id: str
    state: SessionState
    created_at: int
    last_seen_at: int
    password_at: int
    by_mail: bool = False

    def must_be_live(self, now_ms: int, limits: Limits) -> None:
        """Raises Refused when it has ended, idled too long or lived too long (B55)."""
        if (
            self.state is SessionState.ENDED
            or now_ms >= self.last_seen_at + limits.session_idle_ms
            or now_ms >= self.created_at + limits.session_absolute_ms
        ):
            raise Refused(Reason.NOT_AUTHENTICATED)

    def must_be_full(self) -> None:
        """Raises Refused while the login challenge is open, and in a session that can only recover (M1)."""
        if self.state is SessionState.RECOVERY:
            raise Refused(Reason.RECOVERY_ONLY)
        if self.state is not SessionState.FULL:
            raise Refused(Reason.LOGIN_CHALLENGE_OPEN)

    def must_be_recovering(self) -> None:
        """Raises Refused unless this session may use a way back: a full one, or one that can only recover."""
        if self.state not in (SessionState.RECOVERY, SessionState.FULL):
            raise Refused(Reason.LOGIN_CHALLENGE_OPEN)

    @property
    def principal(self) -> str:
        return f"session:{self.session_id}"


def canonical_login(typed: str) -> str:
    """The one spelling under which a login name is looked up, whatever its case or composition (B76).

    Raises Refused(MALFORMED) for names that are empty, too long or hold invisible characters.
    """
    # Folding can undo the composition and composing can bring up a new letter to fold: both are done until neither
    # changes anything (Unicode section 3.13, D146, compatibility caseless match).
    folded = unicodedata.normalize("NFD", typed.strip())
    for _ in range(2):
        folded = unicodedata.normalize("NFKC", folded.casefold())
    bad = has_invisible(folded) or any(unicodedata.category(c).startswith("Z") for c in folded)
    if not folded or len(folded) > MAX_LOGIN or bad or ":" in folded:
        raise Refused(
            Reason.MALFORMED, f"a login name has 1 to {MAX_LOGIN} visible characters and no colon", field="login"
        )
    return folded


def network_of(peer: str) -> str:
    """Whose tries are counted together: an IPv4 address, or the 64 bits of an IPv6 one that a subscriber is given.

    The rest of an IPv6 address is his to choose anew for every try (RFC 4291 section 2.5.1). What is no address is
    taken as it is.
    """
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), SUBSCRIBER_BITS), strict=False))


def must_be_password(password: str) -> None:
    """Raises Refused(MALFORMED) for a password that is too short or too long to be hashed with care."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise Refused(Reason.MALFORMED, f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters", field="password")
