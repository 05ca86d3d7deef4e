"""Refusals as the caller sees them: one table from reason to answer, in the form of RFC 9457.

Read it from top to bottom. Every reason has exactly one row (a test counts them), and a row says everything: the
HTTP status, the stable type, the sentence for people. `type` is a path of this very server, where the sentence can be
read again (`GET /problems/wrong-code`), so that nothing depends on a site of ours being there.

Some refusals must be alike to the last byte for everybody who gets them (B62): those rows are `uniform`, and whatever
a use case had to say about the case at hand stays in the audit trail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from leverlock.api.next_steps import CASE, CASES, NextStep, after, lost, proof
from leverlock.api.views import ChallengeView
from leverlock.domain.errors import Reason, Refused

MEDIA_TYPE: Final = "application/problem+json"
TYPE_BASE: Final = "/problems/"
MAX_DETAIL: Final = 300  # characters; a detail may quote a field name that the caller sent


class Edge(StrEnum):
    """Refusals that only HTTP knows; the core never hears of them."""

    NO_SUCH_PATH = "no_such_path"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    KEY_REUSED = "idempotency_key_reused"
    SECRET_NOT_REPEATED = "secret_not_repeated"
    DOCUMENT_TOO_LARGE = "document_too_large"
    BUSY = "busy"
    NOT_READY = "not_ready"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Row:
    """How one reason is answered."""

    status: int
    title: str
    detail: str
    uniform: bool = False


PROBLEMS: Final[Mapping[Reason | Edge, Row]] = {
    # Who is asking.
    Reason.NOT_AUTHENTICATED: Row(401, "Not signed in", "Send a live token as `Authorization: Bearer …`.", True),
    Reason.SIGN_IN_FAILED: Row(401, "Sign-in failed", "Login or password is wrong.", True),
    Reason.SIGN_IN_THROTTLED: Row(429, "Too many sign-in tries", "Wait before the next try.", True),
    Reason.LOGIN_CHALLENGE_OPEN: Row(401, "Login challenge open", "Answer the login challenge of this session first."),
    Reason.RECOVERY_ONLY: Row(403, "Only recovery", "This session can do nothing but recover; see `next`.", True),
    Reason.NOT_PERMITTED: Row(403, "Not permitted", "This token may not make this call.", True),
    Reason.PASSWORD_TOO_OLD: Row(401, "Password too old", "Sign in again, then repeat the call within five minutes."),
    # What is asked.
    Reason.MALFORMED: Row(400, "Malformed request", "The request does not have the documented form."),
    Reason.UNKNOWN_ACTION: Row(400, "Unknown action", "The action table has no action of this name."),
    Reason.UNKNOWN_ID: Row(404, "Not found", "There is nothing here under this id.", True),
    Reason.NAME_TAKEN: Row(409, "Name taken", "Choose another name."),
    Reason.CONFLICT: Row(409, "Conflict", "The state changed meanwhile; look again."),
    # Challenges, proofs and grants.
    Reason.STEP_UP_REQUIRED: Row(
        401, "Proof required", "The account's owner has been asked; once he has answered, repeat the very same call."
    ),
    Reason.WRONG_CODE: Row(403, "Wrong answer", "The code or the password is wrong.", True),
    Reason.CODE_ALREADY_USED: Row(409, "Code already used", "Each code serves once: wait for the next one.", True),
    Reason.CHALLENGE_EXPIRED: Row(409, "Challenge expired", "Make the call again to be asked anew.", True),
    Reason.CHALLENGE_NOT_PENDING: Row(409, "Challenge not pending", "This challenge is not waiting for an answer."),
    Reason.CHALLENGE_FAILED: Row(409, "Challenge failed", "Too many wrong answers; make the call again.", True),
    Reason.DENIED: Row(403, "Denied", "The account's owner refused this action; he is not asked again so soon.", True),
    Reason.NOT_APPROVED: Row(409, "Not approved", "There is no live approval behind this grant."),
    Reason.GRANT_EXPIRED: Row(409, "Grant expired", "The approval was not used in time; ask again.", True),
    Reason.GRANT_SPENT: Row(409, "Grant spent", "A grant serves once, and this one has served.", True),
    Reason.ACTION_MISMATCH: Row(
        409, "Another action", "The grant was given for another action. It is void; nothing may be executed.", True
    ),
    Reason.FACTS_CHANGED: Row(
        409, "Facts changed", "The venue's facts changed after the approval. It is void; ask again.", True
    ),
    Reason.FACTS_UNKNOWN: Row(409, "Facts unknown", "Read the facts of this action from the venue and send them."),
    Reason.STATEMENT_REFUSED: Row(403, "Statement refused", "What the host says about its user does not hold."),
    Reason.CANNOT_GROUP: Row(422, "Cannot be answered together", "These challenges need a code each."),
    Reason.PROOF_MISSING: Row(422, "Proof missing", "Send everything that the challenge requires, in one answer."),
    Reason.PROOF_NOT_ACCEPTED: Row(422, "Proof not accepted", "Send what the challenge requires and nothing else."),
    # The desk.
    Reason.CASE_STATE: Row(409, "Not in this state", "The recovery case is not in a state in which this can be done."),
    Reason.NO_NOTICE_ADDRESS: Row(
        409, "No address known", "A recovery is told to an address of the account, and it has none; call support.", True
    ),
    Reason.DOCUMENTS_MISSING: Row(409, "Documents missing", "Bring a document of each kind first."),
    Reason.TOO_MANY_CASES: Row(429, "Too many recovery cases", "A few cases were opened lately; wait.", True),
    Reason.TOO_MANY_DOCUMENTS: Row(409, "Too many documents", "This case takes no further document.", True),
    Reason.NOT_A_DOCUMENT: Row(
        415, "Not a document", "Send a JPEG or PNG picture; a PDF as a photograph or screenshot of its pages."
    ),
    Reason.PROPOSAL_STATE: Row(409, "Not in this state", "The proposal is not in a state in which this can be done."),
    Reason.POLICY_REFUSED: Row(422, "Policy refused", "The text is no policy that could be put in force."),
    # Limits.
    Reason.ON_HOLD: Row(403, "On hold", "This is refused for a day after a change of the account's factors."),
    Reason.FACTOR_BLOCKED: Row(429, "Too many wrong answers", "This authenticator is blocked for a while."),
    Reason.FACTOR_DISABLED: Row(403, "Authenticator disabled", "Too many wrong answers; bind it anew or recover."),
    Reason.ACCOUNT_BUDGET_SPENT: Row(429, "Too many wrong answers", "This account has to wait before the next try."),
    Reason.RECOVERY_BUDGET_SPENT: Row(
        429, "Too many recovery codes", "No more recovery codes are looked at for now; a support case stays open.", True
    ),
    Reason.TOO_MANY_CHALLENGES: Row(429, "Too many challenges", "Answer or cancel the waiting challenges first."),
    Reason.SMS_THROTTLED: Row(
        429, "Too many SMS", "Use your authenticator app, or wait before asking for another SMS."
    ),
    Reason.SMS_APPROVALS_SPENT: Row(
        429, "Approvals by SMS used up", "Three actions a day are approved by SMS; use your authenticator app."
    ),
    # Protection and enrolment.
    Reason.ENROLMENT_REQUIRED: Row(
        403, "Enrolment required", "Bind an authenticator to this environment first: POST …/authenticators."
    ),
    Reason.NO_USABLE_FACTOR: Row(
        403, "No usable authenticator", "Protection is on and nothing can answer for it; only recovery helps."
    ),
    Reason.ENROLMENT_NOT_PENDING: Row(409, "Enrolment not pending", "This authenticator is not being bound.", True),
    Reason.ENROLMENT_EXPIRED: Row(409, "Enrolment expired", "Start binding again and scan the new code.", True),
    Reason.SMS_OFF: Row(403, "No SMS here", "This deployment sends no SMS; use your authenticator app."),
    Reason.SMS_NOT_USABLE: Row(409, "SMS not usable", "No SMS can stand in here now; use your authenticator app."),
    Reason.SMS_CODE_EXPIRED: Row(409, "SMS code expired", "Ask for another SMS, or use your authenticator app.", True),
    Reason.NUMBER_NOT_ALLOWED: Row(422, "Number not allowed", "Only mobile numbers of a country can be texted."),
    Reason.NUMBER_NOT_CONFIRMED: Row(409, "Number not confirmed", "Type in the code that was sent to it first.", True),
    Reason.CEREMONY_OVER: Row(409, "Security key not asked", "Ask for options anew: they serve once, and soon.", True),
    Reason.SECURITY_KEY_REFUSED: Row(422, "Security key refused", "This security key cannot be added."),
    Reason.LAST_FACTOR: Row(409, "Last factor", "Bind another factor first; without any, only recovery helps."),
    # Keys and accounts.
    Reason.KEY_REVOKED: Row(403, "Key revoked", "This key has been ended.", True),
    Reason.KEY_FROZEN: Row(403, "Key frozen", "The owner said that this key's call was not his.", True),
    Reason.SCOPE_MISSING: Row(403, "Scope missing", "This key was not given the scope that the call needs."),
    Reason.ACCOUNT_LOCKED: Row(403, "Account locked", "Nothing passes for this account but cancels.", True),
    # Trouble of our own: always a refusal, never an allow.
    Reason.CLOCK_BEHIND: Row(503, "Clock behind", "The server's clock ran back; no code can be judged now.", True),
    Reason.STORE_UNAVAILABLE: Row(503, "Store unavailable", "Nothing became durable, so nothing was done.", True),
    Reason.POLICY_CHANGED: Row(409, "Policy changed", "The policy is another than was asked under; ask again.", True),
    # What only HTTP knows.
    Edge.NO_SUCH_PATH: Row(404, "No such path", "See /openapi.json for what can be called.", True),
    Edge.METHOD_NOT_ALLOWED: Row(405, "Method not allowed", "See the Allow header.", True),
    Edge.TOO_LARGE: Row(413, "Body too large", "A body has at most 65536 bytes.", True),
    Edge.NOT_JSON: Row(415, "Not JSON", "Send the body as `Content-Type: application/json`.", True),
    Edge.KEY_REUSED: Row(422, "Idempotency key reused", "This key was used for another request; take a new one.", True),
    Edge.SECRET_NOT_REPEATED: Row(
        409,
        "Secret not repeated",
        "The call was done, and its answer held a secret, which is shown once. Make it anew under a new key.",
        True,
    ),
    Edge.DOCUMENT_TOO_LARGE: Row(413, "Document too large", "Send a smaller picture."),
    Edge.BUSY: Row(503, "Busy", "Too many documents arrive at once; try again in a moment.", True),
    Edge.NOT_READY: Row(503, "Not ready", "This process cannot do its work now."),
    Edge.INTERNAL: Row(500, "Internal error", "Something went wrong here. Tell the operator the instance.", True),
}


class EdgeRefused(Exception):
    """A refusal that the core knows nothing of."""

    def __init__(self, reason: Edge, *, detail: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.detail = detail
        self.headers = headers


class Problem(msgspec.Struct, omit_defaults=True):
    """An RFC 9457 document, with the extensions this API uses.

    `retry_after` is in seconds, `until` in server milliseconds; `next` is what can be done about it.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str | msgspec.UnsetType = msgspec.UNSET
    field: str | msgspec.UnsetType = msgspec.UNSET
    retry_after: int | msgspec.UnsetType = msgspec.UNSET
    state: str | msgspec.UnsetType = msgspec.UNSET
    environment: str | msgspec.UnsetType = msgspec.UNSET
    until: int | msgspec.UnsetType = msgspec.UNSET
    challenge: ChallengeView | msgspec.UnsetType = msgspec.UNSET
    next: list[NextStep] = []


