"""Ceremonies: what a security key is asked to sign, and the look at what it signed (M22, B22-B27).

A ceremony is opened for one purpose, session and challenge, and taken before anything is verified: whatever is found,
it is gone (B23). Which keys may answer is decided when it is opened and again when it is answered.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from leverlock.app.closing import close
from leverlock.app.notices import notices
from leverlock.domain.account_actions import SECURITY_KEY_REMOVE
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.challenge import Challenge, State
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.movement_actions import TRANSFER_OUT, WITHDRAW
from leverlock.domain.requirement import ProofKind
from leverlock.domain.security_key import (
    NONCE_BYTES,
    Ceremony,
    Purpose,
    SecurityKey,
    SecurityKeyState,
    counter_advances,
    may_step,
    signed_challenge,
)
from leverlock.ports import Transaction, World
from leverlock.ports_security_keys import Assertion, KeyDenied, Signed

# What an assertion may prove, by the action of the challenge that it answers. Nothing else, ever (B24).
PURPOSES: Final[dict[str, Purpose]] = {
    **{action.name: Purpose.MOVEMENT for action in (*WITHDRAW.values(), *TRANSFER_OUT.values())},
    SECURITY_KEY_REMOVE.name: Purpose.REMOVE,
}


@dataclass(frozen=True, slots=True)
class Asking:
    """An open ceremony and the keys that may answer it."""

    ceremony: Ceremony
    keys: tuple[SecurityKey, ...]


def open_for_challenge(tx: Transaction, world: World, *, account_id: str, session_id: str, challenge_id: str) -> Asking:
    """Ask a key to sign the very action of a challenge whose next answer is a key's.

    Raises Refused: UNKNOWN_ID, PROOF_NOT_ACCEPTED, NO_USABLE_FACTOR, ACCOUNT_LOCKED and what `must_be_pending` raises.
    """
    tx.lock_account(account_id).must_be_active()
    challenge = tx.challenge(account_id, challenge_id)
    if challenge is None:
        raise Refused(Reason.UNKNOWN_ID, "no such challenge")
    challenge.must_be_pending(tx.now)
    if ProofKind.SECURITY_KEY not in challenge.remaining.layer.proofs:
        raise Refused(Reason.PROOF_NOT_ACCEPTED, "a security key is not what this challenge asks for now")
    purpose, keys = purpose_of(challenge), keys_for_challenge(tx, challenge)
    return open_ceremony(
        tx, world, session_id=session_id, purpose=purpose, keys=keys, subject=challenge_id, digest=challenge.digest
    )


def open_ceremony(
    tx: Transaction,
    world: World,
    *,
    session_id: str,
    purpose: Purpose,
    keys: tuple[SecurityKey, ...],
    subject: str = "",
    digest: bytes = b"",
) -> Asking:
    """A challenge that nobody has seen before, for these keys of one account. Raises Refused(NO_USABLE_FACTOR)."""
    if not keys:
        raise Refused(Reason.NO_USABLE_FACTOR, "no security key can answer this")
    ceremony = Ceremony(
        keys[0].account_id,
        session_id,
        purpose,
        subject,
        signed_challenge(world.entropy.bytes(NONCE_BYTES), digest),
        tx.now + world.limits.ceremony_life_ms,
    )
    tx.open_ceremony(ceremony)
    return Asking(ceremony, keys)


def purpose_of(challenge: Challenge) -> Purpose:
    """What a key's answer to this challenge is for. Raises Refused(PROOF_NOT_ACCEPTED) where none serves (B24)."""
    purpose = PURPOSES.get(challenge.action)
    if purpose is None:
        raise Refused(Reason.PROOF_NOT_ACCEPTED, "no security key answers this")
    return purpose


def keys_for_challenge(tx: Transaction, challenge: Challenge) -> tuple[SecurityKey, ...]:
    """The keys that may answer: those old enough; and for its own removal the key itself."""
    removed = _named_key(challenge) if PURPOSES.get(challenge.action) is Purpose.REMOVE else None
    return keys_that_authorise(tx, challenge.account_id, or_itself=removed)


