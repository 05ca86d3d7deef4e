"""Refusals: one row for every reason, whole RFC 9457 documents, and nothing told to who may not know it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import random
from typing import Any

import pytest

from api_deployment import PASSWORD, POLICIES, Deployment, Reply, order
from leverlock.api.app import ENDPOINTS
from leverlock.api.door import Door, Routes
from leverlock.api.endpoint import Endpoint, Who, common_reasons
from leverlock.api.problems import PROBLEMS, Edge, EdgeRefused, type_of
from leverlock.domain.errors import Reason
from leverlock.domain.ids import make_id
from leverlock.domain.roles import Role, may
from operators import operator
from software_key import SoftwareKey

GUARDED = [endpoint for endpoint in ENDPOINTS if endpoint.who is not Who.ANYBODY]
UNKNOWN_ID = make_id("ch", bytes(16))


def filled(endpoint: Endpoint) -> str:
    """The row's path with ids of the right form that exist nowhere."""
    prefix = {"challenges": "ch", "authenticators": "au", "keys": "key", "recovery-cases": "case", "addresses": "adr"}
    path = endpoint.path.replace("{environment}", "futures").replace("{subject}", "system")
    path = path.replace("{provider}", "kannel").replace("{token}", "0" * 64)
    kinds = {"account": "acc", "case": "case", "document": "doc", "proposal": "prop", "message": "msg"}
    for name, kind in kinds.items():
        path = path.replace(f"{{{name}}}", make_id(kind, bytes(16)))
    return path.replace("{id}", make_id(prefix.get(endpoint.segments[1], "au"), bytes(16)))


def whole(reply: Reply) -> tuple[int, bytes, str | None, str]:
    """All of an answer that could tell one case from another."""
    return reply.status, reply.body, reply.headers.get("www-authenticate"), reply.headers["content-type"]


def test_every_reason_has_one_row_and_every_row_its_own_type() -> None:
    assert set(PROBLEMS) == {*Reason, *Edge}
    assert len({type_of(reason) for reason in PROBLEMS}) == len(PROBLEMS)
    assert all(400 <= row.status < 600 for row in PROBLEMS.values())
    assert all(PROBLEMS[reason].status >= 500 for reason in (Reason.STORE_UNAVAILABLE, Reason.CLOCK_BEHIND))


def test_every_type_can_be_read_where_it_points(deployment: Deployment) -> None:
    for reason, row in PROBLEMS.items():
        page = deployment.api.call("GET", type_of(reason))
        assert (page.status, page.json["detail"]) == (200, row.detail)
    assert deployment.api.call("GET", "/problems/none-such").problem == "unknown-id"


@pytest.mark.bar("B53")
@pytest.mark.bar("B62")
@pytest.mark.parametrize("endpoint", GUARDED, ids=lambda row: f"{row.method} {row.path}")
def test_who_is_not_signed_in_gets_one_answer_whatever_he_sends(deployment: Deployment, endpoint: Endpoint) -> None:
    owner = deployment.owner(futures=False)
    ended = owner.token
    assert owner.call("DELETE", "/v1/sessions/current").status == 204
    bearer = "Authorization"
    account, secret = ended.split(".")
    tries: list[dict[str, Any]] = [
        {},
        {"headers": [(bearer, "")]},
        {"headers": [(bearer, "Bearer")]},
        {"headers": [(bearer, f"Basic {ended}")]},
        {"headers": [(bearer, b"Bearer \xff\xfe")]},
        {"headers": [(bearer, f"Bearer {ended}"), (bearer, f"Bearer {ended}")]},
        {"token": ended},
        {"token": f"{account}."},
        {"token": f"acc_unknown.{secret}"},
        {"token": account},
        {"token": "lvi_unknown"},
        {"token": "x" * 5000},
        {"token": ended, "raw": b"{", "key": "k"},
        {"token": ended, "raw": b"x" * 70_000},
        {"token": ended, "raw": b"{}", "headers": [("Content-Type", "text/plain")]},
        {"token": "lvi_unknown", "raw": json.dumps({**order(), "account": "none"}).encode()},
    ]
    answers = {whole(deployment.api.call(endpoint.method, filled(endpoint), **attempt)) for attempt in tries}
    assert len(answers) == 1, answers
    status, body, authenticate, _ = answers.pop()
    assert (status, authenticate) == (401, 'Bearer realm="leverlock"')
    assert json.loads(body)["type"] == "/problems/not-authenticated"