def type_of(reason: Reason | Edge) -> str:
    """The stable type of a problem, such as `/problems/wrong-code`."""
    return TYPE_BASE + reason.value.replace("_", "-")


def problem(refused: Refused | EdgeRefused, *, instance: str | None = None) -> Problem:
    """The document of one refusal. A uniform row says the same to everybody; only a wait may differ."""
    row = PROBLEMS[refused.reason]
    document = Problem(type_of(refused.reason), row.title, row.status, row.detail)
    if instance is not None:
        document.instance = instance
    if isinstance(refused, EdgeRefused):
        if refused.detail and not row.uniform:
            document.detail = refused.detail
        return document
    if refused.retry_after_ms is not None:
        document.retry_after = max(1, -(-refused.retry_after_ms // 1000))
    document.next = after(refused.reason, refused.facts)
    if row.uniform:
        return document
    if refused.detail:
        document.detail = refused.detail[:MAX_DETAIL]
    if refused.field is not None:
        document.field = refused.field[:MAX_DETAIL]
    facts: dict[str, Any] = refused.facts
    document.state = facts.get("state", msgspec.UNSET)
    document.environment = facts.get("environment", msgspec.UNSET)
    document.until = facts.get("until", msgspec.UNSET)
    document.challenge = facts.get("challenge", msgspec.UNSET)
    if isinstance(document.challenge, ChallengeView):
        challenge = document.challenge
        document.next = [proof(challenge.id, challenge.requires), lost(challenge.environment), CASES, CASE]
    return document


def headers(refused: Refused | EdgeRefused, document: Problem) -> list[tuple[str, str]]:
    """What a refusal says in its header section: how to authenticate, how long to wait, what is allowed."""
    found: list[tuple[str, str]] = []
    if document.status == 401:
        found.append(("WWW-Authenticate", _authenticate(refused, document)))
    if isinstance(document.retry_after, int):
        found.append(("Retry-After", str(document.retry_after)))
    elif document.status == 503:
        found.append(("Retry-After", "1"))
    if isinstance(refused, EdgeRefused):
        found.extend(refused.headers)
    return found


def _authenticate(refused: Refused | EdgeRefused, document: Problem) -> str:
    """RFC 6750 for who is not signed in; RFC 9470 for who is, and has to prove more (B53)."""
    if refused.reason is Reason.STEP_UP_REQUIRED and isinstance(document.challenge, ChallengeView):
        wanted = acr(document.challenge.environment, document.challenge.requires)
        return _step_up(document.detail, wanted, max_age=0)
    if refused.reason is Reason.LOGIN_CHALLENGE_OPEN:
        return _step_up(document.detail, acr("login", ["totp"]), max_age=0)
    if refused.reason is Reason.PASSWORD_TOO_OLD:
        return _step_up(PROBLEMS[Reason.PASSWORD_TOO_OLD].detail, "urn:leverlock:acr:password", max_age=300)
    return 'Bearer realm="leverlock"'


def _step_up(description: str, wanted: str, *, max_age: int) -> str:
    return (
        'Bearer error="insufficient_user_authentication", '
        f'error_description="{description}", acr_values="{wanted}", max_age="{max_age}"'
    )


def acr(environment: str, requires: list[str]) -> str:
    """The name of a level of proof: the environment, then its proofs, such as `urn:leverlock:acr:futures-totp`."""
    return f"urn:leverlock:acr:{'-'.join([environment, *requires])}"
