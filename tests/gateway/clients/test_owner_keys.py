"""Keys that their owner makes and changes, in the hands of a client that is not ours: API, oathtool, ccxt."""

from __future__ import annotations

import time
from typing import Any

import pytest
from bot import MakeBot
from ccxt_client import Ccxt
from client import ED25519, HMAC
from story import MARKET

from doors import ApiAnswer
from stack import PASSWORD, Account, GatewayKey, Stack

pytestmark = pytest.mark.debian("oathtool")

SCOPE_MISSING, REJECTED, STEP_UP = "-40116", "-2015", "-40101"


def agreed(stack: Stack, account: Account, method: str, path: str, body: dict[str, Any]) -> ApiAnswer:
    """What an owner does: ask, answer what is required, make the same call again."""
    asked = stack.api(method, path, body, token=account.token)
    assert asked.status == 401, asked
    challenge = asked.json["challenge"]
    proof: dict[str, Any] = {}
    if "password" in challenge["requires"]:
        proof["password"] = PASSWORD
    if "totp" in challenge["requires"]:
        proof["code"] = account.next_code()
    answered = stack.api("POST", f"/v1/challenges/{challenge['id']}/proof", proof, token=account.token)
    assert answered.status == 200, answered
    return stack.api(method, path, body, token=account.token)


def own_key(stack: Stack, account: Account, **terms: Any) -> GatewayKey:
    """A key that the owner makes himself."""
    made = agreed(stack, account, "POST", "/v1/keys", {"label": "own", **terms})
    assert made.status == 201, made
    return GatewayKey(made.json["api_key"], made.json["api_secret"], HMAC, made.json["id"])


def settled() -> None:
    """Every gateway process has new terms after a second at most, the age of its snapshot (B88)."""
    time.sleep(1.1)


@pytest.mark.mission("M18")
@pytest.mark.bar("B63")
def test_a_key_trades_futures_only_after_its_owner_said_so(bot_of: MakeBot) -> None:
    """Made to read; widened with password and code; and the client is told in a typed error, once, what it lacks."""
    bot = bot_of(Ccxt)
    stack, account = bot.stack, bot.account
    key = own_key(stack, account)
    client = Ccxt(key, stack.url)
    assert "BTCUSDT" in client.load()
    assert client.balance() > 0
    calls = len(stack.venue_calls(account, path="/fapi/v1/order", method="POST"))
    with pytest.raises(client.step_up, match=SCOPE_MISSING):
        client.place(MARKET)
    assert len(stack.venue_calls(account, path="/fapi/v1/order", method="POST")) == calls == 0
    changed = agreed(stack, account, "PATCH", f"/v1/keys/{key.key_id}", {"scopes": ["read", "futures"]})
    assert changed.json["scopes"] == ["futures", "read"]
    settled()
    client.place(MARKET)
    assert bot.executed == 1
    with pytest.raises(client.step_up, match=STEP_UP):
        client.set_leverage(75)  # with a position open, and the key inherits the account's protection
    client.close()
    assert bot.executed == 1


@pytest.mark.mission("M18")
@pytest.mark.bar("B63")
def test_a_key_is_used_from_its_addresses_alone(bot_of: MakeBot) -> None:
    bot = bot_of(Ccxt)
    stack, account = bot.stack, bot.account
    key = own_key(stack, account, ips=["192.0.2.1"])
    client = Ccxt(key, stack.url)
    with pytest.raises(client.errors, match=REJECTED):
        client.balance()
    client.exchange.headers = {"X-Forwarded-For": "192.0.2.1"}
    with pytest.raises(client.errors, match=REJECTED):
        client.balance()
    client.exchange.headers = {}
    agreed(stack, account, "PATCH", f"/v1/keys/{key.key_id}", {"ips": ["192.0.2.1", "127.0.0.1"]})
    settled()
    assert client.balance() > 0
    client.close()


@pytest.mark.mission("M21")
def test_a_legacy_key_is_spared_until_it_is_edited(bot_of: MakeBot) -> None:
    """Orders at 75x, leverage and margin mode go on; *Enable* names the key; the edit makes it one like the others."""
    bot = bot_of(Ccxt, enrolled=())
    stack, account, key = bot.stack, bot.account, bot.key
    pending = stack.begin_enrolment(account)
    path = f"/v1/environments/futures/authenticators/{pending['authenticator']}/confirmation"
    confirmed = stack.api("POST", path, {"code": account.next_code()}, token=account.token)
    assert confirmed.json["legacy_keys"] == [{"id": key.key_id, "label": "bot"}]
    [shown] = stack.api("GET", "/v1/keys", token=account.token).json["keys"]
    assert shown["legacy"] is True
    bot.client.set_leverage(75)
    bot.client.place(MARKET)
    bot.client.place(MARKET)
    assert bot.executed == 2
    agreed(stack, account, "PATCH", f"/v1/keys/{key.key_id}", {"label": "edited"})
    settled()
    with pytest.raises(bot.client.step_up, match=STEP_UP):
        bot.client.place(MARKET)
    assert bot.executed == 2


@pytest.mark.mission("M21")
def test_a_key_that_was_ended_at_enable_is_gone(bot_of: MakeBot) -> None:
    bot = bot_of(Ccxt, enrolled=())
    stack, account = bot.stack, bot.account
    kept = Ccxt(stack.gateway_key(account), stack.url)
    pending = stack.begin_enrolment(account)
    path = f"/v1/environments/futures/authenticators/{pending['authenticator']}/confirmation"
    body = {"code": account.next_code(), "end_keys": [bot.key.key_id]}
    assert stack.api("POST", path, body, token=account.token).status == 200
    with pytest.raises(bot.client.errors, match=REJECTED):
        bot.client.balance()
    assert kept.balance() > 0
    kept.close()


@pytest.mark.mission("M18")
def test_a_key_of_the_clients_own_making(bot_of: MakeBot) -> None:
    """Ed25519: the owner hands in the public half, agrees to this very key, and no secret is shown."""
    bot = bot_of(Ccxt, algorithm=ED25519)
    stack, account = bot.stack, bot.account
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    body = {"label": "own", "scopes": ["read", "futures"], "ed25519_public_key": public}
    made = agreed(stack, account, "POST", "/v1/keys", body)
    assert "api_secret" not in made.json
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode().strip()
    client = Ccxt(GatewayKey(made.json["api_key"], secret, ED25519, made.json["id"]), stack.url)
    client.place(MARKET)
    client.close()
    assert bot.executed == 1
