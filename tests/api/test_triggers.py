"""Each trigger from authorize to redeem over the API alone: settings, ADL, movements, loans (M16, M17, M19, M23).

The walks are functions of an owner and a venue's token, so that other stories can take them too.
"""

from __future__ import annotations

from typing import Any

import pytest

from api_deployment import PASSWORD, Deployment, Owner, Reply

MARKETS = ("spot", "margin", "futures")
ADDRESS = "0x" + "ab" * 20

# Each action with the least that it can be asked with: fields, then the venue's facts.
ACTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "futures.margin_mode.set": (
        {"symbol": "BTCUSDT", "margin_mode": "ISOLATED"},
        {"leverage": 20, "current_margin_mode": "CROSSED"},
    ),
    "futures.multi_assets.set": ({"multi_assets": True}, {"current_multi_assets": False}),
    "futures.position_margin.change": (
        {"symbol": "BTCUSDT", "direction": "REMOVE", "amount": "5"},
        {"leverage": 75},
    ),
    "futures.adl.set": ({"symbol": "BTCUSDT", "rank": "LOWERED"}, {}),
    "futures.delta_mode.set": ({"delta_mode": True}, {}),
    "margin.borrow": ({"asset": "USDT", "amount": "5"}, {}),
    **{f"{market}.withdraw": ({"asset": "USDT", "address": ADDRESS, "amount": "5"}, {}) for market in MARKETS},
    **{f"{market}.transfer_out": ({"asset": "USDT", "to": "elsewhere", "amount": "5"}, {}) for market in MARKETS},
}
PASSWORD_AND_CODE = {"futures.adl.set", "futures.delta_mode.set"}
TWO_LAYERS = {name for name in ACTIONS if name.endswith((".withdraw", ".transfer_out"))}


def wanted(owner: Owner, name: str, **changes: Any) -> dict[str, Any]:
    """The body of an authorize call; `changes` are of fields, or of facts where they are named so."""
    fields, facts = ACTIONS[name]
    action = {
        "type": name,
        "fields": fields | {field: value for field, value in changes.items() if field not in facts},
        **({"facts": facts | {fact: value for fact, value in changes.items() if fact in facts}} if facts else {}),
    }
    return {"account": owner.account_id, "action": action}


def answer(owner: Owner, challenge: str, market: str, **proof: str) -> Reply:
    """One answer with the live code of a market, and the password where it is given; time moves to the next code."""
    reply = owner.call("POST", f"/v1/challenges/{challenge}/proof", {"code": owner.code(market), **proof})
    owner.deployment.clock.next_step()
    return reply


def walk(owner: Owner, venue: str, name: str) -> None:
    """Asked for, answered as the challenge demands, granted, redeemed once and never again."""
    api, market, body = owner.deployment.api, name.partition(".")[0], wanted(owner, name)
    asked = api.call("POST", "/v1/authorize", body, token=venue)
    assert (asked.status, asked.problem) == (401, "step-up-required"), asked
    challenge = asked.json["challenge"]
    assert challenge["environment"] == market
    layers = {"wallet"} if "wallet" in challenge["requires"] else set(challenge["requires"])
    while layers:
        proof = {"password": PASSWORD} if "password" in layers else {}
        done = answer(owner, challenge["id"], market, **proof)
        assert done.status == 200, done
        layers = set(done.json["approved"][0].get("requires", ()))
    granted = api.call("POST", "/v1/authorize", body, token=venue)
    assert (granted.status, granted.json["decision"]) == (200, "granted")
    redeem = {**body, "grant": granted.json["grant"]}
    assert api.call("POST", "/v1/redeem", redeem, token=venue).status == 200
    again = api.call("POST", "/v1/redeem", redeem, token=venue)
    assert (again.status, again.problem) == (409, "grant-spent")
    anew = api.call("POST", "/v1/authorize", body, token=venue)
    assert anew.json["challenge"]["id"] != challenge["id"]


@pytest.fixture
def owner(deployment: Deployment) -> Owner:
    """One for each test: wrong answers are counted, and few challenges may wait."""
    made = deployment.owner()
    made.enable("spot")
    made.enable("margin")
    return made


