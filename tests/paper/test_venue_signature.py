"""Keys, signatures, freshness, permissions and the names of parameters, with the real venue's codes."""

from __future__ import annotations

import base64
import time
from typing import Any
from urllib.parse import quote

import pytest

from venue_process import PaperVenue, VenueKey, signature_of, signed_text

BALANCE = "/fapi/v3/balance"
LEVERAGE = "/fapi/v1/leverage"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def now() -> int:
    return int(time.time() * 1000)


@pytest.mark.parametrize("where", ["query", "body"])
@pytest.mark.parametrize("kind", ["HMAC", "ED25519"])
def test_a_signed_call_is_accepted_in_query_and_body(venue: PaperVenue, account: int, kind: str, where: str) -> None:
    key = venue.create_key(account, kind=kind)
    answer = venue.signed(key, "POST", LEVERAGE, {"symbol": "BTCUSDT", "leverage": 25}, where=where)
    assert answer.json == {"leverage": 25, "maxNotionalValue": "70000000", "symbol": "BTCUSDT"}


def test_query_and_body_are_signed_joined_with_nothing(venue: PaperVenue, key: VenueKey) -> None:
    query, body = f"symbol=BTCUSDT&timestamp={now()}", "leverage=30"
    for joint, status in (("", 200), ("&", 400)):
        target = f"{LEVERAGE}?{query}&signature={signature_of(key, query + joint + body)}"
        answer = venue.send("POST", target, body.encode(), {"X-MBX-APIKEY": key.api_key, **FORM})
        assert answer.status == status, answer
    assert answer.code == -1022


def test_the_signature_covers_the_raw_bytes_of_a_name_outside_ascii(venue: PaperVenue, key: VenueKey) -> None:
    answer = venue.signed(key, "POST", LEVERAGE, {"symbol": "这是测试币456USDT", "leverage": 10})
    assert answer.json["symbol"] == "这是测试币456USDT"


@pytest.mark.parametrize("kind", ["HMAC", "ED25519"])
@pytest.mark.parametrize("tamper", ["value", "order", "signature", "encoding", "empty"])
def test_a_changed_call_is_refused(venue: PaperVenue, account: int, kind: str, tamper: str) -> None:
    key = venue.create_key(account, kind=kind)
    text = f"symbol=BTCUSDT&leverage=20&timestamp={now()}"
    sign = signature_of(key, text)
    if tamper == "value":
        text = text.replace("=20", "=21")
    elif tamper == "order":
        text = "leverage=20&symbol=BTCUSDT&" + text.rsplit("&", 1)[1]
    elif tamper == "encoding":
        text = text.replace("BTC", "%42TC")
    elif tamper == "empty":
        sign = ""
    else:
        flat = base64.b64encode(bytes(64)).decode() if kind == "ED25519" else "0" * 64
        sign = quote(flat, safe="")
    answer = venue.send("POST", f"{LEVERAGE}?{text}&signature={sign}", b"", {"X-MBX-APIKEY": key.api_key})
    assert (answer.status, answer.code) == (400, -1102 if tamper == "empty" else -1022)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"timestamp": lambda: now() - 6_000}, -1021),
        ({"timestamp": lambda: now() + 30_000}, -1021),
        ({"timestamp": lambda: now() - 6_000, "recvWindow": 60_000}, None),
        ({"timestamp": now, "recvWindow": 60_001}, -1131),
        ({"timestamp": lambda: "soon"}, -1100),
        ({"timestamp": lambda: ""}, -1100),
        ({"timestamp": lambda: "１７９５"}, -1100),
    ],
)
def test_freshness(venue: PaperVenue, key: VenueKey, params: dict[str, Any], code: int | None) -> None:
    values = {name: value() if callable(value) else value for name, value in params.items()}
    assert venue.signed(key, "GET", BALANCE, values).code == code


def test_the_clock_of_the_venue_may_be_set_off(venue: PaperVenue, key: VenueKey) -> None:
    venue.admin("POST", "clock", {"offsetMs": -20_000})
    try:
        assert venue.signed(key, "GET", BALANCE).code == -1021
        server_time = venue.public("/fapi/v1/time").json["serverTime"]
        assert venue.signed(key, "GET", BALANCE, {"timestamp": server_time}).status == 200
    finally:
        venue.admin("POST", "clock", {"offsetMs": 0})


def test_a_call_needs_a_known_key(venue: PaperVenue, key: VenueKey) -> None:
    text = signed_text(key, {})
    for headers, code in (
        ({}, -2014),
        ({"X-MBX-APIKEY": "short"}, -2014),
        ({"X-MBX-APIKEY": "a" * 64}, -2015),
    ):
        answer = venue.send("GET", f"{BALANCE}?{text}", b"", headers)
        assert (answer.status, answer.code) == (401, code)


