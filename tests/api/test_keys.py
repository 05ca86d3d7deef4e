"""An owner's keys through the API: made and changed with full re-authentication, ended without (M18, M21, B63)."""

from __future__ import annotations

import base64
import threading
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api_deployment import PASSWORD, Deployment, Owner, Reply
from leverlock.domain.limits import DAY

TRADER: dict[str, Any] = {"label": "desk", "scopes": ["read", "futures"]}
MOVER: dict[str, Any] = {"label": "mover", "scopes": ["read", "withdraw"], "ips": ["192.0.2.7"]}


def venue(owner: Owner) -> str:
    """An account at a venue that the owner's keys can reach."""
    owner.deployment.key(owner.account_id)
    [only] = owner.call("GET", "/v1/venues").json["venues"]
    return str(only["id"])


def proof(owner: Owner, environment: str = "futures", **more: Any) -> dict[str, Any]:
    owner.deployment.clock.next_step()
    return {"code": owner.code(environment), "password": PASSWORD, **more}


def agreed(owner: Owner, method: str, path: str, body: Any, *, environment: str = "futures") -> Reply:
    """Ask, answer with everything that is required, and make the same call again."""
    asked = owner.call(method, path, body)
    assert asked.status == 401, asked
    challenge = asked.json["challenge"]
    assert challenge["requires"] == ["password", "totp"]
    assert challenge["environment"] == environment
    answered = owner.call("POST", f"/v1/challenges/{challenge['id']}/proof", proof(owner, environment))
    assert answered.status == 200, answered
    return owner.call(method, path, body)


def made(owner: Owner, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = agreed(owner, "POST", "/v1/keys", body or TRADER)
    assert answer.status == 201, answer
    return answer.json  # type: ignore[no-any-return]


def stored(owner: Owner, key_id: str) -> dict[str, Any]:
    return next(key for key in owner.call("GET", "/v1/keys").json["keys"] if key["id"] == key_id)


@pytest.fixture
def owner(deployment: Deployment) -> Owner:
    made_here = deployment.owner()
    venue(made_here)
    return made_here


@pytest.mark.mission("M18")
@pytest.mark.bar("B63")
def test_a_futures_key_takes_the_password_and_a_code_and_its_secret_is_shown_once(owner: Owner) -> None:
    before = owner.deployment.digest()
    asked = owner.call("POST", "/v1/keys", TRADER)
    assert asked.status == 401
    assert len(owner.call("GET", "/v1/keys").json["keys"]) == 1, "nothing was made by asking"
    assert before != owner.deployment.digest()
    challenge = asked.json["challenge"]
    assert challenge["headline"] == 'make API key "desk" for futures read from anywhere'
    assert ["scopes", "futures read"] in challenge["lines"]
    key = made(owner)
    assert key["scopes"] == ["futures", "read"]
    assert (key["legacy"], key["otp_allowed"], key["ips"]) == (False, False, [])
    assert len(key["api_secret"]) == 52
    assert "api_secret" not in stored(owner, key["id"])
    again = owner.call("POST", "/v1/keys", TRADER)
    assert again.status == 401, "one agreement makes one key"


@pytest.mark.bar("B63")
def test_a_repeated_call_never_repeats_the_secret(owner: Owner) -> None:
    asked = owner.call("POST", "/v1/keys", TRADER)
    owner.call("POST", f"/v1/challenges/{asked.json['challenge']['id']}/proof", proof(owner))
    assert owner.call("POST", "/v1/keys", TRADER, key="once-1").status == 201
    assert owner.call("POST", "/v1/keys", TRADER, key="once-1").problem == "secret-not-repeated"


@pytest.mark.mission("M18")
@pytest.mark.bar("B63")
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"code": "wrong", "password": PASSWORD}, "wrong-code"),
        ({"code": "right"}, "proof-missing"),
        ({"password": PASSWORD}, "proof-missing"),
        ({"code": "right", "password": "not his password at all"}, "wrong-code"),
    ],
)
def test_no_lesser_proof_makes_one(owner: Owner, body: dict[str, str], problem: str) -> None:
    challenge = owner.call("POST", "/v1/keys", TRADER).json["challenge"]["id"]
    owner.deployment.clock.next_step()
    codes = {"right": owner.code(), "wrong": owner.wrong_code()}
    sent = {name: codes.get(value, value) for name, value in body.items()}
    assert owner.call("POST", f"/v1/challenges/{challenge}/proof", sent).problem == problem
    assert owner.call("POST", "/v1/keys", TRADER).status == 401
    assert len(owner.call("GET", "/v1/keys").json["keys"]) == 1


