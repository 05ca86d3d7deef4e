"""The story through python-binance, sync and async, HMAC and Ed25519.

What it cannot do: with an Ed25519 key its batch call raises ValueError before anything is sent (it takes the JSON text
apart again to sign it), so that batch is driven with HMAC and the ValueError stated here; and it would send an `otp` of
the batch call twice, which is refused as a duplicate, so a batch's code goes into the session's header.
Amending a batch has no typed method, only the generated `futures_v1_put_batch_orders`.
"""

from __future__ import annotations

import pytest
from bot import MakeBot
from client import ED25519, HMAC
from python_binance_client import PythonBinance, PythonBinanceAsync, texts, wire
from story import RESTING, Story, refused

pytestmark = pytest.mark.debian("oathtool")

DUPLICATE = -1101


class PythonBinanceStory(Story):
    def test_a_batch_with_one_risky_leg_is_stopped_whole(self, bot_of: MakeBot, algorithm: object) -> None:
        if algorithm is HMAC:
            super().test_a_batch_with_one_risky_leg_is_stopped_whole(bot_of, HMAC)
            return
        bot = bot_of(self.kind, algorithm=ED25519)
        with pytest.raises(ValueError):
            bot.client.place_batch([RESTING])
        assert bot.executed == 0

    def test_the_code_of_a_batch_as_a_parameter(self, bot_of: MakeBot) -> None:
        bot = bot_of(self.kind, otp_allowed=True)
        assert isinstance(bot.client, PythonBinance)
        bot.client.set_leverage(75)
        client, code = bot.client, bot.account.next_code()
        with refused(bot, DUPLICATE):
            client.run(client.binance.futures_place_batch_order(batchOrders=[texts(wire(RESTING))], otp=code))
        assert bot.executed == 0


class TestPythonBinance(PythonBinanceStory):
    kind = PythonBinance


class TestPythonBinanceAsync(PythonBinanceStory):
    kind = PythonBinanceAsync
