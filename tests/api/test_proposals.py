"""What two operators decide: a looser policy, a further operator, another role (semantics 9)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from api_deployment import POLICIES, Deployment, Owner, Reply
from leverlock.app.accounts import lock
from leverlock.app.operators import approve_by_machine, create_operator, propose_by_machine
from leverlock.app.policies import adopt
from leverlock.domain.errors import Reason, Refused
from leverlock.domain.policy_file import load_policy
from leverlock.domain.roles import Role
from operators import DAY_MS, client, messages, must_be_told, operator, signed_in, sweep
from trail_state import rebuilt

LITERAL = (POLICIES / "literal.toml").read_text()
TRADER = (POLICIES / "trader.toml").read_text()
STRICTER = LITERAL.replace("above = 50 }", "above = 40 }")
LOOSER = LITERAL.replace("above = 50 }", "above = 60 }")
BY = "command:root"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment of its own: policies and operators belong to all of it."""
    running = Deployment(tmp_path)
    running.now(lambda tx: adopt(tx, running.world, policy=running.policy, by="server:start"))
    try:
        yield running
        for (account_id,) in running.rows("SELECT account_id FROM account WHERE account_id <> 'system' LIMIT 8"):
            must_be_told(running, account_id)
        told = rebuilt(running.now(lambda tx: tx.events("system", after_seq=0, limit=1000))).desk.proposals
        assert told == dict(running.rows("SELECT proposal_id, state FROM proposal WHERE account_id = 'system'"))
    finally:
        running.close()


def proposed(person: Owner, text: str) -> Reply:
    return person.call("POST", "/v1/operator/policy", {"text": text})


def agreed(person: Owner, subject: str, proposal: str, tail: str = "approval") -> Reply:
    return person.call("POST", f"/v1/operator/accounts/{subject}/proposals/{proposal}/{tail}")


def in_force(deployment: Deployment) -> str:
    ((version,),) = deployment.rows("SELECT value FROM setting WHERE name = 'policy_version'")
    return str(version)


def version(text: str) -> str:
    return load_policy(text).version


# -- policies --------------------------------------------------------------------------------------------------------
def test_the_policies_of_these_tests_are_what_they_are_called() -> None:
    assert len({version(text) for text in (LITERAL, TRADER, STRICTER, LOOSER)}) == 4


def test_a_stricter_policy_is_in_force_at_once(fresh: Deployment) -> None:
    person = operator(fresh, Role.SECURITY)
    done = proposed(person, STRICTER)
    assert done.json == {"in_force": version(STRICTER)}
    assert in_force(fresh) == version(STRICTER)
    told = [e for e in system_events(fresh) if e["kind"] == "policy.loaded"][-1]
    assert (told["principal"], told["details"]["version"]) == (f"operator:{person.account_id}", version(STRICTER))


def system_events(deployment: Deployment) -> list[dict[str, object]]:
    import json

    rows = deployment.rows("SELECT body FROM audit_event WHERE account_id = 'system' ORDER BY seq")
    return [json.loads(row[0]) for row in rows]


