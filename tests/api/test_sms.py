"""SMS through the API: the owner's way, what no body can set, and the receipts of providers."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from api_deployment import PASSWORD, Deployment, Owner, Reply
from leverlock.api.app import ENDPOINTS
from leverlock.api.endpoint import Who
from leverlock.api.views import Proved
from leverlock.app.sms_receipts import receipt_path
from leverlock.domain.authenticator import SealedSecret
from leverlock.domain.ids import make_id
from leverlock.domain.limits import Limits
from leverlock.domain.sms_code import message_context
from leverlock.ports_sms import ReceiptTerms, SmsTerms
from leverlock.verifiers.sms_code import SmsCodeVerifier

NUMBER = "+44 7400 123456"
OTHER_NUMBER = "+49 1512 3456789"
SMS = "/v1/environments/futures/sms"


@pytest.fixture(scope="module")
def texting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment that sends SMS."""
    terms = ReceiptTerms("status", frozenset({"1"}), frozenset({"2", "undelivered"}))
    running = Deployment(
        tmp_path_factory.mktemp("texting"),
        limits=Limits(sms_per_source=10_000, sms_resend_ms=1_000, sms_per_number=100, sms_breaker_percent=0),
        sms=lambda sealer: SmsTerms(SmsCodeVerifier(sealer), "127.0.0.1", receipts={"kannel": terms}),
    )
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def owner(texting: Deployment) -> Owner:
    return texting.owner()


def texts(owner: Owner) -> list[tuple[str, str]]:
    """(message, text) of every SMS of this owner that waits to be sent."""
    with closing(sqlite3.connect(f"file:{owner.deployment.path}?mode=ro", uri=True)) as raw:
        rows = raw.execute(
            "SELECT message_id, body FROM outbox WHERE account_id = ? AND channel = 'sms' ORDER BY created_at",
            (owner.account_id,),
        ).fetchall()
    return [
        (
            message_id,
            json.loads(
                owner.deployment.sealer.open(
                    SealedSecret.from_bytes(body), context=message_context(owner.account_id, message_id)
                )
            )["text"],
        )
        for message_id, body in rows
    ]


def code_of(owner: Owner) -> str:
    """The newest code on its way."""
    return [text.rsplit("#", 1)[1] for _, text in texts(owner) if "\n@" in text][-1]


def entered(owner: Owner, number: str = NUMBER) -> dict[str, Any]:
    owner.deployment.clock.next_step()  # one number is not texted twice within the pause
    answer = owner.call("POST", SMS, {"number": number})
    assert answer.status == 201, answer
    return answer.json  # type: ignore[no-any-return]


def confirmed(owner: Owner) -> None:
    pending = entered(owner)
    answer = owner.call("POST", f"{SMS}/{pending['id']}/confirmation", {"code": code_of(owner)})
    assert (answer.status, answer.json["state"]) == (200, "confirmed")


def saved(owner: Owner, *, backup: bool = True, **proof: str) -> Reply:
    """*Save Changes*: asked for the primary code, given it, and done by the very same call."""
    asked = owner.call("PUT", SMS, {"backup": backup})
    assert asked.status == 401, asked
    path = f"/v1/challenges/{asked.json['challenge']['id']}/proof"
    assert owner.call("POST", path, {"code": owner.code(), **proof}).status == 200
    owner.deployment.clock.next_step()
    return owner.call("PUT", SMS, {"backup": backup})


@pytest.fixture
def texted(owner: Owner) -> Owner:
    """An owner with a number as backup."""
    confirmed(owner)
    assert saved(owner).status == 200
    owner.deployment.clock.next_step()
    return owner


