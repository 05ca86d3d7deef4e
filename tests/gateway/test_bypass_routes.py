"""The ways round a naive gate, by their numbers in `docs/security/threats.md`: closed, refused, or said to be open.

Each is taken with a key that has every right at the venue, by a thief who does not have the owner's factors. What
counts is the venue's own log: nothing that can change something has reached it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.live import SYMBOL, Answer, Client, Live, Party
from gateway.test_grants import isolated_position, owner_of_all
from gateway.test_threshold import LEG, order_id, position, with_policy
from leverlock.domain.environment import MARKETS
from venue_process import PaperVenue
from world import policy_text

THREATS = Path(__file__).resolve().parents[2] / "docs" / "security" / "threats.md"
ADDRESS = "0x" + "ab" * 20
Way = Callable[["Raid"], None]
WAYS: dict[int, tuple[str, Way]] = {}


def way(number: int, state: str) -> Callable[[Way], Way]:
    """`state`: how threats.md has to call it."""

    def kept(attempt: Way) -> Way:
        assert number not in WAYS
        WAYS[number] = (state, attempt)
        return attempt

    return kept


class Raid:
    """A thief with the bot's key, and the account he is after: protected in every market, 75x at the venue."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.alice = owner_of_all(live, *MARKETS)
        self.bot = live.client(self.alice)

    def prepared(self, prepare: Callable[[Live, Party], Any]) -> Any:
        found = prepare(self.live, self.alice)
        self.live.venue.clear_calls()
        return found

    def challenged(self, method: str, path: str, params: dict[str, Any]) -> Answer:
        """The call is stopped until the owner has answered, and the venue hears nothing of it."""
        self.live.venue.clear_calls()
        # Each on a key of its own: three may wait for one, and the account holds no more than a few.
        answer = self.live.client(self.alice).call(method, path, params)
        assert answer.stepped_up, (method, path, params, answer)
        assert self.live.executed() == []
        self.live.end_challenges(self.alice)
        return answer

    def refused(self, *calls: str, **params: Any) -> None:
        """None of these calls is let through, and the venue hears of none."""
        self.live.venue.clear_calls()
        for call in calls:
            method, path = call.split(" ")
            answer = self.bot.call(method, path, params or {"asset": "USDT", "amount": "1", "symbol": SYMBOL})
            assert (answer.status, answer.code) == (404, -40106), (call, answer)
        assert self.live.venue.calls() == []


@pytest.fixture
def raid(live: Live) -> Raid:
    made = Raid(live)
    live.venue.clear_calls()
    return made


@way(1, "not ours to close")
def another_way_to_the_venue(raid: Raid) -> None:
    """The venue's own key opens nothing here; that it opens the venue itself is for its address list to stop."""
    key = raid.alice.venue_key
    stolen = Client(raid.live, key)
    assert stolen.order().code == -2015
    assert raid.live.venue.calls() == []
    assert raid.live.venue.signed(key, "POST", "/fapi/v1/order", LEG, where="body").status == 200


@way(2, "refused")
def web_socket_and_fix(raid: Raid) -> None:
    raid.refused("POST /ws-fapi/v1", "GET /ws-fapi/v1", "GET /ws", "POST /ws-api/v3", method="order.place")


@way(3, "closed")
def conditional_orders(raid: Raid) -> None:
    stop = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "BUY", "type": "STOP_MARKET"}
    raid.challenged("POST", "/fapi/v1/algoOrder", stop | {"quantity": "0.01", "triggerPrice": "70000"})


@way(4, "closed")
def batches(raid: Raid) -> None:
    raid.live.set_leverage(raid.alice, 20, "ETHUSDT")
    harmless = {"symbol": "ETHUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"}
    resting = raid.prepared(order_id)
    legs = [harmless, harmless, LEG]
    raid.challenged("POST", "/fapi/v1/batchOrders", {"batchOrders": json.dumps(legs)})
    amendment = {"symbol": SYMBOL, "side": "BUY", "orderId": str(resting), "quantity": "9", "price": "57500"}
    raid.challenged("PUT", "/fapi/v1/batchOrders", {"batchOrders": json.dumps([amendment])})