@pytest.mark.mission("M20")
def test_a_looser_policy_needs_two_operators_and_a_day_and_its_owners_are_told(fresh: Deployment) -> None:
    first, second = operator(fresh, Role.SECURITY), operator(fresh, Role.ADMIN)
    trader, bystander = client(fresh), client(fresh, futures=False)
    outcome = proposed(first, LOOSER).json
    proposal = outcome["proposal"]
    assert outcome["in_force"] == version(LITERAL)
    assert (proposal["state"], proposal["voices"], proposal["account"]) == ("open", 1, "system")
    assert any("futures.order.place" in point for point in proposal["points"])

    assert agreed(first, "system", proposal["id"]).problem == "not-permitted"
    approved = agreed(second, "system", proposal["id"]).json
    assert (approved["state"], approved["voices"]) == ("approved", 2)
    assert approved["due_at"] == fresh.clock.now_ms() + DAY_MS
    assert agreed(second, "system", proposal["id"]).problem == "proposal-state"

    sweep(fresh)
    told = messages(fresh, trader.account_id, "policy.looser")
    assert len(told) == 2  # both addresses
    assert (told[0]["environments"], told[0]["takes_effect_at"]) == ("futures", approved["due_at"])
    assert "totp is no longer required" in told[0]["demands_less"]
    assert messages(fresh, bystander.account_id, "policy.looser") == []
    sweep(fresh)
    assert len(messages(fresh, trader.account_id, "policy.looser")) == 2  # once

    fresh.clock.advance(DAY_MS - 1)
    sweep(fresh)
    assert in_force(fresh) == version(LITERAL)
    ready = fresh.api.call("GET", "/readyz").json
    assert ready["waiting"] == f"policy {version(LOOSER)} demands less and is approved; it waits for its day"
    fresh.clock.advance(1)
    sweep(fresh)
    assert in_force(fresh) == version(LOOSER)
    kinds = [event["kind"] for event in system_events(fresh)]
    assert kinds[-2:] == ["proposal.done", "policy.loaded"]


@pytest.mark.parametrize("stage", ["open", "approved"])
def test_one_operator_suffices_to_stop_it(fresh: Deployment, stage: str) -> None:
    first, second = operator(fresh, Role.SECURITY), operator(fresh, Role.ADMIN)
    proposal = proposed(first, LOOSER).json["proposal"]["id"]
    if stage == "approved":
        agreed(second, "system", proposal)
    assert agreed(first, "system", proposal, "refusal").json["state"] == "refused"
    fresh.clock.advance(2 * DAY_MS)
    sweep(fresh)
    assert in_force(fresh) == version(LITERAL)
    assert agreed(signed_in(second), "system", proposal).problem == "proposal-state"
    assert agreed(second, "system", proposal, "refusal").problem == "proposal-state"


def test_a_policy_that_takes_its_place_first_makes_an_approval_void(fresh: Deployment) -> None:
    """What was approved was a change of the policy then in force, and of no other."""
    first, second = operator(fresh, Role.SECURITY), operator(fresh, Role.ADMIN)
    proposal = proposed(first, LOOSER).json["proposal"]["id"]
    agreed(second, "system", proposal)
    assert proposed(second, STRICTER).json == {"in_force": version(STRICTER)}
    fresh.clock.advance(2 * DAY_MS)
    sweep(fresh)
    assert in_force(fresh) == version(STRICTER)
    states = fresh.rows("SELECT state FROM proposal WHERE proposal_id = ?", (proposal,))
    assert states == [("superseded",)]


def test_a_second_proposal_waits_until_the_first_is_decided(fresh: Deployment) -> None:
    first, second = operator(fresh, Role.SECURITY), operator(fresh, Role.ADMIN)
    proposed(first, LOOSER)
    assert proposed(second, TRADER).problem == "conflict"
    fresh.clock.advance(7 * DAY_MS)  # nobody decided: it has run out
    second = signed_in(second)
    again = proposed(second, TRADER)
    assert again.json["proposal"]["version"] == version(TRADER)
    assert fresh.rows("SELECT state FROM proposal ORDER BY proposed_at") == [("expired",), ("open",)]


@pytest.mark.parametrize(
    "text",
    ["", "name =", 'name = "x"', LITERAL + '\n[[rule]]\nname = "a"', LITERAL.replace("futures.order.place", "x.y")],
)
def test_a_text_that_is_no_policy_is_refused_with_its_line(fresh: Deployment, text: str) -> None:
    person = operator(fresh, Role.SECURITY)
    before = fresh.digest()
    refused = proposed(person, text)
    assert refused.problem in ("policy-refused", "malformed")
    assert refused.json["field"] == "$.text"
    if text:
        assert "line" in refused.json["detail"]
    assert fresh.digest() == before