@pytest.mark.mission("M11")
@pytest.mark.mission("M13")
@pytest.mark.mission("M14")
def test_the_whole_way_through_the_api(owner: Owner) -> None:
    confirmed(owner)
    asked = owner.call("PUT", SMS, {"backup": True})
    assert (asked.status, asked.problem) == (401, "step-up-required")
    assert asked.json["challenge"]["requires"] == ["totp"]
    assert asked.headers["www-authenticate"].count("urn:leverlock:acr:futures-totp") == 1
    lines = dict(asked.json["challenge"]["lines"])
    assert (lines["number"], lines["backup"]) == ("+44********56", "true")
    again = owner.call("PUT", SMS, {"backup": True})
    assert again.status == 401  # refused until the code is given
    done = saved(owner)
    assert (done.status, done.json["backup"], done.json["number"]) == (200, True, "+44********56")
    [futures] = [e for e in owner.call("GET", "/v1/environments").json["environments"] if e["environment"] == "futures"]
    assert futures["sms"] == done.json
    assert futures["authenticator"]["id"] != futures["sms"]["id"]
    orders = [guard for guard in futures["guards"] if guard["action"] == "futures.order.place"]
    assert [guard["backups"] for guard in orders] == [["sms"]]
    owner.deployment.clock.next_step()
    challenge = owner.challenged()
    assert challenge["backups"] == ["sms"]
    sent = owner.call("POST", f"/v1/challenges/{challenge['id']}/sms")
    assert (sent.status, sent.json["delivery"], sent.json["open"]) == (202, "waiting", ["totp"])
    proved = owner.call("POST", f"/v1/challenges/{challenge['id']}/proof", {"sms_code": code_of(owner)})
    assert proved.status == 200
    assert proved.json["approved"][0]["grant"].startswith("gr_")


@pytest.mark.bar("B13")
def test_the_risk_is_told_before_the_owner_relies_on_it(owner: Owner) -> None:
    risk = entered(owner)["risk"]
    assert "SIM" in risk
    assert "app" in risk


@pytest.mark.bar("B13")
def test_without_sms_every_row_says_so_and_the_app_goes_on(deployment: Deployment) -> None:
    owner = deployment.owner()
    challenge = owner.challenged()
    assert "backups" not in challenge
    calls: list[tuple[str, str, Any]] = [
        ("POST", SMS, {"number": NUMBER}),
        ("PUT", SMS, {"backup": True}),
        ("POST", f"/v1/challenges/{challenge['id']}/sms", None),
        ("POST", f"/v1/challenges/{challenge['id']}/proof", {"sms_code": "12345678"}),
    ]
    before = owner.counters()
    for method, path, body in calls:
        refused = owner.call(method, path, body)
        assert (refused.status, refused.problem) == (403, "sms-off"), (method, path)
        assert "authenticator app" in refused.json["detail"]
    assert owner.counters() == before
    assert owner.prove(challenge["id"]).status == 200


@pytest.mark.bar("B13")
def test_sms_first_is_refused(texting: Deployment) -> None:
    owner = texting.owner(futures=False)
    refused = owner.call("POST", SMS, {"number": NUMBER})
    assert (refused.status, refused.problem) == (403, "enrolment-required")
    assert not texts(owner)
    assert owner.call("POST", "/v1/environments/login/sms", {"number": NUMBER}).status == 404


@pytest.mark.bar("B14")
@pytest.mark.parametrize(
    "extra",
    [
        {"verified": True},
        {"confirmed": True},
        {"confirmed_at": 1},
        {"state": "active"},
        {"usable_at": 0},
        {"backup": True},
        {"kind": "totp"},
    ],
)
def test_no_body_can_say_that_a_number_is_verified(owner: Owner, extra: dict[str, Any]) -> None:
    before = owner.deployment.digest()
    refused = owner.call("POST", SMS, {"number": NUMBER, **extra})
    assert (refused.status, refused.problem) == (400, "malformed")
    [name] = extra
    assert name in refused.json["detail"]
    assert owner.deployment.digest() == before
    entered(owner)
    before = owner.deployment.digest()
    for path, body in (
        (SMS, {"backup": True, **extra, "verified": True}),
        (SMS, {"backup": True, "usable_at": 0}),
        (SMS, {"backup": True, "number": NUMBER}),
    ):
        refused = owner.call("PUT", path, body)
        assert refused.status == 400, body
    assert owner.deployment.digest() == before
    assert owner.call("PUT", SMS, {"backup": True}).problem == "number-not-confirmed"


@pytest.mark.bar("B18")
@pytest.mark.parametrize(
    ("number", "status", "problem"),
    [
        ("+1 900 555 1234", 422, "number-not-allowed"),
        ("+881 612 345 678", 422, "number-not-allowed"),
        ("+44 20 7946 0958", 422, "number-not-allowed"),
        ("+44 7400 1234567", 400, "malformed"),
        ("07400 123456", 400, "malformed"),
        ("+44 7400 123456\n", 400, "malformed"),
        ("+４４ 7400 123456", 400, "malformed"),
        ("+44 7400 123456;ext=1", 400, "malformed"),
        ("+" + "1" * 5000, 400, "malformed"),
    ],
)
def test_what_cannot_be_texted_is_refused_and_nothing_is_sent(
    owner: Owner, number: str, status: int, problem: str
) -> None:
    owner.call("POST", SMS, {"number": number})  # the first call at a new time writes that time down
    before = owner.deployment.digest()
    refused = owner.call("POST", SMS, {"number": number})
    assert (refused.status, refused.problem) == (status, problem)
    assert refused.json["field"].endswith("number")
    assert owner.deployment.digest() == before


