"""A new phone number: entered, and proved by a code that was sent to it (M12, B13, B14).

Nothing has changed by then: the number serves from the moment its settings are saved (`sms_settings.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from leverlock.app.proofs import charge_answer
from leverlock.app.sms_guard import note_verified
from leverlock.app.sms_sending import number_of, send_code, terms
from leverlock.domain.account import Session
from leverlock.domain.attempts import UNTRIED
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.authenticator import Authenticator, AuthenticatorKind, AuthenticatorState, seal_context
from leverlock.domain.environment import MARKETS, Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import ID_BYTES, make_id
from leverlock.domain.phone import PhoneNumber, phone_number
from leverlock.domain.sms_code import NoMatch, SmsCode
from leverlock.domain.sms_text import enrolment_text
from leverlock.ports import Transaction, World

SMS = AuthenticatorKind.SMS


@dataclass(frozen=True, slots=True)
class Entered:
    """A number that was texted. `masked` is how it is shown from here on."""

    authenticator_id: str
    environment: Environment
    masked: str
    expires_at: int
    resend_at: int


def enter(
    tx: Transaction, world: World, *, session: Session, environment: Environment, typed: str, source: str
) -> Entered:
    """Send a code to a new number. Entering one again replaces the last that was not saved, and its code.

    Raises Refused: ACCOUNT_LOCKED, SMS_OFF, UNKNOWN_ID, ENROLMENT_REQUIRED, NO_USABLE_FACTOR, MALFORMED,
    NUMBER_NOT_ALLOWED, FACTOR_BLOCKED, SMS_THROTTLED.
    """
    account_id, by = session.account_id, session.principal
    tx.lock_account(account_id).must_be_active()
    number = phone_number(typed, countries=terms(world).countries)
    must_have_primary(tx, account_id, environment)
    given_up = pending_number(tx, account_id, environment)
    budget = UNTRIED if given_up is None else given_up.budget
    if tx.now < budget.blocked_until_ms:
        raise Refused(Reason.FACTOR_BLOCKED, retry_after_ms=budget.blocked_until_ms - tx.now)
    for dropped in tx.drop_pending_enrolments(account_id, environment, kind=SMS):
        tx.drop_sms_codes(account_id, authenticator_id=dropped)
        tx.record(AuditEvent(EventKind.ENROLMENT_EXPIRED, by, {"authenticator": dropped}))
    pending = _begin(tx, world, session, environment, number)
    # What was guessed wrong for the last one counts on: a new number buys no new guesses (B16).
    pending = replace(pending, budget=budget)
    tx.insert_authenticator(pending)
    details = {
        "authenticator": pending.authenticator_id,
        "environment": environment.value,
        "generation": pending.generation,
        "kind": SMS.value,
        "number": number.masked,
        "streak": budget.streak,
        "blocked_until": budget.blocked_until_ms,
    }
    tx.record(AuditEvent(EventKind.ENROLMENT_STARTED, by, details))
    code = _send(tx, world, pending, number, source=source, by=by)
    return Entered(
        pending.authenticator_id, environment, number.masked, code.expires_at, tx.now + world.limits.sms_resend_ms
    )


def confirm(tx: Transaction, world: World, *, session: Session, authenticator_id: str, code: str) -> Authenticator:
    """The code came back: the number is there. It serves nothing before it is saved.

    Raises Refused: SMS_OFF, UNKNOWN_ID, ENROLMENT_NOT_PENDING, ENROLMENT_EXPIRED, WRONG_CODE, SMS_CODE_EXPIRED, and
    the limits on answers.
    """
    account_id = session.account_id
    account = tx.lock_account(account_id)
    tx.if_refused(EventKind.ANSWER_REFUSED, session.principal, purpose="number", authenticator=authenticator_id[:64])
    sms = terms(world)
    pending = tx.authenticator(account_id, authenticator_id)
    if pending is None or pending.kind is not SMS:
        raise Refused(Reason.UNKNOWN_ID, "no such number")
    pending.must_be_confirmable(session_id=session.session_id, now_ms=tx.now)
    charge = charge_answer(tx, world, account, pending)
    sent = tx.sms_code(account_id, authenticator_id)
    try:
        if sent is None:
            raise NoMatch
        sms.codes.verify(sent, code, now_ms=tx.now)
    except NoMatch:
        raise Refused(Reason.WRONG_CODE) from None
    if not tx.spend_sms_code(sent) or not tx.confirm_number(account_id, authenticator_id):
        raise Refused(Reason.ENROLMENT_NOT_PENDING)
    tx.take_back(charge, account=account.budget)
    number = number_of(tx, world, pending)
    note_verified(tx, world, number=number)
    details = {"authenticator": authenticator_id, "environment": pending.environment.value, "number": number.masked}
    tx.record(AuditEvent(EventKind.NUMBER_CONFIRMED, session.principal, details))
    return replace(pending, confirmed_at=tx.now, budget=UNTRIED)


# -- the parts -------------------------------------------------------------------------------------------------------
def must_have_primary(tx: Transaction, account_id: str, environment: Environment) -> None:
    """SMS backs up a code, it is never the first factor, and never gets anybody in (B13)."""
    if environment not in MARKETS:
        raise Refused(Reason.UNKNOWN_ID)
    facts = {"environment": environment.value}
    if environment not in tx.protections(account_id):
        raise Refused(Reason.ENROLMENT_REQUIRED, facts=facts)
    primary = tx.bound_authenticator(account_id, environment)
    if primary is None or primary.budget.disabled:
        raise Refused(Reason.NO_USABLE_FACTOR, facts=facts)


def pending_number(tx: Transaction, account_id: str, environment: Environment) -> Authenticator | None:
    """The one that was entered last and is not saved yet."""
    of_kind = [found for found in numbers(tx, account_id, environment) if found.state is AuthenticatorState.PENDING]
    return of_kind[0] if of_kind else None


def numbers(tx: Transaction, account_id: str, environment: Environment) -> list[Authenticator]:
    """Every number that was ever entered here."""
    enrolled = tx.authenticators(account_id)
    return [found for found in enrolled if found.kind is SMS and found.environment is environment]


def _begin(
    tx: Transaction, world: World, session: Session, environment: Environment, number: PhoneNumber
) -> Authenticator:
    account_id = session.account_id
    generation = tx.next_generation(account_id, environment)
    authenticator_id = make_id("au", world.entropy.bytes(ID_BYTES))
    context = seal_context(account_id, environment, authenticator_id, generation, kind=SMS)
    return Authenticator(
        account_id=account_id,
        authenticator_id=authenticator_id,
        environment=environment,
        kind=SMS,
        state=AuthenticatorState.PENDING,
        generation=generation,
        secret=world.sealer.seal(number.e164.encode(), context=context),
        created_at=tx.now,
        expires_at=tx.now + world.limits.pending_enrolment_ms,
        session_id=session.session_id,
    )


def _send(
    tx: Transaction, world: World, pending: Authenticator, number: PhoneNumber, *, source: str, by: str
) -> SmsCode:
    language = tx.language(pending.account_id)

    def text(digits: str) -> str:
        return enrolment_text(
            environment=pending.environment,
            code=digits,
            life_ms=world.limits.sms_code_life_ms,
            issuer=world.issuer,
            host=terms(world).host,
            language=language,
        )

    return send_code(
        tx,
        world,
        subject=pending.authenticator_id,
        authenticator=pending,
        number=number,
        text=text,
        source=source,
        by=by,
    )
