"""Security keys through the API alone: a browser's own words in, a browser's own words out."""

from __future__ import annotations

from typing import Any

import pytest

from api.test_safeguards import withdrawal
from api_deployment import PASSWORD, Deployment, Owner, Reply
from leverlock.domain.limits import DAY, MINUTE
from software_key import HONEST, SoftwareKey, Spoilt

OPTIONS, KEYS = "/v1/security-keys/registration-options", "/v1/security-keys"
LOGIN = "/v1/sessions/current/login-challenge"


def added(owner: Owner, key: SoftwareKey, label: str = "blue") -> str:
    """A security key of this owner; its id. The last code is used with it, and a step passes."""
    stopped = owner.call("POST", OPTIONS, {"label": label})
    if stopped.status == 401:
        challenge = stopped.json["challenge"]
        answer = {"password": PASSWORD, **({"code": owner.code()} if "totp" in challenge["requires"] else {})}
        assert owner.call("POST", f"/v1/challenges/{challenge['id']}/proof", answer).status == 200
        owner.deployment.clock.next_step()
        stopped = owner.call("POST", OPTIONS, {"label": label})
    assert stopped.status == 200, stopped
    made = owner.call("POST", KEYS, key.register(stopped.json["public_key"]))
    assert made.status == 201, made
    return str(made.json["id"])


def key_sign_in(owner: Owner, key: SoftwareKey) -> Owner:
    owner.sign_in()
    options = owner.call("POST", f"{LOGIN}/assertion-options").json["public_key"]
    answer = owner.call("POST", f"{LOGIN}/assertion", key.sign(options))
    assert (answer.status, answer.json["state"]) == (200, "full"), answer
    return owner


def aged(owner: Owner, key: SoftwareKey) -> str:
    key_id = added(owner, key)
    owner.deployment.clock.advance(DAY)
    key_sign_in(owner, key)
    return key_id


def answered(owner: Owner, challenge: str, key: SoftwareKey, spoilt: Spoilt = HONEST) -> Reply:
    options = owner.call("POST", f"/v1/challenges/{challenge}/assertion-options")
    assert options.status == 200, options
    assertion = key.sign(options.json["public_key"], spoilt)
    return owner.call("POST", f"/v1/challenges/{challenge}/proof", {"assertion": assertion})


@pytest.mark.mission("M22")
@pytest.mark.mission("M1")
def test_a_key_is_added_shown_and_logs_in(deployment: Deployment) -> None:
    owner, key = deployment.owner(), SoftwareKey()
    stopped = owner.call("POST", OPTIONS, {"label": "blue"})
    assert stopped.status == 401
    assert 'acr_values="urn:leverlock:acr:futures-password-totp"' in stopped.headers["www-authenticate"]
    assert ["label", "blue"] in stopped.json["challenge"]["lines"]
    key_id = added(owner, key)
    [shown] = owner.call("GET", KEYS).json["security_keys"]
    now = deployment.clock.now_ms()
    assert shown == {
        "id": key_id,
        "label": "blue",
        "state": "active",
        "synced": False,
        "created_at": now,
        "serves_movements_at": now + DAY,
    }
    other = Owner(deployment, owner.account_id, owner.login, seeds=owner.seeds)
    opened = deployment.api.call("POST", "/v1/sessions", {"login": owner.login, "password": PASSWORD})
    assert opened.json["state"] == "login_challenge"
    ways = [f"{LOGIN}/assertion-options", "/v1/sessions/current/recovery"]
    assert [step["path"] for step in opened.json["next"]] == ways
    other.token = opened.json["token"]
    assert other.call("GET", KEYS).problem == "login-challenge-open"
    assert [step["path"] for step in other.call("GET", "/v1/sessions/current").json["next"]] == ways
    options = other.call("POST", f"{LOGIN}/assertion-options").json
    assert options["expires_at"] == now + 2 * MINUTE
    assert options["public_key"]["userVerification"] == "required"
    assert options["public_key"]["rpId"] == "localhost"
    done = other.call("POST", f"{LOGIN}/assertion", key.sign(options["public_key"]))
    assert (done.status, done.json["state"]) == (200, "full")
    assert done.json["next"] == []
    assert other.call("GET", KEYS).json["security_keys"][0]["last_used_at"] == now