@pytest.fixture
def venue(deployment: Deployment) -> str:
    return deployment.integrator()


@pytest.mark.mission("M16")
@pytest.mark.mission("M17")
@pytest.mark.mission("M19")
@pytest.mark.parametrize("name", ACTIONS)
def test_a_trigger_from_authorize_to_redeem(owner: Owner, venue: str, name: str) -> None:
    walk(owner, venue, name)


@pytest.mark.mission("M17")
@pytest.mark.mission("M19")
@pytest.mark.parametrize("name", ACTIONS)
def test_no_lesser_answer_serves(owner: Owner, venue: str, name: str) -> None:
    """Another market's code, the code without the password, the password where none is asked for, a code twice."""
    market = name.partition(".")[0]
    stopped = owner.deployment.api.call("POST", "/v1/authorize", wanted(owner, name), token=venue)
    challenge = stopped.json["challenge"]["id"]
    other = next(each for each in MARKETS if each != market)
    needs_password = name in PASSWORD_AND_CODE
    sent = {"password": PASSWORD} if needs_password else {}

    def proof(**more: str) -> str:
        return owner.call("POST", f"/v1/challenges/{challenge}/proof", more).problem

    assert proof(code=owner.code(other), **sent) == "wrong-code"
    if needs_password:
        assert proof(code=owner.code(market)) == "proof-missing"
        assert proof(code=owner.code(market), password="not the password") == "wrong-code"
    else:
        assert proof(code=owner.code(market), password=PASSWORD) == "proof-not-accepted"
    if name in TWO_LAYERS:
        first = owner.code(market)
        assert owner.call("POST", f"/v1/challenges/{challenge}/proof", {"code": first}).status == 200
        assert proof(code=first, password=PASSWORD) == "code-already-used"
        assert proof(password=PASSWORD) == "proof-missing"
    owner.deployment.clock.next_step()
    state = owner.call("GET", f"/v1/challenges/{challenge}").json["state"]
    assert state == "pending"
    grant = owner.deployment.api.call("POST", "/v1/authorize", wanted(owner, name), token=venue)
    assert grant.status == 401
    assert owner.call("POST", f"/v1/challenges/{challenge}/denial", {"reason": "changed_mind"}).status == 204


CHANGES: list[tuple[str, dict[str, Any]]] = [
    *((f"{market}.withdraw", {"address": "0x" + "cd" * 20}) for market in MARKETS),
    *((f"{market}.transfer_out", {"to": "somewhere"}) for market in MARKETS),
    ("spot.withdraw", {"amount": "5.000000000000000001"}),
    ("spot.withdraw", {"network": "ETH"}),
    ("spot.withdraw", {"memo": "1042"}),
    ("spot.withdraw", {"wallet": "FUNDING"}),
    ("futures.transfer_out", {"from": "CMFUTURE"}),
    ("futures.multi_assets.set", {"multi_assets": False}),
    ("futures.adl.set", {"position_side": "LONG"}),
    ("futures.position_margin.change", {"amount": "6"}),
    ("margin.borrow", {"amount": "6"}),
]


@pytest.mark.bar("B42")
@pytest.mark.parametrize(("name", "change"), CHANGES, ids=str)
def test_a_grant_with_another_action_is_void(owner: Owner, venue: str, name: str, change: dict[str, Any]) -> None:
    api, body = owner.deployment.api, wanted(owner, name)
    grant = granted(owner, venue, name)
    other = api.call("POST", "/v1/redeem", {**wanted(owner, name, **change), "grant": grant}, token=venue)
    assert (other.status, other.problem) == (409, "action-mismatch"), other
    assert api.call("POST", "/v1/redeem", {**body, "grant": grant}, token=venue).status == 409


@pytest.mark.bar("B51")
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("futures.margin_mode.set", {"leverage": 50}),
        ("futures.multi_assets.set", {"current_multi_assets": True}),
        ("futures.position_margin.change", {"leverage": 125}),
    ],
    ids=str,
)
def test_facts_that_changed_void_the_grant(owner: Owner, venue: str, name: str, change: dict[str, Any]) -> None:
    grant = granted(owner, venue, name)
    changed = {**wanted(owner, name, **change), "grant": grant}
    refused = owner.deployment.api.call("POST", "/v1/redeem", changed, token=venue)
    assert (refused.status, refused.problem) == (409, "facts-changed"), refused


