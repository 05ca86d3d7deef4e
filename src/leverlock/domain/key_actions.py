"""Rows of the action table: making an API key and changing one (M18, B63).

Our own keys are asked for by their own call; a venue with a key page of its own may ask for the same by name. There is
a row for each environment whose factor may speak for the key, by the markets that it reaches.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from leverlock.domain.account_actions import FULL_REAUTHENTICATION
from leverlock.domain.action import ActionType
from leverlock.domain.environment import MARKETS, Environment
from leverlock.domain.hold import HoldScope
from leverlock.domain.key_terms import KeyTerms, Scope
from leverlock.domain.values import Field, ascii_text, boolean, text, word

_IPS: Final = 600  # characters: twelve networks of IPv6

_TERMS: Final[dict[str, Field]] = {
    "label": text(required=True),
    "scopes": ascii_text(required=True),
    "ips": ascii_text(longest=_IPS),
    "otp_allowed": boolean(),
}

KEY_CREATE: Final = {
    environment: ActionType(
        name=f"{environment}.api_key.create",
        environment=environment,
        gated=True,
        title="Make an API key",
        fields={**_TERMS, "venue": word(), "algorithm": word(), "public_key": ascii_text()},
        floor=FULL_REAUTHENTICATION,
        held_by=HoldScope.KEYS,
    )
    for environment in Environment
}

KEY_EDIT: Final = {
    environment: ActionType(
        name=f"{environment}.api_key.edit",
        environment=environment,
        gated=True,
        title="Change an API key",
        fields={"key": word(required=True), **_TERMS},
        floor=FULL_REAUTHENTICATION,
        held_by=HoldScope.KEYS,
    )
    for environment in Environment
}

KEYS: Final = (*KEY_CREATE.values(), *KEY_EDIT.values())

_MARKETS_OF: Final[dict[Scope, tuple[Environment, ...]]] = {
    Scope.READ: (),
    Scope.FUTURES: (Environment.FUTURES,),
    Scope.MARGIN: (Environment.MARGIN,),
    # What moves funds takes them out of every market's wallet.
    Scope.TRANSFER: MARKETS,
    Scope.WITHDRAW: MARKETS,
}
_GUARDS_MOST: Final = (Environment.FUTURES, Environment.MARGIN, Environment.SPOT)


def voucher_of(
    rows: Mapping[Environment, ActionType],
    scopes: Collection[Scope],
    *,
    on: Collection[Environment],
    new: Collection[Environment] = (),
) -> ActionType:
    """The row whose factor speaks for a key with these scopes: of the markets it reaches the first that is on.

    One whose factor is `new`, bound by the password alone, speaks only where no older one does (ADR 0018).

    Where none is on, it is the first that it reaches, which then asks for the password alone (semantics 11). A key
    that may only read reaches none: the login's factor speaks for it, or the password alone.
    """
    reached = {market for scope in scopes for market in _MARKETS_OF[scope]}
    order: list[Environment] = [market for market in _GUARDS_MOST if market in reached]
    able = [market for market in order if market in on]
    trusted = [market for market in able if market not in new] or able or order or [Environment.LOGIN]
    return rows[trusted[0]]


def bound_terms(terms: KeyTerms) -> dict[str, str]:
    """The terms as fields of an action: what the owner reads and agrees to."""
    fields = {
        "label": terms.label,
        "scopes": " ".join(sorted(terms.scopes)),
        "otp_allowed": str(terms.otp_allowed).lower(),
    }
    return fields | ({"ips": " ".join(terms.ips)} if terms.ips else {})
