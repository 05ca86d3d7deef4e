"""Identity told by the host: its word stands for the password, for this one action, once (semantics 14).

It never stands for a code or a key. Where an account has no protection the password is all that is asked for, so the
host's word approves; everywhere else the owner still answers the rest himself.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Final

from leverlock.app.decide import Allowed, Asked, ask
from leverlock.app.prove import grant_hash, grant_of
from leverlock.domain.action import Intent, digest_of
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.challenge import Challenge, State
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.host_statement import SKEW_MS, HostStatement, StatementBroken, StatementFault
from leverlock.domain.requirement import ProofKind
from leverlock.ports import Transaction, World

PASSWORD: Final = frozenset({ProofKind.PASSWORD})


@dataclass(frozen=True, slots=True)
class Told:
    """By whom, and when the password was typed there, in server milliseconds. `statement` is the hash of its id."""

    by: str
    password_verified_at: int
    statement: str = ""


def ask_with_statement(tx: Transaction, world: World, *, intent: Intent, statement: str) -> Allowed | Asked:
    """As `ask`, with the host's signed statement about this very action.

    Raises Refused: STATEMENT_REFUSED for one that does not hold or was used, and whatever `ask` raises.
    """
    tx.lock_account(intent.account_id)
    told = _accepted(tx, world, intent, statement)
    return _vouched(tx, world, ask(tx, world, intent=intent, told=PASSWORD), told, intent)


def ask_with_word(
    tx: Transaction, world: World, *, intent: Intent, password_verified_at: int | None
) -> Allowed | Asked:
    """The same where the host is the process itself (`embed`), which signs nothing to itself. None: it says nothing.

    Raises Refused: STATEMENT_REFUSED where the password was typed too long ago, and whatever `ask` raises.
    """
    if password_verified_at is None:
        return ask(tx, world, intent=intent)
    tx.lock_account(intent.account_id)
    if not tx.now - world.limits.statement_life_ms <= password_verified_at <= tx.now + SKEW_MS:
        raise _refused(tx, intent, StatementFault.PASSWORD_TIME)
    told = Told(intent.principal, password_verified_at)
    return _vouched(tx, world, ask(tx, world, intent=intent, told=PASSWORD), told, intent)


def _accepted(tx: Transaction, world: World, intent: Intent, statement: str) -> Told:
    kind, _, integrator_id = intent.principal.partition(":")
    try:
        key = tx.integrator_key(world.statements.key_id(statement)) if kind == "integrator" else None
        if key is None or key.removed or key.integrator_id != integrator_id:
            raise StatementBroken(StatementFault.KEY)
        found = world.statements.verify(
            statement,
            key=key,
            expected_issuer=integrator_id,
            expected_subject=intent.account_id,
            expected_digest=digest_of(intent.canonical()).hex(),
            now_ms=tx.now,
        )
        return _burned(tx, intent, integrator_id, found)
    except StatementBroken as broken:
        raise _refused(tx, intent, broken.fault) from None


def _burned(tx: Transaction, intent: Intent, integrator_id: str, found: HostStatement) -> Told:
    """Each serves once; a refusal of the action takes the burning back with everything else."""
    mark = hashlib.sha256(f"{integrator_id}|{found.jti}".encode()).digest()
    if not tx.burn_statement(intent.account_id, mark, expires_at=found.expires_at):
        raise StatementBroken(StatementFault.USED)
    return Told(intent.principal, found.password_verified_at, mark.hex())


def _refused(tx: Transaction, intent: Intent, fault: StatementFault) -> Refused:
    tx.if_refused(EventKind.ACTION_REFUSED, intent.principal, action=intent.action.type.name, statement=fault.value)
    return Refused(Reason.STATEMENT_REFUSED, fault.value)


def _vouched(tx: Transaction, world: World, answer: Allowed | Asked, told: Told, intent: Intent) -> Allowed | Asked:
    details = {
        "action": intent.action.type.name,
        "password_verified_at": told.password_verified_at,
        "statement": told.statement,
        "challenge": answer.challenge.challenge_id if isinstance(answer, Asked) else None,
    }
    tx.record(AuditEvent(EventKind.IDENTITY_TOLD, told.by, details))
    if isinstance(answer, Allowed) or answer.challenge.state is not State.PENDING:
        return answer
    return replace(answer, challenge=_given(tx, world, answer.challenge, told))


def _given(tx: Transaction, world: World, challenge: Challenge, told: Told) -> Challenge:
    """The challenge with the password given; approved where nothing else was asked for."""
    given = challenge.given | (PASSWORD & challenge.requirement.proofs)
    if given < challenge.requirement.proofs:
        if given != challenge.given and not tx.vouch_challenge(challenge, given=given):
            raise Refused(Reason.CHALLENGE_NOT_PENDING)
        return replace(challenge, given=given)
    hashed = grant_hash(grant_of(world, challenge))
    expires_at = tx.now + world.limits.grant_life_ms
    if not tx.approve_vouched(challenge, given=given, grant_hash=hashed, grant_expires_at=expires_at):
        raise Refused(Reason.CHALLENGE_NOT_PENDING)
    details = {
        "challenges": [challenge.challenge_id],
        "digest": hashlib.sha256(challenge.digest).hexdigest(),
        "environment": challenge.environment.value,
        "proofs": challenge.requirement.words(),
    }
    tx.record(AuditEvent(EventKind.CHALLENGE_APPROVED, told.by, details))
    return replace(challenge, given=given, state=State.APPROVED, grant_hash=hashed, grant_expires_at=expires_at)
