"""The story that every client is driven through; `test_<client>.py` says what its client cannot do.

Whether something was executed is asked of the venue's own log, never of the client. Codes are made by oathtool.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from bot import Bot, MakeBot
from client import Order, Refusal

from leverlock.domain.api_key import KeyAlgorithm
from leverlock.domain.environment import Environment
from stack import PASSWORD, NotApproved, challenge_in

STEP_UP = -40101
WRONG_CODE = -40102
USED_CODE = -40103
UNKNOWN_CHALLENGE = -40104
PATH_NOT_ALLOWED = -40106

MARKET = Order()
LARGER = Order(quantity=0.02)
RESTING = Order(price=50_000)


@contextmanager
def refused(bot: Bot, code: int) -> Iterator[list[Refusal]]:
    """The block must be refused with this code, as an exception of the client's own."""
    found: list[Refusal] = []
    with pytest.raises(bot.client.errors) as raised:
        yield found
    refusal = bot.client.refusal(raised.value)
    assert refusal.code == code, refusal
    found.append(refusal)


@contextmanager
def challenged(bot: Bot) -> Iterator[list[str]]:
    """The block must be stopped with a challenge, in the client's typed exception for it; its id."""
    ids: list[str] = []
    with refused(bot, STEP_UP) as found:
        yield ids
    assert found[0].kind is bot.client.step_up
    ids.append(challenge_in(found[0].text))