def test_an_integrator_may_ask_and_never_answer(deployment: Deployment) -> None:
    venue = deployment.integrator()
    for endpoint in GUARDED:
        if endpoint.who is Who.ASKER:
            continue
        body: Any = (
            None if endpoint.body is None else {"code": "123456", "reason": "not_me", "challenges": [UNKNOWN_ID]}
        )
        if body is not None:
            body = {name: body[name] for name in getattr(endpoint.body, "__struct_fields__", ()) if name in body}
        refused = deployment.api.call(endpoint.method, filled(endpoint), body, token=venue)
        assert (refused.status, refused.problem) == (403, "not-permitted"), endpoint.path


@pytest.mark.bar("B53")
def test_a_step_up_says_what_is_wanted_in_the_header_of_rfc_9470(deployment: Deployment) -> None:
    owner = deployment.owner()
    stopped = owner.call("POST", "/v1/authorize", order())
    assert stopped.status == 401
    assert stopped.headers["www-authenticate"] == (
        'Bearer error="insufficient_user_authentication", '
        'error_description="The account\'s owner has been asked; once he has answered, repeat the very same call.", '
        'acr_values="urn:leverlock:acr:futures-totp", max_age="0"'
    )
    document = stopped.json
    assert document["type"] == "/problems/step-up-required"
    assert document["challenge"]["requires"] == ["totp"]
    assert document["challenge"]["expires_at"] == deployment.clock.now_ms() + deployment.limits.challenge_life_ms

    replacing = owner.call("POST", "/v1/environments/futures/authenticators")
    assert 'acr_values="urn:leverlock:acr:futures-password-totp", max_age="0"' in replacing.headers["www-authenticate"]


