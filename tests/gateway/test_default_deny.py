"""Only listed pairs of method and path pass; anything else is refused, and the venue never hears of it (B64)."""

from __future__ import annotations

import http.client
import random
import socket
import string

import pytest

from gateway.live import SYMBOL, Answer, Client, Live
from leverlock.gateway.binance.endpoints import ENDPOINTS

METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")

# Routes by which a gate that knows only the famous paths is walked round; each would be a signed call.
BYPASSES: dict[str, tuple[str, dict[str, str]]] = {
    "POST /fapi/v1/order/test": ("", {}),
    "POST /ws-fapi/v1": ("order.place", {}),
    "GET /ws-fapi/v1": ("", {}),
    "POST /papi/v1/um/order": ("", {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "1"}),
    "POST /papi/v1/um/leverage": ("", {"symbol": SYMBOL, "leverage": "125"}),
    "POST /papi/v1/um/algo/order": ("", {"symbol": SYMBOL}),
    "POST /papi/v1/um/conditional/order": ("", {"symbol": SYMBOL}),
    "POST /papi/v1/cm/order": ("", {"symbol": "BTCUSD_PERP"}),
    "POST /papi/v1/asset-collection": ("", {"asset": "USDT"}),
    "POST /dapi/v1/order": ("", {"symbol": "BTCUSD_PERP"}),
    "POST /dapi/v1/leverage": ("", {"symbol": "BTCUSD_PERP", "leverage": "125"}),
    "POST /eapi/v1/order": ("", {"symbol": "BTC-200730-9000-C"}),
    "POST /sapi/v1/algo/futures/newOrderTwap": ("", {"symbol": SYMBOL, "quantity": "10", "duration": "300"}),
    "POST /sapi/v1/algo/futures/newOrderVp": ("", {"symbol": SYMBOL, "quantity": "10"}),
    "POST /sapi/v1/sub-account/futures/transfer": ("", {"asset": "USDT", "amount": "1", "type": "2"}),
    "POST /sapi/v1/sub-account/futures/internalTransfer": ("", {"asset": "USDT", "amount": "1"}),
    "POST /sapi/v1/sub-account/universalTransfer": ("", {"asset": "USDT", "amount": "1"}),
    "POST /sapi/v1/sub-account/transfer/subToMaster": ("", {"asset": "USDT", "amount": "1"}),
    "POST /sapi/v1/sub-account/transfer/subToSub": ("", {"asset": "USDT", "amount": "1"}),
    "POST /sapi/v1/broker/transfer": ("", {"asset": "USDT", "amount": "1"}),
    "POST /sapi/v1/broker/transfer/futures": ("", {"asset": "USDT", "amount": "1"}),
    "POST /sapi/v1/broker/universalTransfer": ("", {"asset": "USDT", "amount": "1"}),
    "POST /sapi/v1/managed-subaccount/withdraw": ("", {"asset": "USDT", "amount": "1"}),
    "POST /sapi/v1/localentity/broker/withdraw/apply": ("", {"coin": "USDT", "address": "0x1", "amount": "1"}),
    "POST /sapi/v1/giftcard/createCode": ("", {"token": "USDT", "amount": "1"}),
    "POST /sapi/v1/giftcard/buyCode": ("", {"baseToken": "USDT"}),
    "POST /fapi/v1/convert/acceptQuote": ("", {"quoteId": "1"}),
    "POST /sapi/v1/convert/acceptQuote": ("", {"quoteId": "1"}),
    "POST /sapi/v1/convert/limit/placeOrder": ("", {"baseAsset": "BTC"}),
    "POST /sapi/v1/asset/convert-transfer": ("", {"asset": "USDT"}),
    "POST /sapi/v1/asset/dust": ("", {"asset": "USDT"}),
    "POST /sapi/v1/account/enableFastWithdrawSwitch": ("", {}),
    "POST /sapi/v1/portfolio/mint": ("", {"amount": "1"}),
    "POST /sapi/v1/portfolio/earn-asset-transfer": ("", {"asset": "USDT"}),
    "POST /sapi/v1/sub-account/subAccountApi": ("", {"canFuturesTrade": "true"}),
    "POST /sapi/v2/sub-account/subAccountApi": ("", {"canFuturesTrade": "true"}),
    "POST /sapi/v1/broker/subAccountApi": ("", {"futuresTrade": "true"}),
    "POST /sapi/v1/broker/subAccountApi/permission": ("", {"futuresTrade": "true"}),
    "DELETE /sapi/v1/broker/subAccountApi/ipRestriction/ipList": ("", {"ipAddress": "1.2.3.4"}),
    "POST /api/v3/order": ("", {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "1"}),
    "POST /api/v3/order/cancelReplace": ("", {"symbol": SYMBOL}),
    "POST /api/v3/orderList/oco": ("", {"symbol": SYMBOL}),
    "GET /fapi/v1/order/asyn": ("", {"startTime": "1", "endTime": "2"}),
    "GET /fapi/v1/income/asyn": ("", {"startTime": "1", "endTime": "2"}),
    "GET /sapi/v1/capital/deposit/address": ("", {"coin": "USDT"}),
}