@pytest.mark.bar("B8")
@pytest.mark.parametrize(
    "code", ["２８７０８２１２", "٢٨٧٠٨٢", " 12345678", "12345678\n", "+1234567", "12_45678", "1234567890", "12345", ""]
)
def test_an_sms_code_has_one_form(texted: Owner, code: str) -> None:
    challenge = texted.challenged()
    before = texted.counters()
    refused = texted.call("POST", f"/v1/challenges/{challenge['id']}/proof", {"sms_code": code})
    assert (refused.status, refused.problem) == (400, "malformed")
    assert texted.counters() == before


@pytest.mark.bar("B20")
def test_a_challenge_that_takes_no_sms_says_so_and_charges_nothing(texted: Owner) -> None:
    asked = texted.call("DELETE", SMS)
    assert asked.status == 401
    challenge = asked.json["challenge"]
    assert "backups" not in challenge
    before = texted.counters()
    sent = texted.call("POST", f"/v1/challenges/{challenge['id']}/sms")
    assert (sent.status, sent.problem) == (422, "proof-not-accepted")
    proved = texted.call("POST", f"/v1/challenges/{challenge['id']}/proof", {"sms_code": "12345678"})
    assert (proved.status, proved.problem) == (422, "proof-not-accepted")
    assert texted.counters() == before
    reasons = [event["details"].get("reason") for event in texted.events()]
    assert reasons.count("proof_not_accepted") == 2


@pytest.mark.bar("B20")
def test_code_and_sms_code_together_are_not_one_of_them(texted: Owner) -> None:
    challenge = texted.challenged()
    both = {"code": texted.code(), "sms_code": "12345678"}
    refused = texted.call("POST", f"/v1/challenges/{challenge['id']}/proof", both)
    assert (refused.status, refused.problem) == (422, "proof-not-accepted")
    assert texted.prove(challenge["id"]).status == 200  # the code was not burned


def test_switching_off_needs_the_primary_code_and_then_nothing_is_texted(texted: Owner) -> None:
    asked = texted.call("DELETE", SMS)
    assert (asked.status, asked.json["challenge"]["requires"]) == (401, ["totp"])
    assert texted.prove(asked.json["challenge"]["id"]).status == 200
    texted.deployment.clock.next_step()
    assert texted.call("DELETE", SMS).status == 204
    assert texted.call("DELETE", SMS).status == 409
    challenge = texted.challenged()
    refused = texted.call("POST", f"/v1/challenges/{challenge['id']}/sms")
    assert (refused.status, refused.problem) == (409, "sms-not-usable")
    assert "authenticator app" in refused.json["detail"]


@pytest.mark.bar("B14")
def test_replacing_a_number_takes_password_and_code(texted: Owner) -> None:
    pending = entered(texted, OTHER_NUMBER)
    path = f"{SMS}/{pending['id']}/confirmation"
    assert texted.call("POST", path, {"code": code_of(texted)}).status == 200
    asked = texted.call("PUT", SMS, {"backup": True})
    assert asked.json["challenge"]["requires"] == ["password", "totp"]
    challenge = asked.json["challenge"]["id"]
    assert texted.prove(challenge).problem == "proof-missing"
    done = saved(texted, password=PASSWORD)
    assert done.json["usable_at"] == texted.deployment.clock.now_ms() + 24 * 3_600_000


@pytest.mark.bar("B46")
def test_a_repeated_call_sends_one_sms(texted: Owner) -> None:
    challenge = texted.challenged()
    path = f"/v1/challenges/{challenge['id']}/sms"
    before = len(texts(texted))
    answers = {texted.call("POST", path, key="one").body for _ in range(3)}
    assert len(answers) == 1
    assert len(texts(texted)) == before + 1


@pytest.mark.bar("B47")
def test_anothers_challenge_and_number_are_unknown(texted: Owner) -> None:
    other = texted.deployment.owner()
    challenge = texted.challenged()
    for method, path, body in (
        ("POST", f"/v1/challenges/{challenge['id']}/sms", None),
        ("GET", f"/v1/challenges/{challenge['id']}/sms", None),
        ("POST", f"{SMS}/{entered(texted, OTHER_NUMBER)['id']}/confirmation", {"code": "12345678"}),
    ):
        assert other.call(method, path, body).status == 404


