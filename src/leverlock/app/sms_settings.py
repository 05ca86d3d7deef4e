"""SMS settings of an environment: what a number may stand in for, another number, and none (M13, M14, B13, B14).

Saving is agreed to with the environment's own TOTP code; where another number served before, with the password too:
the new one then waits a day, and the old one is told. Switching SMS off needs the primary code as well. The link in
a notice needs nothing, because it can only stop.
"""

from __future__ import annotations

from dataclasses import dataclass

from leverlock.app.consent import consent
from leverlock.app.decide import Asked
from leverlock.app.enrol import settle_factor_change
from leverlock.app.notices import notify
from leverlock.app.sms_numbers import SMS, must_have_primary, numbers, pending_number
from leverlock.app.sms_sending import masked_number, number_of, send_notice, terms
from leverlock.domain.account import Session
from leverlock.domain.account_actions import SMS_REMOVE, SMS_REPLACE, SMS_SAVE
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.authenticator import Authenticator, AuthenticatorState
from leverlock.domain.environment import MARKETS, Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.sms_text import farewell_text
from leverlock.ports import Transaction, World


@dataclass(frozen=True, slots=True)
class Saved:
    """The settings as they are now. `usable_at`: from when on the number may approve."""

    authenticator_id: str
    environment: Environment
    masked: str
    backup: bool
    usable_at: int


def save(tx: Transaction, world: World, *, session: Session, environment: Environment, backup: bool) -> Saved | Asked:
    """*Save Changes*: bind the confirmed number, or switch the present one as backup on or off (M13, M14).

    Raises Refused: ACCOUNT_LOCKED, SMS_OFF, UNKNOWN_ID, ENROLMENT_REQUIRED, NO_USABLE_FACTOR, NUMBER_NOT_CONFIRMED,
    ENROLMENT_EXPIRED, CONFLICT where there is no number, and whatever `consent` raises.
    """
    account_id = session.account_id
    tx.lock_account(account_id).must_be_active()
    terms(world)
    must_have_primary(tx, account_id, environment)
    pending = pending_number(tx, account_id, environment)
    bound = tx.bound_authenticator(account_id, environment, kind=SMS)
    if pending is not None and bound is not None and not pending.is_open_to(session.session_id, tx.now):
        pending = None  # somebody gave it up; the one that serves can still be switched
    chosen = pending or bound
    if chosen is None or chosen.state is AuthenticatorState.DISABLED:
        raise Refused(Reason.CONFLICT, "enter a number first")
    if pending is not None:
        pending.must_be_confirmable(session_id=session.session_id, now_ms=tx.now)
        if not pending.confirmed_at:
            raise Refused(Reason.NUMBER_NOT_CONFIRMED)
    # Whether one ever served: taking the old one away first must not spare the new one its wait.
    follows = pending is not None and any(found.was_bound for found in numbers(tx, account_id, environment))
    number = number_of(tx, world, chosen)
    agreed = {"number": number.masked, "authenticator": chosen.authenticator_id, "backup": str(backup).lower()}
    row = (SMS_REPLACE if follows else SMS_SAVE)[environment]
    asked = consent(tx, world, session=session, action=row, fields=agreed)
    if asked is not None:
        return asked
    usable_at = bound.usable_at if pending is None and bound is not None else tx.now
    if follows:
        usable_at += world.limits.sms_new_number_ms
    saved = Saved(chosen.authenticator_id, environment, number.masked, backup, usable_at)
    if pending is None:
        _switch(tx, world, account_id, saved)
    else:
        _bind(tx, world, session, saved, replaced=bound)
    details = {
        "authenticator": saved.authenticator_id,
        "environment": environment.value,
        "number": saved.masked,
        "backup": backup,
        "usable_at": usable_at,
        "replaced": bound.authenticator_id if pending is not None and bound is not None else None,
    }
    tx.record(AuditEvent(EventKind.SMS_SAVED, session.principal, details))
    return saved


