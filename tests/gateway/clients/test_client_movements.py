"""Movements of funds through clients that we did not write: each in two layers, with codes of oathtool (M17).

binance-futures-connector has none of these calls. The first code of an app confirms its enrolment, the next one opens
the wallet, the third moves; an account has no more of them at one time, so every movement has an account of its own.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from bot import Bot, MakeBot
from ccxt_client import Ccxt, CcxtAsync
from python_binance_client import PythonBinance, PythonBinanceAsync
from sdk_client import Sdk
from story import challenged

from leverlock.domain.environment import MARKETS, Environment
from stack import PASSWORD, NotApproved

pytestmark = pytest.mark.debian("oathtool")

FUTURES, SPOT, MARGIN = Environment.FUTURES, Environment.SPOT, Environment.MARGIN
ADDRESS = "0x" + "ab" * 20
TRANSFER = "/sapi/v1/asset/transfer"
WITHDRAW = "/sapi/v1/capital/withdraw/apply"


class MovementStory:
    """Subclassed for each client; `kind` is its driver."""

    kind: ClassVar[type[Any]]

    def bot(self, bot_of: MakeBot, *enrolled: Environment) -> Bot:
        """With funds in every wallet, and a venue key that may move them."""
        return bot_of(
            self.kind,
            enrolled=enrolled,
            balances={wallet: {"USDT": "1000"} for wallet in ("futures", "spot", "margin", "funding")},
            enableWithdrawals=True,
            permitsUniversalTransfer=True,
            enableMargin=True,
            scopes=["read", "futures", "transfer", "withdraw", "margin"],
            ips=["127.0.0.1"],
        )

    @staticmethod
    def held(bot: Bot, wallet: str) -> float:
        """What the venue says is in a wallet."""
        return float(bot.stack.venue.account(bot.account.venue_account)["balances"][wallet].get("USDT", "0"))

    @staticmethod
    def approve(bot: Bot, asked: list[str], environment: Environment) -> None:
        """Layer 1 is a code, layer 2 the password with a later one."""
        with pytest.raises(NotApproved) as refusal:
            bot.stack.approve(bot.account, asked, bot.account.wrong_code(environment), environment=environment)
        assert refusal.value.reason == "wrong_code"
        bot.stack.approve(bot.account, asked, environment=environment, state="pending")

    @staticmethod
    def finish(bot: Bot, asked: list[str], environment: Environment) -> None:
        with pytest.raises(NotApproved):
            bot.stack.approve(
                bot.account, asked, bot.account.used_code(environment), password=PASSWORD, environment=environment
            )
        bot.stack.approve(bot.account, asked, password=PASSWORD, environment=environment)

    @pytest.mark.mission("M17")
    @pytest.mark.bar("B40")
    def test_a_transfer_out_of_futures(self, bot_of: MakeBot) -> None:
        bot = self.bot(bot_of, *MARKETS)
        with challenged(bot) as asked:
            bot.client.transfer("UMFUTURE_MAIN", 25.5)
        self.approve(bot, asked, FUTURES)
        with challenged(bot) as still:
            bot.client.transfer("UMFUTURE_MAIN", 25.5)
        assert still == asked, "one layer is not enough"
        assert bot.sent("POST", TRANSFER) == 0
        self.finish(bot, asked, FUTURES)
        with challenged(bot) as larger:
            bot.client.transfer("UMFUTURE_MAIN", 25.6)
        assert larger != asked
        assert bot.client.transfer("UMFUTURE_MAIN", 25.5)
        assert (self.held(bot, "futures"), self.held(bot, "spot")) == (974.5, 1025.5)
        with challenged(bot):
            bot.client.transfer("UMFUTURE_MAIN", 25.5)
        assert bot.sent("POST", TRANSFER) == 1

    @pytest.mark.mission("M17")
    def test_a_withdrawal(self, bot_of: MakeBot) -> None:
        """It takes the spot wallet: so it is Spot's factor that guards it, also where Futures is not protected."""
        bot = self.bot(bot_of, SPOT)
        with challenged(bot) as asked:
            bot.client.withdraw(ADDRESS, 100, "ETH")
        [waiting] = bot.stack.waiting(bot.account)
        assert waiting["headline"] == f"withdraw 100 USDT over ETH to {ADDRESS}"
        assert dict(waiting["lines"])["address"] == ADDRESS
        assert dict(waiting["lines"])["memo"] == "none"
        self.approve(bot, asked, SPOT)
        self.finish(bot, asked, SPOT)
        with challenged(bot) as other:
            bot.client.withdraw("0x" + "cd" * 20, 100, "ETH")
        assert other != asked
        assert bot.sent("POST", WITHDRAW) == 0
        assert bot.client.withdraw(ADDRESS, 100, "ETH")
        assert self.held(bot, "spot") == 900
        with challenged(bot):
            bot.client.withdraw(ADDRESS, 100, "ETH")
        assert bot.sent("POST", WITHDRAW) == 1
        assert bot.client.transfer("UMFUTURE_MAIN", 10), "nothing guards Futures in this account"

    @pytest.mark.mission("M23")
    def test_into_futures_is_out_of_spot(self, bot_of: MakeBot) -> None:
        bot = self.bot(bot_of, FUTURES)
        assert bot.client.transfer("MAIN_UMFUTURE", 10)
        assert bot.client.transfer("MARGIN_MAIN", 10)
        with challenged(bot):
            bot.client.transfer("UMFUTURE_FUNDING", 10)
        assert bot.sent("POST", TRANSFER) == 2

    def test_borrowing_on_margin(self, bot_of: MakeBot) -> None:
        """By the client's way for calls that it has no method for."""
        bot = self.bot(bot_of, MARGIN)
        path = "/sapi/v1/margin/borrow-repay"
        loan = {"asset": "USDT", "amount": "10", "isIsolated": "FALSE"}
        with challenged(bot) as asked:
            bot.client.call("POST", path, **loan, type="BORROW")
        bot.stack.approve(bot.account, asked, environment=MARGIN)
        assert bot.client.call("POST", path, **loan, type="BORROW")
        assert bot.client.call("POST", path, **loan, type="REPAY")
        with challenged(bot):
            bot.client.call("POST", path, **loan, type="BORROW")
        assert bot.sent("POST", path) == 2