ADDRESSES = ("1.2.3.4", "127.0.0.1", "a", "::1", "[::1", "1.2.3.4, 5.6.7.8", "unknown", '"', "999.9.9.9", "0x7f.1")
CLAIMED = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-User", "X_Forwarded_For", "X-Remote-User")
CLAIMS = [(name, value) for name in CLAIMED for value in ADDRESSES]


@pytest.fixture
def bot(live: Live) -> Client:
    """A key with every right of its account, protection off: nothing but the table stands in the way."""
    made = live.client(live.party(enrolled=()))
    assert made.call("GET", "/fapi/v3/balance").status == 200
    live.venue.clear_calls()
    return made


def refused(answer: Answer) -> bool:
    return (answer.status, answer.code) in ((404, -40106), (400, -40106))


@pytest.mark.bar("B64")
@pytest.mark.parametrize("route", BYPASSES)
def test_a_way_round_the_gate_is_refused(live: Live, bot: Client, route: str) -> None:
    method, path = route.split(" ")
    answer = bot.call(method, path, BYPASSES[route][1])
    assert refused(answer), answer
    assert live.venue.calls() == []


@pytest.mark.bar("B64")
def test_any_other_pair_of_method_and_path_is_refused(live: Live, bot: Client) -> None:
    """Every listed path under every other method, and paths made from listed ones."""
    rng = random.Random(64)
    paths = sorted({path for _, path in ENDPOINTS})
    pairs = [(method, path) for path in paths for method in METHODS if (method, path) not in ENDPOINTS]
    words = sorted({word for path in paths for word in path.split("/") if word})
    for _ in range(400):
        parts = [rng.choice(words) for _ in range(rng.randrange(1, 5))]
        if rng.random() < 0.5:
            number = rng.randrange(len(parts))
            parts[number] = mutated(parts[number], rng)
        pairs.append((rng.choice(METHODS[:4]), "/" + "/".join(parts)))
    connection = http.client.HTTPConnection(*live.address, timeout=20)
    for method, path in pairs:
        if (method, path) in ENDPOINTS:
            continue
        text = bot.signed({"symbol": SYMBOL}).decode()
        connection.request(method, f"{path}?{text}", headers={"X-MBX-APIKEY": bot.key.api_key})
        response = connection.getresponse()
        body = response.read()
        assert response.status in (400, 404), (method, path, body)
        assert method == "HEAD" or b"-40106" in body, (method, path, body)
    connection.close()
    assert live.venue.calls() == []


def mutated(word: str, rng: random.Random) -> str:
    at = rng.randrange(len(word))
    kind = rng.randrange(5)
    if kind == 0:
        return word[:at] + word[at].swapcase() + word[at + 1 :]
    if kind == 1:
        return word[:at] + rng.choice(string.ascii_letters + string.digits + ";.~%-_") + word[at:]
    if kind == 2:
        return word[:at] + word[at + 1 :]
    if kind == 3:
        return word + rng.choice(("/", ";x", "%2f", ".json", "%00", "/..", "?", "%20"))
    return f"%{ord(word[at]):02x}".join((word[:at], word[at + 1 :]))


@pytest.mark.bar("B64")
@pytest.mark.bar("B65")
@pytest.mark.parametrize(
    "path",
    [
        "//fapi/v1/order",
        "/fapi//v1/order",
        "/fapi/v1/order/",
        "/fapi/v1/./order",
        "/fapi/v1/x/../order",
        "/fapi/v1/ping/../order",
        "/fapi/v1%2forder",
        "/fapi/v1/%6frder",
        "/fapi/v1/order;x=1",
        "/fapi/v1/order%00",
        "/fapi/v1/order%23",
        "/FAPI/v1/order",
        "/fapi/V1/order",
        "/fapi/v1/Order",
        "/fapi/v1/ordeR",
        "/fapi\\v1\\order",
        "/fapi/v1/order,x",
        "/leverlock/v1/challenges/../../../fapi/v1/order",
    ],
)
def test_a_target_in_another_spelling_reaches_nothing(live: Live, bot: Client, path: str) -> None:
    answer = bot.call("POST", path, {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "1"})
    assert refused(answer), answer
    assert live.venue.calls() == []


