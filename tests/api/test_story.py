"""The whole story over HTTP: sign in, enrol, authorize, prove, redeem, by a client that knows only the documents."""

from __future__ import annotations

import base64
import re
from urllib.parse import parse_qs, urlsplit

import pytest
import zxingcpp
from PIL import Image

from api_deployment import PASSWORD, Deployment, order
from leverlock.domain.totp import hotp, step_at


@pytest.mark.mission("M15")
@pytest.mark.debian("oathtool")
def test_a_guarded_order_from_authorize_to_redeem_with_codes_of_oathtool(deployment: Deployment) -> None:
    owner, venue = deployment.owner(), deployment.integrator()
    at_75x = {"account": owner.account_id, **order()}

    at_20x = {"account": owner.account_id, **order(leverage=20)}
    allowed = deployment.api.call("POST", "/v1/authorize", at_20x, token=venue)
    assert (allowed.status, allowed.json) == (200, {"decision": "allow", "why": "no_rule_matched"})

    refused = deployment.api.call("POST", "/v1/authorize", at_75x, token=venue)
    assert (refused.status, refused.problem) == (401, "step-up-required")
    challenge = refused.json["challenge"]
    assert challenge["state"] == "pending"
    assert challenge["headline"] == "buy 1 BTCUSDT market on 75x"
    again = deployment.api.call("POST", "/v1/authorize", at_75x, token=venue)
    assert again.json["challenge"]["id"] == challenge["id"]

    waiting = owner.call("GET", "/v1/challenges").json["challenges"]
    assert [one["id"] for one in waiting] == [challenge["id"]]
    proved = owner.prove(challenge["id"], owner.oathtool())
    assert proved.status == 200, proved
    assert "grant" not in proved.json["approved"][0]  # the asker's, not the owner's (B44)

    granted = deployment.api.call("POST", "/v1/authorize", at_75x, token=venue)
    assert granted.status == 200
    assert granted.json["decision"] == "granted"
    redeemed = deployment.api.call("POST", "/v1/redeem", {**at_75x, "grant": granted.json["grant"]}, token=venue)
    assert redeemed.status == 200, redeemed
    assert redeemed.json["executed_for"] == challenge["id"]

    spent = deployment.api.call("POST", "/v1/redeem", {**at_75x, "grant": granted.json["grant"]}, token=venue)
    assert (spent.status, spent.problem) == (409, "grant-spent")
    anew = deployment.api.call("POST", "/v1/authorize", at_75x, token=venue)
    assert anew.status == 401
    assert anew.json["challenge"]["id"] != challenge["id"]


@pytest.mark.mission("M15")
@pytest.mark.parametrize(("leverage", "status"), [(50, 200), (51, 401)])
def test_50x_passes_and_51x_does_not(deployment: Deployment, leverage: int, status: int) -> None:
    owner, venue = deployment.owner(), deployment.integrator()
    body = {"account": owner.account_id, **order(leverage=leverage)}
    assert deployment.api.call("POST", "/v1/authorize", body, token=venue).status == status
    assert owner.call("POST", "/v1/authorize", order(leverage=leverage)).status == status


def test_facts_that_were_not_sent_mean_challenge(deployment: Deployment) -> None:
    owner, venue = deployment.owner(), deployment.integrator()
    body = {"account": owner.account_id, **order(leverage=None)}
    assert deployment.api.call("POST", "/v1/authorize", body, token=venue).problem == "step-up-required"


def test_protection_never_enabled_allows_and_says_so(deployment: Deployment) -> None:
    owner, venue = deployment.owner(futures=False), deployment.integrator()
    body = {"account": owner.account_id, **order()}
    expected = {"decision": "allow", "why": "not_enabled"}
    assert deployment.api.call("POST", "/v1/authorize", body, token=venue).json == expected
    assert owner.call("POST", "/v1/authorize", order()).json == expected


def test_a_batch_with_one_risky_leg_is_stopped_whole(deployment: Deployment) -> None:
    owner = deployment.owner()
    legs = [
        {"fields": order()["action"]["fields"], "facts": {"leverage": leverage, "margin_mode": "CROSSED"}}
        for leverage in (20, 75)
    ]
    batch = {"action": {"type": "futures.order.place_batch", "legs": legs}}
    refused = owner.call("POST", "/v1/authorize", batch)
    assert refused.problem == "step-up-required"
    proved = owner.prove(refused.json["challenge"]["id"])
    redeemed = owner.call("POST", "/v1/redeem", {**batch, "grant": proved.json["approved"][0]["grant"]})
    assert redeemed.json["action"] == "futures.order.place_batch"
    batch["action"]["legs"] = legs[:1]
    assert owner.call("POST", "/v1/authorize", batch).json["decision"] == "allow"


