"""Leverage, margin type, position mode, multi-assets mode: changes, no-changes and refusals."""

from __future__ import annotations

from typing import Any

import pytest

from venue_process import PaperVenue, VenueAnswer, VenueKey


def post(venue: PaperVenue, key: VenueKey, path: str, **params: Any) -> VenueAnswer:
    return venue.signed(key, "POST", f"/fapi/v1/{path}", params, where="body")


def rest(venue: PaperVenue, key: VenueKey) -> None:
    answer = post(
        venue,
        key,
        "order",
        symbol="BTCUSDT",
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.01",
        price="50000",
    )
    assert answer.status == 200, answer


def buy(venue: PaperVenue, key: VenueKey) -> None:
    answer = post(venue, key, "order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
    assert answer.status == 200, answer


def config(venue: PaperVenue, key: VenueKey) -> Any:
    return venue.signed(key, "GET", "/fapi/v1/symbolConfig", {"symbol": "BTCUSDT"}).json[0]


@pytest.mark.parametrize("leverage", [1, 50, 51, 125])
def test_leverage_is_a_setting_of_the_symbol(venue: PaperVenue, key: VenueKey, leverage: int) -> None:
    made = post(venue, key, "leverage", symbol="BTCUSDT", leverage=leverage).json
    assert made["leverage"] == leverage
    assert config(venue, key)["leverage"] == leverage
    assert config(venue, key)["maxNotionalValue"] == made["maxNotionalValue"]
    other = venue.signed(key, "GET", "/fapi/v1/symbolConfig", {"symbol": "ETHUSDT"}).json[0]
    assert other["leverage"] == 20


def test_a_symbol_has_its_own_highest_leverage(venue: PaperVenue, key: VenueKey) -> None:
    tables = venue.signed(key, "GET", "/fapi/v1/leverageBracket").json
    assert {
        "BTCUSDT": 125,
        "SOLUSDT": 100,
        "XRPUSDT": 75,
        "AVAXUSDT": 50,
        "这是测试币456USDT": 20,
    }.items() <= {table["symbol"]: table["brackets"][0]["initialLeverage"] for table in tables}.items()
    assert post(venue, key, "leverage", symbol="SOLUSDT", leverage=100).status == 200
    assert post(venue, key, "leverage", symbol="SOLUSDT", leverage=101).code == -4028


def test_leverage_of_an_open_isolated_position_only_rises(venue: PaperVenue, key: VenueKey) -> None:
    assert post(venue, key, "marginType", symbol="BTCUSDT", marginType="ISOLATED").status == 200
    buy(venue, key)
    assert post(venue, key, "leverage", symbol="BTCUSDT", leverage=10).code == -4161
    assert config(venue, key)["leverage"] == 20
    assert post(venue, key, "leverage", symbol="BTCUSDT", leverage=40).status == 200


def test_leverage_is_not_lowered_below_what_the_balance_covers(venue: PaperVenue) -> None:
    key = venue.create_key(venue.create_account({"futures": {"USDT": "100"}}))
    buy(venue, key)
    assert post(venue, key, "leverage", symbol="BTCUSDT", leverage=2).code == -2028
    assert config(venue, key)["leverage"] == 20


def test_margin_type(venue: PaperVenue, key: VenueKey) -> None:
    assert post(venue, key, "marginType", symbol="BTCUSDT", marginType="CROSSED").code == -4046
    assert post(venue, key, "marginType", symbol="BTCUSDT", marginType="isolated").code == -1130
    rest(venue, key)
    assert post(venue, key, "marginType", symbol="BTCUSDT", marginType="ISOLATED").code == -4047
    venue.signed(key, "DELETE", "/fapi/v1/allOpenOrders", {"symbol": "BTCUSDT"})
    buy(venue, key)
    assert post(venue, key, "marginType", symbol="BTCUSDT", marginType="ISOLATED").code == -4048
    assert post(venue, key, "marginType", symbol="ETHUSDT", marginType="ISOLATED").json == {
        "code": 200,
        "msg": "success",
    }
    assert config(venue, key)["marginType"] == "CROSSED"


def test_position_mode(venue: PaperVenue, key: VenueKey) -> None:
    assert post(venue, key, "positionSide/dual", dualSidePosition="false").code == -4059
    assert post(venue, key, "positionSide/dual", dualSidePosition="maybe").code == -1130
    rest(venue, key)
    assert post(venue, key, "positionSide/dual", dualSidePosition="true").code == -4067
    venue.signed(key, "DELETE", "/fapi/v1/allOpenOrders", {"symbol": "BTCUSDT"})
    buy(venue, key)
    assert post(venue, key, "positionSide/dual", dualSidePosition="true").code == -4068
    post(venue, key, "order", symbol="BTCUSDT", side="SELL", type="MARKET", quantity="0.01")
    assert post(venue, key, "positionSide/dual", dualSidePosition="true").status == 200
    assert venue.signed(key, "GET", "/fapi/v1/positionSide/dual").json == {"dualSidePosition": True}
    assert venue.signed(key, "GET", "/fapi/v1/accountConfig").json["dualSidePosition"] is True


def test_a_waiting_conditional_order_counts_as_an_open_order(venue: PaperVenue, key: VenueKey) -> None:
    stop = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET"}
    assert post(venue, key, "algoOrder", **stop, quantity="0.01", triggerPrice="50000").status == 200
    assert post(venue, key, "marginType", symbol="BTCUSDT", marginType="ISOLATED").code == -4047
    assert post(venue, key, "positionSide/dual", dualSidePosition="true").code == -4067


def test_multi_assets_mode_counts_other_assets_after_a_haircut(venue: PaperVenue) -> None:
    account = venue.create_account({"futures": {"USDT": "100", "BTC": "0.1"}})
    key = venue.create_key(account)
    assert post(venue, key, "multiAssetsMargin", multiAssetsMargin="false").code == -4171
    assert post(venue, key, "multiAssetsMargin", multiAssetsMargin="true").status == 200
    assert venue.signed(key, "GET", "/fapi/v1/multiAssetsMargin").json == {"multiAssetsMargin": True}
    totals = venue.signed(key, "GET", "/fapi/v3/account").json
    assert float(totals["availableBalance"]) == 100 + 0.1 * 60_000 * 0.95
    assert post(venue, key, "marginType", symbol="BTCUSDT", marginType="ISOLATED").code == -4168
    post(venue, key, "multiAssetsMargin", multiAssetsMargin="false")
    post(venue, key, "marginType", symbol="BTCUSDT", marginType="ISOLATED")
    assert post(venue, key, "multiAssetsMargin", multiAssetsMargin="true").code == -4167
