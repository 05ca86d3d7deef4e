"""The venue as a process: its start, its end, its admin surface, what it keeps over a restart, its replay."""

from __future__ import annotations

import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from venue_process import PaperVenue


def test_starts_on_loopback_quickly_and_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    began = time.monotonic()
    venue = PaperVenue(tmp_path)
    venue.start()
    took = time.monotonic() - began
    try:
        assert venue.url == f"http://127.0.0.1:{venue.port}"
        assert venue.public("/fapi/v1/ping").json == {}
        assert took < 5, "start-up is some tenths of a second; the bound leaves room for a loaded machine"
    finally:
        status = venue.stop()
    assert status == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", venue.port)) != 0


def test_without_a_token_the_admin_surface_is_absent(tmp_path: Path) -> None:
    with PaperVenue(tmp_path, admin_token="") as venue:
        answer = venue.send("POST", "/paper/v1/accounts", b"{}", {"Authorization": "Bearer "})
        assert (answer.status, answer.code) == (404, -5000)
        assert venue.public("/fapi/v1/time").status == 200


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer wrong", "Basic cGFwZXI="])
def test_the_admin_surface_asks_for_its_token(venue: PaperVenue, authorization: str) -> None:
    assert venue.send("GET", "/paper/v1/calls", b"", {"Authorization": authorization}).status == 401


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "price", b'{"symbol":"BTCUSDT","price":"0"}'),
        ("POST", "price", b'{"symbol":"BTCUSDT","price":"NaN"}'),
        ("POST", "price", b'{"symbol":"BTCUSDT"}'),
        ("POST", "price", b"[1]"),
        ("POST", "accounts", b'{"balances":{"futures":{"USDT":"-1"}}}'),
        ("POST", "accounts", b'{"balances":{"attic":{"USDT":"1"}}}'),
        ("POST", "keys", b'{"account":1,"kind":"RSA"}'),
        ("POST", "keys", b'{"account":1,"kind":"ED25519","publicKey":"no"}'),
        ("POST", "faults", b'{"path":"/x","when":"never"}'),
        ("POST", "faults", b'{"path":"/x","colour":"red"}'),
    ],
)
def test_the_admin_surface_refuses_what_it_cannot_read(
    venue: PaperVenue, account: int, method: str, path: str, body: bytes
) -> None:
    headers = {"Authorization": f"Bearer {venue.admin_token}"}
    answer = venue.send(method, f"/paper/v1/{path}", body, headers)
    assert answer.status == 400, answer


def test_a_restart_keeps_balances_orders_positions_settings_and_prices(tmp_path: Path) -> None:
    venue = PaperVenue(tmp_path, database=str(tmp_path / "paper.sqlite"))
    with venue:
        account = venue.create_account()
        key = venue.create_key(account)
        venue.set_price("BTCUSDT", "61000")
        venue.signed(key, "POST", "/fapi/v1/leverage", {"symbol": "BTCUSDT", "leverage": 33})
        order = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.01"}
        assert venue.signed(key, "POST", "/fapi/v1/order", order | {"type": "MARKET"}).status == 200
        limit = order | {"type": "LIMIT", "price": "50000", "timeInForce": "GTC"}
        assert venue.signed(key, "POST", "/fapi/v1/order", limit).status == 200
        before = venue.account(account)
    with venue:
        assert venue.account(account) == before
        assert before["orders"] == {"FILLED": 1, "NEW": 1}
        assert before["symbols"]["BTCUSDT"]["leverage"] == 33
        opened = venue.signed(key, "GET", "/fapi/v1/openOrders").json
        assert [row["price"] for row in opened] == ["50000.0"]
        assert venue.public("/fapi/v1/premiumIndex", symbol="BTCUSDT").json["markPrice"] == "61000.00000000"


def test_a_file_of_the_first_layout_goes_on(tmp_path: Path) -> None:
    """Columns that came later are added, and a key of before has none of the rights that came with them."""
    file = tmp_path / "paper.sqlite"
    venue = PaperVenue(tmp_path, database=str(file))
    with venue:
        account = venue.create_account({"margin": {"USDT": "10"}})
        key = venue.create_key(account)
    with closing(sqlite3.connect(file)) as db:
        db.executescript("ALTER TABLE api_keys DROP COLUMN margin; ALTER TABLE accounts DROP COLUMN delta_mode;")
    with venue:
        assert venue.signed(key, "GET", "/sapi/v1/account/apiRestrictions").json["enableMargin"] is False
        assert venue.signed(key, "GET", "/sapi/v1/portfolio/delta-mode").json == {"deltaEnabled": False}
        assert venue.account(venue.create_account())["balances"]


def test_one_seed_is_one_history_and_another_seed_another(tmp_path: Path) -> None:
    start = 1_790_000_000_000 // 3_600_000 * 3_600_000
    histories = []
    for seed in (7, 7, 8):
        with PaperVenue(tmp_path, seed=seed, market="walk") as venue:
            candles = venue.public("/fapi/v1/klines", symbol="ETHUSDT", interval="1h", startTime=start, limit=200).json
            trades = venue.public("/fapi/v1/aggTrades", symbol="ETHUSDT", startTime=start, limit=50).json
            histories.append((candles, trades))
    assert len(histories[0][0]) == 200
    assert histories[0] == histories[1]
    assert histories[0] != histories[2]


def test_stepping_moves_the_walk_and_is_refused_where_prices_are_set_by_hand(tmp_path: Path, venue: PaperVenue) -> None:
    headers = {"Authorization": f"Bearer {venue.admin_token}"}
    assert venue.send("POST", "/paper/v1/step", b'{"seconds":60}', headers).status == 409
    with PaperVenue(tmp_path, market="walk") as walking:
        before = walking.public("/fapi/v1/ticker/price", symbol="BTCUSDT").json["price"]
        assert walking.admin("POST", "step", {"seconds": 86_400}) == {"shiftSeconds": 86_400}
        assert walking.public("/fapi/v1/ticker/price", symbol="BTCUSDT").json["price"] != before
        walking.set_price("BTCUSDT", "12345.6")
        assert walking.public("/fapi/v1/ticker/price", symbol="BTCUSDT").json["price"] == "12345.6"
        walking.admin("DELETE", "price?symbol=BTCUSDT")
        assert walking.public("/fapi/v1/ticker/price", symbol="BTCUSDT").json["price"] != "12345.6"