def test_what_no_operator_proposed_needs_two_who_approve(fresh: Deployment) -> None:
    """The server found a looser policy on file: it keeps the one in force and waits for two."""
    looser = load_policy(LOOSER)
    adopted = fresh.now(lambda tx: adopt(tx, fresh.world, policy=looser, by="server:start"))
    assert adopted.kept.version == in_force(fresh) == version(LITERAL)
    again = fresh.now(lambda tx: adopt(tx, fresh.world, policy=looser, by="server:start"))
    assert again.proposal == adopted.proposal  # a restart proposes nothing twice
    one, two = operator(fresh, Role.SECURITY), operator(fresh, Role.ADMIN)
    (shown,) = one.call("GET", "/v1/operator/proposals").json["proposals"]
    assert (shown["proposed_by"], shown["voices"]) == ("server:start", 0)
    assert agreed(one, "system", shown["id"]).json["state"] == "open"
    assert agreed(one, "system", shown["id"]).problem == "not-permitted"
    assert agreed(two, "system", shown["id"]).json["state"] == "approved"


def test_the_first_policy_is_free_and_the_next_one_is_compared_with_its_text(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    try:
        deployment.now(lambda tx: tx.set_setting("policy_version", ""))
        with_sql(deployment, "DELETE FROM setting WHERE name = 'policy_version'")
        trader, literal = load_policy(TRADER), load_policy(LITERAL)
        assert deployment.now(lambda tx: adopt(tx, deployment.world, policy=trader, by="s")).replaced == ""
        assert deployment.now(lambda tx: adopt(tx, deployment.world, policy=literal, by="s")).replaced == version(
            TRADER
        )
        kept = deployment.now(lambda tx: adopt(tx, deployment.world, policy=trader, by="s"))
        assert (kept.replaced, kept.kept) == (None, literal)
        assert in_force(deployment) == version(LITERAL)
    finally:
        deployment.close()


def with_sql(deployment: Deployment, sql: str) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(deployment.path, timeout=10)) as raw, raw:
        raw.execute(sql)


# -- operators -------------------------------------------------------------------------------------------------------
def machine(deployment: Deployment, login: str, role: Role) -> tuple[str, object]:
    made: tuple[str, object] = deployment.now(
        lambda tx: create_operator(
            tx, deployment.world, login=login, password_hash=deployment.password_hash, role=role, by=BY
        )
    )
    return made


def role_of(deployment: Deployment, account_id: str) -> str:
    found = deployment.rows("SELECT role FROM operator WHERE account_id = ?", (account_id,))
    return str(found[0][0]) if found else ""


@pytest.mark.bar("B61")
def test_there_is_no_operator_until_the_machine_made_one_who_decides(fresh: Deployment) -> None:
    assert fresh.rows("SELECT count(*) FROM operator") == [(0,)]
    for role in (Role.SUPPORT, Role.SECURITY):
        with pytest.raises(Refused) as refused:
            machine(fresh, "sam", role)
        assert refused.value.reason is Reason.MALFORMED
    assert fresh.rows("SELECT count(*) FROM operator") == [(0,)]
    assert fresh.rows("SELECT count(*) FROM account WHERE login = 'sam'") == [(0,)]
    account_id, proposal = machine(fresh, "ada", Role.ADMIN)
    assert (role_of(fresh, account_id), proposal) == ("admin", None)


@pytest.mark.bar("B61")
def test_the_machine_stands_in_while_there_are_fewer_than_two_who_decide(fresh: Deployment) -> None:
    ada = operator(fresh, Role.ADMIN)
    grace, proposal = machine(fresh, "grace", Role.ADMIN)
    assert (role_of(fresh, grace), proposal is None) == ("", False)  # ada has to agree
    assert agreed(ada, grace, proposal.proposal_id).json["state"] == "done"  # type: ignore[attr-defined]
    assert role_of(fresh, grace) == "admin"
    # Now there are two, and the machine decides nothing any more.
    for login, role in (("eve", Role.ADMIN), ("mallory", Role.SUPPORT)):
        with pytest.raises(Refused) as refused:
            machine(fresh, login, role)
        assert refused.value.reason is Reason.NOT_PERMITTED
    assert fresh.rows("SELECT count(*) FROM account WHERE login IN ('eve', 'mallory')") == [(0,)]
    # Where one of them is locked there are fewer than two again.
    waiting = ada.call("POST", f"/v1/operator/accounts/{fresh.owner().account_id}/role", {"role": "support"}).json
    with pytest.raises(Refused):
        fresh.now(
            lambda tx: approve_by_machine(
                tx, fresh.world, account_id=waiting["account"], proposal_id=waiting["id"], by=BY
            )
        )
    fresh.now(lambda tx: lock(tx, fresh.world, account_id=grace, by=BY))
    done = fresh.now(
        lambda tx: approve_by_machine(tx, fresh.world, account_id=waiting["account"], proposal_id=waiting["id"], by=BY)
    )
    assert (done.state.value, role_of(fresh, waiting["account"])) == ("done", "support")


