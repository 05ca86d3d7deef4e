"""One row of the route table, and what a row's work is given.

A row is data: routing, authentication, reading, permission, idempotency and the OpenAPI document are all read off it.
Its `work` is a plain function that runs inside one transaction, after its caller was authenticated in that very
transaction; it returns what to show, returns a `Refused` for a refusal that must be committed (a step-up with its
challenge, a grant that became void), or raises one that takes everything back but the charge.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from leverlock.api.problems import Edge
from leverlock.api.views import View
from leverlock.api.wire import Form, Nothing
from leverlock.app.accounts import integrator
from leverlock.app.operators import must_have_login_factor
from leverlock.app.sign_in import live_session, owner, recoverer
from leverlock.documents.vault import Vault
from leverlock.domain.account import Session
from leverlock.domain.action import Action
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.ids import is_id
from leverlock.domain.roles import Operator, Permission, may
from leverlock.ports import PasswordFinding, Store, Transaction, World
from leverlock.ports_recovery import NewPassword
from leverlock.store.snapshot import Snapshot
from leverlock.verifiers.password import PasswordHasher

INTEGRATOR_TOKEN = "lvi_"


class Who(StrEnum):
    """Who may make a call."""

    ANYBODY = "nobody signed in"
    HALF_SIGNED = "half-signed session"  # password passed, the login challenge perhaps not yet
    RECOVERER = "owner session, or one that can only recover"
    OWNER = "owner session"
    ASKER = "owner session or integrator"
    OPERATOR = "operator session"  # of an account whose role permits the call, with the login challenge passed


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes this call, and for which account. `session` is None for an integrator."""

    principal: str
    account_id: str
    session: Session | None
    operator: Operator | None = None

    @property
    def owner(self) -> Session:
        """The session of a row that only sessions may call."""
        if self.session is None:
            raise Refused(Reason.NOT_PERMITTED)
        return self.session

    @property
    def agent(self) -> str:
        """The account of the operator of a row that only operators may call."""
        if self.operator is None:
            raise Refused(Reason.NOT_PERMITTED)
        return self.operator.account_id


@dataclass(slots=True)
class Call:
    """One request, read and typed. `key` is its Idempotency-Key; `raw` its body as sent."""

    endpoint: Endpoint
    path: dict[str, str]
    source: str
    token: str
    target: str
    key: str | None = None
    raw: bytes = b""
    media: str = ""
    body: Any = None
    query: Any = None
    action: Action | None = None
    public_key: bytes | None = None
    extra: Any = None  # what `read` made of the body, where the form alone is not what the work needs
    finding: PasswordFinding | None = None
    new_password: NewPassword | None = None
    fresh: bool = False  # the challenge of the answer was made by this call

    @property
    def account_named(self) -> str | None:
        """The account that the request names in its body or query."""
        for form in (self.body, self.query):
            named = getattr(form, "account", None)
            if isinstance(named, str):
                return named
        return None


@dataclass(frozen=True)
class ApiParts:
    """All that the API stands on, joined by `bootstrap`. `pool` takes what is slow with pictures off the loop."""

    store: Store
    world: World
    passwords: PasswordHasher
    snapshot: Snapshot
    pool: ThreadPoolExecutor
    vault: Vault


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer that is no JSON: a document, shown once."""

    media: str
    body: bytes


Result = View | Refused | None
Work = Callable[[Transaction, World, Caller, Call], Any]
Prepare = Callable[[ApiParts, Call], Awaitable[View | None]]
Finish = Callable[[ApiParts, Any], Awaitable[View | RawAnswer]]
Tally = Callable[[Call, "Result"], None]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A row. `reasons` are the refusals of its own, beside those that every call of its kind has (`common_reasons`).

    `secret`: the answer holds something that is shown once. `remembered`: honours Idempotency-Key. `prepare` runs
    before the transaction (a password to hash, a decision from the snapshot); what it returns is the answer.
    `finish` runs after the commit (a QR code to draw). `read` types what the form alone cannot. `permission`: what an
    operator's role must permit. `takes`, `gives`: the types of a body or an answer that is a picture. `foreign`:
    the caller's program words its call as it likes (a receipt), so query and body are kept as names and texts, and a
    GET may write.
    """

    method: str
    path: str
    summary: str
    who: Who
    work: Work
    answer: type[View] | None = None
    status: int = 200
    body: type[Form] | None = None
    query: type[Form] = Nothing
    reasons: tuple[Reason | Edge, ...] = ()
    permission: Permission | None = None
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    secret: bool = False
    remembered: bool = False
    foreign: bool = False
    read: Callable[[Call], None] | None = None
    prepare: Prepare | None = None
    finish: Finish | None = None
    tally: Tally | None = None
    segments: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        assert (self.who is Who.OPERATOR) == (self.permission is not None)
        object.__setattr__(self, "segments", tuple(self.path.split("/")[1:]))

    @property
    def reads_only(self) -> bool:
        return self.method == "GET" and not self.foreign

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(segment[1:-1] for segment in self.segments if segment.startswith("{"))


