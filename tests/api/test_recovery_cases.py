"""A recovery case waits, every address can stop it, and nothing of it runs early (B37, M20)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api_deployment import Deployment, Owner, Reply
from leverlock.domain.recovery_case import LIVE, STEPS, CaseState, may_step
from leverlock.domain.roles import Role
from operators import (
    DAY_MS,
    HOUR_MS,
    approved,
    at_desk,
    cancel_link,
    client,
    messages,
    must_be_told,
    opened,
    operator,
    picture,
    signed_in,
    state,
    submitted,
    sweep,
    upload,
)


@pytest.fixture(scope="module")
def pair(deployment: Deployment) -> tuple[Owner, Owner]:
    return operator(deployment, Role.SUPPORT), operator(deployment, Role.SECURITY)


@pytest.fixture
def agents(pair: tuple[Owner, Owner]) -> tuple[Owner, Owner]:
    """Two agents, signed in just now."""
    return signed_in(pair[0]), signed_in(pair[1])


@pytest.fixture(autouse=True)
def trail(deployment: Deployment) -> Iterator[None]:
    """After every test: whoever had a case, or was an agent, has a trail that tells all of it."""
    yield
    accounts = deployment.rows("SELECT account_id FROM recovery_case UNION SELECT account_id FROM operator")
    for (account_id,) in accounts[-6:]:
        must_be_told(deployment, account_id)


def stop(deployment: Deployment, link: str) -> Reply:
    return deployment.api.call("POST", "/v1/cancellations", {"token": link})


def in_state(owner: Owner, wanted: str, agents: tuple[Owner, Owner]) -> str:
    """A case of this owner in this state."""
    if wanted == "opened":
        return opened(owner)
    case = submitted(owner)
    steps: dict[str, Callable[[], Any]] = {
        "submitted": lambda: None,
        "approved_once": lambda: approved(owner, case, agents[0]),
        "waiting": lambda: approved(owner, case, agents[1]),
        "ready": lambda: (owner.deployment.clock.advance(DAY_MS), sweep(owner.deployment)),
    }
    for reached, step in steps.items():
        step()
        if reached == wanted:
            break
    assert state(owner, case) == wanted
    return case


def test_the_machine_has_its_ends_and_no_way_out_of_them() -> None:
    ends = {CaseState.CANCELLED, CaseState.REFUSED, CaseState.EXPIRED}
    assert set(STEPS) == set(CaseState)
    assert all(not STEPS[end] for end in ends)
    assert all(may_step(each, CaseState.CANCELLED) for each in (*LIVE, CaseState.USED))
    # The link is the only way to USED, and the day the only way to the link.
    assert [each for each in CaseState if may_step(each, CaseState.USED)] == [CaseState.READY]
    assert [each for each in CaseState if may_step(each, CaseState.READY)] == [CaseState.WAITING]
    assert [each for each in CaseState if may_step(each, CaseState.WAITING)] == [CaseState.APPROVED_ONCE]


@pytest.mark.mission("M20")
@pytest.mark.bar("B37")
def test_from_the_first_word_to_the_link(deployment: Deployment, agents: tuple[Owner, Owner]) -> None:
    owner = client(deployment)
    case = submitted(owner)
    seen = agents[0].call("GET", "/v1/operator/cases?state=submitted").json["cases"]
    assert case in [one["id"] for one in seen]
    assert approved(owner, case, *agents).json["state"] == "waiting"
    shown = owner.call("GET", f"/v1/recovery-cases/{case}").json
    assert shown["ready_at"] == deployment.clock.now_ms() + DAY_MS
    assert [step["path"] for step in shown["next"]] == [f"/v1/recovery-cases/{case}"]

    deployment.clock.advance(DAY_MS)
    sweep(deployment)
    kinds = [message["type"] for message in messages(deployment, owner.account_id)]
    for step in ("opened", "submitted", "approved", "ready", "link"):
        assert kinds.count(f"recovery_case.{step}") == 2, step  # both addresses
    for message in messages(deployment, owner.account_id):
        if message["type"] in ("recovery_case.opened", "recovery_case.approved", "recovery_case.ready"):
            assert message["cancel"].startswith(owner.account_id)
    links = {message["link"] for message in messages(deployment, owner.account_id, "recovery_case.link")}
    assert len(links) == 1
    # The token itself stands nowhere: not in the outbox, not in the case, not in the trail.
    (token,) = links
    rows = deployment.rows("SELECT * FROM outbox") + deployment.rows("SELECT * FROM recovery_case")
    secret = token.rsplit(".", 1)[1]
    assert secret not in str(rows)
    assert bytes.fromhex(secret) not in deployment.path.read_bytes()
    assert secret not in str(owner.events())


@pytest.mark.bar("B37")
@pytest.mark.parametrize("wanted", sorted(state.value for state in LIVE))
def test_the_link_in_the_notice_stops_a_case_whatever_its_state(
    deployment: Deployment, agents: tuple[Owner, Owner], wanted: str
) -> None:
    owner = client(deployment)
    case = in_state(owner, wanted, agents)
    link = cancel_link(deployment, owner.account_id)
    agents = signed_in(agents[0]), signed_in(agents[1])
    assert stop(deployment, link).status == 204
    assert state(owner, case) == "cancelled"
    after = len(owner.events())
    assert stop(deployment, link).status == 204  # twice is once
    assert len(owner.events()) == after
    # Final: nothing brings it on, whoever calls and however long he waits.
    deployment.clock.advance(2 * DAY_MS)
    sweep(deployment)
    agents = signed_in(agents[0]), signed_in(agents[1])
    for agent in agents:
        for tail in ("/approval", "/link"):
            assert agent.call("POST", at_desk(owner, case) + tail).problem == "case-state"
        assert agent.call("POST", at_desk(owner, case) + "/refusal", {"reason": "x"}).problem == "case-state"
    assert state(owner, case) == "cancelled"
    assert owner.sign_in().call("POST", f"/v1/recovery-cases/{case}/submission").problem == "case-state"
    assert upload(owner, f"/v1/recovery-cases/{case}", picture()).problem == "case-state"


@pytest.mark.bar("B37")
def test_nothing_runs_early_however_it_is_tried(deployment: Deployment, agents: tuple[Owner, Owner]) -> None:
    owner = client(deployment)
    case = in_state(owner, "waiting", agents)
    path = at_desk(owner, case)
    headers: list[tuple[str, str | bytes]] = [("X-Test-Now", "9999999999999"), ("Date", "Fri, 31 Dec 2099 00:00 GMT")]
    ready_at = agents[0].call("GET", path).json["ready_at"]
    for before in (23 * HOUR_MS, 12 * HOUR_MS, HOUR_MS, 5 * 60_000):
        deployment.clock.advance(ready_at - before - deployment.clock.now_ms())
        people = signed_in(agents[0]), signed_in(agents[1])
        if before < HOUR_MS:
            deployment.clock.advance(ready_at - 1 - deployment.clock.now_ms())
        for agent in (*people, *people):
            assert agent.call("POST", path + "/link", headers=headers).problem == "case-state"
            assert agent.call("POST", path + "/approval").problem == "case-state"
        sweep(deployment)
        assert state(owner, case) == "waiting"
    assert messages(deployment, owner.account_id, "recovery_case.link") == []


@pytest.mark.bar("B37")
def test_a_clock_that_ran_back_brings_nothing_on(deployment: Deployment, agents: tuple[Owner, Owner]) -> None:
    owner = client(deployment)
    case = in_state(owner, "waiting", agents)
    deployment.clock.advance(-10 * 60_000)
    try:
        for tail in ("/link", "/approval"):
            assert agents[0].call("POST", at_desk(owner, case) + tail).problem == "clock-behind"
    finally:
        deployment.clock.advance(10 * 60_000)
    assert state(owner, case) == "waiting"


def test_a_link_runs_out_and_an_agent_sends_another(deployment: Deployment, agents: tuple[Owner, Owner]) -> None:
    owner = client(deployment)
    case = in_state(owner, "ready", agents)
    agent = signed_in(agents[0])
    sent = agent.call("POST", at_desk(owner, case) + "/link")
    assert sent.json == {"expires_at": deployment.clock.now_ms() + 10 * 60_000}
    links = [message["link"] for message in messages(deployment, owner.account_id, "recovery_case.link")]
    assert len(set(links)) == 2
    issued = [e["details"]["number"] for e in owner.events() if e["kind"] == "recovery_case.link_issued"]
    assert issued == [1, 2]
    deployment.clock.advance(7 * DAY_MS)
    agent = signed_in(agent)
    assert agent.call("POST", at_desk(owner, case) + "/link").problem == "case-state"  # the case's life is over
    sweep(deployment)
    assert state(owner, case) == "expired"


@pytest.mark.parametrize("wanted", ["opened", "submitted", "approved_once"])
def test_a_case_that_nobody_brings_on_runs_out(
    deployment: Deployment, agents: tuple[Owner, Owner], wanted: str
) -> None:
    owner = client(deployment)
    case = in_state(owner, wanted, agents)
    deployment.clock.advance(14 * DAY_MS)
    agent = signed_in(agents[1])
    assert agent.call("GET", at_desk(owner, case)).json["state"] == "expired"  # before anybody swept
    assert agent.call("POST", at_desk(owner, case) + "/approval").problem == "case-state"
    sweep(deployment)
    assert state(owner, case) == "expired"


def test_an_agent_refuses_and_the_owner_is_told_why(deployment: Deployment, agents: tuple[Owner, Owner]) -> None:
    owner = client(deployment)
    case = in_state(owner, "approved_once", agents)
    done = agents[1].call("POST", at_desk(owner, case) + "/refusal", {"reason": "The face is another one."})
    assert (done.json["state"], done.json["closed_because"]) == ("refused", "The face is another one.")
    assert [m["type"] for m in messages(deployment, owner.account_id)].count("recovery_case.refused") == 2


def test_what_can_be_lost_is_what_is_on(deployment: Deployment) -> None:
    owner = client(deployment)
    for environments in (["spot"], ["futures", "login"]):
        refused = owner.call("POST", "/v1/recovery-cases", {"environments": environments, "statement": "x"})
        assert refused.problem == "conflict"
        assert "cannot be lost" in refused.json["detail"]
    shown = owner.call("GET", "/v1/recovery-cases").json
    assert (shown["cases"], [step["path"] for step in shown["next"]]) == ([], ["/v1/recovery-cases"])


@pytest.mark.bar("B37")
def test_an_account_that_nobody_could_be_told_of_has_no_case(deployment: Deployment) -> None:
    owner = deployment.owner()
    body = {"environments": ["futures"], "statement": "x"}
    assert owner.call("POST", "/v1/recovery-cases", body).problem == "no-notice-address"


def test_one_case_at_a_time_and_three_in_a_week(deployment: Deployment) -> None:
    owner = client(deployment)
    body = {"environments": ["futures"], "statement": "x"}
    for _ in range(3):
        case = opened(owner)
        assert owner.call("POST", "/v1/recovery-cases", body).problem == (
            "conflict" if len(owner.call("GET", "/v1/recovery-cases").json["cases"]) < 3 else "too-many-cases"
        )
        assert owner.call("DELETE", f"/v1/recovery-cases/{case}").json["state"] == "cancelled"
    refused = owner.call("POST", "/v1/recovery-cases", body)
    assert refused.problem == "too-many-cases"
    assert 0 < refused.json["retry_after"] <= 7 * DAY_MS // 1000


def test_another_accounts_case_is_unknown(deployment: Deployment) -> None:
    owner, other = client(deployment), client(deployment)
    case = opened(owner)
    assert other.call("GET", f"/v1/recovery-cases/{case}").problem == "unknown-id"
    assert other.call("DELETE", f"/v1/recovery-cases/{case}").problem == "unknown-id"
    assert other.call("POST", f"/v1/recovery-cases/{case}/submission").problem == "unknown-id"
    assert upload(other, f"/v1/recovery-cases/{case}", picture()).problem == "unknown-id"


# -- races -----------------------------------------------------------------------------------------------------------
def raced(calls: list[Callable[[], Reply]]) -> list[Reply]:
    """All of these at once; their answers in order."""
    gate = threading.Barrier(len(calls))
    answers: list[Reply | None] = [None] * len(calls)

    def run(number: int) -> None:
        gate.wait()
        answers[number] = calls[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [answer for answer in answers if answer is not None]


@pytest.fixture(scope="module")
def crowd(deployment: Deployment) -> list[Owner]:
    return [operator(deployment, Role.SUPPORT) for _ in range(4)]


@pytest.mark.bar("B36")
def test_of_many_approvals_at_once_two_count(deployment: Deployment, crowd: list[Owner]) -> None:
    """Each agent sends his own approval four times, all at the same moment."""
    for _ in range(3):
        people = [signed_in(one) for one in crowd]
        owner = client(deployment)
        case = submitted(owner)
        path = at_desk(owner, case) + "/approval"
        answers = raced([lambda one=one: one.call("POST", path) for one in people * 4])  # type: ignore[misc]
        assert sorted(answer.status for answer in answers)[:2] == [200, 200]
        assert [answer.status for answer in answers].count(200) == 2
        told = [e["principal"] for e in owner.events() if e["kind"] == "recovery_case.approved"]
        assert len(set(told)) == 2


@pytest.mark.bar("B37")
def test_a_cancel_wins_over_every_approval_that_races_with_it(deployment: Deployment, crowd: list[Owner]) -> None:
    for rounds in range(6):
        people = [signed_in(one) for one in crowd]
        owner = client(deployment)
        case = submitted(owner)
        approved(owner, case, people[0])
        link = cancel_link(deployment, owner.account_id)
        path = at_desk(owner, case) + "/approval"
        calls: list[Callable[[], Reply]] = [lambda one=one: one.call("POST", path) for one in people[1:]]  # type: ignore[misc]
        calls.insert(rounds % len(calls), lambda: stop(deployment, link))
        answers = raced(calls)
        assert 204 in [answer.status for answer in answers]
        assert state(owner, case) == "cancelled"
        deployment.clock.advance(DAY_MS)
        sweep(deployment)
        assert messages(deployment, owner.account_id, "recovery_case.link") == []