@pytest.mark.bar("B41")
@pytest.mark.mission("M17")
def test_every_client_means_the_same_movement(bot_of: MakeBot) -> None:
    """Whoever writes `1e-05` for it, and whichever door is taken: one challenge, one canonical amount."""
    first = TestSdk().bot(bot_of, FUTURES)
    asked: set[str] = set()
    for kind in (Ccxt, CcxtAsync, PythonBinance, PythonBinanceAsync, Sdk):
        client = kind(first.key, first.stack.url)
        for way in ("transfer", "transfer_out"):
            if hasattr(client, way):
                with challenged(Bot(first.stack, first.account, first.key, client)) as found:
                    client.transfer("UMFUTURE_MAIN", 0.00001) if way == "transfer" else client.transfer_out(0.00001)
                asked.update(found)
        client.close()
    [challenge] = asked
    fields = json.loads(first.stack.challenge(first.account, challenge).intent)["fields"]
    assert fields == {"asset": "USDT", "amount": "0.00001", "from": "UMFUTURE", "to": "MAIN"}


class OlderDoor(MovementStory):
    """Clients that also have the venue's older call."""

    @pytest.mark.mission("M17")
    def test_the_older_door_says_the_same(self, bot_of: MakeBot) -> None:
        bot = self.bot(bot_of, FUTURES)
        with challenged(bot) as asked:
            bot.client.transfer("UMFUTURE_MAIN", 25.5)
        with challenged(bot) as again:
            bot.client.transfer_out(25.5)  # type: ignore[attr-defined]
        assert again == asked
        bot.stack.approve(bot.account, asked, state="pending")
        bot.stack.approve(bot.account, asked, password=PASSWORD)
        assert bot.client.transfer_out(25.5)  # type: ignore[attr-defined]
        assert self.held(bot, "spot") == 1025.5
        with challenged(bot):
            bot.client.transfer("UMFUTURE_MAIN", 25.5)


class TestCcxt(OlderDoor):
    kind = Ccxt


class TestCcxtAsync(OlderDoor):
    kind = CcxtAsync


class TestPythonBinance(OlderDoor):
    kind = PythonBinance


class TestPythonBinanceAsync(OlderDoor):
    kind = PythonBinanceAsync


class TestSdk(MovementStory):
    kind = Sdk