def test_a_further_operator_needs_two_different_ones(fresh: Deployment) -> None:
    ada, grace, sam = operator(fresh, Role.ADMIN), operator(fresh, Role.ADMIN), operator(fresh, Role.SECURITY)
    new = client(fresh)
    path = f"/v1/operator/accounts/{new.account_id}/role"
    proposal = ada.call("POST", path, {"role": "support"}).json
    assert proposal["points"] == [f"{new.login}: no role becomes support"]
    assert agreed(ada, new.account_id, proposal["id"]).problem == "not-permitted"
    assert agreed(sam, new.account_id, proposal["id"]).problem == "not-permitted"  # his role decides about no operator
    assert role_of(fresh, new.account_id) == ""
    assert agreed(grace, new.account_id, proposal["id"]).json["state"] == "done"
    assert role_of(fresh, new.account_id) == "support"
    changed = [e for e in new.events() if e["kind"] == "operator.role_changed"]
    assert changed[0]["details"]["decided_by"] == [ada.account_id, grace.account_id]
    assert {m["type"] for m in messages(fresh, new.account_id)} >= {"operator.role_changed"}


def test_nobody_decides_about_his_own_role(fresh: Deployment) -> None:
    ada, grace, joan = (operator(fresh, Role.ADMIN) for _ in range(3))
    mine = f"/v1/operator/accounts/{ada.account_id}/role"
    proposal = ada.call("POST", mine, {"role": "support"}).json
    assert proposal["voices"] == 0  # who proposes it about himself is neither of the two
    assert agreed(ada, ada.account_id, proposal["id"]).problem == "not-permitted"
    assert agreed(grace, ada.account_id, proposal["id"]).json["state"] == "open"
    assert agreed(grace, ada.account_id, proposal["id"]).problem == "not-permitted"
    assert agreed(joan, ada.account_id, proposal["id"]).json["state"] == "done"
    assert role_of(fresh, ada.account_id) == "support"
    against = joan.call("POST", f"/v1/operator/accounts/{grace.account_id}/role", {"role": None}).json
    assert agreed(grace, grace.account_id, against["id"], "refusal").problem == "not-permitted"


@pytest.mark.parametrize("body", [{}, {"role": "king"}, {"role": ""}, {"role": 1}, {"role": "admin", "by": "me"}, []])
def test_a_role_that_is_none_is_refused(fresh: Deployment, body: object) -> None:
    ada = operator(fresh, Role.ADMIN)
    new = fresh.owner()
    before = fresh.digest()
    assert ada.call("POST", f"/v1/operator/accounts/{new.account_id}/role", body).problem == "malformed"
    assert fresh.digest() == before


def test_the_machine_proposes_for_an_account_that_is_there(fresh: Deployment) -> None:
    account = fresh.owner().account_id
    done = fresh.now(lambda tx: propose_by_machine(tx, fresh.world, account_id=account, role=Role.ADMIN, by=BY))
    assert (done, role_of(fresh, account)) == (None, "admin")
    with pytest.raises(Refused) as refused:
        fresh.now(lambda tx: propose_by_machine(tx, fresh.world, account_id=account, role=Role.ADMIN, by=BY))
    assert refused.value.reason is Reason.CONFLICT
