"""When the rules apply, and when an approval stops to hold: through ccxt, over the doors alone (semantics 2, 6, 11).

An account is protected from the moment its app's first code is confirmed, not before; keys that it had then go on as
before; and what the owner approved is void when the venue's facts have changed since.
"""

from __future__ import annotations

import pyotp
import pytest
from bot import MakeBot
from ccxt_client import Ccxt
from client import Order
from story import MARKET, WRONG_CODE, challenged, refused

from authenticator_app import oathtool_code
from leverlock.domain.environment import Environment

pytestmark = pytest.mark.debian("oathtool")

FACTOR_BLOCKED = -40113


@pytest.mark.mission("M5")
@pytest.mark.mission("M7")
@pytest.mark.mission("M8")
def test_protection_begins_with_the_apps_first_code(bot_of: MakeBot) -> None:
    bot = bot_of(Ccxt, enrolled=())
    bot.client.set_leverage(75)
    bot.client.place(MARKET)
    assert bot.executed == 1, "never enabled: the rules do not apply"

    account, stack = bot.account, bot.stack
    pending = stack.begin_enrolment(account)
    assert pyotp.parse_uri(pending["otpauth_uri"]).issuer == "Leverlock Futures"
    bot.client.place(MARKET)
    assert bot.executed == 2, "begun is not enabled"
    path = f"/v1/environments/futures/authenticators/{pending['authenticator']}/confirmation"
    wrong = stack.api("POST", path, {"code": account.wrong_code()}, token=account.token)
    assert wrong.reason == "wrong_code"
    bot.client.place(MARKET)
    assert bot.executed == 3, "a wrong first code enables nothing"

    stack.confirm_enrolment(account, pending)
    assert len(set(account.recovery_codes[Environment.FUTURES])) == 10
    client = Ccxt(stack.gateway_key(account), stack.url)
    with pytest.raises(client.errors, match="-40101"):
        client.place(MARKET)
    client.close()
    assert bot.executed == 3


@pytest.mark.mission("M21")
def test_a_key_from_before_goes_on_as_before(bot_of: MakeBot) -> None:
    bot = bot_of(Ccxt, enrolled=())
    bot.stack.enrol(bot.account)
    bot.client.set_leverage(75)
    bot.client.place(MARKET)
    assert bot.executed == 1
    later = Ccxt(bot.stack.gateway_key(bot.account), bot.stack.url)
    with pytest.raises(later.errors, match="-40101"):
        later.place(MARKET)
    later.close()
    assert bot.executed == 1


@pytest.mark.bar("B51")
def test_leverage_changed_after_the_approval_voids_it(bot_of: MakeBot) -> None:
    bot = bot_of(Ccxt)
    bot.client.set_leverage(75)
    with challenged(bot) as asked:
        bot.client.place(MARKET)
    bot.stack.approve(bot.account, asked)
    behind_our_back = {"symbol": "BTCUSDT", "leverage": "100"}
    venue, key = bot.stack.venue, bot.account.venue_key
    assert venue.signed(key, "POST", "/fapi/v1/leverage", behind_our_back).status == 200
    with challenged(bot) as anew:
        bot.client.place(MARKET)
    assert anew != asked
    assert bot.executed == 0
    assert bot.client.poll(asked[0])["state"] == "cancelled"


def test_leverage_lowered_after_the_question_needs_no_answer(bot_of: MakeBot) -> None:
    bot = bot_of(Ccxt)
    bot.client.set_leverage(75)
    with challenged(bot):
        bot.client.place(MARKET)
    bot.client.set_leverage(50)
    assert bot.client.place(MARKET)
    assert bot.executed == 1


def test_a_conditional_order_in_the_old_place_is_not_a_way_round(bot_of: MakeBot) -> None:
    """On the plain order endpoint and in a batch it is answered as the venue does: -4120, and where to go instead."""
    bot = bot_of(Ccxt)
    assert isinstance(bot.client, Ccxt)
    exchange = bot.client.exchange
    exchange.load_markets()
    stop = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "quantity": "0.01", "stopPrice": "50000"}
    for call in (
        lambda: exchange.fapiPrivatePostOrder(dict(stop)),
        lambda: exchange.fapiPrivatePostBatchOrders({"batchOrders": [stop]}),
    ):
        with pytest.raises(bot.client.errors, match="-4120"):
            call()
    assert bot.executed == 0
    assert bot.sent("POST", "/fapi/v1/order") + bot.sent("POST", "/fapi/v1/batchOrders") == 0


def test_under_literal_reducing_waits_too(bot_of: MakeBot) -> None:
    """Cancelling never does."""
    bot = bot_of(Ccxt)
    bot.client.set_leverage(50)
    bot.client.place(MARKET)
    with challenged(bot) as asked:
        bot.client.set_leverage(51)
    bot.stack.approve(bot.account, asked)
    bot.client.set_leverage(51)
    with challenged(bot):
        bot.client.place(Order(side="SELL", reduce_only=True))
    assert bot.executed == 1


def test_guessing_blocks_the_factor(bot_of: MakeBot) -> None:
    bot = bot_of(Ccxt, otp_allowed=True)
    bot.client.set_leverage(75)
    seed = bot.account.seeds[Environment.FUTURES]
    now = bot.account.used[Environment.FUTURES]
    live = {oathtool_code(seed, step) for step in range(now - 2, now + 5)}
    guesses = [f"{number:06d}" for number in range(20) if f"{number:06d}" not in live]
    for guess in guesses[:5]:
        with refused(bot, WRONG_CODE):
            bot.client.place(MARKET, code=guess)
    with refused(bot, FACTOR_BLOCKED):
        bot.client.place(MARKET, code=bot.account.next_code())
    assert bot.executed == 0


def test_the_venues_key_may_be_ed25519(bot_of: MakeBot) -> None:
    """The client signs with HMAC for us, we sign with Ed25519 for the venue."""
    bot = bot_of(Ccxt, venue_key_kind="ED25519")
    bot.client.set_leverage(75)
    with challenged(bot) as asked:
        bot.client.place(MARKET)
    bot.stack.approve(bot.account, asked)
    assert bot.client.place(MARKET)
    assert bot.executed == 1