def remove(tx: Transaction, world: World, *, session: Session, environment: Environment) -> Asked | None:
    """Switch SMS off. Raises Refused: ACCOUNT_LOCKED, UNKNOWN_ID, CONFLICT where there is no number, and what
    `consent` raises. A deployment without SMS lets go of numbers too."""
    account_id = session.account_id
    tx.lock_account(account_id).must_be_active()
    bound = tx.bound_authenticator(account_id, environment, kind=SMS)
    if environment not in MARKETS:
        raise Refused(Reason.UNKNOWN_ID)
    if bound is None:
        raise Refused(Reason.CONFLICT, "there is no number")
    fields = {"number": masked_number(world, bound), "authenticator": bound.authenticator_id}
    asked = consent(tx, world, session=session, action=SMS_REMOVE[environment], fields=fields)
    if asked is None:
        end_number(tx, world, bound, because="switched_off", by=session.principal)
    return asked


def end_number(tx: Transaction, world: World, bound: Authenticator, *, because: str, by: str) -> bool:
    """Let a number serve no more, void its live codes, and tell it and every address. Whether it served until now."""
    account_id, environment = bound.account_id, bound.environment
    if not tx.remove_authenticator(account_id, bound.authenticator_id):
        return False
    tx.drop_sms_codes(account_id, authenticator_id=bound.authenticator_id)
    details = {"authenticator": bound.authenticator_id, "environment": environment.value, "because": because}
    tx.record(AuditEvent(EventKind.AUTHENTICATOR_REMOVED, by, details))
    _say_farewell(tx, world, bound, replaced=False)
    notify(tx, world, account_id, kind="sms.removed", environment=environment.value)
    return True


def distrust(
    tx: Transaction,
    world: World,
    *,
    account_id: str,
    because: str,
    by: str,
    environment: Environment | None = None,
) -> int:
    """The owner may have lost his numbers (a SIM swap, a recovery): each waits as a new one would (B14).

    Of one environment, or all. How many there were. Their live codes are void; the owner is told.
    """
    tx.lock_account(account_id)
    usable_at, count = tx.now + world.limits.sms_new_number_ms, 0
    for number in tx.authenticators(account_id):
        if environment not in (None, number.environment):
            continue
        if number.kind is not SMS or not tx.distrust_number(account_id, number.authenticator_id, usable_at=usable_at):
            continue
        tx.drop_sms_codes(account_id, authenticator_id=number.authenticator_id)
        until = max(usable_at, number.usable_at)
        details = {"authenticator": number.authenticator_id, "usable_at": until, "because": because}
        tx.record(AuditEvent(EventKind.SMS_DISTRUSTED, by, details))
        notify(tx, world, account_id, kind="sms.distrusted", environment=number.environment.value, until=until)
        count += 1
    return count


# -- the parts -------------------------------------------------------------------------------------------------------
def _bind(tx: Transaction, world: World, session: Session, saved: Saved, *, replaced: Authenticator | None) -> None:
    account_id = session.account_id
    if replaced is not None:
        if not tx.retire_authenticator(account_id, replaced.authenticator_id):
            raise Refused(Reason.CONFLICT)
        tx.drop_sms_codes(account_id, authenticator_id=replaced.authenticator_id)
        _say_farewell(tx, world, replaced, replaced=True)
    if not tx.save_number(account_id, saved.authenticator_id, usable_at=saved.usable_at, backup=saved.backup):
        raise Refused(Reason.NUMBER_NOT_CONFIRMED)
    # A number is a factor like another: what was asked under the old ones is void, and other sessions end.
    settle_factor_change(tx, world, session, saved.environment, told="sms.saved")


def _switch(tx: Transaction, world: World, account_id: str, saved: Saved) -> None:
    if not tx.set_backup(account_id, saved.authenticator_id, backup=saved.backup):
        raise Refused(Reason.CONFLICT)
    if not saved.backup:
        tx.drop_sms_codes(account_id, authenticator_id=saved.authenticator_id)
    notify(tx, world, account_id, kind="sms.saved", environment=saved.environment.value)


def _say_farewell(tx: Transaction, world: World, gone: Authenticator, *, replaced: bool) -> None:
    if world.sms is None:
        return
    language = tx.language(gone.account_id)
    text = farewell_text(environment=gone.environment, issuer=world.issuer, language=language, replaced=replaced)
    send_notice(tx, world, authenticator=gone, text=text)
