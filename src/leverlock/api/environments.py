"""Environments and their authenticators: how each stands, binding an app, confirming it (M3-M10)."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass

import segno
from msgspec import UNSET

from leverlock.api import next_steps
from leverlock.api.challenges import step_up
from leverlock.api.endpoint import ApiParts, Call, Caller, environment_of, must_be_id
from leverlock.api.environment_views import EnvironmentList, HoldView, environment_view
from leverlock.api.next_steps import NextStep
from leverlock.api.sms import with_sms
from leverlock.api.views import ConfirmedView, EnrolmentView, LegacyKey
from leverlock.app import enrol
from leverlock.app.decide import Asked
from leverlock.app.owner_keys import end_keys, must_be_live
from leverlock.domain.account import Session, SessionState
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.ports import Transaction, World
from leverlock.verifiers.otpauth import otpauth_uri, secret_text

QUIET_ZONE = 4  # modules around a QR code, ISO/IEC 18004 section 6.3.8; scanners need them on a dark page


@dataclass(frozen=True, slots=True)
class Started:
    """A begun enrolment, on its way to be drawn."""

    enrolment: enrol.Enrolment
    uri: str


def show(tx: Transaction, world: World, caller: Caller, _call: Call) -> EnvironmentList:
    on = tx.protections(caller.account_id)
    enrolled = tx.authenticators(caller.account_id)
    codes_left, holds = tx.recovery_codes_left(caller.account_id), tx.holds(caller.account_id)
    policy = world.policy()
    views = []
    for each in Environment:
        view = environment_view(each, enabled_at=on.get(each), enrolled=enrolled, policy=policy, now=tx.now)
        if each in on:
            view.recovery_codes_left = codes_left.get(each, 0)
        view.holds = [HoldView(hold.scope.value, hold.until) for hold in holds if hold.environment is each] or UNSET
        views.append(with_sms(view, world, enrolled, now=tx.now))
    return EnvironmentList(views)


def start(tx: Transaction, world: World, caller: Caller, call: Call) -> Started | Refused:
    environment = environment_of(call)
    begun = enrol.start(tx, world, session=caller.owner, environment=environment)
    if isinstance(begun, Asked):
        return step_up(tx, world, call, begun)
    account = tx.account(caller.account_id)
    assert account is not None
    uri = otpauth_uri(
        begun.seed,
        issuer=world.issuer,
        environment=environment,
        login=account.login,
        compact=world.compact_issuer,
    )
    return Started(begun, uri)


async def draw(parts: ApiParts, started: Started) -> EnrolmentView:
    """The QR code takes some milliseconds of CPU, so it is drawn off the loop, after the commit."""
    begun = started.enrolment
    return EnrolmentView(
        authenticator=begun.authenticator_id,
        environment=begun.environment.value,
        secret=secret_text(begun.seed),
        otpauth_uri=started.uri,
        qr=await asyncio.get_running_loop().run_in_executor(parts.pool, qr_svg, started.uri),
        expires_at=begun.expires_at,
        next=[next_steps.confirm(begun.environment, begun.authenticator_id)],
    )


def confirm(tx: Transaction, world: World, caller: Caller, call: Call) -> ConfirmedView:
    environment = environment_of(call)
    authenticator_id = must_be_id("au", call.path["id"])
    pending = tx.authenticator(caller.account_id, authenticator_id)
    if pending is None or pending.environment is not environment:
        raise Refused(Reason.UNKNOWN_ID)
    ended = [] if call.body.end_keys is UNSET else [must_be_id("key", key_id) for key_id in call.body.end_keys]
    if ended:
        caller.owner.must_be_full()  # who only comes back binds, and does nothing else
    must_be_live(tx, caller.account_id, ended)
    done = enrol.confirm(tx, world, session=caller.owner, authenticator_id=authenticator_id, code=call.body.code)
    end_keys(tx, world, account_id=caller.account_id, key_ids=ended, by=caller.principal)
    legacy = [key for key in tx.keys(caller.account_id) if key.key_id in done.legacy_keys and key.live]
    return ConfirmedView(
        done.authenticator_id,
        done.environment.value,
        list(done.recovery_codes),
        [LegacyKey(key.key_id, key.label) for key in legacy],
        [] if caller.owner.state is SessionState.FULL else _after_recovery(tx, caller.owner),
    )


def qr_svg(uri: str) -> str:
    """A QR code that scales with its box and is dark on white whatever stands around it."""
    drawn = io.BytesIO()
    segno.make(uri, error="m", micro=False).save(
        drawn, kind="svg", border=QUIET_ZONE, omitsize=True, dark="#000", light="#fff", xmldecl=False, nl=False
    )
    return drawn.getvalue().decode("utf-8")


def _after_recovery(tx: Transaction, session: Session) -> list[NextStep]:
    """What else a recovery opened to this session is bound first; then its owner signs in anew."""
    left = [
        environment
        for environment in Environment
        if tx.enrolment_right(session.account_id, session.session_id, environment) is not None
    ]
    return [next_steps.bind(environment) for environment in left] or [next_steps.SIGN_IN]
