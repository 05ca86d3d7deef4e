"""Rows of the action table: what changes an account's own protection.

Each is asked for by a call of its own, never by name, and there is a row for each environment whose factor may speak
for it: the environment of a challenge is never the caller's to choose (B9).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from leverlock.domain.action import ActionType
from leverlock.domain.environment import MARKETS, Environment
from leverlock.domain.hold import HoldScope
from leverlock.domain.requirement import ProofKind, Requirement
from leverlock.domain.values import Field, boolean, text, word

FULL_REAUTHENTICATION: Final = Requirement.of(ProofKind.PASSWORD, ProofKind.TOTP)


def _of_each(
    noun: str,
    title: Callable[[Environment], str],
    *,
    fields: Mapping[str, Field] | None = None,
    held_by: HoldScope | None = None,
) -> dict[Environment, ActionType]:
    """A row for every environment, with full re-authentication as its floor."""
    return {
        environment: ActionType(
            name=f"{environment}.{noun}",
            environment=environment,
            gated=True,
            title=title(environment),
            fields=fields or {},
            floor=FULL_REAUTHENTICATION,
            held_by=held_by,
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

AUTHENTICATOR_REMOVE: Final = _of_each("authenticator.remove", lambda env: f"Remove the authenticator of {env.label}")
RECOVERY_CODES_REPLACE: Final = _of_each(
    "recovery_codes.replace", lambda env: f"Make new recovery codes for {env.label}; the present ones end"
)

# A new password is bound by a fingerprint of its slow hash: an approval serves for that password and for no other.
_FINGERPRINT: Final = {"fingerprint": word(required=True)}
PASSWORD_CHANGE: Final = _of_each("password.change", lambda _: "Change the password", fields=_FINGERPRINT)
# For a session that a link in a mail opened; the link counts as the password that is forgotten (`decide.py`).
PASSWORD_RESET: Final = _of_each(
    "password.reset", lambda _: "Set a new password, by a link in a mail", fields=_FINGERPRINT
)
ADDRESS_CHANGE: Final = _of_each(
    "address.change",
    lambda _: "Change where you are rung and told",
    fields={"channel": word(required=True), "target": word(), "replaces": word()},
    held_by=HoldScope.ADDRESSES,
)
KEY_UNFREEZE: Final = _of_each(
    "key.unfreeze",
    lambda _: "Let a key go on that was stopped by 'this was not me'",
    fields={"key": word(required=True), "label": text()},
    held_by=HoldScope.KEYS,
)

# What SMS may stand in for is for the owner to say, with the code it would stand in for (M14); another number in the
# place of one that served needs the password too (semantics 3).
_NUMBER: Final = {"number": text(required=True), "authenticator": word(required=True), "backup": boolean(required=True)}

SMS_SAVE: Final = {
    market: ActionType(
        name=f"{market}.sms.save",
        environment=market,
        gated=True,
        title=f"Save the SMS settings of {market.label}",
        fields=_NUMBER,
        floor=Requirement.of(ProofKind.TOTP),
    )
    for market in MARKETS
}

SMS_REPLACE: Final = {
    market: ActionType(
        name=f"{market}.sms.replace",
        environment=market,
        gated=True,
        title=f"Replace the phone number of {market.label}",
        fields=_NUMBER,
        floor=FULL_REAUTHENTICATION,
    )
    for market in MARKETS
}

SMS_REMOVE: Final = {
    market: ActionType(
        name=f"{market}.sms.remove",
        environment=market,
        gated=True,
        title=f"Switch SMS off for {market.label}",
        fields={"number": text(required=True), "authenticator": word(required=True)},
        floor=Requirement.of(ProofKind.TOTP),
    )
    for market in MARKETS
}

# A key is added with the password and, where Futures is on, its code; a login challenge lies behind either (M22).
SECURITY_KEY_ADD: Final = {
    environment: ActionType(
        name=f"{environment}.security_key.add",
        environment=environment,
        gated=True,
        title="Add a security key",
        fields={"label": text(required=True)},
        floor=floor,
    )
    for environment, floor in (
        (Environment.LOGIN, Requirement.of(ProofKind.PASSWORD)),
        (Environment.FUTURES, FULL_REAUTHENTICATION),
    )
}

# With a key that signs it, at once.
SECURITY_KEY_REMOVE: Final = ActionType(
    name="login.security_key.remove",
    environment=Environment.LOGIN,
    gated=True,
    title="Remove a security key",
    fields={"key": word(required=True), "label": text(required=True)},
    floor=Requirement.of(ProofKind.SECURITY_KEY),
)

# Without one, after a day.
SECURITY_KEY_GIVE_UP: Final = {
    environment: ActionType(
        name=f"{environment}.security_key.give_up",
        environment=environment,
        gated=True,
        title="Remove a security key that is not at hand",
        fields={"key": word(required=True), "label": text(required=True)},
        floor=FULL_REAUTHENTICATION,
    )
    for environment in Environment
}

SECURITY_KEYS: Final = (*SECURITY_KEY_ADD.values(), SECURITY_KEY_REMOVE, *SECURITY_KEY_GIVE_UP.values())

ACCOUNT: Final = (
    *SECURITY_KEYS,
    *(
        row
        for rows in (
            AUTHENTICATOR_REPLACE,
            AUTHENTICATOR_REMOVE,
            LOGIN_BIND,
            PROTECTION_END,
            RECOVERY_CODES_REPLACE,
            PASSWORD_CHANGE,
            PASSWORD_RESET,
            ADDRESS_CHANGE,
            KEY_UNFREEZE,
            SMS_SAVE,
            SMS_REPLACE,
            SMS_REMOVE,
        )
        for row in rows.values()
    ),
)
