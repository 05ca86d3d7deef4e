"""Audit events and their chain: what happened, in an order nobody can rewrite unnoticed (B88-B91).

Each account has one chain. An event's hash covers its canonical JSON and the hash before it; sequence numbers have
no gaps. Checkpoints sign a Merkle root over the heads of all chains that moved, so that a cut-off
tail shows as well.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from leverlock.domain.canonical import SAFE_INTEGER, canonical_json

EVENT_VERSION = 1
SWEEPER: Final = "sweeper:"  # the principal of what time alone has done
GENESIS: Final = bytes(32)


class EventKind(StrEnum):
    """Every kind of record. One table, so that who reads the trail can know all of its words."""

    ACCOUNT_CREATED = "account.created"
    ACCOUNT_LOCKED = "account.locked"
    ACCOUNT_UNLOCKED = "account.unlocked"
    SESSION_OPENED = "session.opened"
    SESSION_COMPLETED = "session.completed"
    SESSION_RECOVERING = "session.recovering"
    SESSION_ENDED = "session.ended"
    SIGN_IN_REFUSED = "session.refused"
    HOLD_PLACED = "hold.placed"
    CHANGE_ASKED = "change.asked"
    CHANGE_DONE = "change.done"
    CHANGE_CANCELLED = "change.cancelled"
    PROTECTION_ENDED = "protection.ended"
    WALLET_OPENED = "wallet.opened"
    ENROLMENT_STARTED = "enrolment.started"
    ENROLMENT_CONFIRMED = "enrolment.confirmed"
    ENROLMENT_EXPIRED = "enrolment.expired"
    AUTHENTICATOR_DISABLED = "authenticator.disabled"
    AUTHENTICATOR_REMOVED = "authenticator.removed"
    NUMBER_CONFIRMED = "number.confirmed"
    SMS_SAVED = "sms.saved"
    SMS_DISTRUSTED = "sms.distrusted"
    SMS_CODE_SENT = "sms.code_sent"
    SMS_HANDED_OVER = "sms.handed_over"
    SMS_RECEIPT = "sms.receipt"
    SECURITY_KEY_ADDED = "security_key.added"
    SECURITY_KEY_RENAMED = "security_key.renamed"
    SECURITY_KEY_SUSPENDED = "security_key.suspended"
    SECURITY_KEY_REMOVED = "security_key.removed"
    RECOVERY_CODES_ISSUED = "recovery_codes.issued"
    RECOVERY_REFUSED = "recovery.refused"
    RECOVERY_OPENED = "recovery.opened"
    PASSWORD_CHANGED = "password.changed"
    RESET_ASKED = "password_reset.asked"
    RESET_OPENED = "password_reset.opened"
    RESET_REFUSED = "password_reset.refused"
    CHALLENGE_CREATED = "challenge.created"
    CHALLENGE_ADVANCED = "challenge.advanced"
    CHALLENGE_APPROVED = "challenge.approved"
    CHALLENGE_DENIED = "challenge.denied"
    CHALLENGE_FAILED = "challenge.failed"
    CHALLENGE_EXPIRED = "challenge.expired"
    CHALLENGE_CANCELLED = "challenge.cancelled"
    GRANT_SPENT = "grant.spent"
    ANSWER_REFUSED = "answer.refused"
    ACTION_REFUSED = "action.refused"
    UNSAFE_ALLOWED = "action.unsafe_allowed"
    EXECUTION_UNKNOWN = "execution.unknown"
    KEY_CREATED = "key.created"
    KEY_EDITED = "key.edited"
    KEY_REVOKED = "key.revoked"
    KEY_FROZEN = "key.frozen"
    KEY_UNFROZEN = "key.unfrozen"
    KEY_BECAME_LEGACY = "key.became_legacy"
    KEY_LEGACY_DATED = "key.legacy_dated"
    KEY_LEGACY_ENDED = "key.legacy_ended"
    UPSTREAM_CONNECTED = "upstream.connected"
    UPSTREAM_REMOVED = "upstream.removed"
    OPERATOR_CREATED = "operator.created"
    ROLE_CHANGED = "operator.role_changed"
    CASE_OPENED = "recovery_case.opened"
    CASE_DOCUMENT_ADDED = "recovery_case.document_added"
    CASE_DOCUMENT_VIEWED = "recovery_case.document_viewed"
    CASE_SUBMITTED = "recovery_case.submitted"
    CASE_APPROVED = "recovery_case.approved"
    CASE_READY = "recovery_case.ready"
    CASE_LINK_ISSUED = "recovery_case.link_issued"
    CASE_USED = "recovery_case.used"
    CASE_CLOSED = "recovery_case.closed"
    CASE_DOCUMENTS_DESTROYED = "recovery_case.documents_destroyed"
    PROPOSAL_MADE = "proposal.made"
    PROPOSAL_APPROVED = "proposal.approved"
    PROPOSAL_CLOSED = "proposal.closed"
    PROPOSAL_DONE = "proposal.done"
    INTEGRATOR_CREATED = "integrator.created"
    INTEGRATOR_KEY_ADDED = "integrator.key_added"
    INTEGRATOR_KEY_REMOVED = "integrator.key_removed"
    IDENTITY_TOLD = "identity.told"
    INTEGRATOR_REVOKED = "integrator.revoked"
    SEAL_BROKEN = "seal.broken"
    KEYRING_ROTATED = "keyring.rotated"
    KEYRING_RETIRED = "keyring.retired"
    SECRETS_RESEALED = "secrets.resealed"
    POLICY_LOADED = "policy.loaded"
    CLOCK_BEHIND = "clock.behind"
    CLOCK_RIGHT = "clock.right"
    FENCE_RAISED = "fence.raised"
    FENCE_STANDS = "fence.stands"
    ACCOUNT_FENCED = "account.fenced"
    HISTORY_LOST = "history.lost"
    NOTICE_ADDRESS_NAMED = "notice_address.named"
    NOTICE_ADDRESS_SET = "notice_address.set"
    NOTICE_ADDRESS_LEAVES = "notice_address.leaves"
    LANGUAGE_SET = "language.set"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """What a use case records. `details` holds JSON values and never a secret; ids and digests, not codes."""

    kind: EventKind
    principal: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChainedEvent:
    """A record as it is stored: its place in the chain, its exact bytes and its hash."""

    account_id: str
    seq: int
    at_ms: int
    kind: EventKind
    body: bytes
    hash: bytes


def chain(event: AuditEvent, *, account_id: str, seq: int, at_ms: int, previous: bytes) -> ChainedEvent:
    """The record number `seq` (from 1) of a chain whose head was `previous`."""
    statement: dict[str, Any] = {
        "version": EVENT_VERSION,
        "account": account_id,
        "seq": seq,
        "at": at_ms,
        "kind": event.kind.value,
        "principal": event.principal,
        "details": event.details,
    }
    try:
        body = canonical_json(statement)
    except ValueError:
        body = canonical_json(_speakable(statement))
    return ChainedEvent(account_id, seq, at_ms, event.kind, body, link(previous, body))


def _speakable(value: Any) -> Any:
    """The same with what canonical JSON has no form for written out as text: lone surrogates, numbers out of range.

    A caller can put such a value into any text he sends; it must not keep the refusal from being recorded (B91).
    """
    match value:
        case dict():
            return {_speakable(name): _speakable(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_speakable(inner) for inner in value]
        case str():
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
        case int() if not -SAFE_INTEGER <= value <= SAFE_INTEGER:
            return str(value)
        case float() if not math.isfinite(value):
            return str(value)
    return value


def link(previous: bytes, body: bytes) -> bytes:
    """The hash that joins a record's exact bytes to the chain before it."""
    return hashlib.sha256(b"leverlock-audit-1\0" + previous + body).digest()


def merkle_root(heads: list[tuple[str, int, bytes]]) -> bytes:
    """The root over (account, seq, head) leaves, in the order given; leaves and nodes hash under different tags."""
    level = [
        hashlib.sha256(b"\0" + account.encode() + b"\0" + seq.to_bytes(8, "big") + head).digest()
        for account, seq, head in heads
    ]
    if not level:
        return hashlib.sha256(b"\2").digest()
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [hashlib.sha256(b"\1" + pair[0] + pair[1]).digest() if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0]
