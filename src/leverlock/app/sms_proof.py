"""SMS in place of the live code, as a proof (semantics 3, B15, B20).

A code approves the one challenge it was sent for, where a rule lets SMS stand in, the owner switched his number on as
backup, and its waiting time is over; three times a day and account. Every other channel is told of each use.
"""

from __future__ import annotations

from typing import Any, Final

from leverlock.app.cancel_link import cancel_link
from leverlock.app.notices import notify
from leverlock.app.sms_guard import approvals_left, note_verified, take_approval
from leverlock.app.sms_sending import number_of, terms
from leverlock.domain.actions import action_type
from leverlock.domain.authenticator import Authenticator, AuthenticatorKind
from leverlock.domain.challenge import Challenge
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.requirement import Backup
from leverlock.domain.sms_code import NoMatch
from leverlock.domain.sms_text import has_text
from leverlock.ports import Transaction, World

STOP: Final = "sms"  # prefix of what a link names: `sms_<challenge>`


def must_take_sms(challenge: Challenge) -> None:
    """Raises Refused(PROOF_NOT_ACCEPTED) for what SMS does not approve: who asks for less is recorded (B20)."""
    named = action_type(challenge.action)
    nameable = has_text((named.legs or named).name)
    if Backup.SMS not in challenge.requirement.backups or not nameable:
        raise Refused(Reason.PROOF_NOT_ACCEPTED, "no SMS for this: use your authenticator app", field="sms_code")


def usable_number(tx: Transaction, world: World, account_id: str, environment: Environment) -> Authenticator:
    """The number that may stand in for the code of this environment now.

    Raises Refused: SMS_OFF, SMS_NOT_USABLE with the reason, SMS_APPROVALS_SPENT.
    """
    terms(world)
    bound = tx.bound_authenticator(account_id, environment, kind=AuthenticatorKind.SMS)
    if bound is None or not bound.backup:
        raise Refused(Reason.SMS_NOT_USABLE, "SMS is not switched on as backup; use your authenticator app")
    if bound.budget.disabled:
        raise Refused(Reason.SMS_NOT_USABLE, "this number is disabled after wrong answers; use your authenticator app")
    if tx.now < bound.usable_at:
        wait = bound.usable_at - tx.now
        detail = "this number waits for a day; use your authenticator app"
        raise Refused(Reason.SMS_NOT_USABLE, detail, retry_after_ms=wait)
    if approvals_left(tx, world, account_id) == 0:
        raise Refused(Reason.SMS_APPROVALS_SPENT)
    return bound


def accept_code(
    tx: Transaction, world: World, *, challenge_id: str, authenticator: Authenticator, code: str
) -> dict[str, Any]:
    """The code is the live one of this challenge, and is used up. What was found, for the record.

    Raises Refused: WRONG_CODE, SMS_CODE_EXPIRED, SMS_APPROVALS_SPENT.
    """
    account_id = authenticator.account_id
    sent = tx.sms_code(account_id, challenge_id)
    try:
        # One that was sent to another number, or by another that served before, is as wrong as any.
        if sent is None or sent.authenticator_id != authenticator.authenticator_id:
            raise NoMatch
        terms(world).codes.verify(sent, code, now_ms=tx.now)
    except NoMatch:
        raise Refused(Reason.WRONG_CODE) from None
    if not tx.spend_sms_code(sent) or not tx.number_used(account_id, authenticator.authenticator_id):
        raise Refused(Reason.WRONG_CODE)
    take_approval(tx, world, account_id)
    note_verified(tx, world, number=number_of(tx, world, authenticator))
    return {"authenticator": authenticator.authenticator_id, "backup": Backup.SMS.value}


def tell_of_use(tx: Transaction, world: World, challenge: Challenge) -> None:
    """Tell every address that an SMS approved this, with the link that ends SMS and voids the grant."""
    link = cancel_link(world, challenge.account_id, f"{STOP}_{challenge.challenge_id}")
    told = {"environment": challenge.environment.value, "action": challenge.action}
    notify(tx, world, challenge.account_id, kind="sms.used", challenge=challenge.challenge_id, **told, cancel=link)
