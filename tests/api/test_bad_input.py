"""Every field of every body and query, wrong in every way we know: a 4xx that names the field, and nothing changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from api_deployment import PASSWORD, Deployment, Owner, Reply, order
from leverlock.api.app import ENDPOINTS
from leverlock.api.endpoint import Who
from leverlock.domain.action import ActionType
from leverlock.domain.actions import PUBLIC_ACTIONS
from leverlock.domain.ids import make_id
from leverlock.domain.values import Field, Kind
from software_key import SoftwareKey

HUGE = "9" * 60_000
NON_ASCII_DIGITS = "２８７０８２"

# What no field of any form takes: (what stands in the body, what it is called in a report).
WRONG_FOR_ALL = [("null", "null"), ("NaN", "NaN"), ("Infinity", "infinity"), ("-1", "negative"), ("1e999", "overflow")]
WRONG_FOR_TEXT = [
    ("1", "number"),
    ("true", "boolean"),
    ('["287082"]', "list"),
    ('{"$ne":""}', "object"),
    ('""', "empty"),
]
WRONG_FOR_NUMBER = [
    ('"75"', "text"),
    ("1.5", "fraction"),
    ("7.5e0", "exponent"),
    ("1e99999999", "giant"),
    ("true", "boolean"),
    (HUGE, "huge"),
]
WRONG_FOR_BOOLEAN = [('"true"', "text"), ("1", "number"), ("[]", "list")]

OPTIONS = {"challenge": "AAAA"}
ASSERTION = SoftwareKey().sign(OPTIONS)
REGISTRATION = SoftwareKey().register(OPTIONS)
for _answer in (ASSERTION, REGISTRATION):
    del _answer["authenticatorAttachment"]  # null is what browsers say of a key that they know nothing of

EXAMPLES: dict[Kind, Any] = {Kind.TEXT: "BTCUSDT", Kind.DECIMAL: "1", Kind.INTEGER: 75, Kind.BOOLEAN: True}


def example(field: Field) -> Any:
    return min(field.choices) if field.choices else EXAMPLES[field.kind]


def full(action_type: ActionType) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every declared field and fact of an action, each with a good value."""
    fields = {name: example(field) for name, field in action_type.fields.items()}
    return fields, {name: example(field) for name, field in action_type.facts.items()}


def decision(name: str, **more: Any) -> dict[str, Any]:
    """The body of an authorize call that uses every field there is."""
    action_type = PUBLIC_ACTIONS[name]
    if action_type.legs is not None:
        fields, facts = full(action_type.legs)
        return {"action": {"type": name, "legs": [{"fields": fields, "facts": facts}]}, **more}
    fields, facts = full(action_type)
    return {"action": {"type": name, "fields": fields, **({"facts": facts} if facts else {})}, **more}


