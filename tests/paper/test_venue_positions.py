"""Position accounting: entry price, profit, fees, margins, liquidation, hedge mode, funding, ADL."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from venue_process import PaperVenue, VenueAnswer, VenueKey

ORDER = "/fapi/v1/order"


def trade(venue: PaperVenue, key: VenueKey, side: str, quantity: str, **params: Any) -> VenueAnswer:
    values = {"symbol": "BTCUSDT", "side": side, "type": "MARKET", "quantity": quantity}
    answer = venue.signed(key, "POST", ORDER, values | params)
    assert answer.status == 200, answer
    return answer


def risk(venue: PaperVenue, key: VenueKey, side: str = "BOTH") -> Any:
    rows = venue.signed(key, "GET", "/fapi/v2/positionRisk", {"symbol": "BTCUSDT"}).json
    return next(row for row in rows if row["positionSide"] == side)


def wallet(venue: PaperVenue, account: int) -> Decimal:
    return Decimal(venue.account(account)["balances"]["futures"]["USDT"])


def set_up(venue: PaperVenue, key: VenueKey, path: str, **params: Any) -> None:
    answer = venue.signed(key, "POST", f"/fapi/v1/{path}", params)
    assert answer.status == 200, answer


def test_entry_price_is_the_average_and_profit_is_realised_to_the_cent(
    venue: PaperVenue, account: int, key: VenueKey
) -> None:
    trade(venue, key, "BUY", "0.1")  # at 60003
    venue.set_price("BTCUSDT", "62000")
    trade(venue, key, "BUY", "0.1")  # at 62003.1: half a spread of 3.1
    assert Decimal(risk(venue, key)["entryPrice"]) == Decimal("61003.05")
    venue.set_price("BTCUSDT", "63000")
    assert Decimal(risk(venue, key)["unRealizedProfit"]) == Decimal("0.2") * (63000 - Decimal("61003.05"))
    trade(venue, key, "SELL", "0.3")  # at 62996.9: closes 0.2, opens a short of 0.1
    short = risk(venue, key)
    assert (short["positionAmt"], Decimal(short["entryPrice"])) == ("-0.100", Decimal("62996.9"))
    realized = Decimal("0.2") * (Decimal("62996.9") - Decimal("61003.05"))
    turnover = Decimal("0.1") * (Decimal("60003") + Decimal("62003.1")) + Decimal("0.3") * Decimal("62996.9")
    assert wallet(venue, account) == 10_000 + realized - turnover * Decimal("0.0005")
    lines = venue.signed(key, "GET", "/fapi/v1/income").json
    assert sum(Decimal(line["income"]) for line in lines) == (wallet(venue, account) - 10_000).quantize(
        Decimal("0.00000001")
    )
    kinds = [line["incomeType"] for line in lines]
    assert kinds == ["COMMISSION", "COMMISSION", "REALIZED_PNL", "COMMISSION"]


def test_margins_of_positions_and_orders_bound_what_is_available(venue: PaperVenue, key: VenueKey) -> None:
    trade(venue, key, "BUY", "0.1")
    resting = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1"}
    assert venue.signed(key, "POST", ORDER, resting | {"price": "50000"}).status == 200
    # A sell against the long position binds nothing: it cannot make the exposure larger.
    assert venue.signed(key, "POST", ORDER, resting | {"side": "SELL", "price": "65000"}).status == 200
    account = venue.signed(key, "GET", "/fapi/v3/account").json
    assert Decimal(account["totalPositionInitialMargin"]) == 300
    assert Decimal(account["totalOpenOrderInitialMargin"]) == 250
    expected = Decimal(account["totalMarginBalance"]) - 550
    assert Decimal(account["availableBalance"]) == expected
    bound = Decimal(account["totalInitialMargin"]) + Decimal(account["availableBalance"])
    assert bound == Decimal(account["totalMarginBalance"])


def test_a_crossed_account_is_liquidated_where_the_venue_said(venue: PaperVenue) -> None:
    account = venue.create_account({"futures": {"USDT": "1000"}})
    key = venue.create_key(account)
    set_up(venue, key, "leverage", symbol="BTCUSDT", leverage=100)
    trade(venue, key, "BUY", "0.5")
    price = Decimal(risk(venue, key)["liquidationPrice"])
    assert 57_000 < price < 59_000
    venue.set_price("BTCUSDT", str(price + 20))
    assert risk(venue, key)["positionAmt"] == "0.500"
    venue.set_price("BTCUSDT", str(price - 20))
    assert risk(venue, key)["positionAmt"] == "0.000"
    [forced] = venue.signed(key, "GET", "/fapi/v1/forceOrders").json
    assert forced["clientOrderId"].startswith("autoclose-")
    assert wallet(venue, account) >= 0


def test_an_isolated_position_loses_its_own_margin_and_no_more(venue: PaperVenue, account: int, key: VenueKey) -> None:
    set_up(venue, key, "marginType", symbol="BTCUSDT", marginType="ISOLATED")
    set_up(venue, key, "leverage", symbol="BTCUSDT", leverage=50)
    trade(venue, key, "SELL", "0.1")
    trade(venue, key, "SELL", "0.1")
    trade(venue, key, "BUY", "0.1", reduceOnly="true")
    before = wallet(venue, account)
    isolated = Decimal(risk(venue, key)["isolatedWallet"])
    assert isolated == Decimal("59997") * Decimal("0.1") / 50, "half the position, half its margin"
    venue.set_price("BTCUSDT", "75000")
    assert risk(venue, key)["positionAmt"] == "0.000"
    assert wallet(venue, account) == before - isolated
    assert "INSURANCE_CLEAR" in [row["incomeType"] for row in venue.signed(key, "GET", "/fapi/v1/income").json]


def test_position_margin_moves_between_cross_and_isolated(venue: PaperVenue, account: int, key: VenueKey) -> None:
    margin = {"symbol": "BTCUSDT", "amount": "100", "type": 1}
    assert venue.signed(key, "POST", "/fapi/v1/positionMargin", margin).code == -4054
    set_up(venue, key, "marginType", symbol="BTCUSDT", marginType="ISOLATED")
    trade(venue, key, "BUY", "0.1")
    before, price = Decimal(risk(venue, key)["isolatedWallet"]), Decimal(risk(venue, key)["liquidationPrice"])
    set_up(venue, key, "positionMargin", **margin)
    assert Decimal(risk(venue, key)["isolatedWallet"]) == before + 100
    assert Decimal(risk(venue, key)["liquidationPrice"]) < price
    assert venue.signed(key, "POST", "/fapi/v1/positionMargin", margin | {"amount": "99999"}).code == -4050
    assert venue.signed(key, "POST", "/fapi/v1/positionMargin", margin | {"amount": "200", "type": 2}).code == -4051
    set_up(venue, key, "positionMargin", **(margin | {"amount": "90", "type": 2}))
    history = venue.signed(key, "GET", "/fapi/v1/positionMargin/history", {"symbol": "BTCUSDT"}).json
    assert [(row["type"], row["amount"]) for row in history] == [(1, "100"), (2, "90")]


def test_hedge_mode_keeps_two_sides_that_cannot_flip(venue: PaperVenue, key: VenueKey) -> None:
    set_up(venue, key, "positionSide/dual", dualSidePosition="true")
    trade(venue, key, "BUY", "0.1", positionSide="LONG")
    trade(venue, key, "SELL", "0.05", positionSide="SHORT")
    assert risk(venue, key, "LONG")["positionAmt"] == "0.100"
    assert risk(venue, key, "SHORT")["positionAmt"] == "-0.050"
    values = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.1"}
    assert venue.signed(key, "POST", ORDER, values).code == -4061
    assert venue.signed(key, "POST", ORDER, values | {"positionSide": "LONG", "reduceOnly": "true"}).code == -1106
    trade(venue, key, "SELL", "5", positionSide="LONG")
    assert risk(venue, key, "LONG")["positionAmt"] == "0.000"
    assert venue.signed(key, "POST", ORDER, values | {"positionSide": "LONG"}).code == -2022


def test_the_third_version_of_the_reads_has_no_leverage(venue: PaperVenue, key: VenueKey) -> None:
    trade(venue, key, "BUY", "0.1")
    [row] = venue.signed(key, "GET", "/fapi/v3/positionRisk").json
    assert "leverage" not in row
    assert "marginType" not in row
    assert risk(venue, key)["leverage"] == "20"


def test_adl_rank_follows_profit_and_the_paper_setting_lowers_it(venue: PaperVenue, key: VenueKey) -> None:
    trade(venue, key, "BUY", "0.1")
    venue.set_price("BTCUSDT", "63000")

    def rank() -> int:
        [row] = venue.signed(key, "GET", "/fapi/v1/adlQuantile", {"symbol": "BTCUSDT"}).json
        return int(row["adlQuantile"]["BOTH"])

    assert rank() == 3
    set_up(venue, key, "adlSetting", symbol="BTCUSDT", rank="LOWERED")
    assert rank() == 2
    [kept] = venue.signed(key, "GET", "/fapi/v1/adlSetting").json
    assert (kept["symbol"], kept["positionSide"], kept["rank"]) == ("BTCUSDT", "BOTH", "LOWERED")
    refused = venue.signed(key, "POST", "/fapi/v1/adlSetting", {"symbol": "BTCUSDT", "rank": "FIRST"})
    assert refused.code == -1130


def test_funding_is_settled_when_its_time_comes(venue: PaperVenue, account: int, key: VenueKey) -> None:
    trade(venue, key, "BUY", "0.1")
    before = wallet(venue, account)
    premium = venue.public("/fapi/v1/premiumIndex", symbol="BTCUSDT").json
    ahead = premium["nextFundingTime"] - premium["time"] + 1_000
    venue.admin("POST", "clock", {"offsetMs": ahead})
    try:
        paid = before - wallet(venue, account)
        assert paid == Decimal("6000") * Decimal(premium["lastFundingRate"])
        rates = venue.public("/fapi/v1/fundingRate", symbol="BTCUSDT", limit=1).json
        assert rates[0]["fundingRate"] == premium["lastFundingRate"]
        assert rates[0]["fundingTime"] == premium["nextFundingTime"]
    finally:
        venue.admin("POST", "clock", {"offsetMs": 0})


@pytest.mark.parametrize("leverage", [1, 20, 125])
def test_initial_margin_is_notional_by_leverage(venue: PaperVenue, key: VenueKey, leverage: int) -> None:
    set_up(venue, key, "leverage", symbol="BTCUSDT", leverage=leverage)
    trade(venue, key, "BUY", "0.1")
    [row] = venue.signed(key, "GET", "/fapi/v3/positionRisk").json
    assert Decimal(row["positionInitialMargin"]) == Decimal(6000) / leverage
