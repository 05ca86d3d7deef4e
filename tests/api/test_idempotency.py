"""Idempotency keys: an answer that was lost can be had again, a secret cannot, and nothing is done twice."""

from __future__ import annotations

import base64
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from api_deployment import PASSWORD, Deployment, Owner, order


def same(*replies: object) -> bool:
    seen = {(reply.status, reply.body, reply.headers.get("www-authenticate")) for reply in replies}  # type: ignore[attr-defined]
    return len(seen) == 1


@pytest.mark.bar("B46")
def test_a_retried_proof_gives_the_same_grant_and_never_a_second(deployment: Deployment) -> None:
    owner = deployment.owner()
    challenge = owner.challenged()["id"]
    code = owner.code()
    first = owner.prove(challenge, code, key="proof-1")
    assert first.status == 200
    events = len(owner.events())
    again = owner.prove(challenge, code, key="proof-1")
    assert same(first, again)
    assert first.json["approved"][0]["grant"].startswith("gr_")
    assert len(owner.events()) == events
    # Without the key it is a new answer to a challenge that waits no longer.
    assert owner.prove(challenge, code).problem == "challenge-not-pending"
    # The grant itself is nowhere in the database: only its hash is (B44).
    stored = deployment.rows("SELECT answer FROM idempotency WHERE key = 'proof-1'")
    assert stored
    assert b"gr_" not in stored[0][0]


@pytest.mark.bar("B46")
def test_a_proof_whose_answer_was_cut_off_is_had_again(deployment: Deployment) -> None:
    owner = deployment.owner()
    challenge = owner.challenged()["id"]
    body = b'{"code":"%s"}' % owner.code().encode()
    head = (
        f"POST /v1/challenges/{challenge}/proof HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {owner.token}\r\n"
        f"Content-Type: application/json\r\nIdempotency-Key: cut\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", deployment.api.port)) as connection:
        connection.sendall(head + body)
    retried = owner.call("POST", f"/v1/challenges/{challenge}/proof", raw=body, key="cut")
    assert retried.status == 200, retried
    approvals = [event for event in owner.events() if event["kind"] == "challenge.approved"]
    assert len(approvals) == 1
    grant = retried.json["approved"][0]["grant"]
    assert owner.call("POST", "/v1/redeem", {**order(), "grant": grant}).status == 200


def test_calls_in_flight_under_one_key_are_one_call(deployment: Deployment) -> None:
    owner = deployment.owner()
    challenge = owner.challenged()["id"]
    code = owner.code()
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: owner.prove(challenge, code, key="race"), range(8)))
    assert same(*replies)
    assert replies[0].status == 200
    assert sum(event["kind"] == "challenge.approved" for event in owner.events()) == 1


def test_a_key_serves_one_request_of_one_principal(deployment: Deployment) -> None:
    owner, other = deployment.owner(), deployment.owner()
    challenge = owner.challenged()["id"]
    path = f"/v1/challenges/{challenge}/denial"
    assert owner.call("POST", path, {"reason": "changed_mind"}, key="k").status == 204
    assert owner.call("POST", path, {"reason": "changed_mind"}, key="k").status == 204
    for reply in (
        owner.call("POST", path, {"reason": "not_me"}, key="k"),
        owner.call("POST", path, raw=b'{"reason": "changed_mind" }', key="k"),
        owner.call("DELETE", f"/v1/challenges/{challenge}", key="k"),
    ):
        assert (reply.status, reply.problem) == (422, "idempotency-key-reused")
    theirs = other.challenged()["id"]
    assert other.call("POST", f"/v1/challenges/{theirs}/denial", {"reason": "changed_mind"}, key="k").status == 204
    assert owner.again().call("POST", path, {"reason": "changed_mind"}, key="k").problem == "challenge-not-pending"


def test_a_redemption_is_answered_again_and_done_once(deployment: Deployment) -> None:
    owner = deployment.owner()
    grant = owner.prove(owner.challenged()["id"]).json["approved"][0]["grant"]
    body = {**order(), "grant": grant}
    first = owner.call("POST", "/v1/redeem", body, key="redeem")
    assert first.status == 200
    assert same(first, owner.call("POST", "/v1/redeem", body, key="redeem"))
    assert owner.call("POST", "/v1/redeem", body).problem == "grant-spent"

    deployment.clock.next_step()
    grant = owner.prove(owner.challenged("2")["id"]).json["approved"][0]["grant"]
    other = {**order("3"), "grant": grant}
    void = owner.call("POST", "/v1/redeem", other, key="void")
    assert void.problem == "action-mismatch"
    assert same(void, owner.call("POST", "/v1/redeem", other, key="void"))