def granted(owner: Owner, venue: str, name: str) -> str:
    api, market, body = owner.deployment.api, name.partition(".")[0], wanted(owner, name)
    challenge = api.call("POST", "/v1/authorize", body, token=venue).json["challenge"]
    layers = {"wallet"} if "wallet" in challenge["requires"] else set(challenge["requires"])
    while layers:
        done = answer(owner, challenge["id"], market, **({"password": PASSWORD} if "password" in layers else {}))
        layers = set(done.json["approved"][0].get("requires", ()))
    return str(api.call("POST", "/v1/authorize", body, token=venue).json["grant"])


@pytest.mark.mission("M23")
@pytest.mark.parametrize("on", MARKETS)
def test_each_factor_guards_its_own_market_alone(deployment: Deployment, on: str) -> None:
    """Where protection was never enabled only what needs the password asks, and for the password alone."""
    owner, venue = deployment.owner(futures=False), deployment.integrator()
    owner.enable(on)
    for name in ACTIONS:
        reply = deployment.api.call("POST", "/v1/authorize", wanted(owner, name), token=venue)
        if name.startswith(f"{on}."):
            assert reply.problem == "step-up-required", name
            challenge = reply.json["challenge"]
            assert challenge["requires"] != ["password"]
        elif name in PASSWORD_AND_CODE:
            assert reply.json["challenge"]["requires"] == ["password"]
            challenge = reply.json["challenge"]
        else:
            assert reply.json == {"decision": "allow", "why": "not_enabled"}, name
            continue
        assert owner.call("POST", f"/v1/challenges/{challenge['id']}/denial", {"reason": "changed_mind"}).status == 204


@pytest.mark.mission("M16")
def test_what_is_no_switch_and_what_is_below_the_threshold_passes(owner: Owner, venue: str) -> None:
    free: list[tuple[str, dict[str, Any]]] = [
        ("futures.margin_mode.set", {"current_margin_mode": "ISOLATED"}),
        ("futures.multi_assets.set", {"current_multi_assets": True}),
        ("futures.position_margin.change", {"leverage": 50}),
        ("futures.position_margin.change", {"direction": "ADD"}),
    ]
    for name, change in free:
        reply = owner.deployment.api.call("POST", "/v1/authorize", wanted(owner, name, **change), token=venue)
        assert reply.json == {"decision": "allow", "why": "no_rule_matched"}, (name, reply)
    body = {"account": owner.account_id, "action": {"type": "margin.repay", "fields": {"asset": "USDT", "amount": "1"}}}
    reply = owner.deployment.api.call("POST", "/v1/authorize", body, token=venue)
    assert reply.json == {"decision": "allow", "why": "free"}


@pytest.mark.bar("B43")
@pytest.mark.bar("B49")
@pytest.mark.parametrize("field", ["address", "memo", "declaration", "network", "wallet", "asset"])
@pytest.mark.parametrize(
    "hostile", ["0xab\u202e12", "0xab\u200b12", "0xab\n12", "0xab\x1b[2K", " 0xab", "e\u0301", "0x\u0430b12"]
)
def test_hostile_words_are_refused_by_name(owner: Owner, venue: str, field: str, hostile: str) -> None:
    """A letter of another script is refused where money goes, and is named where a word may have one."""
    reply = owner.deployment.api.call(
        "POST", "/v1/authorize", wanted(owner, "spot.withdraw", **{field: hostile}), token=venue
    )
    if hostile == "0x\u0430b12" and field in ("network", "wallet", "asset"):
        challenge = reply.json["challenge"]
        assert dict(challenge["lines"])[f"{field}, letter by letter"] == "\u0430 is U+0430 CYRILLIC SMALL LETTER A"
        assert owner.call("POST", f"/v1/challenges/{challenge['id']}/denial", {"reason": "changed_mind"}).status == 204
        return
    assert (reply.status, reply.problem) == (400, "malformed"), reply
    assert reply.json["field"] == f"$.action.fields.{field}"
