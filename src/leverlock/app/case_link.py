"""The link at the end of a recovery case: made from a keyed hash, so that it need not be stored to be sent.

What waits in the outbox names the case and the link's number; the token itself is put in when the message leaves, and
the case keeps its hash alone. No operator's answer holds either.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Final

from leverlock.app.notices import notify_until
from leverlock.domain.audit import AuditEvent, EventKind
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import is_id
from leverlock.domain.messages import Message
from leverlock.domain.recovery_case import RecoveryCase
from leverlock.ports import Sealer, Transaction, World

LINK_NOTICE: Final = "recovery_case.link"
_FORM: Final = "case-link-1"


def issue_link(tx: Transaction, world: World, case: RecoveryCase, *, by: str) -> int:
    """Send a new link to every known address; the one before is void. When it runs out, in server milliseconds.

    Raises Refused(CASE_STATE) for a case that is not ready.
    """
    number = case.link_number + 1
    expires_at = min(tx.now + world.limits.case_link_ms, case.expires_at)
    hashed = link_hash(_token(world.sealer, case.account_id, case.case_id, number))
    if not tx.issue_case_link(case, number=number, link_hash=hashed, expires_at=expires_at):
        raise Refused(Reason.CASE_STATE, "the case is not ready", facts={"state": case.state.value})
    told: dict[str, str | int] = {"case": case.case_id, "number": number, "expires_at": expires_at}
    tx.record(AuditEvent(EventKind.CASE_LINK_ISSUED, by, dict(told)))
    notify_until(tx, world, case.account_id, kind=LINK_NOTICE, until=expires_at, details=told)
    return expires_at


def completed(sealer: Sealer, message: Message) -> Message:
    """The message as it leaves: the one that carries a link gets it here, every other one stays what it was."""
    if message.kind != LINK_NOTICE:
        return message
    body = json.loads(message.body)
    body["link"] = _token(sealer, message.account_id, body["case"], body["number"])
    return replace(message, body=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())


def link_hash(token: str) -> bytes:
    """How a link is stored: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def case_of_link(token: str) -> tuple[str, str]:
    """(account, case) that a link names; whether it is any good is for its hash to say. Raises Refused(UNKNOWN_ID)."""
    account_id, _, rest = token.partition(".")
    case_id, _, secret = rest.partition(".")
    if not token.isascii() or not is_id("acc", account_id) or not is_id("case", case_id) or not secret:
        raise Refused(Reason.UNKNOWN_ID)
    return account_id, case_id


def _token(sealer: Sealer, account_id: str, case_id: str, number: int) -> str:
    secret = sealer.mac("case-link", f"{_FORM}|{account_id}|{case_id}|{number}".encode())
    return f"{account_id}.{case_id}.{secret.hex()}"