def test_each_flag_of_a_key_opens_its_own_calls(venue: PaperVenue, account: int) -> None:
    calls = {
        "enableReading": ("GET", BALANCE, {}),
        "enableFutures": ("POST", LEVERAGE, {"symbol": "BTCUSDT", "leverage": 20}),
        "permitsUniversalTransfer": (
            "POST",
            "/sapi/v1/asset/transfer",
            {"type": "MAIN_UMFUTURE", "asset": "USDT", "amount": "1"},
        ),
        "enableWithdrawals": (
            "POST",
            "/sapi/v1/capital/withdraw/apply",
            {"coin": "USDT", "network": "ETH", "address": "0x" + "1" * 40, "amount": "10"},
        ),
    }
    for flag in calls:
        only = venue.create_key(account, **{name: name == flag for name in calls})
        for name, (method, path, params) in calls.items():
            answer = venue.signed(only, method, path, params)
            assert answer.status == (200 if name == flag else 401), (flag, name, answer)
            assert answer.code in (None, -2015)
        told = venue.signed(only, "GET", "/sapi/v1/account/apiRestrictions")
        if flag == "enableReading":
            assert [name for name in calls if told.json[name]] == [flag]


def test_a_key_with_an_ip_list_is_refused_from_elsewhere(venue: PaperVenue, account: int) -> None:
    here = venue.create_key(account, ips=["127.0.0.1"])
    elsewhere = venue.create_key(account, ips=["203.0.113.9"])
    assert venue.signed(here, "GET", "/sapi/v1/account/apiRestrictions").json["ipRestrict"] is True
    assert venue.signed(elsewhere, "GET", BALANCE).code == -2015


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("symbol=BTCUSDT", -1102),
        ("symbol=&leverage=20", -1102),
        ("symbol=BTCUSDT&leverage=20&otp=123456", -1104),
        ("symbol=BTCUSDT&leverage=20&leverage=125", -1101),
        ("symbol=BTCUSDT&leverage=20&Leverage=125", -1104),
        ("symbol=BTCUSDT&leverage=%FF", -1100),
        ("symbol=BTCUSDT&leverage=5e1", -1100),
        ("symbol=BTCUSDT&leverage=-20", -1100),
        ("symbol=BTCUSDT&leverage=２０", -1100),
        ("symbol=BTCUSDT&leverage=126", -4028),
        ("symbol=BTCUSDT&leverage=0", -4028),
        ("symbol=btcusdt&leverage=20", -1121),
        ("symbol=NOPEUSDT&leverage=20", -1121),
    ],
)
def test_parameters_are_read_strictly(venue: PaperVenue, account: int, key: VenueKey, text: str, code: int) -> None:
    text = f"{quote(text, safe='=&%')}&timestamp={now()}"
    target = f"{LEVERAGE}?{text}&signature={signature_of(key, text)}"
    answer = venue.send("POST", target, b"", {"X-MBX-APIKEY": key.api_key})
    assert (answer.status, answer.code) == (400, code)
    assert venue.account(account)["symbols"] == {}


def test_a_name_in_query_and_body_is_a_duplicate(venue: PaperVenue, key: VenueKey) -> None:
    query, body = f"symbol=BTCUSDT&leverage=20&timestamp={now()}", "leverage=125"
    target = f"{LEVERAGE}?{query}&signature={signature_of(key, query + body)}"
    assert venue.send("POST", target, body.encode(), {"X-MBX-APIKEY": key.api_key, **FORM}).code == -1101


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/fapi/v1/nothing"),
        ("DELETE", "/fapi/v1/leverage"),
        ("POST", "/fapi/v1/leverage/"),
        ("POST", "//fapi/v1/leverage"),
        ("POST", "/fapi/v1/%6Ceverage"),
        ("POST", "/FAPI/v1/leverage"),
        ("POST", "/dapi/v1/leverage"),
        ("POST", "/papi/v1/um/leverage"),
        ("POST", "/sapi/v1/algo/futures/newOrderTwap"),
    ],
)
def test_what_is_not_modelled_is_not_found(venue: PaperVenue, key: VenueKey, method: str, path: str) -> None:
    answer = venue.send(method, f"{path}?{signed_text(key, {})}", b"", {"X-MBX-APIKEY": key.api_key})
    assert (answer.status, answer.code) == (404, -5000)


def test_listen_keys_need_the_key_header_alone(venue: PaperVenue, key: VenueKey) -> None:
    headers = {"X-MBX-APIKEY": key.api_key}
    assert venue.send("PUT", "/fapi/v1/listenKey", b"", headers).code == -1125
    made = venue.send("POST", "/fapi/v1/listenKey", b"", headers).json["listenKey"]
    assert len(made) == 64
    assert venue.send("POST", "/fapi/v1/listenKey", b"", headers).json["listenKey"] == made
    assert venue.send("PUT", "/fapi/v1/listenKey", b"", headers).json == {"listenKey": made}
    assert venue.send("DELETE", "/fapi/v1/listenKey", b"", headers).json == {}
    assert venue.send("PUT", "/fapi/v1/listenKey", b"", headers).code == -1125
    assert venue.send("POST", "/fapi/v1/listenKey").code == -2014
