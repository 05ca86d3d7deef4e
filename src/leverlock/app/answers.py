"""The other answers to a challenge: *no*, *this was not me*, and the asker's own *never mind*."""

from __future__ import annotations

from leverlock.app.closing import close, revoke_live
from leverlock.app.notices import notify
from leverlock.domain.api_key import KeyState
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.challenge import Challenge, Denial, State
from leverlock.domain.errors import Reason, Refused
from leverlock.ports import Transaction, World


def deny(
    tx: Transaction, world: World, *, account_id: str, answered_by: str, challenge_id: str, denial: Denial
) -> Challenge:
    """The owner refuses. `NOT_ME` also freezes the key that asked, voids all it holds, and alerts.

    Raises Refused: UNKNOWN_ID, CHALLENGE_NOT_PENDING, CHALLENGE_EXPIRED, CHALLENGE_FAILED.
    """
    tx.lock_account(account_id)
    challenge = _known(tx, account_id, challenge_id)
    challenge.must_be_pending(tx.now)
    close(tx, challenge, to=State.DENIED, because=denial, principal=answered_by)
    if denial is Denial.NOT_ME:
        _freeze_asker(tx, world, challenge, answered_by)
    return challenge


def cancel(tx: Transaction, world: World, *, account_id: str, principal: str, challenge_id: str) -> Challenge:
    """The asker withdraws his own question, pending or approved. Somebody else's is unknown to him (B47)."""
    tx.lock_account(account_id)
    challenge = _known(tx, account_id, challenge_id)
    if challenge.principal != principal:
        raise Refused(Reason.UNKNOWN_ID, "no such challenge")
    if challenge.state_at(tx.now) not in (State.PENDING, State.APPROVED):
        challenge.must_be_pending(tx.now)
    close(tx, challenge, to=State.CANCELLED, because="withdrawn", principal=principal)
    return challenge


def _known(tx: Transaction, account_id: str, challenge_id: str) -> Challenge:
    challenge = tx.challenge(account_id, challenge_id)
    if challenge is None:
        raise Refused(Reason.UNKNOWN_ID, "no such challenge")
    return challenge


def _freeze_asker(tx: Transaction, world: World, challenge: Challenge, answered_by: str) -> None:
    kind, _, name = challenge.principal.partition(":")
    account_id = challenge.account_id
    if kind == "key" and tx.set_key_state(account_id, name, before=KeyState.ACTIVE, after=KeyState.FROZEN):
        tx.record(AuditEvent(EventKind.KEY_FROZEN, answered_by, {"key": name, "because": Denial.NOT_ME.value}))
    elif kind == "session" and tx.end_session(account_id, name):
        tx.record(AuditEvent(EventKind.SESSION_ENDED, answered_by, {"session": name, "because": Denial.NOT_ME.value}))
    revoke_live(tx, account_id, because=Denial.NOT_ME, by=answered_by, asked_by=challenge.principal)
    tx.note_change(account_id)
    notify(
        tx, world, account_id, kind="challenge.not_me", challenge=challenge.challenge_id, asked_by=challenge.principal
    )