@pytest.mark.mission("M18")
def test_a_code_of_another_market_makes_none(deployment: Deployment) -> None:
    owner = deployment.owner()
    venue(owner)
    owner.enable("spot")
    challenge = owner.call("POST", "/v1/keys", TRADER).json["challenge"]["id"]
    refused = owner.call("POST", f"/v1/challenges/{challenge}/proof", proof(owner, "spot"))
    assert refused.problem == "wrong-code"


@pytest.mark.mission("M18")
@pytest.mark.bar("B63")
def test_a_read_only_key_of_an_account_without_login_protection_takes_the_password(owner: Owner) -> None:
    body = {"label": "reader"}
    asked = owner.call("POST", "/v1/keys", body)
    challenge = asked.json["challenge"]
    assert (challenge["action"], challenge["requires"]) == ("login.api_key.create", ["password"])
    path = f"/v1/challenges/{challenge['id']}/proof"
    assert owner.call("POST", path, {"code": owner.code(), "password": PASSWORD}).problem == "proof-not-accepted"
    assert owner.call("POST", path, {"password": PASSWORD}).status == 200
    assert owner.call("POST", "/v1/keys", body).json["scopes"] == ["read"]


@pytest.mark.mission("M18")
def test_a_read_only_key_takes_the_login_code_where_login_is_on(deployment: Deployment) -> None:
    owner = deployment.owner()
    venue(owner)
    bound = agreed(owner, "POST", "/v1/environments/login/authenticators", None)
    owner.seeds["login"] = base64.b32decode(bound.json["secret"])
    path = f"/v1/environments/login/authenticators/{bound.json['authenticator']}/confirmation"
    assert owner.call("POST", path, {"code": owner.code("login")}).status == 200
    key = agreed(owner, "POST", "/v1/keys", {"label": "reader"}, environment="login")
    assert key.json["scopes"] == ["read"]