@pytest.mark.bar("B64")
def test_a_web_socket_is_refused(live: Live, bot: Client) -> None:
    for path in ("/ws-fapi/v1", "/fapi/v1/order", "/ws"):
        head = (
            f"GET {path}?{bot.signed({}).decode()} HTTP/1.1\r\nHost: gw\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"X-MBX-APIKEY: {bot.key.api_key}\r\n\r\n"
        )
        with socket.create_connection(live.address, timeout=5) as connection:
            connection.sendall(head.encode())
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        assert answer.startswith(b"HTTP/1.1 400"), answer
        assert b"101" not in answer.split(b"\r\n")[0]
    assert live.venue.calls() == []


@pytest.mark.bar("B64")
@pytest.mark.parametrize("line_end", [b"\x01", b"\r\n"], ids=["as FIX has it", "as lines"])
def test_fix_is_refused(live: Live, bot: Client, line_end: bytes) -> None:
    """An order in the venue's other protocol is no HTTP: the connection is told so and ended."""
    logon = [b"8=FIX.4.4", b"9=70", b"35=A", b"34=1", b"49=" + bot.key.api_key[:8].encode(), b"98=0", b"10=000", b""]
    order = [b"8=FIX.4.4", b"9=90", b"35=D", b"34=2", b"55=BTCUSDT", b"54=1", b"38=1", b"40=1", b"10=000", b""]
    with socket.create_connection(live.address, timeout=5) as connection:
        connection.sendall(line_end.join(logon) + line_end.join(order) + b"\r\n\r\n")
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert live.venue.calls() == []


@pytest.mark.bar("B64")
@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method", "X-Original-URL"])
def test_a_header_changes_neither_method_nor_path(live: Live, bot: Client, header: str) -> None:
    value = "/fapi/v1/order" if header == "X-Original-URL" else "POST"
    answer = bot.call("GET", "/fapi/v3/balance", headers={header: value})
    assert answer.status == 200
    assert [(call["method"], call["path"]) for call in live.venue.calls()] == [("GET", "/fapi/v3/balance")]
    assert header.lower() not in live.venue.calls()[0]["headers"]


@pytest.mark.bar("B64")
def test_what_is_listed_is_what_the_table_says(live: Live, bot: Client) -> None:
    """The other way round: every read of the table reaches the venue under its own method and path."""
    for method, path in ENDPOINTS:
        if method == "GET":
            answer = bot.call(method, path) if "ticker" not in path else live.send(method, path)
            assert answer.code != -40106, (path, answer)


@pytest.mark.bar("B71")
def test_headers_that_claim_reach_nobody(live: Live, bot: Client) -> None:
    """Sixty ways to claim an address or a name: same answer, and the venue hears of none."""
    path = "/fapi/v1/positionSide/dual"
    bare = bot.call("GET", path)
    for name, value in CLAIMS:
        live.venue.clear_calls()
        assert bot.call("GET", path, headers={name: value}).body == bare.body
        [call] = live.venue.calls()
        assert set(call["headers"]) <= {"host", "accept-encoding", "x-mbx-apikey"}
        assert call["headers"]["x-mbx-apikey"] != bot.key.api_key


@pytest.mark.bar("B71")
def test_headers_that_claim_change_no_decision_and_no_limit(live: Live) -> None:
    """From sixty claimed addresses the same order is one challenge, and a key fills its slots once."""
    alice = live.party(leverage={SYMBOL: 75})
    bot = live.client(alice)
    live.venue.clear_calls()
    first = bot.order().challenge
    for name, value in CLAIMS:
        answer = bot.call(
            "POST",
            "/fapi/v1/order",
            {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.01"},
            headers={name: value},
        )
        assert answer.challenge == first
    assert [bot.order(quantity=f"0.0{number}").code for number in (2, 3, 4)] == [-40101, -40101, -40107]
    for name, value in CLAIMS[::7]:
        fields = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.05"}
        assert bot.call("POST", "/fapi/v1/order", fields, headers={name: value}).code == -40107
    assert live.executed() == []
