"""The story through ccxt, sync and async, HMAC and Ed25519. ccxt can do all of it.

What it does its own way: with keys, `load_markets` also asks for the wallet's coins and margin pairs; an amended order
is named by `orderId`; position margin, which the gateway refuses, surfaces as ExchangeError like every code that ccxt
does not know. For a class of its own for the step-up, one entry in ccxt's table of codes is enough (last test).
"""

from __future__ import annotations

import ccxt
import pytest
from bot import MakeBot
from ccxt_client import Ccxt, CcxtAsync
from story import MARKET, Story

pytestmark = pytest.mark.debian("oathtool")


class TestCcxt(Story):
    kind = Ccxt


class TestCcxtAsync(Story):
    kind = CcxtAsync


def test_a_step_up_as_a_class_of_its_own(bot_of: MakeBot) -> None:
    bot = bot_of(Ccxt)
    assert isinstance(bot.client, Ccxt)
    bot.client.exchange.exceptions["exact"]["-40101"] = ccxt.ManualInteractionNeeded
    bot.client.set_leverage(75)
    with pytest.raises(ccxt.ManualInteractionNeeded, match=r"challenge=ch_"):
        bot.client.place(MARKET)


def test_the_venues_own_refusals_keep_their_classes(bot_of: MakeBot) -> None:
    bot = bot_of(Ccxt)
    with pytest.raises(ccxt.InsufficientFunds):
        bot.client.place(type(MARKET)(quantity=100))
    with pytest.raises(ccxt.OrderNotFound):
        bot.client.cancel("123456789")
