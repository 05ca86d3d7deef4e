"""SMS for a challenge: sending its code, and the link that ends it all (semantics 3). Its use is in `sms_proof.py`."""

from __future__ import annotations

from leverlock.app.closing import close
from leverlock.app.sms_proof import STOP, must_take_sms, usable_number
from leverlock.app.sms_sending import number_of, send_code, terms
from leverlock.app.sms_settings import end_number
from leverlock.domain.account import Session
from leverlock.domain.audit import EventKind
from leverlock.domain.authenticator import AuthenticatorKind
from leverlock.domain.challenge import State
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.sms_code import SmsCode
from leverlock.domain.sms_text import action_text, code_text
from leverlock.ports import Transaction, World


def send_for(tx: Transaction, world: World, *, session: Session, challenge_id: str, source: str) -> tuple[SmsCode, str]:
    """Text a code for this challenge alone; it and the number, masked. Sending again replaces the code.

    Raises Refused: ACCOUNT_LOCKED, SMS_OFF, UNKNOWN_ID, PROOF_NOT_ACCEPTED, CHALLENGE_EXPIRED, CHALLENGE_FAILED,
    CHALLENGE_NOT_PENDING, SMS_NOT_USABLE, SMS_APPROVALS_SPENT, FACTOR_BLOCKED, SMS_THROTTLED.
    """
    account_id = session.account_id
    tx.lock_account(account_id).must_be_active()
    tx.if_refused(EventKind.ANSWER_REFUSED, session.principal, purpose="sms", sms_for=challenge_id[:64])
    sms = terms(world)
    challenge = tx.challenge(account_id, challenge_id)
    if challenge is None:
        raise Refused(Reason.UNKNOWN_ID, "no such challenge")
    challenge.must_be_pending(tx.now)
    must_take_sms(challenge)
    bound = usable_number(tx, world, account_id, challenge.environment)
    if tx.now < bound.budget.blocked_until_ms:
        raise Refused(Reason.FACTOR_BLOCKED, retry_after_ms=bound.budget.blocked_until_ms - tx.now)
    number, language = number_of(tx, world, bound), tx.language(account_id)

    def text(digits: str) -> str:
        return code_text(
            action=action_text(challenge.intent, challenge.facts, language=language),
            environment=challenge.environment,
            code=digits,
            life_ms=world.limits.sms_code_life_ms,
            issuer=world.issuer,
            host=sms.host,
            language=language,
        )

    code = send_code(
        tx,
        world,
        subject=challenge_id,
        authenticator=bound,
        number=number,
        text=text,
        source=source,
        by=session.principal,
    )
    return code, number.masked


def stop_sms(tx: Transaction, world: World, account_id: str, target: str, *, by: str) -> None:
    """What the link does: the number that was used serves no more, and a grant not yet spent is void.

    A second time nothing is left to do. Raises Refused(UNKNOWN_ID).
    """
    tx.lock_account(account_id)
    challenge = tx.challenge(account_id, target.removeprefix(f"{STOP}_"))
    if challenge is None:
        raise Refused(Reason.UNKNOWN_ID)
    if challenge.state_at(tx.now) is State.APPROVED:
        close(tx, challenge, to=State.CANCELLED, because="sms_stopped", principal=by)
    bound = tx.bound_authenticator(account_id, challenge.environment, kind=AuthenticatorKind.SMS)
    if bound is not None and bound.created_at <= challenge.created_at:
        end_number(tx, world, bound, because="stopped_by_link", by=by)
