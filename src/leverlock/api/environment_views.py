"""Answers about environments: how each stands, what is bound to it, what it guards."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from leverlock.api.views import AuthenticatorId, Millis, View
from leverlock.domain.actions import ACTIONS
from leverlock.domain.authenticator import Authenticator, AuthenticatorKind, AuthenticatorState
from leverlock.domain.environment import Environment
from leverlock.domain.policy import Policy

Masked = Annotated[str, Meta(description="the number, masked: country and last two digits")]


class BoundView(View):
    id: AuthenticatorId
    state: str
    created_at: Millis
    expires_at: Millis | UnsetType = UNSET
    blocked_until: Millis | UnsetType = UNSET


class GuardView(View):
    """One rule in force: what it watches and what it demands."""

    rule: str
    action: str
    title: str
    requires: list[str]
    backups: list[str] | UnsetType = UNSET


class SmsView(View):
    """SMS of one environment. `backup`: whether it may stand in for the code, from `usable_at` on."""

    id: AuthenticatorId
    number: Masked
    state: str
    backup: bool
    usable_at: Millis
    blocked_until: Millis | UnsetType = UNSET


class HoldView(View):
    """What is refused for a day after a change of factors, whatever is proved."""

    scope: str
    until: Millis


class EnvironmentView(View, kw_only=True):
    """One environment of the account. `state` is `never_enabled` or `on`; once on, it stays on (semantics 11)."""

    environment: str
    label: str
    state: str
    enabled_at: Millis | UnsetType = UNSET
    authenticator: BoundView | UnsetType = UNSET
    pending: BoundView | UnsetType = UNSET
    recovery_codes_left: int | UnsetType = UNSET
    holds: list[HoldView] | UnsetType = UNSET
    sms: SmsView | UnsetType = UNSET
    guards: list[GuardView]


class EnvironmentList(View):
    environments: list[EnvironmentView]


def environment_view(
    environment: Environment, *, enabled_at: int | None, enrolled: list[Authenticator], policy: Policy, now: int
) -> EnvironmentView:
    """How one environment stands, from the account's stored authenticators and the policy in force."""
    view = EnvironmentView(
        environment=environment.value,
        label=environment.label,
        state="never_enabled" if enabled_at is None else "on",
        guards=guards(environment, policy),
    )
    if enabled_at is not None:
        view.enabled_at = enabled_at
    for authenticator in enrolled:
        if authenticator.environment is not environment or authenticator.kind is not AuthenticatorKind.TOTP:
            continue
        shown = BoundView(authenticator.authenticator_id, authenticator.state.value, authenticator.created_at)
        if authenticator.state in (AuthenticatorState.ACTIVE, AuthenticatorState.DISABLED):
            if authenticator.budget.blocked_until_ms > now:
                shown.blocked_until = authenticator.budget.blocked_until_ms
            view.authenticator = shown
        elif authenticator.state is AuthenticatorState.PENDING and authenticator.expires_at > now:
            shown.expires_at = authenticator.expires_at
            view.pending = shown
    return view


def guards(environment: Environment, policy: Policy) -> list[GuardView]:
    """What is watched over one environment: the rules in force in the order of the file, then what always holds."""
    ruled = {rule.action for rule in policy.rules}
    floors = [action for action in ACTIONS.values() if action.floor is not None and action.name not in ruled]
    return [
        GuardView(
            rule.name,
            rule.action,
            ACTIONS[rule.action].title,
            rule.requirement.words(),
            sorted(rule.requirement.backups) or UNSET,
        )
        for rule in policy.rules
        if ACTIONS[rule.action].environment is environment
    ] + [
        GuardView("always", action.name, action.title, action.floor.words())
        for action in floors
        if action.environment is environment and action.floor is not None
    ]