def test_an_old_password_asks_for_a_new_one(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    deployment.clock.advance(deployment.limits.password_fresh_ms)
    refused = owner.call("POST", "/v1/environments/spot/authenticators")
    assert (refused.status, refused.problem) == (401, "password-too-old")
    assert 'acr_values="urn:leverlock:acr:password", max_age="300"' in refused.headers["www-authenticate"]


def test_a_session_is_kept_awake_by_use_and_by_looking(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    for call in (
        lambda: owner.call("GET", "/v1/keys"),
        lambda: owner.call("POST", "/v1/authorize", order()),
        lambda: owner.call("GET", "/v1/sessions/current"),
    ):
        deployment.clock.advance(deployment.limits.session_idle_ms - 1)
        assert call().status == 200
        ((seen,),) = deployment.rows("SELECT max(last_seen_at) FROM session WHERE account_id = ?", (owner.account_id,))
        assert seen == deployment.clock.now_ms()
    # A call that fails before its transaction can be told what was wrong, however long ago the last one was.
    deployment.clock.advance(deployment.limits.session_idle_ms - 1)
    assert owner.call("POST", "/v1/authorize", raw=b"{").problem == "malformed"
    deployment.clock.advance(1)
    assert owner.call("GET", "/v1/keys").problem == "not-authenticated"


@pytest.mark.bar("B62")
@pytest.mark.bar("B47")
def test_unknown_foreign_and_malformed_ids_are_one_answer(deployment: Deployment) -> None:
    owner, stranger, venue = deployment.owner(), deployment.owner(), deployment.integrator()
    theirs = stranger.challenged()["id"]
    key_of_theirs = deployment.key(stranger.account_id)
    mine = deployment.api.call("POST", "/v1/authorize", {"account": owner.account_id, **order()}, token=venue)
    asked_by_venue = mine.json["challenge"]["id"]
    other_venue = deployment.integrator()

    answers = []
    for challenge in (UNKNOWN_ID, theirs, "ch_x", "CH_" + UNKNOWN_ID[3:], "au" + UNKNOWN_ID[2:], "0", "a" * 64):
        answers += [
            owner.call("GET", f"/v1/challenges/{challenge}"),
            owner.prove(challenge, "123456"),
            owner.call("POST", f"/v1/challenges/{challenge}/denial", {"reason": "changed_mind"}),
            owner.call("DELETE", f"/v1/challenges/{challenge}"),
            owner.call("POST", "/v1/proofs", {"challenges": [challenge], "code": "123456"}),
        ]
    for key in (make_id("key", bytes(16)), key_of_theirs, "key_x", UNKNOWN_ID):
        answers.append(owner.call("DELETE", f"/v1/keys/{key}"))
    for environment in ("futures", "none"):
        path = f"/v1/environments/{environment}/authenticators/{make_id('au', bytes(16))}/confirmation"
        answers.append(owner.call("POST", path, {"code": "123456"}))
    # Another integrator's challenge, and accounts that are not there.
    on = f"?account={owner.account_id}"
    answers += [
        deployment.api.call("GET", f"/v1/challenges/{asked_by_venue}{on}", token=other_venue),
        deployment.api.call("DELETE", f"/v1/challenges/{asked_by_venue}{on}", token=other_venue),
        deployment.api.call("GET", f"/v1/challenges/{asked_by_venue}?account={stranger.account_id}", token=venue),
        owner.call("GET", f"/v1/challenges/{asked_by_venue}?account={stranger.account_id}"),
        owner.call("DELETE", f"/v1/challenges/{asked_by_venue}"),  # asked by the venue, so not his to withdraw
    ]
    for account in (make_id("acc", bytes(16)), "system", "acc_x", "none"):
        answers.append(deployment.api.call("POST", "/v1/authorize", {"account": account, **order()}, token=venue))
    answers.append(owner.call("POST", "/v1/authorize", {"account": stranger.account_id, **order()}))
    answers.append(owner.call("POST", "/v1/redeem", {**order(), "grant": "gr_" + "0" * 64}))
    answers.append(owner.call("POST", "/v1/redeem", {**order(), "grant": "x"}))

    assert {whole(reply) for reply in answers} == {whole(answers[0])}
    assert answers[0].problem == "unknown-id"
    assert deployment.api.call("GET", f"/v1/challenges/{asked_by_venue}{on}", token=venue).status == 200
    # Refusals are on record, and that is all that came of them: nobody's budget or challenge was touched.
    assert owner.counters()[0] == stranger.counters()[0] == 0
    states = deployment.rows(
        "SELECT DISTINCT state FROM challenge WHERE challenge_id IN (?, ?)", (theirs, asked_by_venue)
    )
    assert states == [("pending",)]


@pytest.mark.bar("B62")
def test_wrong_code_other_environment_and_wrong_password_are_one_answer(deployment: Deployment) -> None:
    owner = deployment.owner()
    owner.enable("spot")
    first = owner.challenged("1")["id"]
    replacing = owner.call("POST", "/v1/environments/futures/authenticators").json["challenge"]["id"]
    path = f"/v1/challenges/{replacing}/proof"
    answers = [
        owner.prove(first, owner.wrong_code()),
        owner.prove(first, owner.code("spot")),
        owner.call("POST", path, {"code": owner.code(), "password": "not the password"}),
        owner.call("POST", path, {"code": owner.wrong_code(), "password": PASSWORD}),
    ]
    assert {whole(reply) for reply in answers} == {whole(answers[0])}
    assert (answers[0].status, answers[0].problem) == (403, "wrong-code")


def test_what_is_missing_or_not_asked_for_is_named_and_costs_nothing(deployment: Deployment) -> None:
    owner = deployment.owner()
    order = owner.challenged("1")["id"]
    replacing = owner.call("POST", "/v1/environments/futures/authenticators").json["challenge"]["id"]
    code = owner.code()
    for challenge, body, problem, field in (
        (replacing, {"code": code}, "proof-missing", "password"),
        (replacing, {"password": PASSWORD}, "proof-missing", "code"),
        (replacing, {}, "proof-missing", "code"),
        (order, {"code": code, "password": PASSWORD}, "proof-not-accepted", "password"),
        (order, {"password": PASSWORD}, "proof-not-accepted", "password"),
    ):
        reply = owner.call("POST", f"/v1/challenges/{challenge}/proof", body)
        assert (reply.status, reply.problem, reply.json["field"]) == (422, problem, field)
    for challenge in (order, replacing):
        assert owner.call("GET", f"/v1/challenges/{challenge}").json["attempts_left"] == 5
    assert owner.prove(order, code).status == 200


@pytest.mark.bar("B62")
@pytest.mark.bar("B76")
def test_a_failed_sign_in_tells_nothing_of_the_login(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    answers = [
        deployment.api.call("POST", "/v1/sessions", {"login": login, "password": password})
        for login, password in (
            (owner.login, "wrong wrong wrong"),
            (owner.login.upper(), "wrong wrong wrong"),
            ("nobody-at-all", "wrong wrong wrong"),
            ("nobody-at-all", PASSWORD),
        )
    ]
    assert {whole(reply) for reply in answers} == {whole(answers[0])}
    assert (answers[0].status, answers[0].problem) == (401, "sign-in-failed")


@pytest.mark.bar("B76")
def test_five_spellings_of_a_login_are_one_login_and_one_budget(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    spellings = [owner.login, owner.login.upper(), f" {owner.login}", owner.login.title(), f"ｏ{owner.login[1:]}"]
    for spelling in spellings:
        assert deployment.api.call("POST", "/v1/sessions", {"login": spelling, "password": PASSWORD}).status == 201
    tries = [
        deployment.api.call("POST", "/v1/sessions", {"login": spellings[n % 5], "password": "wrong wrong"})
        for n in range(deployment.limits.sign_in_tries + 1)
    ]
    assert [reply.problem for reply in tries[:-1]] == ["sign-in-failed"] * deployment.limits.sign_in_tries
    assert (tries[-1].status, tries[-1].problem) == (429, "sign-in-throttled")
    assert int(tries[-1].headers["retry-after"]) == tries[-1].json["retry_after"] > 0


@pytest.mark.bar("B71")
def test_no_header_can_pretend_to_be_another_source_caller_or_method(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    claims = ["X-Forwarded-For", "X_Forwarded_For", "Forwarded", "X-Real-IP", "X-User", "X-HTTP-Method-Override"]
    addresses = ["10.0.0.{n}", "for=10.0.0.{n}", "a", "1.2.3.4.5", "::1%eth0", "', --", "10.0.0.{n}, 10.0.0.{n}"]
    for n in range(deployment.limits.sign_in_tries):
        headers = [(name, addresses[(n + i) % len(addresses)].format(n=n)) for i, name in enumerate(claims)]
        body = {"login": owner.login, "password": "wrong wrong"}
        assert deployment.api.call("POST", "/v1/sessions", body, headers=headers).problem == "sign-in-failed"
    throttled = deployment.api.call(
        "POST", "/v1/sessions", {"login": owner.login, "password": PASSWORD}, headers=[("X-Forwarded-For", "10.9.9.9")]
    )
    assert throttled.problem == "sign-in-throttled"
    plain = deployment.api.call("GET", "/v1/environments", headers=[("X-User", owner.login), ("X-Remote-User", "a")])
    assert plain.status == 401
    overridden = owner.call("GET", "/v1/sessions/current", headers=[("X-HTTP-Method-Override", "DELETE")])
    assert (overridden.status, owner.call("GET", "/v1/sessions/current").status) == (200, 200)


@pytest.mark.bar("B73")
def test_a_thousand_broken_credentials_are_refused_and_none_breaks_anything(deployment: Deployment) -> None:
    owner, venue = deployment.owner(), deployment.integrator()
    approved = owner.prove(owner.challenged()["id"]).json["approved"][0]
    asks = [{"account": owner.account_id, **order("9", leverage)} for leverage in (20, 75)]
    dice = random.Random(73)
    printable = [chr(c) for c in range(0x21, 0x7F)]
    for n in range(1000):
        credential = (owner.token, venue, approved["grant"])[n % 3]
        at = dice.randrange(len(credential))
        if n % 2:
            broken = credential[:at]
        else:
            broken = credential[:at] + dice.choice([c for c in printable if c != credential[at]]) + credential[at + 1 :]
        if n % 3 == 2:
            reply = owner.call("POST", "/v1/redeem", {**order(), "grant": broken})
            assert reply.status in (400, 404), (broken, reply)
        else:
            reply = deployment.api.call("POST", "/v1/authorize", asks[n // 3 % 2], token=broken)
            assert (reply.status, reply.problem) == (401, "not-authenticated"), (broken, reply)
    assert owner.call("POST", "/v1/redeem", {**order(), "grant": approved["grant"]}).status == 200


def test_paths_have_one_spelling_and_unknown_ones_are_refused(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    for path in (
        "/v1/keys/",
        "//v1/keys",
        "/v1//keys",
        "/v1/%6beys",
        "/V1/keys",
        "/v1/keys;a=b",
        "/v1/./keys",
        "/v2/keys",
    ):
        assert owner.call("GET", path).problem == "no-such-path", path
    wrong = owner.call("PUT", "/v1/keys", {})
    assert (wrong.status, wrong.problem, wrong.headers["allow"]) == (405, "method-not-allowed", "GET, POST")


QUERIES = {"LoginQuery": b"login=nobody", "DocumentQuery": b"kind=identity"}


async def drive(app: Any, endpoint: Endpoint, path: str, token: str, body: bytes) -> tuple[int, bytes]:
    """One request straight into the ASGI application."""
    sent: list[dict[str, Any]] = []
    media = endpoint.takes[0] if endpoint.takes else "application/json"
    headers = [(b"authorization", f"Bearer {token}".encode()), (b"content-type", media.encode())]
    query = QUERIES.get(endpoint.query.__name__, b"")
    scope = {"type": "http", "method": endpoint.method, "path": path, "raw_path": path.encode(), "query_string": query}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({**scope, "headers": headers, "client": ("127.0.0.1", 1)}, receive, send)
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.bar("B92")
def test_an_unforeseen_failure_in_any_handler_says_nothing_but_its_number(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    owner = deployment.owner()
    staff = [operator(deployment, role) for role in Role]
    bodies: dict[str, Any] = {
        "CaseForm": {"environments": ["futures"], "statement": "lost"},
        "ReasonForm": {"reason": "seen"},
        "RoleForm": {"role": None},
        "PolicyForm": {"text": (POLICIES / "literal.toml").read_text()},
        "SignInForm": {"login": owner.login, "password": PASSWORD},
        "CodeForm": {"code": "123456"},
        "ConfirmForm": {"code": "123456"},
        "CreateKeyForm": {"label": "bot"},
        "EditKeyForm": {"label": "bot"},
        "EndKeysForm": {"keys": [UNKNOWN_ID]},
        "DigestForm": order(),
        "ProofForm": {"code": "123456"},
        "ProofsForm": {"challenges": [UNKNOWN_ID], "code": "123456"},
        "DenialForm": {"reason": "not_me"},
        "CancelLinkForm": {"token": "x"},
        "LinkForm": {"token": "x"},
        "LoginForm": {"login": owner.login},
        "PasswordForm": {"password": PASSWORD},
        "RecoveryForm": {"environment": "futures", "code": "aaaaaa-bbbbbb-cccccc-dddddd"},
        "AddressCodeForm": {"code": "aaaaaa-bbbbbb-cccccc-dddddd"},
        "MailForm | WebhookForm": {"channel": "email", "target": "a@example.com"},
        "AssertionForm": SoftwareKey().sign({"challenge": "AAAA"}),
        "RegistrationForm": SoftwareKey().register({"challenge": "AAAA"}),
        "LabelForm": {"label": "x"},
        "NumberForm": {"number": "+44 7400 123456"},
        "NumberCodeForm": {"code": "12345678"},
        "SmsSettingsForm": {"backup": True},
        "LanguageForm": {"language": "zh"},
        "AuthorizeForm": order(),
        "RedeemForm": {**order(), "grant": "x"},
    }

    def broken(*_: Any) -> Any:
        raise RuntimeError("canary: seed, path and stack")

    for endpoint in ENDPOINTS:
        # What takes a document does its work before the transaction of others.
        harm: dict[str, Any] = {"prepare": broken} if endpoint.takes else {"work": broken}
        app = Door([dataclasses.replace(endpoint, **harm)], deployment.services)
        body = b"x" if endpoint.takes else b""
        if endpoint.body is not None:
            form = getattr(endpoint.body, "__name__", "MailForm | WebhookForm")
            body = json.dumps(bodies[form]).encode()
        who = owner
        if endpoint.permission is not None:
            who = next(one for role, one in zip(Role, staff, strict=True) if may(role, endpoint.permission))
        with caplog.at_level(logging.ERROR, logger="leverlock.api"):
            status, answer = asyncio.run(drive(app, endpoint, filled(endpoint), who.token, body))
        document = json.loads(answer)
        assert status == 500, endpoint.path
        assert b"canary" not in answer
        assert set(document) == {"type", "title", "status", "detail", "instance"}
        number = document["instance"].removeprefix("urn:leverlock:correlation:")
        assert caplog.records[-1].correlation == number  # type: ignore[attr-defined]
        assert "canary" in caplog.text
    assert owner.call("GET", "/v1/environments").status == 200


def test_the_table_s_own_words_for_a_parameter_are_no_path(deployment: Deployment) -> None:
    """`{id}` is how a row says that something stands there; as a path it is none."""
    owner = deployment.owner()
    for endpoint in ENDPOINTS:
        if endpoint.parameters and not endpoint.takes:
            with pytest.raises(EdgeRefused) as refused:
                Routes(ENDPOINTS).find(endpoint.method, endpoint.path.encode())
            assert refused.value.reason is Edge.NO_SUCH_PATH
    assert owner.call("GET", "/v1/challenges/{id}").status in (400, 404)


def test_every_answer_forbids_caching_and_carries_a_number(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    for reply in (owner.call("GET", "/v1/keys"), owner.call("GET", "/none"), deployment.api.call("GET", "/healthz")):
        assert reply.headers["cache-control"] == "no-store"
        assert len(reply.headers["correlation-id"]) == 16


def test_the_table_names_every_refusal_of_its_rows() -> None:
    for endpoint in ENDPOINTS:
        listed = {*endpoint.reasons, *common_reasons(endpoint)}
        assert len(endpoint.reasons) == len(set(endpoint.reasons)), endpoint.path
        assert Reason.NOT_AUTHENTICATED in listed or endpoint.who is Who.ANYBODY
        assert endpoint.secret <= (endpoint.method == "POST")