def keys_that_authorise(tx: Transaction, account_id: str, *, or_itself: str | None = None) -> tuple[SecurityKey, ...]:
    """The keys that authorise movements and removals now, and an active one of this id however new it is."""
    return tuple(
        key
        for key in tx.security_keys(account_id)
        if key.serves_movements(tx.now) or (key.key_id == or_itself and key.state is SecurityKeyState.ACTIVE)
    )


def take(tx: Transaction, *, account_id: str, session_id: str, purpose: Purpose, subject: str = "") -> Ceremony:
    """The open ceremony, which nobody else gets from here on. Raises Refused(CEREMONY_OVER): nothing was evaluated."""
    ceremony = tx.take_ceremony(account_id, session_id, purpose, subject)
    if ceremony is None:
        raise Refused(Reason.CEREMONY_OVER)
    return ceremony


def taken_for(tx: Transaction, challenge: Challenge, *, answered_by: str) -> Asking:
    """What this session's answer to a challenge is checked against, and what nobody can answer again.

    Raises Refused: PROOF_NOT_ACCEPTED, CEREMONY_OVER.
    """
    purpose = purpose_of(challenge)
    _, _, session_id = answered_by.partition(":")
    account_id, subject = challenge.account_id, challenge.challenge_id
    ceremony = take(tx, account_id=account_id, session_id=session_id, purpose=purpose, subject=subject)
    return Asking(ceremony, keys_for_challenge(tx, challenge))


def verify_assertion(
    tx: Transaction, world: World, *, ceremony: Ceremony, keys: tuple[SecurityKey, ...], assertion: Assertion
) -> dict[str, Any]:
    """Who signed, for the record; his counter is written. Raises Refused(WRONG_CODE); only the audit is told why.

    A counter that ran back means that there may be a copy of the key: it is denied, suspended and told (B27).
    """
    try:
        signed = world.security_keys.verify_assertion(
            assertion,
            expected_challenge=ceremony.challenge,
            expected_user=ceremony.account_id.encode(),
            expected_keys=keys,
        )
    except KeyDenied as denied:
        raise deny(tx, denied.step) from None
    if not isinstance(signed, Signed):
        raise deny(tx, "verifier")
    key = signed.key
    if not counter_advances(key.sign_count, signed.sign_count) or not tx.key_signed(signed):
        tx.after_refusal(lambda: suspend(tx, world, key, counter=signed.sign_count))
        raise deny(tx, "counter", security_key=key.key_id)
    return {"security_key": key.key_id, "sign_count": signed.sign_count}


def deny(tx: Transaction, step: str, **details: str) -> Refused:
    """The one answer to every assertion that does not hold; the audit is told which check it was."""
    tx.note_refusal(step=step, **details)
    return Refused(Reason.WRONG_CODE)


def suspend(tx: Transaction, world: World, key: SecurityKey, *, counter: int) -> None:
    """A key of which there may be a copy authorises nothing from here on. Told once."""
    to = SecurityKeyState.SUSPENDED
    if not may_step(key.state, to) or not tx.set_security_key_state(key, to=to):
        return
    details = {"security_key": key.key_id, "stored": key.sign_count, "given": counter}
    kind = EventKind.SECURITY_KEY_SUSPENDED
    told = notices(tx, world, key.account_id, kind=kind.value, security_key=key.key_id, label=key.label)
    tx.alarm(AuditEvent(kind, "", details), messages=told)
    void_what_asks_for_a_key(tx, key.account_id, because="security_key_suspended", by="")
    tx.note_change(key.account_id)


def void_what_asks_for_a_key(tx: Transaction, account_id: str, *, because: str, by: str) -> None:
    """Challenges and grants that rest on the account's keys are asked anew, by those it has then (B52)."""
    for challenge in tx.live_challenges(account_id):
        if ProofKind.SECURITY_KEY in challenge.requirement.proofs:
            close(tx, challenge, to=State.CANCELLED, because=because, principal=by)


def _named_key(challenge: Challenge) -> str:
    """The key that a removal is about, from the stored intent itself."""
    return str(json.loads(challenge.intent)["fields"]["key"])
