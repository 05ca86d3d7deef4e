"""Transfers, withdrawals, deposits and their histories: money is neither made nor lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from venue_process import PaperVenue, VenueAnswer, VenueKey

ADDRESS = "0x" + "ab" * 20


@pytest.fixture
def key(venue: PaperVenue, account: int) -> VenueKey:
    return venue.create_key(account, enableWithdrawals=True, permitsUniversalTransfer=True)


def transfer(venue: PaperVenue, key: VenueKey, kind: str, amount: str, asset: str = "USDT") -> VenueAnswer:
    params = {"type": kind, "asset": asset, "amount": amount}
    return venue.signed(key, "POST", "/sapi/v1/asset/transfer", params, where="body")


def withdraw(venue: PaperVenue, key: VenueKey, **changes: Any) -> VenueAnswer:
    params = {"coin": "USDT", "network": "ETH", "address": ADDRESS, "amount": "100"} | changes
    return venue.signed(key, "POST", "/sapi/v1/capital/withdraw/apply", params, where="body")


def usdt(venue: PaperVenue, account: int) -> dict[str, Decimal]:
    found = venue.account(account)["balances"]
    return {wallet: Decimal(assets.get("USDT", "0")) for wallet, assets in found.items()}


def test_transfers_move_and_keep_the_sum(venue: PaperVenue, account: int, key: VenueKey) -> None:
    numbers = [
        transfer(venue, key, kind, amount).json["tranId"]
        for kind, amount in (("UMFUTURE_MAIN", "1000"), ("MAIN_MARGIN", "300"), ("MARGIN_MAIN", "50.5"))
    ]
    assert len(set(numbers)) == 3
    assert all(isinstance(number, int) for number in numbers)
    after = usdt(venue, account)
    assert after == {
        "spot": Decimal("1250.5"),
        "margin": Decimal("249.5"),
        "futures": Decimal(9000),
        "funding": Decimal(0),
    }
    page = venue.signed(key, "GET", "/sapi/v1/asset/transfer", {"type": "UMFUTURE_MAIN"}).json
    assert [(row["tranId"], row["amount"]) for row in page["rows"]] == [(numbers[0], "1000")]
    [line] = venue.signed(key, "GET", "/fapi/v1/income", {"incomeType": "TRANSFER"}).json
    assert line["income"] == "-1000.00000000"


def test_the_older_door_of_the_futures_wallet(venue: PaperVenue, account: int, key: VenueKey) -> None:
    def move(kind: int, amount: str) -> VenueAnswer:
        params = {"asset": "USDT", "amount": amount, "type": kind}
        return venue.signed(key, "POST", "/sapi/v1/futures/transfer", params)

    assert move(2, "400").status == 200
    assert usdt(venue, account)["spot"] == 900
    assert move(1, "900").status == 200
    assert usdt(venue, account)["futures"] == 10_500
    assert move(1, "1").code == -5013
    assert move(3, "1").code == -9000
    page = venue.signed(key, "GET", "/sapi/v1/futures/transfer", {"asset": "USDT"}).json
    assert [row["type"] for row in page["rows"]] == ["1", "2"]


@pytest.mark.parametrize(
    ("kind", "amount", "asset", "code"),
    [
        ("UMFUTURE_MAIN", "10000.00000001", "USDT", -5013),
        ("MARGIN_MAIN", "1", "USDT", -5013),
        ("MAIN_UMFUTURE", "0", "USDT", -4055),
        ("MAIN_UMFUTURE", "-1", "USDT", -4055),
        ("MAIN_UMFUTURE", "0.000000001", "USDT", -1111),
        ("MAIN_UMFUTURE", "1", "SHELLS", -4018),
        ("UMFUTURE_OPTION", "1", "USDT", -9000),
        ("MAIN_CMFUTURE", "1", "USDT", -9000),
        ("MAIN_MAIN", "1", "USDT", -9000),
        ("MAIN", "1", "USDT", -9000),
    ],
)
def test_refused_transfers_change_nothing(
    venue: PaperVenue, account: int, key: VenueKey, kind: str, amount: str, asset: str, code: int
) -> None:
    before = venue.account(account)
    assert transfer(venue, key, kind, amount, asset).code == code
    assert venue.account(account) == before


def test_what_a_position_uses_cannot_leave(venue: PaperVenue, account: int, key: VenueKey) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.5"}
    assert venue.signed(key, "POST", "/fapi/v1/order", order).status == 200
    free = next(
        row["maxWithdrawAmount"] for row in venue.signed(key, "GET", "/fapi/v3/balance").json if row["asset"] == "USDT"
    )
    assert Decimal(free) < 8_500
    assert transfer(venue, key, "UMFUTURE_MAIN", str(Decimal(free) + 1)).code == -5013
    assert transfer(venue, key, "UMFUTURE_MAIN", free).status == 200
    assert transfer(venue, key, "UMFUTURE_MAIN", "1").code == -5013


def test_a_withdrawal_debits_the_spot_wallet_and_is_recorded(venue: PaperVenue, account: int, key: VenueKey) -> None:
    number = withdraw(venue, key, withdrawOrderId="mine").json["id"]
    assert usdt(venue, account)["spot"] == 400
    [row] = venue.signed(key, "GET", "/sapi/v1/capital/withdraw/history", {"coin": "USDT"}).json
    assert (row["id"], row["amount"], row["transactionFee"], row["status"]) == (number, "99", "1", 6)
    assert (row["address"], row["network"], row["withdrawOrderId"]) == (ADDRESS, "ETH", "mine")
    assert venue.signed(key, "GET", "/sapi/v1/capital/withdraw/history", {"status": 1}).json == []


def test_the_funding_wallet_and_the_twin_with_a_questionnaire(venue: PaperVenue, account: int, key: VenueKey) -> None:
    assert transfer(venue, key, "MAIN_FUNDING", "300").status == 200
    assert withdraw(venue, key, walletType=1).status == 200
    assert usdt(venue, account)["funding"] == 200
    params = {"coin": "USDT", "network": "ETH", "address": ADDRESS, "amount": "100", "walletType": 1}
    path = "/sapi/v1/localentity/withdraw/apply"
    for answers in ("", "x", "[]", '"{}"'):
        sent = params | ({"questionnaire": answers} if answers else {})
        assert venue.signed(key, "POST", path, sent).status == 400
    done = venue.signed(key, "POST", path, params | {"questionnaire": '{"isAddressOwner":1}'})
    assert isinstance(done.json["trId"], int)
    assert usdt(venue, account)["funding"] == 100
    assert venue.account(account)["withdrawals"] == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount": "500.1"}, -4026),
        ({"amount": "1"}, -4022),
        ({"amount": "0"}, -4055),
        ({"coin": "SHELLS"}, -4018),
        ({"network": "BTC"}, -4019),
        ({"address": "0x12"}, -1130),
        ({"address": ADDRESS + "\n"}, -1130),
        ({"walletType": 1}, -4026),
        ({"walletType": 2}, -1130),
        ({"otp": "123456"}, -1104),
    ],
)
def test_refused_withdrawals_change_nothing(
    venue: PaperVenue, account: int, key: VenueKey, changes: dict[str, Any], code: int
) -> None:
    before = venue.account(account)
    assert withdraw(venue, key, **changes).code == code
    assert venue.account(account) == before


def test_deposits_and_addresses(venue: PaperVenue, key: VenueKey) -> None:
    [row] = venue.signed(key, "GET", "/sapi/v1/capital/deposit/hisrec").json
    assert (row["coin"], row["amount"], row["status"]) == ("USDT", "500", 1)
    address = venue.signed(key, "GET", "/sapi/v1/capital/deposit/address", {"coin": "USDT", "network": "TRX"}).json
    assert address["address"].startswith("T")
    [spot] = venue.signed(key, "POST", "/sapi/v3/asset/getUserAsset").json
    assert (spot["asset"], spot["free"]) == ("USDT", "500")
