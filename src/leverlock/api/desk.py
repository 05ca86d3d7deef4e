"""The desk: what operators ask for. Every row of it needs a permission, and no answer of it holds a secret (B36).

An operator names an account and what is the account's; nothing is found by guessing, because ids cannot be guessed.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from leverlock.api.cases import CaseForm, CaseList, CaseView, TakenView, case_view, take_document
from leverlock.api.endpoint import ApiParts, Call, Caller, RawAnswer, must_be_id
from leverlock.api.views import AccountId, Millis, View
from leverlock.api.wire import PROSE, Form, prose
from leverlock.app import accounts, case_desk, recovery_cases
from leverlock.documents.vault import DocumentGone
from leverlock.domain.account import canonical_login
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.recovery_case import MAX_REASON, CaseState, Document
from leverlock.domain.roles import PERMISSIONS
from leverlock.ports import Transaction, World

PAGE = 100


class ReasonForm(Form):
    """Why it is done; it stays in the audit trail, where the account's owner can read it."""

    reason: Annotated[str, Meta(min_length=1, max_length=MAX_REASON, **PROSE)]


class CasesQuery(Form):
    """Cases in one state, oldest first; `since` goes on behind a page."""

    state: CaseState = CaseState.SUBMITTED
    since: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0


class LoginQuery(Form):
    """The login name of the account that is looked for."""

    login: Annotated[str, Meta(min_length=1, max_length=128)]


class OperatorView(View):
    """Who is signed in at the desk, and what his role permits."""

    account: AccountId
    role: str
    permissions: list[str]


class DeskAccountView(View):
    """What an operator sees of an account: its standing, and nothing that proves anything."""

    account: AccountId
    login: str
    state: str
    protected: list[str]


class LinkView(View):
    """A link is on its way to the owner's addresses; the desk never sees it."""

    expires_at: Millis


class StandingView(View):
    account: AccountId
    state: str


class _Look(msgspec.Struct, frozen=True):
    """A document that may be shown now, between the commit that says so and the answer."""

    document: Document
    key: bytes


def reason_read(call: Call) -> None:
    call.body.reason = prose(call.body.reason, field="$.reason", most=MAX_REASON)


def login_read(call: Call) -> None:
    try:
        call.query.login = canonical_login(call.query.login)
    except Refused as refused:
        raise Refused(refused.reason, refused.detail, field="$.login") from None


def whoami(_tx: Transaction, _world: World, caller: Caller, _call: Call) -> OperatorView:
    operator = caller.operator
    assert operator is not None
    return OperatorView(operator.account_id, operator.role.value, sorted(PERMISSIONS[operator.role]))


# -- accounts --------------------------------------------------------------------------------------------------------
def find_account(tx: Transaction, _world: World, _caller: Caller, call: Call) -> DeskAccountView:
    account_id = tx.account_of_login(call.query.login)
    account = None if account_id is None else tx.account(account_id)
    if account is None:
        raise Refused(Reason.UNKNOWN_ID)
    protected = sorted(environment.value for environment in tx.protections(account.account_id))
    return DeskAccountView(account.account_id, account.login, account.state.value, protected)


def lock(tx: Transaction, world: World, caller: Caller, call: Call) -> StandingView:
    account_id = _subject(caller, call)
    accounts.lock(tx, world, account_id=account_id, by=caller.principal, reason=call.body.reason)
    return StandingView(account_id, "locked")


def unlock(tx: Transaction, world: World, caller: Caller, call: Call) -> StandingView:
    account_id = _subject(caller, call)
    accounts.unlock(tx, world, account_id=account_id, by=caller.principal, reason=call.body.reason)
    return StandingView(account_id, "active")


def _subject(caller: Caller, call: Call) -> str:
    """The account that the path names: not the operator's own. Raises Refused: UNKNOWN_ID, NOT_PERMITTED."""
    account_id = must_be_id("acc", call.path["account"])
    if account_id == caller.agent:
        raise Refused(Reason.NOT_PERMITTED)
    return account_id


# -- recovery cases --------------------------------------------------------------------------------------------------
def list_cases(tx: Transaction, _world: World, caller: Caller, call: Call) -> CaseList:
    found = tx.cases_in(call.query.state, since=call.query.since, limit=PAGE)
    return CaseList([case_view(tx, case) for case in found if case.account_id != caller.agent])


def open_case(tx: Transaction, world: World, caller: Caller, call: Call) -> CaseView:
    """For somebody who cannot even sign in. Who opens it brings the documents, and never approves it."""
    form: CaseForm = call.body
    case = recovery_cases.open_case(
        tx,
        world,
        account_id=_subject(caller, call),
        by=caller.principal,
        environments=form.environments,
        statement=form.statement,
    )
    return case_view(tx, case)


def show_case(tx: Transaction, _world: World, caller: Caller, call: Call) -> CaseView:
    account_id, case_id = _case(caller, call)
    case = case_desk.seen_case(tx, agent=caller.agent, account_id=account_id, case_id=case_id)
    return case_view(tx, case)


async def add_document(parts: ApiParts, call: Call) -> TakenView:
    return await take_document(parts, call, _opened_here)


def submit(tx: Transaction, world: World, caller: Caller, call: Call) -> CaseView:
    account_id, case_id = _opened_here(tx, caller, call)
    return case_view(tx, recovery_cases.submit(tx, world, account_id=account_id, case_id=case_id, by=caller.principal))


def approve(tx: Transaction, world: World, caller: Caller, call: Call) -> CaseView:
    account_id, case_id = _case(caller, call)
    return case_view(tx, case_desk.approve(tx, world, agent=caller.agent, account_id=account_id, case_id=case_id))


def refuse(tx: Transaction, world: World, caller: Caller, call: Call) -> CaseView:
    account_id, case_id = _case(caller, call)
    case = case_desk.refuse(
        tx, world, agent=caller.agent, account_id=account_id, case_id=case_id, reason=call.body.reason
    )
    return case_view(tx, case)


def send_link(tx: Transaction, world: World, caller: Caller, call: Call) -> LinkView:
    account_id, case_id = _case(caller, call)
    return LinkView(case_desk.send_link(tx, world, agent=caller.agent, account_id=account_id, case_id=case_id))


def view_document(tx: Transaction, world: World, caller: Caller, call: Call) -> Any:
    account_id, case_id = _case(caller, call)
    document, key = case_desk.view_document(
        tx,
        world,
        agent=caller.agent,
        account_id=account_id,
        case_id=case_id,
        document_id=must_be_id("doc", call.path["document"]),
        reason=call.body.reason,
    )
    return _Look(document, key)


async def show_document(parts: ApiParts, look: Any) -> RawAnswer:
    """After the commit that holds the reason: decrypted once, for this answer."""
    try:
        plain = await asyncio.to_thread(parts.vault.read, look.document, look.key)
    except DocumentGone:
        raise Refused(Reason.UNKNOWN_ID) from None
    return RawAnswer(look.document.type.value, plain)


def _case(caller: Caller, call: Call) -> tuple[str, str]:
    return _subject(caller, call), must_be_id("case", call.path["case"])


def _opened_here(tx: Transaction, caller: Caller, call: Call) -> tuple[str, str]:
    """A case that this operator opened for somebody. Raises Refused: UNKNOWN_ID, NOT_PERMITTED."""
    account_id, case_id = _case(caller, call)
    if recovery_cases.known_case(tx, account_id, case_id).opened_by != caller.principal:
        raise Refused(Reason.NOT_PERMITTED)
    return account_id, case_id