@way(5, "closed")
def amending(raid: Raid) -> None:
    resting = raid.prepared(order_id)
    grown = {"symbol": SYMBOL, "side": "BUY", "orderId": resting, "quantity": "9", "price": "57500"}
    raid.challenged("PUT", "/fapi/v1/order", grown)


@way(6, "refused")
def portfolio_margin(raid: Raid) -> None:
    um = ("order", "leverage", "algo/order", "conditional/order", "positionSide/dual")
    raid.refused(*(f"POST /papi/v1/um/{path}" for path in um), "POST /papi/v1/cm/order", "POST /papi/v1/cm/leverage")
    raid.refused("POST /papi/v1/asset-collection", "POST /papi/v1/bnb-transfer", "POST /papi/v1/margin/order")


@way(7, "refused")
def coin_margined_and_options(raid: Raid) -> None:
    twins = ("order", "batchOrders", "leverage", "marginType", "positionMargin", "positionSide/dual")
    raid.refused(*(f"POST /dapi/v1/{path}" for path in twins), "PUT /dapi/v1/order", "POST /eapi/v1/order")


@way(8, "refused")
def execution_algorithms(raid: Raid) -> None:
    raid.refused("POST /sapi/v1/algo/futures/newOrderTwap", "POST /sapi/v1/algo/futures/newOrderVp")
    raid.refused("POST /sapi/v1/algo/spot/newOrderTwap")


@way(9, "closed")
def modes_of_the_account(raid: Raid) -> None:
    """Multi-assets is the margin mode of the account. The position mode passes: it raises no leverage."""
    raid.challenged("POST", "/fapi/v1/multiAssetsMargin", {"multiAssetsMargin": "true"})
    assert raid.bot.call("POST", "/fapi/v1/positionSide/dual", {"dualSidePosition": "true"}).status == 200
    assert "passes by decision" in rows()[9]


@way(10, "closed")
def margin_out_of_a_position(raid: Raid) -> None:
    raid.prepared(isolated_position)
    change = {"symbol": SYMBOL, "amount": "1"}
    raid.challenged("POST", "/fapi/v1/positionMargin", change | {"type": "2"})
    assert raid.bot.call("POST", "/fapi/v1/positionMargin", change | {"type": "1"}).status == 200  # lowers leverage


@way(11, "closed")
def leverage_raised_on_the_venues_own_page(raid: Raid) -> None:
    raid.live.set_leverage(raid.alice, 20)
    assert raid.live.client(raid.alice).order(quantity="0.001").status == 200
    raid.live.set_leverage(raid.alice, 125)
    raid.live.forget_facts()
    raid.challenged("POST", "/fapi/v1/order", LEG)


@way(12, "closed")
def transfers_out_of_the_futures_wallet(raid: Raid) -> None:
    moved = {"asset": "USDT", "amount": "1"}
    for source in ("UMFUTURE", "CMFUTURE", "PORTFOLIO_MARGIN"):
        for to in ("MAIN", "FUNDING", "MARGIN", "OPTION", "C2C", "ISOLATEDMARGIN"):
            raid.challenged("POST", "/sapi/v1/asset/transfer", moved | {"type": f"{source}_{to}"})
    for kind in ("2", "4"):
        raid.challenged("POST", "/sapi/v1/futures/transfer", moved | {"type": kind})
    raid.live.venue.clear_calls()
    for unknown in ("UMFUTURE_VAULT", "UMFUTURE_", "VAULT_MAIN", "umfuture_main", "UMFUTURE_UMFUTURE", "OPTION_MAIN"):
        answer = raid.bot.call("POST", "/sapi/v1/asset/transfer", moved | {"type": unknown})
        assert answer.code == -40106, (unknown, answer)
    for kind in ("0", "5", "02", "2.0"):
        assert raid.bot.call("POST", "/sapi/v1/futures/transfer", moved | {"type": kind}).code == -40106
    raid.refused(
        "POST /sapi/v1/sub-account/futures/transfer",
        "POST /sapi/v1/sub-account/futures/internalTransfer",
        "POST /sapi/v1/sub-account/universalTransfer",
        "POST /sapi/v1/sub-account/transfer/subToMaster",
        "POST /sapi/v1/sub-account/transfer/subToSub",
        "POST /sapi/v1/broker/transfer",
        "POST /sapi/v1/broker/transfer/futures",
        "POST /sapi/v1/broker/universalTransfer",
        "POST /sapi/v1/managed-subaccount/withdraw",
    )