def test_a_step_up_is_not_remembered_so_the_same_call_goes_on(deployment: Deployment) -> None:
    owner = deployment.owner()
    stopped = owner.call("POST", "/v1/authorize", order(), key="order-1")
    again = owner.call("POST", "/v1/authorize", order(), key="order-1")
    assert same(stopped, again)
    owner.prove(stopped.json["challenge"]["id"])
    granted = owner.call("POST", "/v1/authorize", order(), key="order-1")
    assert granted.json["decision"] == "granted"
    owner.call("POST", "/v1/redeem", {**order(), "grant": granted.json["grant"]})
    # From here on the key has its answer, whatever became of the grant: nothing is asked anew under it.
    assert same(granted, owner.call("POST", "/v1/authorize", order(), key="order-1"))
    assert owner.call("POST", "/v1/authorize", order(), key="order-2").problem == "step-up-required"


def test_a_refusal_is_not_remembered(deployment: Deployment) -> None:
    owner = deployment.owner()
    challenge = owner.challenged()["id"]
    wrong = owner.wrong_code()
    assert owner.prove(challenge, wrong, key="wrong").problem == "wrong-code"
    assert owner.prove(challenge, wrong, key="wrong").problem == "wrong-code"
    assert owner.counters()[0] == 2
    assert owner.prove(challenge, key="wrong").status == 200  # nothing was done under it, so it is still free


@pytest.mark.bar("B58")
def test_an_answer_that_held_a_secret_is_never_repeated(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    start = "/v1/environments/futures/authenticators"
    first = owner.call("POST", start, key="start")
    assert first.status == 201
    repeated = owner.call("POST", start, key="start")
    assert (repeated.status, repeated.problem) == (409, "secret-not-repeated")
    assert first.json["secret"].encode() not in repeated.body
    owner.seeds["futures"] = base64.b32decode(first.json["secret"])
    path = f"{start}/{first.json['authenticator']}/confirmation"
    confirmed = owner.call("POST", path, {"code": owner.code()}, key="confirm")
    assert len(confirmed.json["recovery_codes"]) == 10
    repeated = owner.call("POST", path, {"code": owner.code()}, key="confirm")
    assert (repeated.status, repeated.problem) == (409, "secret-not-repeated")
    for (answer,) in deployment.rows("SELECT answer FROM idempotency WHERE key IN ('start', 'confirm')"):
        assert answer == b"secret"


@pytest.mark.parametrize("bad", [[b""], [b"a b"], [b"a" * 129], [b"\xc3\xa4"], [b"a", b"b"], [b"a", b"a"]])
def test_a_key_has_a_form(deployment: Deployment, bad: list[bytes]) -> None:
    owner: Owner = deployment.owner(futures=False)
    headers: list[tuple[str, str | bytes]] = [("Idempotency-Key", value) for value in bad]
    reply = owner.call("POST", "/v1/authorize", order(), headers=headers)
    assert (reply.status, reply.problem, reply.json["field"]) == (400, "malformed", "Idempotency-Key")


def test_fingerprints_tell_nothing_of_the_body(deployment: Deployment) -> None:
    import hashlib

    owner = deployment.owner()
    challenge = owner.call("POST", "/v1/environments/futures/authenticators").json["challenge"]["id"]
    body = b'{"code":"%s","password":"%s"}' % (owner.code().encode(), PASSWORD.encode())
    target = f"/v1/challenges/{challenge}/proof"
    assert owner.call("POST", target, raw=body, key="keyed").status == 200
    ((fingerprint,),) = deployment.rows("SELECT fingerprint FROM idempotency WHERE key = 'keyed'")
    for guess in (body, f"POST {target}\n".encode() + body, f"POST {target}?\n".encode() + body):
        assert fingerprint != hashlib.sha256(guess).digest()
