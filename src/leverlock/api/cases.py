"""Recovery cases of the signed-in owner: say what was lost, bring documents, hand it in, stop it, come back (M20)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from leverlock.api import next_steps, sessions
from leverlock.api.endpoint import ApiParts, Call, Caller, authenticate, must_be_id
from leverlock.api.next_steps import NextStep
from leverlock.api.views import AccountId, Millis, OpenedSession, View
from leverlock.api.wire import PROSE, Form, prose
from leverlock.app import recovery_cases
from leverlock.app.case_desk import document_key
from leverlock.app.case_return import use_link
from leverlock.documents.pictures import cleaned, sniffed
from leverlock.documents.vault import NONCE_BYTES
from leverlock.domain.environment import Environment
from leverlock.domain.ids import ID_BYTES, make_id
from leverlock.domain.recovery_case import (
    LIVE,
    MAX_STATEMENT,
    CaseState,
    Document,
    DocumentKind,
    PictureType,
    RecoveryCase,
)
from leverlock.ports import Transaction, World

CaseId = Annotated[str, Meta(extra_json_schema={"pattern": "^case_[a-z2-7]{26}$"})]
DocumentId = Annotated[str, Meta(extra_json_schema={"pattern": "^doc_[a-z2-7]{26}$"})]
Place = Callable[[Transaction, Caller, Call], tuple[str, str]]  # (account, case) that this caller may bring to
PICTURES = tuple(picture.value for picture in PictureType)


class CaseForm(Form):
    """What was lost, and what happened, in the owner's words."""

    environments: Annotated[list[Environment], Meta(min_length=1, max_length=4)]
    statement: Annotated[str, Meta(min_length=1, max_length=MAX_STATEMENT, **PROSE)]


class DocumentQuery(Form):
    """What the document is brought as."""

    kind: DocumentKind


class DocumentView(View):
    """A document that was taken. Its bytes are shown to nobody but an agent who says why."""

    id: DocumentId
    kind: str
    type: str
    size: int
    added_at: Millis


class TakenView(DocumentView):
    """A document was taken; `next` leads back to its case."""

    next: list[NextStep] = msgspec.field(default_factory=list)


class CaseView(View, kw_only=True):
    """A recovery case. `ready_at`: when its day is over; `next`: what its owner can do now."""

    id: CaseId
    account: AccountId
    environments: list[str]
    statement: str
    state: str
    opened_at: Millis
    expires_at: Millis
    documents: list[DocumentView]
    approvals: int
    ready_at: Millis | UnsetType = UNSET
    used_at: Millis | UnsetType = UNSET
    closed_because: str | UnsetType = UNSET
    next: list[NextStep]


class CaseList(View):
    """Recovery cases. `next`: to open one, where none of its owner's is under way."""

    cases: list[CaseView]
    next: list[NextStep] = msgspec.field(default_factory=list)


def case_view(tx: Transaction, case: RecoveryCase) -> CaseView:
    """How a case is shown to its owner and to agents alike: no secret is part of it."""
    state = case.state_at(tx.now)
    documents = tx.documents(case.account_id, case.case_id)
    brought = frozenset(document.kind for document in documents)
    view = CaseView(
        id=case.case_id,
        account=case.account_id,
        environments=[environment.value for environment in case.environments],
        statement=case.statement,
        state=state.value,
        opened_at=case.opened_at,
        expires_at=case.expires_at,
        documents=[document_view(one) for one in documents],
        approvals=(case.first_by != "") + (case.second_by != ""),
        next=next_steps.of_case(case, state, brought),
    )
    if case.ready_at:
        view.ready_at = case.ready_at
    if case.used_at:
        view.used_at = case.used_at
    if case.closed_because:
        view.closed_because = case.closed_because
    return view


def document_view(document: Document) -> DocumentView:
    return DocumentView(
        document.document_id, document.kind.value, document.type.value, document.size, document.added_at
    )


def canonical(call: Call) -> None:
    """The statement as a person can read it without being misled."""
    call.body.statement = prose(call.body.statement, field="$.statement", most=MAX_STATEMENT)