@way(13, "closed")
def withdrawals_and_their_twins(raid: Raid) -> None:
    sent = {"coin": "USDT", "network": "ETH", "address": ADDRESS, "amount": "10"}
    for wallet in ({}, {"walletType": "0"}, {"walletType": "1"}):
        raid.challenged("POST", "/sapi/v1/capital/withdraw/apply", sent | wallet)
    declared = sent | {"questionnaire": '{"isAddressOwner":1}'}
    raid.challenged("POST", "/sapi/v1/localentity/withdraw/apply", declared)
    raid.refused("POST /sapi/v1/localentity/broker/withdraw/apply", **declared)


@way(14, "refused")
def gifts_and_payments(raid: Raid) -> None:
    raid.refused(
        "POST /sapi/v1/giftcard/createCode", "POST /sapi/v1/giftcard/buyCode", "POST /sapi/v1/pay/transactions"
    )
    raid.refused("POST /sapi/v1/c2c/orderMatch/listUserOrderHistory")


@way(15, "refused")
def convert_and_dust(raid: Raid) -> None:
    raid.refused(
        "POST /fapi/v1/convert/getQuote",
        "POST /fapi/v1/convert/acceptQuote",
        "POST /sapi/v1/convert/acceptQuote",
        "POST /sapi/v1/convert/limit/placeOrder",
        "POST /sapi/v1/asset/convert-transfer",
        "POST /sapi/v1/asset/dust",
        "POST /sapi/v1/asset/dust-btc",
        "POST /sapi/v1/asset/dust-convert/convert",
    )


@way(16, "refused")
def fast_withdrawal(raid: Raid) -> None:
    raid.refused("POST /sapi/v1/account/enableFastWithdrawSwitch", "POST /sapi/v1/account/disableFastWithdrawSwitch")


@way(17, "refused")
def portfolio_collection(raid: Raid) -> None:
    raid.refused(
        "POST /sapi/v1/portfolio/asset-collection",
        "POST /sapi/v1/portfolio/auto-collection",
        "POST /sapi/v1/portfolio/repay-futures-switch",
        "POST /sapi/v1/portfolio/repay",
        "POST /sapi/v1/portfolio/mint",
        "POST /sapi/v1/portfolio/redeem",
        "POST /sapi/v1/portfolio/bnb-transfer",
        "POST /sapi/v1/portfolio/earn-asset-transfer",
    )
    raid.challenged("POST", "/sapi/v1/portfolio/delta-mode", {"deltaEnabled": "true"})


@way(18, "closed")
def borrowing(raid: Raid) -> None:
    """Also by an order that borrows by itself: margin orders do not pass."""
    loan = {"asset": "USDT", "amount": "1", "isIsolated": "FALSE"}
    raid.challenged("POST", "/sapi/v1/margin/borrow-repay", loan | {"type": "BORROW"})
    raid.challenged("POST", "/sapi/v1/margin/loan", loan)
    answer = raid.bot.call("POST", "/sapi/v1/margin/borrow-repay", loan | {"type": "LEND"})
    assert answer.code == -40106
    raid.refused("POST /sapi/v1/margin/order", **LEG, sideEffectType="AUTO_BORROW_REPAY")
    raid.refused(
        "POST /sapi/v1/margin/order/oco", "POST /sapi/v1/margin/order/oto", "POST /sapi/v1/margin/isolated/account"
    )
    raid.refused("POST /sapi/v2/loan/flexible/borrow", "POST /sapi/v1/loan/vip/borrow", "POST /sapi/v1/loan/borrow")


@way(19, "refused")
def keys_of_sub_accounts(raid: Raid) -> None:
    raid.refused(
        "POST /sapi/v1/sub-account/subAccountApi",
        "POST /sapi/v2/sub-account/subAccountApi",
        "POST /sapi/v1/sub-account/subAccountApi/ipRestriction",
        "POST /sapi/v2/sub-account/subAccountApi/ipRestriction",
        "POST /sapi/v1/broker/subAccountApi",
        "POST /sapi/v1/broker/subAccountApi/permission",
        "POST /sapi/v1/broker/subAccountApi/permission/universalTransfer",
        "POST /sapi/v1/broker/subAccountApi/ipRestriction",
        "DELETE /sapi/v1/broker/subAccountApi/ipRestriction/ipList",
        canFuturesTrade="true",
    )


