"""Rows of the action table: what changes an account's own protection.

Each is asked for by a call of its own, never by name, and there is a row for each environment whose factor may speak
for it: the environment of a challenge is never the caller's to choose (B9).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from leverlock.domain.action import ActionType
from leverlock.domain.environment import MARKETS, Environment
from leverlock.domain.requirement import ProofKind, Requirement

FULL_REAUTHENTICATION: Final = Requirement.of(ProofKind.PASSWORD, ProofKind.TOTP)


def _of_each(noun: str, title: Callable[[Environment], str]) -> dict[Environment, ActionType]:
    """A row for every environment, with full re-authentication as its floor."""
    return {
        environment: ActionType(
            name=f"{environment}.{noun}",
            environment=environment,
            gated=True,
            title=title(environment),
            floor=FULL_REAUTHENTICATION,
        )
        for environment in Environment
    }


AUTHENTICATOR_REPLACE: Final = _of_each(
    "authenticator.replace", lambda env: f"Replace the authenticator of {env.label}"
)

PROTECTION_END: Final = _of_each(
    "protection.end", lambda environment: f"Switch the protection of {environment.label} off"
)

# The first authenticator of `login` is vouched for by a market that is on (semantics 3): one row per such market.
LOGIN_BIND: Final = {
    market: ActionType(
        name=f"{market}.login_authenticator.bind",
        environment=market,
        gated=True,
        title="Bind the first authenticator for account login",
        floor=FULL_REAUTHENTICATION,
    )
    for market in MARKETS
}

ACCOUNT: Final = (*AUTHENTICATOR_REPLACE.values(), *LOGIN_BIND.values(), *PROTECTION_END.values())
