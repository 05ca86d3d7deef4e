"""The margin wallet: what is borrowed is owed, what covers a debt stays, and a key needs its own flag for it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from venue_process import PaperVenue, VenueAnswer, VenueKey

BORROW = "/sapi/v1/margin/borrow-repay"


@pytest.fixture
def account(venue: PaperVenue) -> int:
    return venue.create_account({"margin": {"USDT": "100"}})


@pytest.fixture
def key(venue: PaperVenue, account: int) -> VenueKey:
    return venue.create_key(account, enableMargin=True, permitsUniversalTransfer=True)


def loan(venue: PaperVenue, key: VenueKey, kind: str, amount: str, **more: str) -> VenueAnswer:
    params = {"asset": "USDT", "isIsolated": "FALSE", "amount": amount, "type": kind} | more
    return venue.signed(key, "POST", BORROW, params)


def wallet(venue: PaperVenue, key: VenueKey) -> tuple[Decimal, Decimal]:
    """Held, owed."""
    rows = venue.signed(key, "GET", "/sapi/v1/margin/account").json["userAssets"]
    [row] = [row for row in rows if row["asset"] == "USDT"]
    return Decimal(row["free"]), Decimal(row["borrowed"])


def test_what_is_borrowed_is_owed_until_it_is_repaid(venue: PaperVenue, key: VenueKey) -> None:
    number = loan(venue, key, "BORROW", "50").json["tranId"]
    assert wallet(venue, key) == (150, 50)
    older = {"asset": "USDT", "amount": "10"}
    assert venue.signed(key, "POST", "/sapi/v1/margin/loan", older).status == 200
    assert venue.signed(key, "POST", "/sapi/v1/margin/repay", older).status == 200
    assert loan(venue, key, "REPAY", "20").status == 200
    assert wallet(venue, key) == (130, 30)
    page = venue.signed(key, "GET", BORROW, {"type": "BORROW"}).json
    assert [row["amount"] for row in page["rows"]] == ["10", "50"]
    [row] = venue.signed(key, "GET", BORROW, {"type": "BORROW", "txId": number}).json["rows"]
    assert row["amount"] == "50"


def test_what_covers_the_debt_stays_in_the_wallet(venue: PaperVenue, account: int, key: VenueKey) -> None:
    def take(amount: str) -> VenueAnswer:
        params = {"type": "MARGIN_MAIN", "asset": "USDT", "amount": amount}
        return venue.signed(key, "POST", "/sapi/v1/asset/transfer", params)

    assert loan(venue, key, "BORROW", "60").status == 200
    assert take("40.1").code == -5013
    assert take("40").status == 200
    assert wallet(venue, key) == (120, 60)
    assert venue.account(account)["balances"]["spot"]["USDT"] == "40"


@pytest.mark.parametrize(
    ("kind", "amount", "more", "code"),
    [
        ("BORROW", "200.1", {}, -3006),
        ("REPAY", "1", {}, -3015),
        ("LEND", "1", {}, -1130),
        ("BORROW", "0", {}, -4055),
        ("BORROW", "1", {"asset": "SHELLS"}, -4018),
        ("BORROW", "1", {"isIsolated": "TRUE"}, -9000),
        ("BORROW", "1", {"symbol": "BTCUSDT"}, -9000),
        ("BORROW", "1", {"otp": "123456"}, -1104),
    ],
)
def test_refused_loans_change_nothing(
    venue: PaperVenue, key: VenueKey, kind: str, amount: str, more: dict[str, str], code: int
) -> None:
    assert loan(venue, key, kind, amount, **more).code == code
    assert wallet(venue, key) == (100, 0)


def test_a_key_borrows_with_the_flag_for_margin_alone(venue: PaperVenue, account: int) -> None:
    plain = venue.create_key(account, enableWithdrawals=True, permitsUniversalTransfer=True)
    assert loan(venue, plain, "BORROW", "1").code == -2015
    assert venue.signed(plain, "GET", "/sapi/v1/account/apiRestrictions").json["enableMargin"] is False
    venue.admin("PATCH", f"keys/{plain.api_key}", {"enableMargin": True})
    assert loan(venue, plain, "BORROW", "1").status == 200


def test_delta_mode_is_kept_and_told(venue: PaperVenue, account: int) -> None:
    trader = venue.create_key(account)
    path = "/sapi/v1/portfolio/delta-mode"
    assert venue.signed(trader, "GET", path).json == {"deltaEnabled": False}
    assert venue.signed(trader, "POST", path, {"deltaEnabled": "true"}).json == {"msg": "success"}
    assert venue.signed(trader, "GET", path).json == {"deltaEnabled": True}
    assert venue.signed(trader, "POST", path, {"deltaEnabled": "1"}).code == -1130