@way(20, "below the threshold not ours to close yet")
def losing_on_purpose(raid: Raid) -> None:
    raid.challenged("POST", "/fapi/v1/order", LEG)
    raid.live.set_leverage(raid.alice, 20)
    raid.live.forget_facts()
    assert raid.bot.order(price="59000", type="LIMIT", timeInForce="IOC").status == 200


@way(21, "open by decision")
def cancelling_stops(raid: Raid) -> None:
    """They pass, and a policy may have a rule for it: then they are refused."""
    assert raid.bot.call("DELETE", "/fapi/v1/algoOpenOrders", {"symbol": SYMBOL}).status == 200
    assert raid.bot.call("DELETE", "/fapi/v1/allOpenOrders", {"symbol": SYMBOL}).status == 200


@way(22, "closed")
def saying_one_thing_twice(raid: Raid) -> None:
    send, key = raid.live.send, {"X-MBX-APIKEY": raid.bot.key.api_key}
    signed = raid.bot.signed
    raid.live.venue.clear_calls()
    leverage = [("symbol", SYMBOL), ("leverage", "20")]
    answers = [
        send("POST", "/fapi/v1/leverage", signed([*leverage, ("leverage", "125")]), key),
        send("POST", "/fapi/v1/leverage", signed([*leverage, ("Leverage", "125")]), key),
        send("POST", "/fapi/v1/leverage?leverage=20", signed([("symbol", SYMBOL), ("leverage", "125")]), key),
        send("POST", "/fapi/v1/leverage", signed([("symbol", f"{SYMBOL}&leverage=125"), ("leverage", "20")]), key),
        *(
            send("POST", f"/fapi/v1{path}", signed(leverage), key)
            for path in ("//leverage", "/leverage/", "/%6ceverage")
        ),
        *(send("POST", path, signed(leverage), key) for path in ("/fapi/v1/x/../leverage", "/FAPI/v1/leverage")),
        send("GET", "/fapi/v1/leverage", b"", key | {"X-HTTP-Method-Override": "POST"}),
        send("POST", "/fapi/v1/leverage", b'{"symbol":"BTCUSDT"}', key | {"Content-Type": "application/json"}),
    ]
    twice = '[{"symbol":"ETHUSDT","symbol":"BTCUSDT","side":"BUY","type":"MARKET","quantity":"1"}]'
    answers.append(raid.bot.call("POST", "/fapi/v1/batchOrders", {"batchOrders": twice}))
    answers += [raid.bot.leverage(number) for number in ("5e1", "050", "50.0")]
    assert all(400 <= answer.status < 500 for answer in answers), answers
    assert raid.live.executed() == []


@way(23, "closed")
def replaying(raid: Raid) -> None:
    live, alice = raid.live, raid.alice
    asked = raid.bot.call("POST", "/fapi/v1/order", LEG)
    wire = raid.bot.signed(LEG)
    live.approve(alice, asked.challenge)
    key = {"X-MBX-APIKEY": raid.bot.key.api_key}
    assert live.send("POST", "/fapi/v1/order", wire, key).status == 200
    live.venue.clear_calls()
    assert live.send("POST", "/fapi/v1/order", wire, key).code == -1021
    terminal = live.client(alice, otp_allowed=True)
    code = alice.owner.code()  # the one that approved
    assert terminal.order(otp=code).code == -40103
    assert live.executed() == []


@way(24, "closed")
def approving_one_thing_and_sending_another(raid: Raid) -> None:
    asked = raid.bot.order()
    raid.live.approve(raid.alice, asked.challenge)
    raid.live.venue.clear_calls()
    for other in ({"quantity": "0.02"}, {"side": "SELL"}, {"reduceOnly": "true"}):
        assert raid.bot.order(**other).stepped_up
    assert raid.live.executed() == []