# -- receipts --------------------------------------------------------------------------------------------------------
def sent(owner: Owner) -> tuple[str, str]:
    """(challenge, message) of an SMS that was asked for."""
    challenge = owner.challenged()
    assert owner.call("POST", f"/v1/challenges/{challenge['id']}/sms").status == 202
    return challenge["id"], texts(owner)[-1][0]


def delivery(owner: Owner, challenge: str) -> str:
    shown: str = owner.call("GET", f"/v1/challenges/{challenge}/sms").json["delivery"]
    return shown


@pytest.mark.parametrize(
    ("method", "query", "raw", "kind", "said"),
    [
        ("GET", "?status=1&anything=else", b"", "", "delivered"),
        ("GET", "?status=2", b"", "", "undelivered"),
        ("POST", "", b"SmsSid=SM1&status=undelivered&To=%2B44", "application/x-www-form-urlencoded", "undelivered"),
        ("POST", "", b'{"status": 1, "more": {"a": []}}', "application/json", "delivered"),
        ("GET", "?status=8", b"", "", "waiting"),  # on its way: neither yes nor no
        ("GET", "", b"", "", "waiting"),
    ],
)
def test_a_receipt_is_taken_in_the_providers_own_words(
    texted: Owner, method: str, query: str, raw: bytes, kind: str, said: str
) -> None:
    challenge, message = sent(texted)
    path = receipt_path(texted.deployment.sealer, texted.account_id, message, "kannel")
    headers = [("Content-Type", kind)] if kind else []
    answer = texted.deployment.api.call(method, path + query, raw=raw, headers=headers)
    assert answer.status == 204, answer
    assert delivery(texted, challenge) == said


def test_nobody_can_make_up_a_receipt(texted: Owner) -> None:
    challenge, message = sent(texted)
    good = receipt_path(texted.deployment.sealer, texted.account_id, message, "kannel")
    elsewhere = receipt_path(texted.deployment.sealer, texted.account_id, message, "other")
    before = texted.deployment.digest()
    for path in (
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        good.replace(message, make_id("msg", bytes(16))),
        good.replace(texted.account_id, texted.deployment.owner(futures=False).account_id),
        good.replace("/kannel/", "/other/"),
        elsewhere,
        good + "0",
        good.rsplit("/", 1)[0] + "/x",
    ):
        before = texted.deployment.digest()
        answer = texted.deployment.api.call("GET", path + "?status=1")
        assert answer.status == 404, path
        assert texted.deployment.digest() == before
    assert delivery(texted, challenge) == "waiting"
    for raw in (b"\xff\xfe", b"x=" + b"y" * 9000):
        refused = texted.deployment.api.call("POST", good, raw=raw)
        assert refused.status == 400


def test_a_receipt_approves_nothing(texted: Owner) -> None:
    challenge, message = sent(texted)
    path = receipt_path(texted.deployment.sealer, texted.account_id, message, "kannel")
    assert texted.deployment.api.call("GET", path + "?status=1").status == 204
    shown = texted.call("GET", f"/v1/challenges/{challenge}")
    assert shown.json["state"] == "pending"


@pytest.mark.bar("B21")
def test_no_row_approves_without_a_secret_that_was_carried_over(texted: Owner) -> None:
    """The only rows that answer with approvals are the two that take a proof; without one they approve nothing."""
    approving = [row for row in ENDPOINTS if row.answer is Proved]
    assert [row.path for row in approving] == ["/v1/challenges/{id}/proof", "/v1/proofs"]
    assert all(row.who in (Who.OWNER, Who.RECOVERER) for row in approving)  # the owner's sessions, and no key
    challenge = texted.challenged()
    for path, body in (
        (f"/v1/challenges/{challenge['id']}/proof", {}),
        (f"/v1/challenges/{challenge['id']}/proof", {"password": PASSWORD}),
        ("/v1/proofs", {"challenges": [challenge["id"]]}),
    ):
        assert texted.call("POST", path, body).status == 422, body
    shown = texted.call("GET", f"/v1/challenges/{challenge['id']}")
    assert shown.json["state"] == "pending"
    # And nothing that is sent to the owner holds a button: a link shows the challenge, a code is typed.
    assert all(text.count("#") == 1 for _, text in texts(texted) if "\n@" in text)