def valid_bodies(owner: Owner, challenge: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method and path, label, a body that would be taken) for every form there is."""
    unknown = make_id("au", bytes(16))
    yield "POST /v1/sessions", "sign in", {"login": owner.login, "password": PASSWORD}
    yield "POST /v1/sessions/current/login-challenge", "login challenge", {"code": "000000"}
    yield f"POST /v1/environments/futures/authenticators/{unknown}/confirmation", "confirm", {"code": "000000"}
    code = "aaaaaa-bbbbbb-cccccc-dddddd"
    yield "POST /v1/recoveries", "recovery", {"environment": "futures", "code": code, "password": PASSWORD}
    yield "POST /v1/password", "password", {"password": PASSWORD, "environment": "futures"}
    yield "POST /v1/password-resets", "reset", {"login": owner.login}
    yield "POST /v1/sessions/by-mail", "link", {"token": "acc_x.y"}
    named = {"replaces": make_id("adr", bytes(16)), "environment": "futures"}
    yield "POST /v1/addresses", "mail", {"channel": "email", "target": "a@example.com", **named}
    yield "POST /v1/addresses", "webhook", {"channel": "webhook", "target": "https://example.com/", **named}
    yield f"POST /v1/addresses/{make_id('adr', bytes(16))}/confirmation", "address", {"code": code}
    yield f"POST /v1/challenges/{challenge}/proof", "proof", {"code": "000000", "password": PASSWORD}
    yield f"POST /v1/challenges/{challenge}/proof", "key's proof", {"assertion": ASSERTION}
    yield "POST /v1/sessions/current/login-challenge/assertion", "key's login", ASSERTION
    yield "POST /v1/security-keys/registration-options", "label", {"label": "blue"}
    yield "POST /v1/security-keys", "registration", REGISTRATION
    yield f"PATCH /v1/security-keys/{make_id('sk', bytes(16))}", "renaming", {"label": "blue"}
    yield "POST /v1/proofs", "proofs", {"challenges": [challenge], "code": "000000", "password": PASSWORD}
    yield "POST /v1/cancellations", "cancellation", {"token": "x"}
    lost = {"environments": ["spot"], "statement": "It is gone."}
    yield "POST /v1/recovery-cases", "case", lost
    yield "POST /v1/environments/futures/sms", "number", {"number": "+44 7400 123456"}
    yield f"POST /v1/environments/futures/sms/{unknown}/confirmation", "number's code", {"code": "00000000"}
    yield "PUT /v1/environments/futures/sms", "sms settings", {"backup": True}
    yield "PUT /v1/account/language", "language", {"language": "zh"}
    yield f"POST /v1/challenges/{challenge}/proof", "proof by SMS", {"sms_code": "00000000"}
    yield f"POST /v1/challenges/{challenge}/denial", "denial", {"reason": "changed_mind"}
    for name in PUBLIC_ACTIONS:
        body = decision(name, account=owner.account_id, target="main")
        yield "POST /v1/authorize", name, body
        yield "POST /v1/redeem", name, {**body, "grant": "gr_" + "0" * 64}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every place in a body that holds a plain value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from leaves(inner, (*path, n))
    else:
        yield path, value


def named(path: tuple[Any, ...]) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def with_raw(body: dict[str, Any], path: tuple[Any, ...], raw: str) -> bytes:
    """The body with exactly these bytes at one place."""
    marked = copy.deepcopy(body)
    place: Any = marked
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = "@@@"
    return json.dumps(marked, ensure_ascii=False).replace('"@@@"', raw).encode()


def without(body: dict[str, Any], path: tuple[Any, ...]) -> bytes:
    cut = copy.deepcopy(body)
    place: Any = cut
    for part in path[:-1]:
        place = place[part]
    del place[path[-1]]
    return json.dumps(cut).encode()


def twice(body: dict[str, Any], path: tuple[Any, ...]) -> bytes:
    """The body with one name given twice, with the same value."""
    name = path[-1]
    place: Any = body
    for part in path:
        place = place[part]
    value = json.dumps(place)
    return with_raw(body, path, f"{value}, {json.dumps(name)}: {value}")


def wrong_values(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[str, str]]:
    name = path[-1]
    yield from WRONG_FOR_ALL
    if isinstance(value, bool):
        yield from WRONG_FOR_BOOLEAN
    elif isinstance(value, int):
        yield from WRONG_FOR_NUMBER
        yield f'"{NON_ASCII_DIGITS}"', "non-ASCII digits"
    else:
        # An id of whatever form is a plain string: what does not exist is 404, and says nothing else (B47).
        yield from WRONG_FOR_TEXT
        yield f'"{HUGE}"', "huge"
        yield '"\\ud800"', "lone surrogate"
        if value == "1" or name == "code":
            for text in (NON_ASCII_DIGITS, "٢٨٧٠٨٢", "²87082", "28_7082", " 287082", "+287082", "287082\\n", "287 082"):
                yield f'"{text}"', f"digits {text}"


@pytest.fixture(scope="module")
def owner(deployment: Deployment) -> Owner:
    return deployment.owner()


@pytest.fixture(scope="module")
def challenge(owner: Owner) -> str:
    return str(owner.challenged()["id"])


def must_name(reply: Reply, path: tuple[Any, ...], label: str) -> None:
    assert 400 <= reply.status < 500, (label, path, reply)
    if reply.status in (401, 404):
        return  # who is not known, or what does not exist, is told nothing else
    assert reply.problem in ("malformed", "unknown-action"), (label, path, reply)
    field = reply.json["field"]
    whole = named(path)
    # JSON itself names no place: a lone surrogate or a number beyond all digits breaks the whole document.
    assert field in (whole, f"$.{path[-1]}", "$"), (label, reply)
    assert field != "$" or "JSON" in reply.json["detail"], (label, reply)


@pytest.mark.bar("B43")
@pytest.mark.bar("B8")
def test_no_wrong_value_of_any_field_is_taken_and_nothing_changes(
    deployment: Deployment, owner: Owner, challenge: str
) -> None:
    before = deployment.digest()
    count = 0
    for target, label, body in valid_bodies(owner, challenge):
        method, url = target.split(" ")
        for path, value in leaves(body):
            for raw, how in wrong_values(value, path):
                reply = owner.call(method, url, raw=with_raw(body, path, raw))
                if path[-1] in ("account", "grant", 0) and reply.status == 404:
                    continue
                must_name(reply, path, f"{label}: {how}")
                count += 1
    assert count > 1500
    assert before == deployment.digest()


@pytest.mark.bar("B43")
def test_missing_doubled_and_unknown_fields_are_refused_by_name(
    deployment: Deployment, owner: Owner, challenge: str
) -> None:
    optional = {"password", "account", "target", "facts", "replaces"}
    before = deployment.digest()
    for target, label, body in valid_bodies(owner, challenge):
        method, url = target.split(" ")
        for path, _ in leaves(body):
            if isinstance(path[-1], int):
                continue
            doubled = owner.call(method, url, raw=twice(body, path))
            assert (doubled.status, doubled.json["field"]) == (400, f"$.{path[-1]}"), (label, path, doubled)
            place = body
            for part in path[:-1]:
                place = place[part]
            extra = with_raw(body, path, json.dumps(place[path[-1]]) + ', "surplus": 1')
            surplus = owner.call(method, url, raw=extra)
            assert surplus.status == 400, (label, path, surplus)
            assert surplus.json["field"] == named((*path[:-1], "surplus")), (label, path, surplus)
        required = [path for path, _ in leaves(body) if len(path) == 1 and path[0] not in optional]
        if label in ("password", "mail", "webhook"):
            required.remove(("environment",))  # whose authenticator agrees may be left to the account
        if label.startswith("proof"):
            required = [
                path for path in required if path not in (("code",), ("sms_code",))
            ]  # which parts a proof needs is for its challenge to say
        required += [("action",), ("action", "type")] if "action" in body else []
        if label in PUBLIC_ACTIONS:
            declared = (PUBLIC_ACTIONS[label].legs or PUBLIC_ACTIONS[label]).fields
            required += [path for path, _ in leaves(body) if "fields" in path and declared[path[-1]].required]
        for path in required:
            missing = owner.call(method, url, raw=without(body, path))
            assert missing.status == 400, (label, path, missing)
            assert missing.json["field"] == named(path) or path == ("action", "type"), (label, path, missing)
    assert before == deployment.digest()


@pytest.mark.bar("B43")
@pytest.mark.parametrize(
    ("raw", "kind", "problem"),
    [
        (b"", "application/json", "malformed"),
        (b"{", "application/json", "malformed"),
        (b"[]", "application/json", "malformed"),
        (b"null", "application/json", "malformed"),
        (b'"code"', "application/json", "malformed"),
        (b'{"code":"000000"}{}', "application/json", "malformed"),
        (b'\xff\xfe{\x00', "application/json", "malformed"),
        (b'{"code":"\xff"}', "application/json", "malformed"),
        (b'{"code":"\\ud800"}', "application/json", "malformed"),
        (b'{"code":NaN,"\\u0070assword":"x"}', "application/json", "malformed"),
        (b"[" * 60_000, "application/json", "malformed"),
        (b'{"code":' * 9 + b"1" + b"}" * 9, "application/json", "malformed"),
        (b'{"code":"' + b"1" * 70_000 + b'"}', "application/json", "too-large"),
        (b'{"code":"000000"}', "text/plain", "not-json"),
        (b'{"code":"000000"}', "application/json; charset=utf-16", "not-json"),
        (b"code=000000", "application/x-www-form-urlencoded", "not-json"),
    ],
)  # fmt: skip
def test_a_body_that_is_not_one_small_json_document_is_refused(
    deployment: Deployment, owner: Owner, challenge: str, raw: bytes, kind: str, problem: str
) -> None:
    before = deployment.digest()
    reply = owner.call("POST", f"/v1/challenges/{challenge}/proof", raw=raw, headers=[("Content-Type", kind)])
    assert reply.problem == problem
    assert before == deployment.digest()


@pytest.mark.bar("B43")
def test_query_parameters_are_declared_once_and_typed(deployment: Deployment, owner: Owner) -> None:
    bad = ["after=-1", "after=1.5", "after=x", "after=", "after", "after=1&after=2", f"after={'9' * 30}", "limit=0",
           "limit=1001", "after=%EF%BC%91", "after=NaN", "after=%ff", "after=null", "limit=true"]  # fmt: skip
    for query in bad:
        reply = owner.call("GET", f"/v1/audit?{query}")
        assert (reply.status, reply.problem) == (400, "malformed"), query
        assert reply.json["field"] in ("$.after", "$.limit", "$"), query
    surplus = owner.call("GET", "/v1/audit?surplus=1")
    assert (surplus.status, surplus.json["field"]) == (400, "$.surplus")
    assert owner.call("GET", "/v1/audit?" + "a" * 2000).status == 400
    for endpoint in ENDPOINTS:
        if endpoint.method == "GET" and not endpoint.parameters and endpoint.who is not Who.OPERATOR:
            reply = owner.call("GET", f"{endpoint.path}?surplus=1")
            assert (reply.status, reply.json["field"]) == (400, "$.surplus"), endpoint.path
            assert owner.call("GET", endpoint.path, {}).json["field"] == "$", "a body where none is read"


def test_facts_stand_where_they_belong(owner: Owner) -> None:
    def named(body: dict[str, Any]) -> Any:
        return owner.call("POST", "/v1/authorize", body).json["field"]

    plain = decision("futures.position_mode.set")
    plain["action"]["facts"] = {"leverage": 1}
    assert named(plain) == "$.action.facts"
    assert named({**order(), "facts": {"leverage": 1}}) == "$.facts"
    amend = decision("futures.leverage.set")
    amend["action"]["facts"]["leverage"] = 1
    assert named(amend) == "$.action.facts.leverage"
    batch = decision("futures.order.place_batch")
    batch["action"]["facts"] = {"leverage": 1}
    assert named(batch) == "$.action.facts"
    del batch["action"]["facts"]
    batch["action"]["legs"][0]["facts"] = {"exposed": True}
    assert named(batch) == "$.action.legs[0].facts.exposed"
    six = {"action": {"type": "futures.order.place_batch", "legs": batch["action"]["legs"] * 6}}
    assert owner.call("POST", "/v1/authorize", six).json["field"] == "$.action.legs"


def test_a_whole_number_may_be_written_with_a_point(owner: Owner) -> None:
    for written in (b"75", b"75.0", b"7.5e1"):
        body = json.dumps(order("75")).encode().replace(b'"leverage": 75', b'"leverage": ' + written)
        shown = owner.call("POST", "/v1/authorize", raw=body).json["challenge"]["lines"]
        assert ["leverage at the venue", "75"] in shown


def test_an_action_nobody_declared_is_refused_by_name(owner: Owner) -> None:
    for name in ("futures.order.destroy", "futures.authenticator.replace", "spot.login_authenticator.bind", ""):
        reply = owner.call("POST", "/v1/authorize", {"action": {"type": name, "fields": {}}})
        assert (reply.status, reply.problem, reply.json["field"]) == (400, "unknown-action", "$.action.type")


def test_text_that_would_mislead_a_reader_is_refused(owner: Owner) -> None:
    for text in ("BTC\u202eUSDT", "BTC\u200bUSDT", "BTC\r\nUSDT", "\u001b[31mBTC", "BTC\u0000", " BTC", "e\u0301"):
        body = order()
        body["action"]["fields"]["symbol"] = text
        assert owner.call("POST", "/v1/authorize", body).json["field"] == "$.action.fields.symbol"
        assert owner.call("POST", "/v1/authorize", {**order(), "target": text}).json["field"] == "$.target"
    shown = owner.call("POST", "/v1/authorize", order(symbol="这是测试币456"))
    assert ["symbol", "这是测试币456"] in shown.json["challenge"]["lines"]
