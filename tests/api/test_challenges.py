"""Challenges and grants over HTTP: what a code approves, for whom, how often, and what ends an approval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from api_deployment import PASSWORD, Deployment, Owner, Reply, order
from leverlock.app import prove


def grant_of(reply: Reply) -> str:
    assert reply.status == 200, reply
    return str(reply.json["approved"][0]["grant"])


def state_of(owner: Owner, challenge: str) -> str:
    return str(owner.call("GET", f"/v1/challenges/{challenge}").json["state"])


@pytest.mark.bar("B44")
def test_a_grant_serves_its_asker_once_and_soon(deployment: Deployment) -> None:
    owner, venue, other = deployment.owner(), deployment.integrator(), deployment.integrator()
    ask = {"account": owner.account_id, **order()}
    challenge = deployment.api.call("POST", "/v1/authorize", ask, token=venue).json["challenge"]["id"]
    owner.prove(challenge)
    granted = deployment.api.call("POST", "/v1/authorize", ask, token=venue).json
    assert granted["grant_expires_at"] <= deployment.clock.now_ms() + 60_000
    redemption = {**ask, "grant": granted["grant"]}

    # Shown to the asker as often as he looks, always the same one; to nobody else.
    path = f"/v1/challenges/{challenge}"
    seen = deployment.api.call("GET", f"{path}?account={owner.account_id}", token=venue).json
    assert seen["grant"] == granted["grant"]
    assert "grant" not in owner.call("GET", path).json

    assert deployment.api.call("POST", "/v1/redeem", redemption, token=other).problem == "unknown-id"
    assert owner.call("POST", "/v1/redeem", redemption).problem == "unknown-id"
    assert deployment.api.call("POST", "/v1/redeem", redemption, token=venue).status == 200
    assert deployment.api.call("POST", "/v1/redeem", redemption, token=venue).problem == "grant-spent"

    deployment.clock.next_step()
    late = owner.challenged("2")["id"]
    grant = grant_of(owner.prove(late))
    deployment.clock.advance(deployment.limits.grant_life_ms)
    assert owner.call("POST", "/v1/redeem", {**order("2"), "grant": grant}).problem == "grant-expired"
    assert state_of(owner, late) == "expired"


@pytest.mark.bar("B42")
@pytest.mark.parametrize(
    "changed",
    [
        {"quantity": "2"}, {"symbol": "ETHUSDT"}, {"side": "SELL"}, {"type": "LIMIT"}, {"price": "1"},
        {"reduce_only": True}, {"position_side": "LONG"}, {"time_in_force": "IOC"},
    ],
    ids=lambda changed: next(iter(changed)),
)  # fmt: skip
def test_a_grant_with_another_action_is_void_from_then_on(deployment: Deployment, changed: dict[str, Any]) -> None:
    owner = deployment.owner()
    challenge = owner.challenged()["id"]
    grant = grant_of(owner.prove(challenge))
    refused = owner.call("POST", "/v1/redeem", {**order(**changed), "grant": grant})
    assert (refused.status, refused.problem) == (409, "action-mismatch")
    assert state_of(owner, challenge) == "cancelled"
    assert owner.events()[-1]["kind"] == "challenge.cancelled"
    assert owner.events()[-1]["details"]["because"] == "action_mismatch"
    assert owner.call("POST", "/v1/redeem", {**order(), "grant": grant}).problem == "not-approved"


@pytest.mark.bar("B42")
def test_another_target_is_another_action_and_a_client_order_id_is_not(deployment: Deployment) -> None:
    owner = deployment.owner()
    grant = grant_of(owner.prove(owner.challenged(client_order_id="a")["id"]))
    kept = owner.call("POST", "/v1/redeem", {**order(client_order_id="b"), "grant": grant})
    assert kept.status == 200, kept
    deployment.clock.next_step()
    grant = grant_of(owner.prove(owner.challenged()["id"]))
    moved = owner.call("POST", "/v1/redeem", {**order(), "target": "elsewhere", "grant": grant})
    assert moved.problem == "action-mismatch"


def test_changed_facts_void_an_approval_and_unknown_ones_leave_it(deployment: Deployment) -> None:
    owner = deployment.owner()
    challenge = owner.challenged()["id"]
    grant = grant_of(owner.prove(challenge))
    assert owner.call("POST", "/v1/redeem", {**order(leverage=None), "grant": grant}).problem == "facts-unknown"
    assert state_of(owner, challenge) == "approved"
    assert owner.call("POST", "/v1/redeem", {**order(leverage=100), "grant": grant}).problem == "facts-changed"
    assert state_of(owner, challenge) == "cancelled"


def denied(owner: Owner, challenge: str) -> Any:
    return owner.call("POST", f"/v1/challenges/{challenge}/denial", {"reason": "changed_mind"})


def test_what_the_owner_refused_is_a_problem_of_its_own(deployment: Deployment) -> None:
    owner, venue = deployment.owner(), deployment.integrator()
    ask = {"account": owner.account_id, **order()}
    challenge = deployment.api.call("POST", "/v1/authorize", ask, token=venue).json["challenge"]["id"]
    assert denied(owner, challenge).status == 204
    again = deployment.api.call("POST", "/v1/authorize", ask, token=venue)
    assert (again.status, again.problem) == (403, "denied")
    assert 0 < int(again.headers["retry-after"]) <= 300
    deployment.clock.advance(deployment.limits.challenge_life_ms)
    assert deployment.api.call("POST", "/v1/authorize", ask, token=venue).problem == "step-up-required"


def cancelled(owner: Owner, challenge: str) -> Any:
    return owner.call("DELETE", f"/v1/challenges/{challenge}")


def proved(owner: Owner, challenge: str) -> Any:
    owner.deployment.clock.next_step()
    return owner.prove(challenge)


def redeemed(owner: Owner, challenge: str) -> Any:
    """With the grant this challenge has, had, or would have had."""
    stored = owner.deployment.now(lambda tx: tx.challenge(owner.account_id, challenge))
    grant = prove.grant_of(owner.deployment.world, stored)
    return owner.call("POST", "/v1/redeem", {**order(), "grant": grant})


def failed(owner: Owner, challenge: str) -> Any:
    for _ in range(owner.deployment.limits.challenge_wrong_answers):
        owner.prove(challenge, owner.wrong_code())
    owner.deployment.clock.advance(owner.deployment.limits.factor_block_ms)
    return None


def expired(owner: Owner, challenge: str) -> Any:
    owner.deployment.clock.advance(owner.deployment.limits.challenge_life_ms)
    return None


Verb = Callable[[Owner, str], Any]
REACH: dict[str, tuple[Verb, ...]] = {
    "approved": (proved,),
    "consumed": (proved, redeemed),
    "denied": (denied,),
    "cancelled": (cancelled,),
    "failed": (failed,),
    "expired": (expired,),
}
# What is still open in a state: verb -> the state after it.
OPEN: dict[str, dict[str, str]] = {"approved": {"redeemed": "consumed", "cancelled": "cancelled"}}


@pytest.mark.bar("B46")
@pytest.mark.parametrize("state", REACH)
@pytest.mark.parametrize("verb", [proved, denied, cancelled, redeemed], ids=lambda verb: verb.__name__)
def test_out_of_order_calls_are_refused_and_change_nothing(deployment: Deployment, state: str, verb: Verb) -> None:
    owner = deployment.owner()
    challenge = owner.challenged()["id"]
    for step in REACH[state]:
        step(owner, challenge)
    assert state_of(owner, challenge) == state
    reply = verb(owner, challenge)
    after = OPEN.get(state, {}).get(verb.__name__)
    if after is not None:
        assert reply.status in (200, 204)
        assert state_of(owner, challenge) == after
        return
    known = verb is not redeemed or state in ("approved", "consumed")  # what was never approved has no grant
    assert reply.status == (409 if known else 404), reply
    assert state_of(owner, challenge) == state


@pytest.mark.bar("B48")
def test_the_fifth_wrong_answer_kills_the_challenge_and_the_account_remembers(deployment: Deployment) -> None:
    owner = deployment.owner()
    challenge = owner.challenged()["id"]
    for left in (4, 3, 2, 1, 0):
        assert owner.prove(challenge, owner.wrong_code()).problem == "wrong-code"
        assert owner.call("GET", f"/v1/challenges/{challenge}").json["attempts_left"] == left
    assert state_of(owner, challenge) == "failed"
    deployment.clock.advance(deployment.limits.factor_block_ms)
    assert owner.prove(challenge).problem == "challenge-failed"
    assert owner.counters()[0] == 5


@pytest.mark.bar("B9")
def test_a_code_of_another_environment_serves_nowhere_and_charges_only_the_asked_factor(
    deployment: Deployment,
) -> None:
    owner = deployment.owner()
    owner.enable("spot")
    owner.enable("margin")
    before = owner.counters()[1]
    for count, other in enumerate(("spot", "margin"), start=1):
        assert owner.prove(owner.challenged()["id"], owner.code(other)).problem == "wrong-code"
        after = owner.counters()[1]
        assert after["futures"] == (count, before["futures"][1])
        assert after["spot"] == before["spot"]
        assert after["margin"] == before["margin"]
    # The code that was tried in vain is still good where it belongs.
    replacing = owner.call("POST", "/v1/environments/spot/authenticators").json["challenge"]
    assert replacing["environment"] == "spot"
    for market in ("margin", "futures"):
        body = {"code": owner.code(market), "password": PASSWORD}
        assert owner.call("POST", f"/v1/challenges/{replacing['id']}/proof", body).problem == "wrong-code"
    body = {"code": owner.code("spot"), "password": PASSWORD}
    assert owner.call("POST", f"/v1/challenges/{replacing['id']}/proof", body).status == 200


@pytest.mark.bar("B10")
def test_a_stolen_session_cannot_rebind_and_the_old_app_goes_on(deployment: Deployment) -> None:
    owner = deployment.owner()
    stopped = owner.call("POST", "/v1/environments/futures/authenticators")
    assert (stopped.status, stopped.problem) == (401, "step-up-required")
    challenge = stopped.json["challenge"]["id"]
    body = {"code": owner.wrong_code(), "password": PASSWORD}
    assert owner.call("POST", f"/v1/challenges/{challenge}/proof", body).problem == "wrong-code"
    assert owner.prove(owner.challenged()["id"]).status == 200  # the owner's app still answers

    deployment.clock.next_step()
    body = {"code": owner.code(), "password": PASSWORD}
    assert owner.call("POST", f"/v1/challenges/{challenge}/proof", body).status == 200
    started = owner.call("POST", "/v1/environments/futures/authenticators")
    assert started.status == 201
    # The old secret serves until the new one is confirmed, and the new one is this session's alone.
    deployment.clock.next_step()
    assert owner.prove(owner.challenged("2")["id"]).status == 200
    path = f"/v1/environments/futures/authenticators/{started.json['authenticator']}/confirmation"
    deployment.clock.next_step()
    assert owner.again().call("POST", path, {"code": "123456"}).problem == "unknown-id"
    deployment.clock.advance(deployment.limits.pending_enrolment_ms)
    assert owner.call("POST", path, {"code": "123456"}).problem == "enrolment-expired"


@pytest.mark.bar("B7")
def test_the_code_that_confirmed_an_app_approves_nothing(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    deployment.clock.next_step()
    owner.enable()  # ends one step later: step back to the code that was used
    used = owner.code(ahead=-1)
    assert owner.prove(owner.challenged()["id"], used).problem == "code-already-used"


@pytest.mark.bar("B50")
def test_what_logged_in_cannot_approve(deployment: Deployment) -> None:
    owner = deployment.owner()
    stopped = owner.call("POST", "/v1/environments/login/authenticators")
    body = {"code": owner.code(), "password": PASSWORD}
    owner.call("POST", f"/v1/challenges/{stopped.json['challenge']['id']}/proof", body)
    owner.enable("login")
    session = owner.again()
    code = session.code("login")
    assert session.call("POST", "/v1/sessions/current/login-challenge", {"code": code}).status == 200
    assert session.prove(session.challenged()["id"], code).problem == "wrong-code"
    replacing = session.call("POST", "/v1/environments/login/authenticators").json["challenge"]["id"]
    used = session.call("POST", f"/v1/challenges/{replacing}/proof", {"code": code, "password": PASSWORD})
    assert used.problem == "code-already-used"


@pytest.mark.bar("B76")
@pytest.mark.bar("B77")
def test_five_sessions_and_every_endpoint_share_one_budget(deployment: Deployment) -> None:
    owner = deployment.owner()
    owner.call("POST", "/v1/environments/spot/authenticators")
    sessions = [owner.again() for _ in range(5)]
    evaluated = 0
    for n in range(10):
        session = sessions[n % 5]
        challenge = session.challenged(str(n + 1))["id"]
        if n % 2:
            reply = session.prove(challenge, session.wrong_code())
        else:
            reply = session.call("POST", "/v1/proofs", {"challenges": [challenge], "code": session.wrong_code()})
        evaluated += reply.problem == "wrong-code"
        session.call("DELETE", f"/v1/challenges/{challenge}")
    assert evaluated == deployment.limits.factor_block_after == 5
    assert owner.counters()[0] == 5
    blocked = owner.prove(owner.challenged("11")["id"])
    assert (blocked.status, blocked.problem) == (429, "factor-blocked")
    assert 0 < int(blocked.headers["retry-after"]) <= 30


@pytest.mark.bar("B77")
def test_login_enrolment_and_approval_charge_the_same_account(deployment: Deployment) -> None:
    owner = deployment.owner()
    stopped = owner.call("POST", "/v1/environments/login/authenticators")
    body = {"code": owner.code(), "password": PASSWORD}
    owner.call("POST", f"/v1/challenges/{stopped.json['challenge']['id']}/proof", body)
    owner.enable("login")
    started = owner.call("POST", "/v1/environments/spot/authenticators").json["authenticator"]
    confirm = f"/v1/environments/spot/authenticators/{started}/confirmation"
    half = owner.again()
    challenge = owner.challenged()["id"]
    for count, reply in enumerate(
        (
            half.call("POST", "/v1/sessions/current/login-challenge", {"code": half.wrong_code("login")}),
            owner.call("POST", confirm, {"code": "000000"}),
            owner.prove(challenge, owner.wrong_code()),
        ),
        start=1,
    ):
        assert reply.problem == "wrong-code", (count, reply)
    assert owner.counters()[0] == 3


@pytest.mark.bar("B81")
def test_the_owner_opens_and_answers_his_own_whatever_others_asked(deployment: Deployment) -> None:
    owner, limits = deployment.owner(), deployment.limits
    asked = []
    for venue in [deployment.integrator() for _ in range(3)]:
        for n in range(limits.key_live_challenges + 1):
            body = {"account": owner.account_id, **order(str(n + 1))}
            reply = deployment.api.call("POST", "/v1/authorize", body, token=venue)
            asked.append((reply.status, reply.problem))
        assert asked[-1] == (429, "too-many-challenges")
    waiting = asked.count((401, "step-up-required"))
    assert waiting == limits.environment_live_challenges - limits.environment_slots_for_owner
    mine = [owner.challenged(str(n + 50))["id"] for n in range(limits.environment_slots_for_owner)]
    full = owner.call("POST", "/v1/authorize", order("99"))
    assert (full.status, full.problem) == (429, "too-many-challenges")
    assert owner.prove(mine[0]).status == 200


@pytest.mark.bar("B52")
def test_signing_out_voids_what_the_session_asked_for(deployment: Deployment) -> None:
    owner = deployment.owner()
    other = owner.again()
    pending, approved = other.challenged("1")["id"], other.challenged("2")["id"]
    grant = grant_of(other.prove(approved))
    assert other.call("DELETE", "/v1/sessions/current").status == 204
    assert other.call("GET", "/v1/sessions/current").status == 401
    assert {state_of(owner, pending), state_of(owner, approved)} == {"cancelled"}
    assert other.call("POST", "/v1/redeem", {**order("2"), "grant": grant}).status == 401


@pytest.mark.bar("B52")
def test_revoking_a_key_voids_what_it_asked_for_in_the_same_commit(deployment: Deployment) -> None:
    from leverlock.app.decide import ask
    from leverlock.domain.action import Intent, parse
    from leverlock.domain.trading_actions import ORDER_PLACE

    owner = deployment.owner()
    key = deployment.key(owner.account_id)
    fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    action = parse(ORDER_PLACE, fields, {"leverage": "75", "margin_mode": "ISOLATED"})
    intent = Intent(owner.account_id, f"key:{key}", "", action)
    challenge = deployment.now(lambda tx: ask(tx, deployment.world, intent=intent)).challenge.challenge_id
    owner.prove(challenge)
    (listed,) = owner.call("GET", "/v1/keys").json["keys"]
    assert (listed["id"], listed["state"]) == (key, "active")
    assert not {"secret", "nonce", "ciphertext"} & set(listed)
    assert owner.call("DELETE", f"/v1/keys/{key}").status == 204
    assert state_of(owner, challenge) == "cancelled"
    (listed,) = owner.call("GET", "/v1/keys").json["keys"]
    assert listed["state"] == "revoked"
    assert owner.call("DELETE", f"/v1/keys/{key}").problem == "unknown-id"


def test_this_was_not_me_ends_the_asking_session(deployment: Deployment) -> None:
    owner = deployment.owner()
    thief = owner.again()
    challenge = thief.challenged()["id"]
    assert owner.call("POST", f"/v1/challenges/{challenge}/denial", {"reason": "not_me"}).status == 204
    assert thief.call("GET", "/v1/sessions/current").status == 401
    assert state_of(owner, challenge) == "denied"


def test_one_code_approves_a_marked_list_and_no_more_than_five(deployment: Deployment) -> None:
    owner = deployment.owner()
    marked = [owner.challenged(str(n + 1))["id"] for n in range(6)]
    six = owner.call("POST", "/v1/proofs", {"challenges": marked, "code": owner.code()})
    assert (six.status, six.json["field"]) == (400, "$.challenges")
    twice = owner.call("POST", "/v1/proofs", {"challenges": marked[:1] * 2, "code": owner.code()})
    assert (twice.status, twice.problem) == (422, "cannot-group")
    five = owner.call("POST", "/v1/proofs", {"challenges": marked[:5], "code": owner.code()})
    assert [one["challenge"] for one in five.json["approved"]] == marked[:5]
    assert len({one["grant"] for one in five.json["approved"]}) == 5
    assert state_of(owner, marked[5]) == "pending"
    replacing = owner.call("POST", "/v1/environments/futures/authenticators").json["challenge"]["id"]
    deployment.clock.next_step()
    mixed = {"challenges": [marked[5], replacing], "code": owner.code(), "password": PASSWORD}
    assert owner.call("POST", "/v1/proofs", mixed).problem == "cannot-group"
