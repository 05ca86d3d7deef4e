"""Movements in two layers, protection that ends after a day, and links that stop it: through the API alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api_deployment import PASSWORD, Deployment, Owner, order
from leverlock.app.accounts import set_address
from leverlock.app.sweep import sweep_account
from leverlock.domain.limits import DAY, MINUTE
from leverlock.domain.messages import Channel


def withdrawal(amount: str = "5", market: str = "futures") -> dict[str, Any]:
    fields = {"asset": "USDT", "network": "ETH", "address": "0xabc", "amount": amount}
    return {"action": {"type": f"{market}.withdraw", "fields": fields}}


def full(owner: Owner, challenge: str) -> Any:
    owner.deployment.clock.next_step()
    return owner.call("POST", f"/v1/challenges/{challenge}/proof", {"code": owner.code(), "password": PASSWORD})


@pytest.mark.mission("M17")
def test_a_withdrawal_of_a_venue_takes_both_layers_in_its_own_challenge(deployment: Deployment) -> None:
    owner, venue = deployment.owner(), deployment.integrator()
    wanted = {**withdrawal(), "account": owner.account_id}
    stopped = deployment.api.call("POST", "/v1/authorize", wanted, token=venue)
    assert stopped.status == 401
    assert 'acr_values="urn:leverlock:acr:futures-password-totp-wallet"' in stopped.headers["www-authenticate"]
    challenge = stopped.json["challenge"]
    assert challenge["requires"] == ["password", "totp", "wallet"]
    assert ["address", "0xabc"] in challenge["lines"]

    first = owner.prove(challenge["id"])
    assert first.json == {
        "approved": [{"challenge": challenge["id"], "state": "pending", "requires": ["password", "totp"]}]
    }
    shown = owner.call("GET", f"/v1/challenges/{challenge['id']}").json
    assert (shown["state"], shown["given"], shown["requires"]) == ("pending", ["wallet"], ["password", "totp"])
    assert full(owner, challenge["id"]).json["approved"][0]["state"] == "approved"
    granted = deployment.api.call("POST", "/v1/authorize", wanted, token=venue).json
    assert granted["decision"] == "granted"
    spent = deployment.api.call("POST", "/v1/redeem", {**wanted, "grant": granted["grant"]}, token=venue)
    assert spent.status == 200


@pytest.mark.mission("M17")
def test_an_opened_wallet_leaves_each_movement_its_own_proof(deployment: Deployment) -> None:
    owner = deployment.owner()
    stopped = owner.call("POST", "/v1/wallets/futures/access")
    assert (stopped.status, stopped.json["challenge"]["requires"]) == (401, ["totp"])
    owner.prove(stopped.json["challenge"]["id"])
    opened = owner.call("POST", "/v1/wallets/futures/access")
    assert (opened.status, opened.json["expires_at"]) == (200, deployment.clock.now_ms() + 5 * MINUTE)
    challenge = owner.call("POST", "/v1/authorize", withdrawal()).json["challenge"]
    assert (challenge["given"], challenge["requires"]) == (["wallet"], ["password", "totp"])
    # Another session of the same owner has not opened it.
    other = owner.again()
    assert "given" not in other.call("POST", "/v1/authorize", withdrawal("6")).json["challenge"]
    assert full(owner, challenge["id"]).json["approved"][0]["state"] == "approved"


def test_login_has_no_wallet(deployment: Deployment) -> None:
    assert deployment.owner().call("POST", "/v1/wallets/login/access").problem == "unknown-id"


def switched_off(owner: Owner) -> dict[str, Any]:
    stopped = owner.call("DELETE", "/v1/environments/futures/protection")
    assert (stopped.status, stopped.json["challenge"]["requires"]) == (401, ["password", "totp"])
    assert full(owner, stopped.json["challenge"]["id"]).status == 200
    waiting = owner.call("DELETE", "/v1/environments/futures/protection")
    assert waiting.status == 202
    return waiting.json  # type: ignore[no-any-return]


def swept(owner: Owner) -> None:
    owner.deployment.now(lambda tx: sweep_account(tx, owner.deployment.world, account_id=owner.account_id))


def test_protection_ends_after_a_day(deployment: Deployment) -> None:
    owner = deployment.owner()
    change = switched_off(owner)
    assert change["due_at"] - change["asked_at"] == DAY
    assert owner.call("GET", "/v1/changes").json["changes"] == [change]
    deployment.clock.advance(DAY - 1)
    swept(owner)
    owner.sign_in()
    assert owner.call("POST", "/v1/authorize", order()).status == 401
    deployment.clock.advance(1)
    swept(owner)
    assert owner.call("POST", "/v1/authorize", order()).json == {"decision": "allow", "why": "not_enabled"}
    assert owner.call("GET", "/v1/changes").json["changes"] == []
    state = {each["environment"]: each["state"] for each in owner.call("GET", "/v1/environments").json["environments"]}
    assert state["futures"] == "never_enabled"


def test_the_owner_stops_it_and_so_does_who_holds_the_link(deployment: Deployment) -> None:
    owner = deployment.owner()
    address = {"channel": Channel.EMAIL, "target": "a@example.com", "by": "test"}
    deployment.now(lambda tx: set_address(tx, deployment.world, account_id=owner.account_id, **address))
    change = switched_off(owner)
    assert owner.call("DELETE", f"/v1/changes/{change['id']}").status == 204
    assert owner.call("DELETE", f"/v1/changes/{change['id']}").status == 204
    assert switched_off(owner)["id"] != change["id"]
    bodies = [json.loads(row[0]) for row in deployment.rows("SELECT body FROM outbox WHERE kind = 'change.waiting'")]
    newest = max(bodies, key=lambda body: body["at"])
    assert deployment.api.call("POST", "/v1/cancellations", {"token": newest["cancel"]}).status == 204
    assert owner.call("GET", "/v1/changes").json["changes"] == []
    forged = newest["cancel"][:-1] + ("0" if newest["cancel"][-1] != "0" else "1")
    assert deployment.api.call("POST", "/v1/cancellations", {"token": forged}).problem == "unknown-id"


def test_a_stolen_session_cannot_switch_protection_off(deployment: Deployment) -> None:
    owner = deployment.owner()
    stopped = owner.call("DELETE", "/v1/environments/futures/protection")
    assert owner.prove(stopped.json["challenge"]["id"]).problem == "proof-missing"
    again = owner.call("DELETE", "/v1/environments/futures/protection")
    assert again.json["challenge"]["id"] == stopped.json["challenge"]["id"]
    assert owner.call("DELETE", "/v1/environments/spot/protection").problem == "conflict"