@pytest.mark.mission("M18")
@pytest.mark.bar("B63")
def test_without_any_protection_a_key_takes_the_password(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    venue(owner)
    challenge = owner.call("POST", "/v1/keys", TRADER).json["challenge"]
    assert (challenge["action"], challenge["requires"]) == ("futures.api_key.create", ["password"])
    assert owner.call("POST", f"/v1/challenges/{challenge['id']}/proof", {"password": PASSWORD}).status == 200
    assert owner.call("POST", "/v1/keys", TRADER).status == 201


@pytest.mark.bar("B63")
def test_a_key_that_moves_funds_is_vouched_for_by_a_market_that_is_on(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    venue(owner)
    owner.enable("spot")
    key = agreed(owner, "POST", "/v1/keys", MOVER, environment="spot")
    assert (key.json["scopes"], key.json["ips"]) == (["read", "withdraw"], ["192.0.2.7"])


WIDENINGS: list[dict[str, Any]] = [
    {"scopes": ["read", "futures", "transfer"], "ips": ["192.0.2.7"]},
    {"scopes": ["read", "withdraw"], "ips": ["192.0.2.7"]},
    {"ips": ["192.0.2.7", "192.0.2.8"]},
    {"ips": []},
    {"otp_allowed": True},
    {"label": "another"},
    {"scopes": ["read"]},
]


@pytest.mark.mission("M18")
@pytest.mark.bar("B63")
@pytest.mark.parametrize("change", WIDENINGS, ids=str)
def test_every_change_of_a_futures_key_is_asked_for(owner: Owner, change: dict[str, Any]) -> None:
    key = made(owner, {**TRADER, "ips": ["192.0.2.9"]})
    path = f"/v1/keys/{key['id']}"
    asked = owner.call("PATCH", path, change)
    assert (asked.status, asked.json["challenge"]["action"]) == (401, "futures.api_key.edit")
    assert stored(owner, key["id"]) == {name: value for name, value in key.items() if name != "api_secret"}
    changed = agreed(owner, "PATCH", path, change)
    assert changed.status == 200
    after = stored(owner, key["id"])
    assert changed.json == after
    wanted = {name: sorted(value) if name == "scopes" else value for name, value in change.items()}
    assert {name: after[name] for name in wanted} == wanted
    assert after["edited_at"] == owner.deployment.clock.now_ms()
    untouched = {"label", "scopes", "ips", "otp_allowed"} - set(change)
    assert {name: after[name] for name in untouched} == {name: key[name] for name in untouched}
    kinds = [event["kind"] for event in owner.events()]
    assert kinds.count("key.edited") == 1


@pytest.mark.bar("B63")
def test_an_agreement_is_for_these_terms_alone(owner: Owner) -> None:
    """Agreed to read, asked to withdraw: another action, asked for anew."""
    challenge = owner.call("POST", "/v1/keys", TRADER).json["challenge"]["id"]
    owner.call("POST", f"/v1/challenges/{challenge}/proof", proof(owner))
    for other in (
        {**TRADER, "label": "desk2"},
        {**TRADER, "scopes": ["futures"]},
        {**TRADER, "ips": ["192.0.2.1"]},
        {**TRADER, "otp_allowed": True},
    ):
        asked = owner.call("POST", "/v1/keys", other)
        assert asked.status == 401
        owner.call("DELETE", f"/v1/challenges/{asked.json['challenge']['id']}")
    assert owner.call("POST", "/v1/keys", TRADER).status == 201


@pytest.mark.bar("B63")
def test_an_edit_that_came_between_asks_anew(owner: Owner) -> None:
    """Two edits agreed to, each as the terms would stand: the second to come is another by then."""
    key = made(owner)
    path = f"/v1/keys/{key['id']}"
    for change in ({"label": "one"}, {"ips": ["192.0.2.1"]}):
        challenge = owner.call("PATCH", path, change).json["challenge"]["id"]
        assert owner.call("POST", f"/v1/challenges/{challenge}/proof", proof(owner)).status == 200
    assert owner.call("PATCH", path, {"label": "one"}).status == 200
    asked = owner.call("PATCH", path, {"ips": ["192.0.2.1"]})
    assert asked.status == 401
    assert ["label", "one"] in asked.json["challenge"]["lines"]
    assert stored(owner, key["id"])["ips"] == []


@pytest.mark.bar("B63")
def test_of_two_equal_edits_at_once_one_is_made(owner: Owner) -> None:
    key = made(owner)
    path, change = f"/v1/keys/{key['id']}", {"label": "raced"}
    challenge = owner.call("PATCH", path, change).json["challenge"]["id"]
    owner.call("POST", f"/v1/challenges/{challenge}/proof", proof(owner))
    answers: list[int] = []
    racers = [
        threading.Thread(target=lambda: answers.append(owner.call("PATCH", path, change).status)) for _ in range(8)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(20)
    assert sorted(answers) == [200] + [401] * 7
    assert [event["kind"] for event in owner.events()].count("key.edited") == 1


@pytest.mark.bar("B44")
@pytest.mark.bar("B63")
def test_another_session_does_not_have_the_agreement(owner: Owner) -> None:
    challenge = owner.call("POST", "/v1/keys", TRADER).json["challenge"]["id"]
    owner.call("POST", f"/v1/challenges/{challenge}/proof", proof(owner))
    assert owner.again().call("POST", "/v1/keys", TRADER).status == 401
    assert owner.call("POST", "/v1/keys", TRADER).status == 201


@pytest.mark.bar("B52")
def test_a_changed_key_loses_what_it_had_asked_for(owner: Owner) -> None:
    """Also what the owner had approved: it was asked for under other terms."""
    from leverlock.app.decide import ask
    from leverlock.domain.action import Intent, parse
    from leverlock.domain.trading_actions import ORDER_PLACE

    deployment, key = owner.deployment, made(owner)
    fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    order = parse(ORDER_PLACE, fields, {"leverage": "75", "margin_mode": "CROSSED"})
    intent = Intent(owner.account_id, f"key:{key['id']}", key["venue"], order)
    asked = deployment.now(lambda tx: ask(tx, deployment.world, intent=intent)).challenge
    deployment.clock.next_step()
    assert owner.prove(asked.challenge_id).status == 200
    agreed(owner, "PATCH", f"/v1/keys/{key['id']}", {"label": "new"})
    assert owner.call("GET", f"/v1/challenges/{asked.challenge_id}").json["state"] == "cancelled"


@pytest.mark.mission("M21")
def test_an_edited_legacy_key_is_one_no_more(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    old = deployment.key(owner.account_id)
    confirmed = owner.enable()
    assert confirmed["legacy_keys"] == [{"id": old, "label": "bot"}]
    assert stored(owner, old)["legacy"]
    assert agreed(owner, "PATCH", f"/v1/keys/{old}", {"label": "edited"}).json["legacy"] is False
    assert not stored(owner, old)["legacy"]


@pytest.mark.mission("M21")
def test_enable_ends_the_keys_that_the_owner_names_and_no_other(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    old, kept = deployment.key(owner.account_id), deployment.key(owner.account_id)
    stranger = deployment.key(deployment.owner(futures=False).account_id)
    started = owner.call("POST", "/v1/environments/futures/authenticators").json
    owner.seeds["futures"] = base64.b32decode(started["secret"])
    path = f"/v1/environments/futures/authenticators/{started['authenticator']}/confirmation"
    for named, problem in (([stranger], "unknown-id"), ([old, old], "malformed"), (["key_x"], "unknown-id")):
        before = deployment.digest()
        assert owner.call("POST", path, {"code": owner.code(), "end_keys": named}).problem == problem
        assert deployment.digest() == before, "not even a try is counted: nothing was looked at"
    confirmed = owner.call("POST", path, {"code": owner.code(), "end_keys": [old]})
    assert confirmed.json["legacy_keys"] == [{"id": kept, "label": "bot"}]
    assert {key["id"]: key["state"] for key in owner.call("GET", "/v1/keys").json["keys"]} == {
        old: "revoked",
        kept: "active",
    }


@pytest.mark.mission("M21")
def test_keys_are_ended_later_one_or_all_without_a_code(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    keys = [deployment.key(owner.account_id) for _ in range(3)]
    stranger = deployment.key(deployment.owner(futures=False).account_id)
    owner.enable()
    for named in ([keys[0], stranger], [keys[0], "key_" + "a" * 26]):
        assert owner.call("POST", "/v1/keys/ending", {"keys": named}).problem == "unknown-id"
    assert {key["state"] for key in owner.call("GET", "/v1/keys").json["keys"]} == {"active"}, "all or none"
    assert owner.call("DELETE", f"/v1/keys/{keys[0]}").status == 204
    left = owner.call("POST", "/v1/keys/ending", {"keys": keys[1:]})
    assert (left.status, left.json) == (200, {"keys": []})
    assert owner.call("POST", "/v1/keys/ending", {"keys": keys[1:]}).problem == "unknown-id"


def test_keys_are_held_for_a_day_after_the_authenticator_was_replaced(owner: Owner) -> None:
    """Ending is not: a hold stops what a thief would do, not what stops him."""
    key = made(owner)
    started = agreed(owner, "POST", "/v1/environments/futures/authenticators", None)
    owner.seeds["futures"] = base64.b32decode(started.json["secret"])
    path = f"/v1/environments/futures/authenticators/{started.json['authenticator']}/confirmation"
    assert owner.call("POST", path, {"code": owner.code()}).status == 200
    for method, where, body in (("POST", "/v1/keys", TRADER), ("PATCH", f"/v1/keys/{key['id']}", {"label": "x"})):
        refused = owner.call(method, where, body)
        assert (refused.status, refused.problem) == (403, "on-hold")
        assert int(refused.headers["retry-after"]) > 23 * 3600
    assert owner.call("DELETE", f"/v1/keys/{key['id']}").status == 204
    owner.deployment.clock.advance(DAY)
    owner.sign_in()
    assert owner.call("POST", "/v1/keys", TRADER).status == 401


@pytest.mark.mission("M18")
def test_an_ed25519_key_is_made_by_its_public_key(owner: Owner) -> None:
    public = Ed25519PrivateKey.generate().public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    raw = base64.b64encode(public.public_bytes_raw()).decode()
    key = made(owner, {**TRADER, "ed25519_public_key": pem})
    assert key["algorithm"] == "ed25519"
    assert "api_secret" not in key
    challenge = owner.call("POST", "/v1/keys", {**TRADER, "ed25519_public_key": raw}).json["challenge"]
    assert ["public key", raw] in challenge["lines"], "what is agreed to is this very key"


@pytest.mark.mission("M18")
def test_a_venue_asks_for_its_own_key_page_by_name(deployment: Deployment) -> None:
    owner, token = deployment.owner(), deployment.integrator()
    fields = {"label": "my bot", "scopes": "SPOT_TRADING UNIVERSAL_TRANSFER", "ips": "192.0.2.1"}
    wanted = {"account": owner.account_id, "action": {"type": "futures.api_key.create", "fields": fields}}
    asked = deployment.api.call("POST", "/v1/authorize", wanted, token=token)
    assert (asked.status, asked.json["challenge"]["requires"]) == (401, ["password", "totp"])
    path = f"/v1/challenges/{asked.json['challenge']['id']}/proof"
    assert owner.call("POST", path, proof(owner)).status == 200
    assert deployment.api.call("POST", "/v1/authorize", wanted, token=token).json["decision"] == "granted"


@pytest.mark.bar("B47")
@pytest.mark.bar("B62")
def test_anothers_key_and_none_are_the_same(owner: Owner) -> None:
    other = owner.deployment.owner(futures=False)
    theirs = owner.deployment.key(other.account_id)
    answers = [
        owner.call("PATCH", f"/v1/keys/{name}", {"label": "x"}) for name in (theirs, "key_" + "a" * 26, "key_1", "x.y")
    ]
    assert {(a.status, a.problem, a.body) for a in answers} == {(404, "unknown-id", answers[0].body)}
    ended = made(owner)["id"]
    owner.call("DELETE", f"/v1/keys/{ended}")
    assert owner.call("PATCH", f"/v1/keys/{ended}", {"label": "x"}).problem == "unknown-id"


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "$.label"),
    ({"label": ""}, "$.label"),
    ({"label": " x"}, "$.label"),
    ({"label": "a\u202eb"}, "$.label"),
    ({"label": "x" * 65}, "$.label"),
    ({"label": "x", "scopes": []}, "$.scopes"),
    ({"label": "x", "scopes": ["all"]}, "$.scopes[0]"),
    ({"label": "x", "scopes": ["read", "read"]}, "$.scopes"),
    ({"label": "x", "scopes": "read"}, "$.scopes"),
    ({"label": "x", "scopes": ["withdraw"]}, "ips"),
    ({"label": "x", "scopes": ["transfer"], "ips": []}, "ips"),
    ({"label": "x", "ips": ["0.0.0.0/0"]}, "$.ips"),
    ({"label": "x", "ips": ["192.0.2.1", "192.0.2.1/32"]}, "$.ips"),
    ({"label": "x", "ips": ["example.com"]}, "$.ips"),
    ({"label": "x", "ips": ["192.0.2.1"] * 13}, "$.ips"),
    ({"label": "x", "otp_allowed": "true"}, "$.otp_allowed"),
    ({"label": "x", "otp_allowed": 1}, "$.otp_allowed"),
    ({"label": "x", "ed25519_public_key": "AAAA"}, "$.ed25519_public_key"),
    ({"label": "x", "ed25519_public_key": "-----BEGIN PUBLIC KEY-----"}, "$.ed25519_public_key"),
    ({"label": "x", "legacy": True}, "$.legacy"),
    ({"label": "x", "state": "active"}, "$.state"),
    ({"label": "x", "api_secret": "mine"}, "$.api_secret"),
]


@pytest.mark.bar("B43")
@pytest.mark.parametrize(("body", "field"), BAD, ids=str)
def test_bad_terms_are_named_and_change_nothing(owner: Owner, body: dict[str, Any], field: str) -> None:
    key = owner.deployment.key(owner.account_id)
    before = owner.deployment.digest()
    refused = owner.call("POST", "/v1/keys", body)
    assert (refused.status, refused.json["field"]) == (400, field)
    if body not in ({}, {"label": "x", "ed25519_public_key": "AAAA"}):
        edited = {name: value for name, value in body.items() if name != "ed25519_public_key"}
        if edited.get("label") == "x" and len(edited) == 1:
            return
        assert owner.call("PATCH", f"/v1/keys/{key}", edited).status == 400
    assert owner.deployment.digest() == before


@pytest.mark.bar("B43")
def test_an_edit_that_names_nothing_is_none(owner: Owner) -> None:
    key = owner.deployment.key(owner.account_id)
    refused = owner.call("PATCH", f"/v1/keys/{key}", {})
    assert (refused.status, refused.json["field"]) == (400, "$")
