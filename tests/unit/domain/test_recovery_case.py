"""Who may handle a case, and what time alone makes of it (B36, B37)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leverlock.domain.authenticator import SealedSecret
from leverlock.domain.environment import Environment
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.limits import Limits, LimitsError
from leverlock.domain.proposal import Proposal, ProposalKind, ProposalState
from leverlock.domain.recovery_case import LIVE, CaseState, RecoveryCase
from leverlock.domain.roles import operator_principal

CASE = RecoveryCase(
    account_id="acc_owner",
    case_id="case_1",
    environments=(Environment.FUTURES,),
    statement="lost",
    state=CaseState.SUBMITTED,
    opened_by=operator_principal("acc_opener"),
    opened_at=0,
    expires_at=100,
    data_key=SealedSecret(1, b"n" * 12, b"c" * 48),
)


def handled_by(case: RecoveryCase, account_id: str) -> None:
    case.must_not_be_handled_by(account_id, operator_principal(account_id))
    case.must_not_be_approved_twice_by(account_id)


@pytest.mark.bar("B36")
@pytest.mark.parametrize("agent", ["acc_owner", "acc_opener", "acc_first"])
def test_neither_its_subject_nor_its_opener_nor_its_first_agent_approves(agent: str) -> None:
    once = replace(CASE, state=CaseState.APPROVED_ONCE, first_by="acc_first")
    with pytest.raises(Refused) as refused:
        handled_by(once, agent)
    assert refused.value.reason is Reason.NOT_PERMITTED
    handled_by(once, "acc_other")


@pytest.mark.bar("B37")
def test_a_day_that_is_not_over_is_not_over() -> None:
    waiting = replace(CASE, state=CaseState.WAITING, ready_at=50, expires_at=90)
    assert [waiting.state_at(now) for now in (0, 49, 50, 89, 90)] == [
        CaseState.WAITING,
        CaseState.WAITING,
        CaseState.READY,
        CaseState.READY,
        CaseState.EXPIRED,
    ]


def test_what_runs_out_and_what_is_over_stays_over() -> None:
    for state in CaseState:
        case = replace(CASE, state=state, ready_at=10, expires_at=100)
        assert case.state_at(100) is (CaseState.EXPIRED if state in LIVE else state)
        with pytest.raises(Refused) as refused:
            case.must_be(CaseState.OPENED, now_ms=100)
        assert refused.value.reason is Reason.CASE_STATE


@pytest.mark.bar("B36")
@pytest.mark.bar("B37")
@pytest.mark.parametrize(
    ("name", "value"),
    [("case_link_ms", 10 * 60_000 + 1), ("case_wait_ms", 86_400_000 - 1), ("policy_wait_ms", 86_400_000 - 1)],
)
def test_no_setting_makes_the_link_live_longer_or_the_day_shorter(name: str, value: int) -> None:
    with pytest.raises(LimitsError):
        Limits(**{name: value})


PROPOSAL = Proposal(
    account_id="acc_subject",
    proposal_id="prop_1",
    kind=ProposalKind.ROLE,
    content="admin",
    version="",
    summary=(),
    environments=(),
    state=ProposalState.OPEN,
    proposed_by=operator_principal("acc_first"),
    proposed_at=0,
    expires_at=100,
    first_by="acc_first",
)


@pytest.mark.parametrize("voice", ["acc_subject", "acc_first"])
def test_neither_its_subject_nor_its_first_operator_is_the_second(voice: str) -> None:
    with pytest.raises(Refused) as refused:
        PROPOSAL.must_not_be_approved_by(voice)
    assert refused.value.reason is Reason.NOT_PERMITTED
    PROPOSAL.must_not_be_approved_by("acc_other")