def open_case(tx: Transaction, world: World, caller: Caller, call: Call) -> CaseView:
    case = recovery_cases.open_case(
        tx,
        world,
        account_id=caller.account_id,
        by=caller.owner.principal,
        environments=call.body.environments,
        statement=call.body.statement,
    )
    return case_view(tx, case)


def list_cases(tx: Transaction, _world: World, caller: Caller, _call: Call) -> CaseList:
    cases = tx.recovery_cases(caller.account_id)
    under_way = any(case.state_at(tx.now) in LIVE for case in cases)
    return CaseList([case_view(tx, case) for case in cases], [] if under_way else [next_steps.CASE])


def show(tx: Transaction, _world: World, caller: Caller, call: Call) -> CaseView:
    case_id = must_be_id("case", call.path["id"])
    return case_view(tx, recovery_cases.known_case(tx, caller.account_id, case_id))


def submit(tx: Transaction, world: World, caller: Caller, call: Call) -> CaseView:
    case_id = must_be_id("case", call.path["id"])
    case = recovery_cases.submit(tx, world, account_id=caller.account_id, case_id=case_id, by=caller.owner.principal)
    return case_view(tx, case)


def cancel(tx: Transaction, world: World, caller: Caller, call: Call) -> CaseView:
    case_id = must_be_id("case", call.path["id"])
    case = recovery_cases.cancel(tx, world, account_id=caller.account_id, case_id=case_id, by=caller.owner.principal)
    return case_view(tx, case)


async def add_document(parts: ApiParts, call: Call) -> TakenView:
    """Take a document: the case is looked at, the picture cleaned, the file written, and then it is noted."""

    taken = await take_document(parts, call, _own)
    taken.next = [next_steps.look_at_case(call.path["id"])]
    return taken


def _own(_tx: Transaction, caller: Caller, call: Call) -> tuple[str, str]:
    return caller.account_id, must_be_id("case", call.path["id"])


async def take_document(parts: ApiParts, call: Call, place: Place) -> TakenView:
    """The same for a case that `place` names and that its caller may bring documents to.

    Nothing stays of a document that is refused: the file is written last, and removed where noting it fails.
    """
    world = parts.world

    def look(tx: Transaction) -> tuple[RecoveryCase, bytes, str]:
        caller = authenticate(tx, world, call)
        account_id, case_id = place(tx, caller, call)
        case = recovery_cases.known_case(tx, account_id, case_id)
        case.must_be(CaseState.OPENED, now_ms=tx.now)
        return case, document_key(tx, world, case), caller.principal

    case, key, principal = await parts.store.run(look)  # it writes where the key does not open: the alarm
    picture = sniffed(call.raw)
    loop = asyncio.get_running_loop()
    most = world.limits.document_pixels
    plain = await loop.run_in_executor(parts.pool, lambda: cleaned(call.raw, picture, most_points=most))
    document = Document(
        case.account_id,
        case.case_id,
        make_id("doc", world.entropy.bytes(ID_BYTES)),
        call.query.kind,
        picture,
        len(plain),
        world.entropy.bytes(NONCE_BYTES),
        principal,
        0,
    )

    def note(tx: Transaction) -> TakenView:
        place(tx, authenticate(tx, world, call), call)
        recovery_cases.add_document(tx, world, document=document)
        return TakenView(document.document_id, document.kind.value, picture.value, document.size, tx.now)

    await asyncio.to_thread(parts.vault.put, document, key, plain)
    try:
        return await parts.store.run(note)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(parts.vault.remove, document))
        raise


def follow_link(tx: Transaction, world: World, _caller: Caller, call: Call) -> OpenedSession:
    signed, environments = use_link(tx, world, token=call.body.token)
    opened = sessions.opened_view(tx, world, signed)
    opened.next = [next_steps.bind(environment) for environment in environments]
    return opened


def in_prepare(*_: Any) -> Any:
    raise AssertionError("a document is taken in `prepare`")