@pytest.mark.mission("M6")
@pytest.mark.mission("M7")
@pytest.mark.mission("M8")
@pytest.mark.mission("M9")
def test_enrolment_shows_a_scannable_code_and_recovery_codes_once(deployment: Deployment) -> None:
    owner = deployment.owner(futures=False)
    started = owner.call("POST", "/v1/environments/futures/authenticators")
    assert started.status == 201
    assert started.headers["cache-control"] == "no-store"
    shown = started.json
    assert scan(shown["qr"]) == shown["otpauth_uri"]
    uri = urlsplit(shown["otpauth_uri"])
    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", f"/Acme%20Futures:{owner.login}")
    assert parse_qs(uri.query) == {"secret": [shown["secret"]], "issuer": ["Acme Futures"]}
    assert "+" not in shown["otpauth_uri"]

    state = {one["environment"]: one for one in owner.call("GET", "/v1/environments").json["environments"]}
    assert state["futures"]["state"] == "never_enabled"
    assert state["futures"]["pending"]["id"] == shown["authenticator"]

    seed = base64.b32decode(shown["secret"])
    path = f"/v1/environments/futures/authenticators/{shown['authenticator']}/confirmation"
    code = hotp(seed, step_at(deployment.clock.now_ms()))
    assert owner.call("POST", path, {"code": str((int(code) + 1) % 10**6).zfill(6)}).problem == "wrong-code"
    assert owner.call("POST", "/v1/authorize", order()).json["why"] == "not_enabled"
    confirmed = owner.call("POST", path, {"code": code})
    assert confirmed.status == 200, confirmed
    codes = confirmed.json["recovery_codes"]
    assert len(set(codes)) == 10
    assert all(re.fullmatch("[a-z2-7]{6}(-[a-z2-7]{6}){3}", code) for code in codes)

    state = {one["environment"]: one for one in owner.call("GET", "/v1/environments").json["environments"]}
    assert state["futures"]["state"] == "on"
    assert state["futures"]["authenticator"]["state"] == "active"
    assert state["spot"]["state"] == "never_enabled"
    guard = {"rule": "orders above 50x", "action": "futures.order.place", "title": "Place an order"}
    assert {**guard, "requires": ["totp"], "backups": ["sms"]} in state["futures"]["guards"]
    again = owner.call("POST", path, {"code": hotp(seed, step_at(deployment.clock.now_ms()) + 1)})
    assert (again.status, again.problem) == (409, "enrolment-not-pending")

    # A later app for the same environment comes without codes: those of the first set-up go on.
    owner.seeds["futures"] = seed
    deployment.clock.next_step()
    asked = owner.call("POST", "/v1/environments/futures/authenticators").json["challenge"]["id"]
    body = {"code": owner.code(), "password": PASSWORD}
    assert owner.call("POST", f"/v1/challenges/{asked}/proof", body).status == 200
    assert owner.enable()["recovery_codes"] == []


@pytest.mark.mission("M1")
def test_a_login_challenge_opens_nothing_else_until_it_is_answered(deployment: Deployment) -> None:
    owner = deployment.owner()
    asked = owner.call("POST", "/v1/environments/login/authenticators")
    assert 'acr_values="urn:leverlock:acr:futures-password-totp"' in asked.headers["www-authenticate"]
    proof = {"code": owner.code(), "password": PASSWORD}
    assert owner.call("POST", f"/v1/challenges/{asked.json['challenge']['id']}/proof", proof).status == 200
    owner.enable("login")

    half = owner.again()
    for path in ("/v1/environments", "/v1/challenges", "/v1/keys", "/v1/audit"):
        assert half.call("GET", path).problem == "login-challenge-open"
    assert half.call("POST", "/v1/authorize", order()).problem == "login-challenge-open"
    assert half.call("GET", "/v1/sessions/current").json["state"] == "login_challenge"
    other = half.call("POST", "/v1/sessions/current/login-challenge", {"code": half.code("futures")})
    assert other.problem == "wrong-code"
    done = half.call("POST", "/v1/sessions/current/login-challenge", {"code": half.code("login")})
    assert (done.status, done.json["state"]) == (200, "full")
    assert half.call("GET", "/v1/environments").status == 200


def test_the_audit_trail_is_the_chain_itself(deployment: Deployment) -> None:
    import hashlib

    owner = deployment.owner()
    owner.prove(owner.challenged()["id"])
    head, after = bytes(32), 0
    kinds = []
    while True:
        piece = owner.call("GET", f"/v1/audit?after={after}&limit=3").json
        for record in piece["records"]:
            head = hashlib.sha256(b"leverlock-audit-1\0" + head + record["body"].encode()).digest()
            assert head.hex() == record["hash"]
            kinds.append(record["kind"])
        if "next" not in piece:
            break
        after = piece["next"]
    ((stored,),) = deployment.rows("SELECT chain_head FROM account WHERE account_id = ?", (owner.account_id,))
    assert stored == head
    assert kinds[-2:] == ["challenge.created", "challenge.approved"]


def scan(svg: str) -> str:
    """What a scanner that is not ours reads from the SVG, painted here run by run."""
    side, scale = int(re.search(r'viewBox="0 0 (\d+) \1"', svg)[1]), 4  # type: ignore[index]
    drawn = next(found[1] for found in re.finditer(r'<path [^>]*?d="([^"]+)"[^>]*>', svg) if "stroke" in found[0])
    picture = Image.new("L", (side * scale, side * scale), 255)
    x = y = 0.0
    for command, arguments in re.findall(r"([Mmh])([^Mmh]*)", drawn):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", arguments)]
        if command == "M":
            x, y = numbers
        elif command == "m":
            x, y = x + numbers[0], y + numbers[1]
        else:
            left, top = int(x * scale), int((y - 0.5) * scale)
            picture.paste(0, (left, top, left + int(numbers[0] * scale), top + scale))
            x += numbers[0]
    (found,) = zxingcpp.read_barcodes(picture)
    return str(found.text)