def test_registration_options_are_what_a_browser_reads(deployment: Deployment) -> None:
    owner, key = deployment.owner(futures=False), SoftwareKey()
    added(owner, key)
    stopped = owner.call("POST", OPTIONS, {"label": "green"})
    owner.call("POST", f"/v1/challenges/{stopped.json['challenge']['id']}/proof", {"password": PASSWORD})
    options = owner.call("POST", OPTIONS, {"label": "green"}).json["public_key"]
    assert set(options) == {
        "rp", "user", "challenge", "pubKeyCredParams", "timeout", "excludeCredentials", "authenticatorSelection",
        "attestation",
    }  # fmt: skip
    assert options["attestation"] == "none"
    assert [one["alg"] for one in options["pubKeyCredParams"]] == [-8, -7, -257]
    assert [one["transports"] for one in options["excludeCredentials"]] == [["usb"]]
    assert options["authenticatorSelection"] == {
        "residentKey": "discouraged", "requireResidentKey": False, "userVerification": "required",
    }  # fmt: skip


@pytest.mark.mission("M22")
@pytest.mark.mission("M17")
def test_a_withdrawal_is_confirmed_by_the_key_and_by_nothing_less(deployment: Deployment) -> None:
    owner, key = deployment.owner(), SoftwareKey()
    aged(owner, key)
    stopped = owner.call("POST", "/v1/authorize", withdrawal())
    challenge = stopped.json["challenge"]
    assert challenge["requires"] == ["security_key", "wallet"]
    early = owner.call("POST", f"/v1/challenges/{challenge['id']}/assertion-options")
    assert early.problem == "proof-not-accepted"
    assert owner.prove(challenge["id"]).json["approved"][0]["requires"] == ["security_key"]
    deployment.clock.next_step()
    path = f"/v1/challenges/{challenge['id']}/proof"
    for lesser in ({"code": owner.code()}, {"code": owner.code(), "password": PASSWORD}, {"password": PASSWORD}, {}):
        assert owner.call("POST", path, lesser).problem in ("proof-not-accepted", "proof-missing")
    proved = answered(owner, challenge["id"], key)
    assert proved.json["approved"][0]["state"] == "approved", proved
    granted = owner.call("POST", "/v1/authorize", withdrawal()).json
    assert granted["decision"] == "granted"
    spent = owner.call("POST", "/v1/redeem", {**withdrawal(), "grant": granted["grant"]})
    assert spent.status == 200


@pytest.mark.bar("B22")
@pytest.mark.bar("B62")
@pytest.mark.parametrize(
    "spoilt",
    [
        Spoilt(type="webauthn.create"),
        Spoilt(challenge=bytes(64)),
        Spoilt(origin="https://localhost:8700"),
        Spoilt(cross_origin=True),
        Spoilt(top_origin="https://evil.example"),
        Spoilt(rp_id="evil.example"),
        Spoilt(present=False),
        Spoilt(verified=False),
        Spoilt(eligible=True),
        Spoilt(backed_up=True),
        Spoilt(signer=SoftwareKey()),
        Spoilt(signature=b"0"),
        Spoilt(credential_id=bytes(32)),
        Spoilt(user_handle=b"acc_other"),
        Spoilt(count=0),
        Spoilt(trailing=b"\xbf"),
        Spoilt(client_data=b"[" * 4096),
        Spoilt(client_data=b"\xff"),
        Spoilt(extensions={str(n): n for n in range(300)}),
    ],
    ids=lambda spoilt: next(name for name, value in vars(spoilt).items() if value != getattr(HONEST, name)),
)
def test_one_thing_wrong_is_one_answer_and_grants_nothing(deployment: Deployment, spoilt: Spoilt) -> None:
    owner, key = deployment.owner(), SoftwareKey()
    aged(owner, key)
    challenge = owner.call("POST", "/v1/authorize", withdrawal()).json["challenge"]["id"]
    owner.prove(challenge)
    wrong = answered(owner, challenge, key, spoilt)
    assert (wrong.status, wrong.problem) == (403, "wrong-code")
    assert set(wrong.json) == {"type", "title", "status", "detail"}
    assert owner.counters()[0] == 1
    refused = [event["details"] for event in owner.events() if event["kind"] == "answer.refused"]
    assert refused[-1]["step"]
    state = owner.call("GET", f"/v1/challenges/{challenge}").json["state"]
    assert state in ("pending", "cancelled")


