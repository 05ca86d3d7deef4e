"""The acts of the desk: roles, recovery cases with their documents, proposals."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Any

from leverlock.domain.authenticator import SealedSecret
from leverlock.domain.environment import Environment
from leverlock.domain.proposal import Proposal, ProposalKind, ProposalState
from leverlock.domain.recovery_case import CaseState, Document, DocumentKind, PictureType, RecoveryCase
from leverlock.domain.roles import Role
from store.contract import ALICE, BOB, Stage, act
from world import NOW_MS

HOUR = 3_600_000
LIFE = NOW_MS + HOUR
LINK = b"l" * 32
FUTURES = Environment.FUTURES
CAROL, DAVE, EVE = "acc_carol", "acc_dave", "acc_eve"


def case(number: int = 1, *, account: str = ALICE) -> RecoveryCase:
    return RecoveryCase(
        account_id=account,
        case_id=f"case_{number}",
        environments=(FUTURES, Environment.SPOT),
        statement="lost",
        state=CaseState.OPENED,
        opened_by="session:s",
        opened_at=NOW_MS + number,
        expires_at=LIFE,
        data_key=SealedSecret(1, b"n" * 12, b"KEYOFTHECASE" * 4),
    )


def document(number: int = 1) -> Document:
    return Document(
        ALICE, "case_1", f"doc_{number}", DocumentKind.IDENTITY, PictureType.PNG, 9, b"n" * 12, "session:s", NOW_MS
    )


def proposal(number: int = 1, *, first_by: str = CAROL, account: str = ALICE) -> Proposal:
    return Proposal(
        account_id=account,
        proposal_id=f"prop_{number}",
        kind=ProposalKind.ROLE,
        content="support",
        version="",
        summary=("alice: no role becomes support",),
        environments=("futures", "spot"),
        state=ProposalState.OPEN,
        proposed_by=f"operator:{first_by}",
        proposed_at=NOW_MS + number,
        expires_at=LIFE,
        first_by=first_by,
    )


def stored_case(stage: Stage, number: int = 1) -> RecoveryCase:
    found = stage.read(lambda tx: tx.recovery_case(ALICE, f"case_{number}"))
    assert found is not None
    return found


def stored(stage: Stage, number: int = 1) -> Proposal:
    found = stage.read(lambda tx: tx.proposal(ALICE, f"prop_{number}"))
    assert found is not None
    return found


def brought_to(stage: Stage, state: CaseState) -> RecoveryCase:
    """A case in this state, by its acts alone. It waits until NOW_MS + one hour."""
    stage.act("insert_case", case())
    hour = {"ready_at": LIFE, "expires_at": 2 * LIFE}
    steps = [
        (CaseState.SUBMITTED, lambda: stage.act("submit_case", case())),
        (CaseState.APPROVED_ONCE, lambda: stage.act("approve_case_once", case(), by=CAROL)),
        (CaseState.WAITING, lambda: stage.act("approve_case_twice", case(), by=DAVE, **hour)),
        (CaseState.READY, lambda: (stage.clock.tick(HOUR), stage.act("ready_case", case()))[1]),
        (CaseState.USED, lambda: _used(stage)),
    ]
    for reached, step in steps:
        if stored_case(stage).state is state:
            break
        assert step(), reached
    assert stored_case(stage).state is state
    return stored_case(stage)


def _used(stage: Stage) -> object:
    stage.act("issue_case_link", case(), number=1, link_hash=LINK, expires_at=2 * LIFE)
    return stage.act("use_case_link", case(), link_hash=LINK, session_id="ses_r")


# -- operators -------------------------------------------------------------------------------------------------------
@act
def set_role(stage: Stage) -> None:
    assert stage.act("set_role", ALICE, before=None, after=Role.SUPPORT)
    assert not stage.act("set_role", ALICE, before=None, after=Role.ADMIN)  # somebody was quicker
    assert not stage.act("set_role", ALICE, before=Role.SECURITY, after=Role.ADMIN)
    assert not stage.act("set_role", BOB, before=Role.SUPPORT, after=Role.ADMIN)
    assert stage.act("set_role", ALICE, before=Role.SUPPORT, after=Role.ADMIN)
    assert not stage.act("set_role", ALICE, before=Role.SUPPORT, after=None)
    assert stage.act("set_role", ALICE, before=Role.ADMIN, after=None)
    assert stage.read(lambda tx: tx.operator(ALICE)) is None


@act
def operator(stage: Stage) -> None:
    assert stage.read(lambda tx: tx.operator(ALICE)) is None
    stage.act("set_role", ALICE, before=None, after=Role.SUPPORT)
    found = stage.read(lambda tx: tx.operator(ALICE))
    assert found is not None
    assert (found.login, found.role, found.since, found.active) == (ALICE, Role.SUPPORT, NOW_MS, True)
    assert stage.read(lambda tx: tx.operator(BOB)) is None


@act
def operators(stage: Stage) -> None:
    assert stage.read(lambda tx: tx.operators()) == []  # none ships (B61)
    stage.act("set_role", ALICE, before=None, after=Role.SUPPORT)
    stage.act("set_account_state", ALICE, "locked")
    assert [(one.account_id, one.active) for one in stage.read(lambda tx: tx.operators())] == [(ALICE, False)]


# -- recovery cases --------------------------------------------------------------------------------------------------
@act
def insert_case(stage: Stage) -> None:
    assert stage.act("insert_case", case(1))
    assert not stage.act("insert_case", case(2))  # one live case for an account
    assert stage.act("insert_case", case(2, account=BOB))
    stage.act("close_case", case(1), to=CaseState.CANCELLED, by="link:", because="cancelled")
    assert stage.act("insert_case", case(2))


@act
def recovery_case(stage: Stage) -> None:
    stage.act("insert_case", case())
    assert stored_case(stage) == case()
    assert stage.read(lambda tx: tx.recovery_case(BOB, "case_1")) is None


@act
def recovery_cases(stage: Stage) -> None:
    stage.act("insert_case", case(1))
    stage.act("close_case", case(1), to=CaseState.REFUSED, by="operator:x", because="no")
    stage.act("insert_case", case(2))
    assert [one.case_id for one in stage.read(lambda tx: tx.recovery_cases(ALICE))] == ["case_1", "case_2"]
    assert stage.read(lambda tx: tx.recovery_cases(BOB)) == []


@act
def cases_in(stage: Stage) -> None:
    stage.act("insert_case", case(1))
    stage.act("insert_case", case(2, account=BOB))

    def found(state: CaseState, **more: int) -> list[str]:
        wanted: dict[str, int] = {"since": 0, "limit": 10, **more}
        return [one.case_id for one in stage.read(lambda tx: tx.cases_in(state, **wanted))]

    assert found(CaseState.OPENED) == ["case_1", "case_2"]
    assert found(CaseState.OPENED, limit=1) == ["case_1"]
    assert found(CaseState.OPENED, since=NOW_MS + 2) == ["case_2"]
    assert found(CaseState.SUBMITTED) == []


@act
def submit_case(stage: Stage) -> None:
    stage.act("insert_case", case())
    assert stage.act("submit_case", case())
    assert not stage.act("submit_case", case())
    stage.act("insert_case", case(3, account=BOB))
    stage.clock.tick(HOUR)
    assert not stage.act("submit_case", case(3, account=BOB))  # it has run out


@act
def approve_case_once(stage: Stage) -> None:
    brought_to(stage, CaseState.SUBMITTED)
    assert not stage.act("approve_case_once", case(), by=ALICE)  # the subject herself (B36)
    assert stage.act("approve_case_once", case(), by=CAROL)
    assert not stage.act("approve_case_once", case(), by=DAVE)
    assert stored_case(stage).first_by == CAROL


@act
def approve_case_twice(stage: Stage) -> None:
    brought_to(stage, CaseState.APPROVED_ONCE)
    times = {"ready_at": LIFE, "expires_at": 2 * LIFE}
    assert not stage.act("approve_case_twice", case(), by=CAROL, **times)  # the same agent
    assert not stage.act("approve_case_twice", case(), by=ALICE, **times)
    assert stage.act("approve_case_twice", case(), by=DAVE, **times)
    assert not stage.act("approve_case_twice", case(), by=EVE, **times)
    found = stored_case(stage)
    assert (found.state, found.second_by, found.ready_at, found.expires_at) == (CaseState.WAITING, DAVE, LIFE, 2 * LIFE)


@act
def ready_case(stage: Stage) -> None:
    brought_to(stage, CaseState.WAITING)
    stage.clock.tick(HOUR - 1)
    assert not stage.act("ready_case", case())  # nothing runs early (B37)
    stage.clock.tick(1)
    assert stage.act("ready_case", case())
    assert not stage.act("ready_case", case())


@act
def issue_case_link(stage: Stage) -> None:
    brought_to(stage, CaseState.WAITING)
    link = {"link_hash": LINK, "expires_at": 2 * LIFE}
    assert not stage.act("issue_case_link", case(), number=1, **link)
    stage.clock.tick(HOUR)
    stage.act("ready_case", case())
    assert stage.act("issue_case_link", case(), number=1, **link)
    assert not stage.act("issue_case_link", case(), number=1, **link)
    assert stage.act("issue_case_link", case(), number=2, link_hash=b"m" * 32, expires_at=2 * LIFE)
    assert not stage.act("use_case_link", case(), link_hash=LINK, session_id="s")  # the one before is void


@act
def use_case_link(stage: Stage) -> None:
    brought_to(stage, CaseState.READY)
    now = NOW_MS + HOUR
    stage.act("issue_case_link", case(), number=1, link_hash=LINK, expires_at=now + 10)
    assert not stage.act("use_case_link", case(), link_hash=b"x" * 32, session_id="s")
    stage.clock.tick(10)
    assert not stage.act("use_case_link", case(), link_hash=LINK, session_id="s")  # it has run out
    stage.act("issue_case_link", case(), number=2, link_hash=LINK, expires_at=now + 20)
    assert stage.act("use_case_link", case(), link_hash=LINK, session_id="s")
    assert not stage.act("use_case_link", case(), link_hash=LINK, session_id="s")
    found = stored_case(stage)
    assert (found.state, found.session_id, found.used_at, found.link_hash) == (CaseState.USED, "s", now + 10, None)


@act
def close_case(stage: Stage) -> None:
    ready = brought_to(stage, CaseState.READY)
    stage.act("issue_case_link", case(), number=1, link_hash=LINK, expires_at=2 * LIFE)
    assert not stage.act("close_case", case(), to=CaseState.CANCELLED, by="link:", because="cancelled")  # seen before
    assert stage.act("close_case", ready, to=CaseState.CANCELLED, by="link:", because="cancelled")
    assert not stage.act("use_case_link", case(), link_hash=LINK, session_id="s")
    found = stored_case(stage)
    assert (found.closed_by, found.closed_because, found.closed_at) == ("link:", "cancelled", NOW_MS + HOUR)


@act
def due_cases(stage: Stage) -> None:
    def due() -> list[str]:
        return stage.read(lambda tx: tx.due_cases(kept_ms=HOUR, limit=10))

    stage.act("insert_case", case(2, account=BOB))
    brought_to(stage, CaseState.WAITING)
    assert due() == []
    stage.clock.tick(HOUR)
    assert sorted(due()) == [ALICE, BOB]  # one has waited, one has run out
    stage.act("close_case", case(2, account=BOB), to=CaseState.EXPIRED, by="", because="overdue")
    stage.act("ready_case", case())
    assert due() == []
    stage.clock.tick(HOUR)
    assert due() == [BOB]  # its documents are kept no longer


@act
def insert_document(stage: Stage) -> None:
    assert not stage.act("insert_document", document(), most=2)
    stage.act("insert_case", case())
    assert stage.act("insert_document", document(1), most=2)
    assert stage.act("insert_document", document(2), most=2)
    assert not stage.act("insert_document", document(3), most=2)
    stage.act("submit_case", case())
    assert not stage.act("insert_document", document(3), most=9)


@act
def documents(stage: Stage) -> None:
    stage.act("insert_case", case())
    stage.act("insert_document", document(), most=2)
    assert stage.read(lambda tx: tx.documents(ALICE, "case_1")) == [document()]
    assert stage.read(lambda tx: tx.documents(BOB, "case_1")) == []


@act
def document_ids(stage: Stage) -> None:
    stage.act("insert_case", case())
    stage.act("insert_document", document(), most=2)
    assert stage.read(lambda tx: tx.document_ids("case_1")) == {"doc_1"}
    assert stage.read(lambda tx: tx.document_ids("case_2")) == frozenset()


@act
def destroy_documents(stage: Stage) -> None:
    opened = brought_to(stage, CaseState.OPENED)
    stage.act("insert_document", document(), most=2)
    assert stage.act("destroy_documents", case(), kept_ms=0) is None  # it is not over
    stage.act("close_case", opened, to=CaseState.REFUSED, by="operator:x", because="no")
    assert stage.act("destroy_documents", case(), kept_ms=HOUR) is None
    stage.clock.tick(HOUR)
    assert stage.act("destroy_documents", case(), kept_ms=HOUR) == ["doc_1"]
    assert stage.act("destroy_documents", case(), kept_ms=HOUR) is None
    found = stored_case(stage)
    assert (found.data_key, found.statement) == (None, "")
    assert stage.read(lambda tx: tx.documents(ALICE, "case_1")) == []
    with sqlite3.connect(stage.deployment.path) as raw:
        ((ciphertext,),) = raw.execute("SELECT ciphertext FROM recovery_case").fetchall()
    assert set(ciphertext) == {0}


# -- proposals -------------------------------------------------------------------------------------------------------
@act
def insert_proposal(stage: Stage) -> None:
    assert stage.act("insert_proposal", proposal(1))
    assert not stage.act("insert_proposal", proposal(2))  # one of a kind is live for an account
    assert stage.act("insert_proposal", proposal(2, account=BOB))


@act
def proposal_(stage: Stage) -> None:
    stage.act("insert_proposal", proposal())
    assert stored(stage) == proposal()
    assert stage.read(lambda tx: tx.proposal(BOB, "prop_1")) is None


@act
def live_proposal(stage: Stage) -> None:
    assert stage.read(lambda tx: tx.live_proposal(ALICE, ProposalKind.ROLE)) is None
    stage.act("insert_proposal", proposal())
    assert stage.read(lambda tx: tx.live_proposal(ALICE, ProposalKind.ROLE)) == proposal()
    assert stage.read(lambda tx: tx.live_proposal(ALICE, ProposalKind.POLICY)) is None
    stage.act("close_proposal", proposal(), to=ProposalState.REFUSED, by="operator:x")
    assert stage.read(lambda tx: tx.live_proposal(ALICE, ProposalKind.ROLE)) is None


@act
def proposals_in(stage: Stage) -> None:
    stage.act("insert_proposal", proposal())
    assert stage.read(lambda tx: tx.proposals_in(ProposalState.OPEN, limit=5)) == [proposal()]
    assert stage.read(lambda tx: tx.proposals_in(ProposalState.DONE, limit=5)) == []


@act
def second_proposal(stage: Stage) -> None:
    stage.act("insert_proposal", proposal(first_by=""))
    assert not stage.act("second_proposal", proposal(), by=ALICE)  # whom it is about
    assert stage.act("second_proposal", proposal(), by=CAROL)
    assert not stage.act("second_proposal", proposal(), by=DAVE)
    assert stored(stage).first_by == CAROL


@act
def approve_proposal(stage: Stage) -> None:
    stage.act("insert_proposal", proposal(first_by=""))
    assert not stage.act("approve_proposal", proposal(), by=CAROL, due_at=NOW_MS)  # nobody was first yet
    stage.act("second_proposal", proposal(), by=CAROL)
    assert not stage.act("approve_proposal", proposal(), by=CAROL, due_at=NOW_MS)  # the same operator
    assert not stage.act("approve_proposal", proposal(), by=ALICE, due_at=NOW_MS)  # whom it is about
    stage.clock.tick(HOUR)
    assert not stage.act("approve_proposal", proposal(), by=DAVE, due_at=NOW_MS)  # it has run out
    stage.act("insert_proposal", proposal(2, account=BOB))
    late = replace(proposal(2, account=BOB), expires_at=2 * LIFE, proposal_id="prop_3")
    stage.act("close_proposal", proposal(2, account=BOB), to=ProposalState.EXPIRED, by="")
    stage.act("insert_proposal", late)
    assert stage.act("approve_proposal", late, by=DAVE, due_at=NOW_MS)
    assert not stage.act("approve_proposal", late, by=EVE, due_at=NOW_MS)


@act
def carry_out_proposal(stage: Stage) -> None:
    policy = replace(proposal(), kind=ProposalKind.POLICY)
    stage.act("insert_proposal", policy)
    stage.act("approve_proposal", policy, by=DAVE, due_at=LIFE)
    stage.act("note_told", policy, after="~")
    assert not stage.act("carry_out_proposal", policy)  # its day is not over
    stage.clock.tick(HOUR)
    assert stage.act("carry_out_proposal", policy)
    assert not stage.act("carry_out_proposal", policy)
    untold = replace(policy, proposal_id="prop_2", expires_at=2 * LIFE)
    stage.act("insert_proposal", untold)
    stage.act("approve_proposal", untold, by=DAVE, due_at=LIFE)
    assert not stage.act("carry_out_proposal", untold)  # owners are still to be told


@act
def close_proposal(stage: Stage) -> None:
    stage.act("insert_proposal", proposal())
    assert stage.act("close_proposal", proposal(), to=ProposalState.REFUSED, by="operator:x")
    assert not stage.act("close_proposal", proposal(), to=ProposalState.REFUSED, by="operator:x")
    assert (stored(stage).state, stored(stage).closed_by) == (ProposalState.REFUSED, "operator:x")


@act
def note_told(stage: Stage) -> None:
    stage.act("insert_proposal", proposal())
    assert not stage.act("note_told", proposal(), after="acc_b")  # it is not approved
    stage.act("approve_proposal", proposal(), by=DAVE, due_at=LIFE)
    assert stage.act("note_told", proposal(), after="acc_b")
    assert not stage.act("note_told", proposal(), after="acc_c")  # seen before
    assert stage.act("note_told", stored(stage), after="~")


@act
def protected_accounts(stage: Stage) -> None:
    stage.act("enable_protection", ALICE, FUTURES)
    stage.act("enable_protection", ALICE, Environment.SPOT)
    stage.act("enable_protection", BOB, Environment.LOGIN)

    def found(*environments: Environment, **more: Any) -> list[str]:
        wanted: dict[str, Any] = {"after": "", "limit": 10, **more}
        return stage.read(lambda tx: tx.protected_accounts(environments, **wanted))

    assert found(FUTURES, Environment.SPOT) == [ALICE]
    assert found(FUTURES, Environment.LOGIN) == [ALICE, BOB]
    assert found(FUTURES, Environment.LOGIN, limit=1) == [ALICE]
    assert found(FUTURES, Environment.LOGIN, after=ALICE) == [BOB]
    assert found(Environment.MARGIN) == []
    stage.act("end_protection", ALICE, FUTURES)
    assert found(FUTURES) == []