@way(25, "closed")
def two_accounts_behind_one_client(raid: Raid) -> None:
    asked = raid.bot.order()
    raid.live.approve(raid.alice, asked.challenge)
    other = raid.live.client(owner_of_all(raid.live, *MARKETS))
    sibling = raid.live.client(raid.alice)
    raid.live.venue.clear_calls()
    assert other.order().stepped_up
    assert sibling.order().stepped_up
    assert raid.live.executed() == []


@way(26, "closed")
def listen_keys(raid: Raid) -> None:
    for method in ("POST", "PUT", "DELETE"):
        for key in ("", raid.alice.venue_key.api_key, "A" * 64):
            answer = raid.live.send(method, "/fapi/v1/listenKey", b"", {"X-MBX-APIKEY": key} if key else {})
            assert answer.code == -2015, answer
    assert raid.live.venue.calls() == []


@way(27, "refused")
def reads_that_are_not_harmless(raid: Raid) -> None:
    raid.refused(
        "GET /fapi/v1/order/asyn",
        "GET /fapi/v1/trade/asyn",
        "GET /fapi/v1/income/asyn",
        "GET /sapi/v1/sub-account/assets",
        "GET /sapi/v3/sub-account/assets",
        "GET /sapi/v2/sub-account/futures/account",
        "GET /sapi/v1/capital/deposit/address",
        "GET /sapi/v1/capital/withdraw/address/list",
    )


@way(28, "closed")
def making_the_gate_fail(raid: Raid) -> None:
    live = raid.live
    live.set_leverage(raid.alice, 20)
    for trouble in ({"status": 500}, {"delay_ms": 700}, {"cut": True}, {"status": 200, "body": ""}):
        live.forget_facts()
        live.venue.clear_faults()
        live.venue.add_fault("/fapi/v1/symbolConfig", remaining=9, **trouble)
        raid.challenged("POST", "/fapi/v1/order", LEG)
    live.venue.clear_faults()
    raid.refused("POST /fapi/v1/unknown", "POST /fapi/v9/order", "PATCH /fapi/v1/order")


@way(29, "closed")
def tiring_the_owner_out(raid: Raid) -> None:
    answers = [raid.bot.order(quantity=f"0.0{number}") for number in range(1, 9)]
    assert [answer.code for answer in answers] == [-40101] * 3 + [-40107] * 5
    assert raid.bot.order(quantity="0.01").challenge == answers[0].challenge
    assert raid.live.executed() == []


# -- the table -------------------------------------------------------------------------------------------------------
def rows() -> dict[int, str]:
    """What threats.md says of each way."""
    found = re.findall(r"^\| (\d+) \| [^|]+ \| ([^|]+) \|$", THREATS.read_text("utf-8"), re.MULTILINE)
    return {int(number): said for number, said in found}


def test_every_way_is_in_the_table_and_has_its_test() -> None:
    assert list(rows()) == sorted(WAYS) == list(range(1, 30))


@pytest.mark.bar("B64")
@pytest.mark.bar("B69")
@pytest.mark.parametrize("number", range(1, 30), ids=lambda number: f"{number} {WAYS[number][1].__name__}")
def test_the_way_round(raid: Raid, number: int) -> None:
    state, attempt = WAYS[number]
    assert rows()[number].startswith(state), f"threats.md says: {rows()[number]}"
    attempt(raid)


def test_a_policy_may_have_a_rule_against_cancelling_stops(venue: PaperVenue, tmp_path: Path) -> None:
    rule = '[[rule]]\nname = "stops"\naction = "futures.order.cancel"\nwhen = { scope = "conditional" }\n'
    text = policy_text().replace('name = "literal"', 'name = "mine"', 1) + "\n" + rule + 'require = ["totp"]\n'
    with Live(tmp_path, venue) as live:
        with_policy(live, text)
        alice = live.party()
        position(live, alice)
        bot = live.client(alice)
        venue.clear_calls()
        assert bot.call("DELETE", "/fapi/v1/algoOpenOrders", {"symbol": SYMBOL}).code == -40114
        assert bot.call("DELETE", "/fapi/v1/algoOrder", {"symbol": SYMBOL, "algoId": "1"}).code == -40114
        assert live.executed() == []
