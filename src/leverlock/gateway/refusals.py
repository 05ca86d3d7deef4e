"""What a caller on a venue path is told: one table from reason to HTTP status and code.

A step-up is HTTP 401 with code -40101 (ADR 0005: one request sent, a typed exception, the text reaches the user
in every client that was driven). Codes -40101 to -40116 are in no client's table, so none of them is retried.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from leverlock.domain.challenge import Challenge
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.wording import describe

JSON_TYPE: Final = (b"content-type", b"application/json")
NO_STORE: Final = (b"cache-control", b"no-store")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the client: status, headers (lower-case names), body."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Row:
    status: int
    code: int
    text: str


_REJECTED_KEY: Final = Row(401, -2015, "Invalid API-key, IP, or permissions for action.")
_UNAVAILABLE: Final = Row(401, -40109, "Protection is not available at the moment. Nothing was executed.")
PATH_NOT_ALLOWED: Final = Row(404, -40106, "This path is not allowed through the gateway. Nothing was executed.")
BAD_TARGET: Final = Row(400, -40106, "The path is not in canonical form. Nothing was executed.")
TOO_LARGE: Final = Row(413, -1100, "The request body is too large.")
REPLAYED: Final = Row(400, -1021, "This signed request was received before.")
CANCEL_RULED: Final = Row(
    401,
    -40114,
    "A rule of the policy in force stops this cancel, and it cannot be approved here. Nothing was executed.",
)
SYMBOL_BUSY: Final = Row(
    400, -40108, "Orders or changes of this symbol are in flight. Nothing was changed; send it again."
)
UNKNOWN_OUTCOME: Final = Row(
    503,
    -1007,
    "Timeout waiting for response from backend server. Send status unknown; execution status unknown. "
    "Look at your orders before you send it again.",
)
NOT_SENT: Final = Row(503, -1001, "The venue cannot be reached. Nothing was executed.")

REFUSALS: Final[dict[Reason, Row]] = {
    Reason.NOT_AUTHENTICATED: _REJECTED_KEY,
    Reason.KEY_REVOKED: _REJECTED_KEY,
    Reason.KEY_FROZEN: _REJECTED_KEY,
    # A code of our own beside the venue's -2015, which one client repeats as if it were a limit on its rate.
    Reason.SCOPE_MISSING: Row(401, -40116, "This key was not given the scope that the call needs."),
    Reason.STEP_UP_REQUIRED: Row(401, -40101, "Step-up required."),
    Reason.WRONG_CODE: Row(401, -40102, "The code is wrong. Nothing was executed."),
    Reason.CODE_ALREADY_USED: Row(401, -40103, "The code was used already; wait for the next one."),
    Reason.CHALLENGE_EXPIRED: Row(401, -40104, "The challenge is expired or unknown."),
    Reason.UNKNOWN_ID: Row(401, -40104, "The challenge is expired or unknown."),
    Reason.CHALLENGE_FAILED: Row(401, -40104, "The challenge is expired or unknown."),
    Reason.CHALLENGE_NOT_PENDING: Row(401, -40104, "The challenge is expired or unknown."),
    Reason.DENIED: Row(401, -40105, "The account's owner refused this action. Nothing was executed."),
    Reason.TOO_MANY_CHALLENGES: Row(401, -40107, "Too many challenges are waiting; answer or cancel them first."),
    Reason.STORE_UNAVAILABLE: _UNAVAILABLE,
    Reason.CLOCK_BEHIND: _UNAVAILABLE,
    Reason.POLICY_CHANGED: _UNAVAILABLE,
    Reason.ENROLMENT_REQUIRED: Row(401, -40110, "This action needs two-factor protection; enable it first."),
    Reason.NO_USABLE_FACTOR: Row(401, -40111, "No authenticator of this market can answer; recover it first."),
    Reason.ACCOUNT_LOCKED: Row(401, -40112, "The account is locked. Nothing was executed."),
    Reason.FACTOR_BLOCKED: Row(401, -40113, "Too many wrong codes; wait before the next one."),
    Reason.FACTOR_DISABLED: Row(401, -40111, "No authenticator of this market can answer; recover it first."),
    Reason.ACCOUNT_BUDGET_SPENT: Row(401, -40113, "Too many wrong codes; wait before the next one."),
    Reason.ON_HOLD: Row(
        401, -40115, "On hold for a day after a change of the account's factors. Nothing was executed."
    ),
    Reason.PROOF_MISSING: Row(401, -40102, "A code alone does not approve this; use the link. Nothing was executed."),
    Reason.PROOF_NOT_ACCEPTED: Row(401, -40102, "A code does not approve this; use the link. Nothing was executed."),
    Reason.GRANT_SPENT: Row(401, -40104, "The approval was used already. Nothing was executed."),
    Reason.GRANT_EXPIRED: Row(401, -40104, "The approval has run out. Nothing was executed."),
    Reason.UNKNOWN_ACTION: PATH_NOT_ALLOWED,
    Reason.MALFORMED: Row(400, -1130, "A parameter has an illegal value. Nothing was executed."),
}
_TOLD: Final = frozenset({Reason.MALFORMED, Reason.SCOPE_MISSING})  # whose detail helps the caller and tells no secret

# A reason that no call through this door can meet still has an answer: refused, and nothing executed.
_OTHERWISE: Final = Row(401, -40109, "Refused. Nothing was executed.")


def answer(row: Row, *headers: tuple[bytes, bytes], detail: str = "") -> Answer:
    """The row as an answer; `detail` replaces its text."""
    body = {"code": row.code, "msg": detail or row.text}
    return Answer(row.status, (JSON_TYPE, NO_STORE, *headers), _json(body))


def refusal(refused: Refused) -> Answer:
    """What the caller of a venue path is told of a refusal."""
    row = REFUSALS.get(refused.reason, _OTHERWISE)
    detail = f"{row.text} ({refused.detail})" if refused.reason in _TOLD else ""
    headers = []
    if refused.retry_after_ms is not None:
        headers.append((b"retry-after", str(-(-refused.retry_after_ms // 1000)).encode()))
    return answer(row, *headers, detail=detail)


def failure(incident: str) -> Answer:
    """A fault of ours. Whether something was executed is not known, and the caller is told so."""
    text = f"An unknown error occurred while processing the request; execution status unknown. incident={incident}"
    return answer(Row(500, -1000, text))


def step_up(challenge: Challenge, *, url: str, now_ms: int, otp_allowed: bool, waiting_for_facts: bool) -> Answer:
    """The challenge in the venue's words: id and address stand in the text, so that every client can show them."""
    headline = describe(challenge.intent, challenge.facts).headline
    ends = challenge.grant_expires_at if waiting_for_facts else challenge.expires_at
    seconds = max((ends - now_ms) // 1000, 0)
    if waiting_for_facts:
        what = f"Approved ({headline}), but the venue's leverage could not be read just now; send the same call again."
    else:
        hint = ", or add otp=<code>" if otp_allowed else ""
        what = f"Step-up required ({headline}). Approve {url} then send the same call again{hint}."
    body = {
        "code": REFUSALS[Reason.STEP_UP_REQUIRED].code,
        "msg": f"{what} challenge={challenge.challenge_id} expires={seconds}s",
        "leverlock": {
            "challenge": challenge.challenge_id,
            "url": url,
            "state": challenge.state.value,
            "expiresAt": ends,
            "action": challenge.action,
        },
    }
    acr = f"urn:leverlock:acr:{challenge.environment}-{'-'.join(challenge.remaining.words())}"
    authenticate = (
        f'Bearer error="insufficient_user_authentication", '
        f'error_description="The account\'s owner must approve this action", acr_values="{acr}", max_age="0"'
    )
    headers = (
        JSON_TYPE,
        NO_STORE,
        (b"leverlock-challenge", challenge.challenge_id.encode()),
        (b"www-authenticate", authenticate.encode()),
    )
    return Answer(401, headers, _json(body))


def _json(body: dict[str, object]) -> bytes:
    # A text that quotes what a stranger sent may hold half a character; it must not break the refusal.
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")