@pytest.mark.bar("B30")
def test_keys_are_removed_with_a_key_at_once_or_without_one_in_a_day(deployment: Deployment) -> None:
    owner, one, other = deployment.owner(), SoftwareKey(), SoftwareKey()
    first = aged(owner, one)
    second = added(owner, other, "green")
    stopped = owner.call("DELETE", f"{KEYS}/{second}")
    assert (stopped.status, stopped.json["challenge"]["requires"]) == (401, ["security_key"])
    assert ["label", "green"] in stopped.json["challenge"]["lines"]
    code = {"code": owner.code(), "password": PASSWORD}
    path = f"/v1/challenges/{stopped.json['challenge']['id']}/proof"
    assert owner.call("POST", path, code).problem == "proof-not-accepted"
    assert answered(owner, stopped.json["challenge"]["id"], one).status == 200
    assert owner.call("DELETE", f"{KEYS}/{second}").status == 204
    assert owner.call("DELETE", f"{KEYS}/{second}").status == 404

    stopped = owner.call("POST", f"{KEYS}/{first}/loss")
    assert (stopped.status, stopped.json["challenge"]["requires"]) == (401, ["password", "totp"])
    path = f"/v1/challenges/{stopped.json['challenge']['id']}/proof"
    assert owner.call("POST", path, {"code": owner.code(), "password": PASSWORD}).status == 200
    waiting = owner.call("POST", f"{KEYS}/{first}/loss")
    assert (waiting.status, waiting.json["kind"], waiting.json["subject"]) == (202, "security_key.removal", first)
    assert waiting.json["due_at"] == deployment.clock.now_ms() + DAY
    held = owner.call("POST", "/v1/authorize", withdrawal())
    assert held.problem == "on-hold"