def common_reasons(endpoint: Endpoint) -> tuple[Reason | Edge, ...]:
    """The refusals that follow from the row's other columns."""
    found: list[Reason | Edge] = [Reason.MALFORMED, Reason.STORE_UNAVAILABLE, Reason.CLOCK_BEHIND, Edge.INTERNAL]
    if endpoint.who is not Who.ANYBODY:
        found.append(Reason.NOT_AUTHENTICATED)
    if endpoint.who in (Who.HALF_SIGNED, Who.RECOVERER, Who.OWNER, Who.OPERATOR):
        found.append(Reason.NOT_PERMITTED)
    if endpoint.who in (Who.RECOVERER, Who.OWNER, Who.ASKER, Who.OPERATOR):
        found.append(Reason.LOGIN_CHALLENGE_OPEN)
    if endpoint.who in (Who.OWNER, Who.ASKER, Who.OPERATOR):
        found.append(Reason.RECOVERY_ONLY)
    if endpoint.who is Who.OPERATOR:
        found.append(Reason.ENROLMENT_REQUIRED)
    if endpoint.takes:
        found += [Edge.DOCUMENT_TOO_LARGE, Edge.BUSY, Reason.NOT_A_DOCUMENT]
    if endpoint.who is Who.ASKER or endpoint.parameters:
        found.append(Reason.UNKNOWN_ID)
    if endpoint.body is not None:
        found += [Edge.TOO_LARGE, Edge.NOT_JSON]
    if endpoint.remembered:
        found.append(Edge.KEY_REUSED)
        if endpoint.secret:
            found.append(Edge.SECRET_NOT_REPEATED)
    return tuple(found)


def authenticate(tx: Transaction, world: World, call: Call, *, touch: bool = False) -> Caller:
    """Who holds the call's token, as of this transaction, if he may make this call at all.

    `touch` keeps his session awake, which only a transaction that commits can do.

    Raises Refused: NOT_AUTHENTICATED, LOGIN_CHALLENGE_OPEN, RECOVERY_ONLY, NOT_PERMITTED; UNKNOWN_ID for an account
    that is not his.
    """
    who, token, named = call.endpoint.who, call.token, call.account_named
    if token.startswith(INTEGRATOR_TOKEN):
        principal = integrator(tx, token=token)
        if who is not Who.ASKER:
            raise Refused(Reason.NOT_PERMITTED)
        if named is None:
            raise Refused(Reason.MALFORMED, "an integrator names the account", field="$.account")
        must_be_id("acc", named)
        return Caller(principal, named, None)
    if who is Who.HALF_SIGNED:
        session = live_session(tx, world, token=token)
    elif who is Who.RECOVERER:
        session = recoverer(tx, world, token=token, touch=touch)
    else:
        session = owner(tx, world, token=token, touch=touch)
    if who is Who.OPERATOR:
        return _operator(tx, session, call.endpoint)
    if named is not None and named != session.account_id:
        raise Refused(Reason.UNKNOWN_ID)
    return Caller(session.principal, session.account_id, session)


def _operator(tx: Transaction, session: Session, endpoint: Endpoint) -> Caller:
    """The operator of a session whose login challenge is passed, if his role permits this (B36, B61).

    Raises Refused: NOT_PERMITTED, ENROLMENT_REQUIRED while he has no login authenticator that could have been asked.
    """
    assert endpoint.permission is not None
    operator = tx.operator(session.account_id)
    if operator is None or not may(operator.role, endpoint.permission):
        raise Refused(Reason.NOT_PERMITTED)
    must_have_login_factor(tx, session.account_id)
    return Caller(operator.principal, session.account_id, session, operator)


def must_be_id(prefix: str, text: str) -> str:
    """An id that cannot exist is as unknown as one that does not (B47, B62)."""
    if not is_id(prefix, text):
        raise Refused(Reason.UNKNOWN_ID)
    return text


def environment_of(call: Call) -> Environment:
    """The environment that the path names. An unknown one is as unknown as any other id."""
    try:
        return Environment(call.path["environment"])
    except ValueError:
        raise Refused(Reason.UNKNOWN_ID) from None