class Story:
    """Subclassed for each client; `kind` is its driver."""

    kind: ClassVar[type[Any]]

    @pytest.fixture
    def bot(self, bot_of: MakeBot) -> Bot:
        return bot_of(self.kind)

    @staticmethod
    def at_high_leverage(bot: Bot, leverage: int = 75, symbol: str = "BTCUSDT") -> None:
        """Nothing is open yet, so raising the leverage passes; what is ordered afterwards does not."""
        bot.client.set_leverage(leverage, symbol)

    # -- reads -------------------------------------------------------------------------------------------------------
    def test_reads(self, bot_of: MakeBot, algorithm: KeyAlgorithm) -> None:
        bot = bot_of(self.kind, algorithm=algorithm)
        assert {"BTCUSDT", "ETHUSDT"} <= bot.client.load()
        assert bot.client.balance() == 10_000
        assert bot.client.position() == 0
        assert bot.client.leverage() == 20
        assert bot.client.open_orders() == []

    # -- orders ------------------------------------------------------------------------------------------------------
    @pytest.mark.mission("M15")
    def test_an_order_at_20x_executes(self, bot_of: MakeBot, algorithm: KeyAlgorithm) -> None:
        bot = bot_of(self.kind, algorithm=algorithm)
        bot.client.set_leverage(20)
        assert bot.client.place(MARKET)
        assert bot.executed == 1
        assert bot.client.position() == pytest.approx(0.01)
        assert bot.stack.challenges(bot.account) == []

    @pytest.mark.mission("M15")
    def test_50x_passes_and_51x_does_not(self, bot: Bot) -> None:
        bot.client.set_leverage(50)
        bot.client.set_leverage(51, "ETHUSDT")
        assert bot.client.place(MARKET)
        with challenged(bot):
            bot.client.place(Order(symbol="ETHUSDT", quantity=0.1))
        assert bot.executed == 1

    @pytest.mark.mission("M15")
    @pytest.mark.bar("B40")
    @pytest.mark.bar("B44")
    def test_an_order_at_75x_executes_once_after_its_approval(self, bot_of: MakeBot, algorithm: KeyAlgorithm) -> None:
        bot = bot_of(self.kind, algorithm=algorithm)
        self.at_high_leverage(bot)
        with challenged(bot) as asked:
            bot.client.place(MARKET)
        with challenged(bot) as asked_again:
            bot.client.place(MARKET)
        assert asked_again == asked, "the same intent is the same pending challenge"
        assert bot.executed == 0
        assert bot.sent("POST", "/fapi/v1/order") == 0

        bot.stack.approve(bot.account, asked)
        with challenged(bot) as other:
            bot.client.place(LARGER)
        assert other != asked
        assert bot.executed == 0, "an approval serves no changed quantity"

        assert bot.client.place(MARKET)
        assert bot.executed == 1
        assert bot.client.position() == pytest.approx(0.01)
        with challenged(bot) as anew:
            bot.client.place(MARKET)
        assert anew not in (asked, other), "an approval serves once"
        assert bot.executed == 1
        assert bot.sent("POST", "/fapi/v1/order") == 1

    @pytest.mark.mission("M15")
    def test_raising_the_leverage_of_an_open_position(self, bot_of: MakeBot, algorithm: KeyAlgorithm) -> None:
        bot = bot_of(self.kind, algorithm=algorithm)
        bot.client.place(MARKET)
        before = bot.sent("POST", "/fapi/v1/leverage")
        bot.client.set_leverage(50)
        with challenged(bot) as asked:
            bot.client.set_leverage(75)
        assert bot.client.leverage() == 50
        bot.stack.approve(bot.account, asked)
        bot.client.set_leverage(75)
        assert bot.client.leverage() == 75
        assert bot.sent("POST", "/fapi/v1/leverage") == before + 2
        bot.client.set_leverage(20)  # lowering is free
        with challenged(bot) as anew:
            bot.client.set_leverage(75)
        assert anew != asked
        assert bot.client.leverage() == 20

    @pytest.mark.mission("M10")
    def test_wrong_used_and_foreign_codes_approve_nothing(self, bot_of: MakeBot) -> None:
        bot = bot_of(self.kind, enrolled=(Environment.SPOT, Environment.FUTURES))
        self.at_high_leverage(bot)
        with challenged(bot) as asked:
            bot.client.place(MARKET)
        answers = {
            bot.account.wrong_code(): "wrong_code",
            bot.account.next_code(Environment.SPOT): "wrong_code",
            bot.account.used_code(): "code_already_used",
        }
        for code, reason in answers.items():
            with pytest.raises(NotApproved) as refusal:
                bot.stack.approve(bot.account, asked, code)
            assert refusal.value.reason == reason
            with challenged(bot) as still:
                bot.client.place(MARKET)
            assert still == asked
        assert bot.executed == 0
        bot.stack.approve(bot.account, asked)
        bot.client.place(MARKET)
        assert bot.executed == 1

    # -- a code that comes with the call -----------------------------------------------------------------------------
    def test_a_code_with_the_call_of_a_key_that_opted_in(self, bot_of: MakeBot) -> None:
        bot = bot_of(self.kind, otp_allowed=True, enrolled=(Environment.SPOT, Environment.FUTURES))
        self.at_high_leverage(bot)
        account = bot.account
        for code, refusal in (
            (account.wrong_code(), WRONG_CODE),
            (account.next_code(Environment.SPOT), WRONG_CODE),
            (account.used_code(), USED_CODE),
        ):
            with refused(bot, refusal):
                bot.client.place(MARKET, code=code)
        assert bot.executed == 0
        code = account.next_code()
        assert bot.client.place(MARKET, code=code)
        assert bot.executed == 1
        with refused(bot, USED_CODE):
            bot.client.place(MARKET, code=code)
        with challenged(bot):
            bot.client.place(MARKET)
        assert bot.executed == 1
        for call in bot.stack.venue_calls(account):
            assert "otp" not in call["query"] + call["body"], "the code never reaches the venue"
            assert "leverlock-code" not in {name.lower() for name in call["headers"]}

    def test_a_code_with_the_call_of_a_key_that_did_not(self, bot: Bot) -> None:
        self.at_high_leverage(bot)
        code = bot.account.next_code()
        with challenged(bot) as asked:
            bot.client.place(MARKET, code=code)
        assert bot.executed == 0
        bot.stack.approve(bot.account, asked, code)  # it was not looked at, so it still serves
        bot.client.place(MARKET)
        assert bot.executed == 1

    def test_a_batch_with_its_code(self, bot_of: MakeBot) -> None:
        bot = bot_of(self.kind, otp_allowed=True)
        self.at_high_leverage(bot)
        legs = [RESTING, Order(price=49_000)]
        assert len(bot.client.place_batch(legs, code=bot.account.next_code())) == 2
        assert bot.executed == 2

    # -- batches, amendments, conditional orders ---------------------------------------------------------------------
    def test_a_batch_with_one_risky_leg_is_stopped_whole(self, bot_of: MakeBot, algorithm: KeyAlgorithm) -> None:
        bot = bot_of(self.kind, algorithm=algorithm)
        self.at_high_leverage(bot, symbol="ETHUSDT")
        safe = [RESTING, Order(price=49_000)]
        assert len(set(bot.client.place_batch(safe))) == 2
        assert bot.executed == 2
        risky = [RESTING, Order(symbol="ETHUSDT", quantity=0.1, price=2_500)]
        with challenged(bot) as asked:
            bot.client.place_batch(risky)
        assert bot.executed == 2
        bot.stack.approve(bot.account, asked)
        assert len(set(bot.client.place_batch(risky))) == 2
        assert bot.executed == 4
        with challenged(bot):
            bot.client.place_batch(list(reversed(risky)))
        with challenged(bot):
            bot.client.place_batch(risky)
        assert bot.executed == 4

    def test_amending(self, bot_of: MakeBot, algorithm: KeyAlgorithm) -> None:
        bot = bot_of(self.kind, algorithm=algorithm)
        first, second = bot.client.place(RESTING), bot.client.place(RESTING)
        larger = Order(quantity=0.02, price=49_000)
        assert bot.client.amend(first, larger) == first
        assert bot.client.amend_batch([first, second], [RESTING, larger]) == [first, second]
        amended = bot.sent("PUT", "/fapi/v1/order"), bot.sent("PUT", "/fapi/v1/batchOrders")
        assert amended == (1, 1)

        with challenged(bot) as raised:
            bot.client.set_leverage(75)
        bot.stack.approve(bot.account, raised)
        bot.client.set_leverage(75)
        with challenged(bot) as one:
            bot.client.amend(first, larger)
        both_resting = [Order(price=48_000), Order(price=47_000)]
        with challenged(bot) as both:
            bot.client.amend_batch([first, second], both_resting)
        assert (bot.sent("PUT", "/fapi/v1/order"), bot.sent("PUT", "/fapi/v1/batchOrders")) == amended
        bot.stack.approve(bot.account, one + both)  # one code for two that were shown together
        assert bot.client.amend(first, larger) == first
        assert bot.client.amend_batch([first, second], both_resting) == [first, second]
        with challenged(bot):
            bot.client.amend(first, larger)
        assert (bot.sent("PUT", "/fapi/v1/order"), bot.sent("PUT", "/fapi/v1/batchOrders")) == (2, 2)

    def test_conditional_orders(self, bot_of: MakeBot, algorithm: KeyAlgorithm) -> None:
        bot = bot_of(self.kind, algorithm=algorithm)
        bot.client.place(MARKET)
        stop = Order(side="SELL", reduce_only=True)
        assert bot.client.place_stop(stop, 50_000)
        assert bot.executed == 2
        with challenged(bot) as raised:
            bot.client.set_leverage(75)
        bot.stack.approve(bot.account, raised)
        bot.client.set_leverage(75)
        with challenged(bot) as asked:  # `literal` challenges protection too
            bot.client.place_stop(stop, 50_000)
        with challenged(bot) as other:
            bot.client.place_stop(stop, 51_000)
        assert other != asked
        assert bot.executed == 2
        bot.stack.approve(bot.account, asked)
        assert bot.client.place_stop(stop, 50_000)
        with challenged(bot):
            bot.client.place_stop(stop, 50_000)
        assert bot.executed == 3

    # -- what is free ------------------------------------------------------------------------------------------------
    def test_cancelling_is_never_challenged(self, bot: Bot) -> None:
        client = bot.client
        orders = [client.place(RESTING) for _ in range(5)]
        stops = [client.place_stop(Order(side="SELL"), 40_000) for _ in range(2)]
        with challenged(bot) as asked:
            client.set_leverage(75)
        bot.stack.approve(bot.account, asked)
        client.set_leverage(75)
        with challenged(bot):
            client.place(RESTING)

        client.cancel(orders[0])
        client.cancel_several(orders[1:3])
        assert sorted(client.open_orders()) == sorted(orders[3:])
        client.cancel_all()
        assert client.open_orders() == []
        client.cancel_stop(stops[0])
        client.cancel_all_stops()
        for path in ("/fapi/v1/openOrders", "/fapi/v1/openAlgoOrders"):
            assert bot.stack.venue.signed(bot.account.venue_key, "GET", path).json == []

    def test_position_mode_and_listen_key(self, bot_of: MakeBot, algorithm: KeyAlgorithm) -> None:
        bot = bot_of(self.kind, algorithm=algorithm)
        self.at_high_leverage(bot)
        bot.client.set_position_mode(hedged=True)
        bot.client.set_position_mode(hedged=False)
        assert bot.sent("POST", "/fapi/v1/positionSide/dual") == 2
        assert bot.client.listen()
        assert [bot.sent(method, "/fapi/v1/listenKey") for method in ("POST", "PUT", "DELETE")] == [1, 1, 1]
        assert bot.stack.challenges(bot.account) == []

    # -- margin mode, polling, what is not modelled ------------------------------------------------------------------
    @pytest.mark.mission("M16")
    def test_margin_mode(self, bot: Bot) -> None:
        with challenged(bot) as asked:
            bot.client.set_margin_mode("ISOLATED")
        assert bot.sent("POST", "/fapi/v1/marginType") == 0
        bot.stack.approve(bot.account, asked)
        bot.client.set_margin_mode("ISOLATED")
        with challenged(bot) as back:
            bot.client.set_margin_mode("CROSSED")
        assert back != asked
        assert bot.sent("POST", "/fapi/v1/marginType") == 1

    @pytest.mark.mission("M16")
    def test_multi_assets_mode_is_the_margin_mode_of_the_account(self, bot: Bot) -> None:
        with challenged(bot) as asked:
            bot.client.set_multi_assets(on=True)
        assert bot.sent("POST", "/fapi/v1/multiAssetsMargin") == 0
        bot.stack.approve(bot.account, asked)
        bot.client.set_multi_assets(on=True)
        with challenged(bot) as back:
            bot.client.set_multi_assets(on=False)
        assert back != asked
        assert bot.sent("POST", "/fapi/v1/multiAssetsMargin") == 1

    def test_margin_is_taken_out_of_a_position_above_50x_with_a_code(self, bot: Bot) -> None:
        path = "/fapi/v1/positionMargin"
        with challenged(bot) as mode:
            bot.client.set_margin_mode("ISOLATED")
        bot.stack.approve(bot.account, mode)
        bot.client.set_margin_mode("ISOLATED")
        bot.client.place(MARKET)
        bot.client.change_margin(20, remove=False)
        bot.client.change_margin(5, remove=True)
        assert bot.sent("POST", path) == 2
        with challenged(bot) as raised:
            bot.client.set_leverage(75)
        with challenged(bot):
            bot.client.set_leverage(76)
        bot.stack.approve(bot.account, raised)
        bot.client.set_leverage(75)
        bot.client.change_margin(1, remove=False)
        with challenged(bot) as asked:
            bot.client.change_margin(7, remove=True)
        with challenged(bot) as larger:
            bot.client.change_margin(8, remove=True)
        assert larger != asked
        assert bot.sent("POST", path) == 3

    @pytest.mark.mission("M19")
    @pytest.mark.bar("B40")
    def test_an_adl_setting_takes_password_and_code(self, bot: Bot) -> None:
        """By the request method that the client has for calls it does not know: no client knows an ADL setting."""
        path = "/fapi/v1/adlSetting"

        def lower() -> Any:
            return bot.client.call("POST", path, symbol="BTCUSDT", rank="LOWERED")

        with challenged(bot) as asked:
            lower()
        code = bot.account.next_code()
        with pytest.raises(NotApproved):
            bot.stack.approve(bot.account, asked, code)
        with pytest.raises(NotApproved):
            bot.stack.approve(bot.account, asked, code, password="not the password")
        with challenged(bot) as still:
            lower()
        assert still == asked
        assert bot.sent("POST", path) == 0
        bot.stack.approve(bot.account, asked, password=PASSWORD)
        assert lower()["rank"] == "LOWERED"
        assert bot.sent("POST", path) == 1
        with challenged(bot):
            lower()
        assert bot.sent("POST", path) == 1

    @pytest.mark.bar("B47")
    def test_the_asking_key_polls_its_challenge(self, bot_of: MakeBot, algorithm: KeyAlgorithm) -> None:
        bot, stranger = (bot_of(self.kind, algorithm=algorithm) for _ in range(2))
        other_key = self.kind(bot.stack.gateway_key(bot.account, algorithm), bot.stack.url)
        sibling = replace(bot, client=other_key)
        self.at_high_leverage(bot)
        with challenged(bot) as asked:
            bot.client.place(MARKET)
        [challenge_id] = asked
        assert bot.client.poll(challenge_id)["state"] == "pending"
        for another in (stranger, sibling):
            with refused(another, UNKNOWN_CHALLENGE):
                another.client.poll(challenge_id)
        other_key.close()
        bot.stack.approve(bot.account, asked)
        assert bot.client.poll(challenge_id)["state"] == "approved"
        bot.client.place(MARKET)
        polled = bot.client.poll(challenge_id)
        assert (polled["challenge"], polled["state"]) == (challenge_id, "consumed")
        assert polled["action"] == "futures.order.place"

    @pytest.mark.bar("B64")
    def test_a_write_that_is_not_modelled_is_refused(self, bot: Bot) -> None:
        bot.client.place(MARKET)
        before = len(bot.stack.venue_calls(bot.account))
        with refused(bot, PATH_NOT_ALLOWED):
            bot.client.test_order()
        assert len(bot.stack.venue_calls(bot.account)) == before