def test_a_key_is_renamed(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    key_id = added(owner, SoftwareKey())
    assert owner.call("PATCH", f"{KEYS}/{key_id}", {"label": "my key"}).json["label"] == "my key"
    assert owner.call("PATCH", f"{KEYS}/{key_id}", {"label": "bad\u202ekey"}).json["field"] == "$.label"
    assert owner.call("PATCH", f"{KEYS}/sk_{'a' * 26}", {"label": "x"}).status == 404
    assert deployment.owner().call("PATCH", f"{KEYS}/{key_id}", {"label": "x"}).status == 404


@pytest.mark.bar("B30")
def test_the_last_factor_stays(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    key_id = added(owner, SoftwareKey())
    assert owner.call("DELETE", f"{KEYS}/{key_id}").problem == "last-factor"
    assert owner.call("POST", f"{KEYS}/{key_id}/loss").problem == "last-factor"


def base64_misspelt() -> list[str]:
    return ["AA==", "AA=", "AAB", "AB", "AAAAA", "A A", "AA\n", "A+/A", "ＡＡ", "A" * 20_000]


@pytest.mark.bar("B43")
@pytest.mark.parametrize("place", ["rawId", "clientDataJSON", "attestationObject"])
def test_base64_has_one_spelling_in_a_registration(deployment: Deployment, place: str) -> None:
    owner = deployment.owner(futures=False)
    for text in base64_misspelt():
        body: dict[str, Any] = SoftwareKey().register({"challenge": "AAAA"})
        if place == "rawId":
            body["id"] = body["rawId"] = text
        else:
            body["response"][place] = text
        reply = owner.call("POST", KEYS, body)
        assert (reply.status, reply.problem) == (400, "malformed"), (place, text, reply)
        assert reply.json["field"].endswith(place) or (place == "rawId" and reply.json["field"] == "$.id")


@pytest.mark.bar("B43")
@pytest.mark.parametrize("place", ["clientDataJSON", "authenticatorData", "signature", "userHandle"])
def test_base64_has_one_spelling_in_an_assertion(deployment: Deployment, place: str) -> None:
    owner = deployment.owner()
    challenge = owner.challenged()["id"]
    for text in base64_misspelt():
        body: dict[str, Any] = SoftwareKey().sign({"challenge": "AAAA"})
        body["response"][place] = text
        reply = owner.call("POST", f"/v1/challenges/{challenge}/proof", {"assertion": body})
        assert (reply.status, reply.problem) == (400, "malformed"), (place, text, reply)
        assert reply.json["field"] == f"$.assertion.response.{place}"
    null = SoftwareKey().sign({"challenge": "AAAA"})
    null["response"]["userHandle"] = None
    reply = owner.call("POST", f"/v1/challenges/{challenge}/proof", {"assertion": null})
    assert reply.problem == "proof-not-accepted"


def test_a_credential_has_one_id(deployment: Deployment) -> None:
    owner, key = deployment.owner(futures=False), SoftwareKey()
    added(owner, key)
    owner.sign_in()
    answer = key.sign(owner.call("POST", f"{LOGIN}/assertion-options").json["public_key"])
    answer["id"] = "AAAA"
    assert owner.call("POST", f"{LOGIN}/assertion", answer).problem == "wrong-code"


@pytest.mark.bar("B43")
@pytest.mark.parametrize(
    "bomb",
    [
        b"\x9b\x40" + bytes(7),
        b"\x81" * 4000,
        b"\xc4\x82\x1a\x3b\x9a\xca\x00\x01",
        b"\xbf" * 100,
        b"\xa1" * 8000,
        b"\x00",
    ],
    ids=["length", "depth", "decimal", "indefinite", "maps", "number"],
)
def test_a_cbor_bomb_is_a_refusal(deployment: Deployment, bomb: bytes) -> None:
    from fido2.utils import websafe_encode

    owner = deployment.owner(futures=False)
    stopped = owner.call("POST", OPTIONS, {"label": "x"})
    owner.call("POST", f"/v1/challenges/{stopped.json['challenge']['id']}/proof", {"password": PASSWORD})
    options = owner.call("POST", OPTIONS, {"label": "x"}).json["public_key"]
    body = SoftwareKey().register(options)
    body["response"]["attestationObject"] = websafe_encode(bomb)
    reply = owner.call("POST", KEYS, body)
    assert (reply.status, reply.problem) == (422, "security-key-refused"), reply


def test_what_a_browser_adds_beside_is_taken(deployment: Deployment) -> None:
    """`toJSON()` of a real browser: more members, none of them trusted."""
    owner, key = deployment.owner(futures=False), SoftwareKey()
    stopped = owner.call("POST", OPTIONS, {"label": "x"})
    owner.call("POST", f"/v1/challenges/{stopped.json['challenge']['id']}/proof", {"password": PASSWORD})
    body = key.register(owner.call("POST", OPTIONS, {"label": "x"}).json["public_key"])
    body["response"] |= {
        "authenticatorData": "AAAA", "publicKey": None, "publicKeyAlgorithm": -7, "transports": ["usb", "teleport"],
    }  # fmt: skip
    body["clientExtensionResults"] = {"credProps": {"rk": False}}
    assert owner.call("POST", KEYS, body).status == 201
