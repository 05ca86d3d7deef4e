"""One parse: what was judged is what the venue received, or the call was refused (B65-B67)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.live import SYMBOL, Answer, Client, Live
from gateway.test_grants import owner_of_all
from leverlock.domain.action import Action
from venue_process import signature_of

CONTROL = {"timestamp", "recvWindow", "signature", "otp"}
# Written out here a second time, on purpose: by which name the venue knows each field.
WIRE = {
    "symbol": "symbol",
    "side": "side",
    "position_side": "positionSide",
    "type": "type",
    "time_in_force": "timeInForce",
    "quantity": "quantity",
    "price": "price",
    "reduce_only": "reduceOnly",
    "client_order_id": "newClientOrderId",
    "response_type": "newOrderRespType",
    "order_id": "orderId",
    "trigger_price": "triggerPrice",
    "close_position": "closePosition",
    "leverage": "leverage",
    "margin_mode": "marginType",
    "hedged": "dualSidePosition",
    "callback_rate": "callbackRate",
    "activate_price": "activatePrice",
    "multi_assets": "multiAssetsMargin",
    "delta_mode": "deltaEnabled",
    "rank": "rank",
    "amount": "amount",
    "asset": "asset",
    "from_symbol": "fromSymbol",
    "to_symbol": "toSymbol",
    "isolated": "isIsolated",
    "network": "network",
    "address": "address",
    "memo": "addressTag",
    "wallet": "walletType",
    "fee_to_receiver": "transactionFeeFlag",
    "label": "name",
    "declaration": "questionnaire",
    "client_id": "withdrawOrderId",
}
WITHDRAWALS = ("/sapi/v1/capital/withdraw/apply", "/sapi/v1/localentity/withdraw/apply")
OLDER_TYPES = {"MAIN_UMFUTURE": "1", "UMFUTURE_MAIN": "2", "MAIN_CMFUTURE": "3", "CMFUTURE_MAIN": "4"}


@dataclass
class Watched:
    """A gateway whose gate writes down what it judges; the gate itself is the real one."""

    live: Live
    bot: Client
    judged: list[Action] = field(default_factory=list)

    def send(self, method: str, path: str, query: str, body: str) -> Answer:
        """Query and body signed as they stand; the signature goes to the end of the body, or of the query."""
        text = query + body
        signature = f"signature={signature_of(self.bot.key, text)}"
        if body:
            body += f"&{signature}"
        else:
            query += f"&{signature}"
        target = f"{path}?{query}" if query else path
        self.judged.clear()
        self.live.venue.clear_calls()
        return self.live.send(method, target, body.encode(), headers={"X-MBX-APIKEY": self.bot.key.api_key})


@pytest.fixture(scope="module")
def watched(live_module: Live) -> Iterator[Watched]:
    live = live_module
    live.venue.clear_faults()
    found = Watched(live, live.client(owner_of_all(live)))
    gate = live.gateway._gate
    decide = gate.allowed_from_snapshot

    def watch(account: Any, action: Action) -> bool:
        found.judged.append(action)
        return decide(account, action)

    gate.allowed_from_snapshot = watch  # type: ignore[method-assign]
    yield found
    gate.allowed_from_snapshot = decide  # type: ignore[method-assign]


def received(live: Live) -> tuple[str, dict[str, str]] | None:
    """The path and what the venue got there, by a reader that is not ours; None when it got nothing."""
    calls = live.executed()
    if not calls:
        return None
    [call] = calls
    pairs = parse_qsl(call["query"] + call["body"], strict_parsing=True, keep_blank_values=True, errors="strict")
    assert len({name for name, _ in pairs}) == len(pairs)
    return call["path"], {name: value for name, value in pairs if name not in CONTROL}


def as_wire(action: Action, path: str) -> dict[str, Any]:
    """What was judged, under the venue's names."""
    if action.legs:
        return {"batchOrders": [as_wire(leg, path) for leg in action.legs]}
    names, fields = dict(WIRE), dict(action.fields)
    if action.type.name == "futures.conditional_order.place":
        names["client_order_id"] = "clientAlgoId"
    if path in WITHDRAWALS:
        names["asset"] = "coin"
        if "wallet" in fields:
            fields["wallet"] = {"SPOT": "0", "FUNDING": "1"}[fields["wallet"]]
    kind = fields.pop("from", "") + "_" + fields.pop("to", "")
    direction = fields.pop("direction", "")
    if "isolated" in fields:
        fields["isolated"] = fields["isolated"].upper()
    told = {names[name]: value for name, value in fields.items()}
    if action.type.name == "futures.conditional_order.place":
        told["algoType"] = "CONDITIONAL"
    if direction:
        told["type"] = {"ADD": "1", "REMOVE": "2"}[direction]
    if kind != "_":
        told["type"] = OLDER_TYPES[kind] if path == "/sapi/v1/futures/transfer" else kind
    if path == "/sapi/v1/margin/borrow-repay":
        told["type"] = {"margin.borrow": "BORROW", "margin.repay": "REPAY"}[action.type.name]
    return told


def meaning(value: str) -> object:
    """A value for comparing across spellings: numbers by their value, flags by their meaning."""
    if value in ("True", "False", "TRUE", "FALSE"):
        return value.lower()
    try:
        number = Decimal(value) if value.isascii() else None
    except ArithmeticError:
        return value
    return number if number is not None and number.is_finite() else value


def judged_is_received(watched: Watched, answer: Answer, sent: dict[str, str] | None) -> bool:
    """The rule of this file; whether the call went through."""
    got = received(watched.live)
    if got is None:
        assert 400 <= answer.status < 500, answer
        return False
    path, found = got
    assert watched.judged, "forwarded, and never judged"
    expected = as_wire(watched.judged[-1], path)
    if "batchOrders" in expected:
        assert json.loads(found.pop("batchOrders")) == expected.pop("batchOrders")
    assert found == expected
    if sent is not None:
        alias = {"activationPrice": "activatePrice"}
        assert {name: meaning(value) for name, value in found.items()} == {
            alias.get(name, name): meaning(value) for name, value in sent.items()
        }
    return True


# -- parameters in every spelling ------------------------------------------------------------------------------------
NUMBERS = [
    "0.01", "1e-2", "0.010", "00.01", "5e1", "050", "50.0", "1e-05", ".5", "5.", "+1", "-1", "1_0", " 1", "1 ", "0x1",
    "1e400", "NaN", "Infinity", "٥", "０.１", "1,5", "0", "1e99", "", "75", "999999999999999999999999", "1E+1", "1\t",
]  # fmt: skip
TEXTS = [
    SYMBOL, "btcusdt", "这是测试币456", "BTC USDT", "BTC%55SDT", "BTC&side=SELL", "BTC=USDT", "BTC+USDT",
    "BTC\u202eUSDT", "BTC\x00", "ＢＴＣＵＳＤＴ", "BTC#", "é", "e\u0301", "\ufeffBTC", "BUY", "SELL", "buy",
    "true", "True", "TRUE", "1", "LIMIT", "MARKET", "STOP", "GTC", "BOTH", "LONG", "ISOLATED", "CROSSED",
    "CONDITIONAL", "x" * 300, "{}", "[]", "null", "UMFUTURE_FUNDING", "CMFUTURE_MAIN", "MAIN_UMFUTURE", "2", "REPAY",
    "ADD", "SPOT", "LOWERED", "0xab\u0430", "0xab cd",
]  # fmt: skip
BASES: dict[tuple[str, str], dict[str, str]] = {
    ("POST", "/fapi/v1/order"): {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "0.01"},
    ("PUT", "/fapi/v1/order"): {"symbol": SYMBOL, "side": "BUY", "orderId": "1", "quantity": "0.01", "price": "58000"},
    ("POST", "/fapi/v1/algoOrder"): {
        "algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "SELL", "type": "STOP_MARKET", "quantity": "0.01",
        "triggerPrice": "50000",
    },
    ("POST", "/fapi/v1/leverage"): {"symbol": SYMBOL, "leverage": "20"},
    ("POST", "/fapi/v1/marginType"): {"symbol": SYMBOL, "marginType": "CROSSED"},
    ("POST", "/fapi/v1/positionSide/dual"): {"dualSidePosition": "false"},
    ("POST", "/fapi/v1/multiAssetsMargin"): {"multiAssetsMargin": "false"},
    ("POST", "/fapi/v1/positionMargin"): {"symbol": SYMBOL, "amount": "1", "type": "2"},
    ("POST", "/fapi/v1/adlSetting"): {"symbol": SYMBOL, "rank": "STANDARD"},
    ("POST", "/sapi/v1/portfolio/delta-mode"): {"deltaEnabled": "false"},
    ("POST", "/sapi/v1/asset/transfer"): {"type": "UMFUTURE_MAIN", "asset": "USDT", "amount": "0.01"},
    ("POST", "/sapi/v1/futures/transfer"): {"type": "2", "asset": "USDT", "amount": "0.01"},
    ("POST", WITHDRAWALS[0]): {"coin": "USDT", "network": "ETH", "address": "0xab", "amount": "5", "walletType": "0"},
    ("POST", WITHDRAWALS[1]): {"coin": "USDT", "address": "0xab", "amount": "5", "questionnaire": "{}"},
    ("POST", "/sapi/v1/margin/borrow-repay"): {"asset": "USDT", "amount": "1", "type": "BORROW", "isIsolated": "FALSE"},
    ("POST", "/sapi/v1/margin/loan"): {"asset": "USDT", "amount": "1"},
    ("POST", "/sapi/v1/margin/repay"): {"asset": "USDT", "amount": "1"},
}  # fmt: skip
NAMES = sorted(
    {*WIRE.values(), "coin", "Symbol", "SYMBOL", "sym%62ol", "signature", "otp", "recvwindow", "x", "priceMatch"}
)


def spelled(value: str, style: str) -> str:
    if style == "raw":
        return "".join(c if c.isascii() and c.isprintable() and c not in " #" else quote(c) for c in value)
    if style == "every byte":
        return "".join(f"%{byte:02X}" for byte in value.encode("utf-8", "surrogatepass"))
    if style == "lower hex":
        return "".join(f"%{byte:02x}" for byte in value.encode("utf-8", "surrogatepass"))
    if style == "plus":
        return quote(value, safe="").replace("%20", "+")
    if style == "twice":
        return quote(quote(value, safe=""), safe="")
    return quote(value, safe="")


STYLES = st.sampled_from(["usual", "usual", "usual", "raw", "every byte", "lower hex", "plus", "twice"])
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["value", "add", "drop", "twice", "name"]),
        st.integers(0, 30),
        st.one_of(st.sampled_from(NUMBERS), st.sampled_from(TEXTS), st.text(max_size=8)),
        st.sampled_from(NAMES),
    ),
    max_size=3,
)


@pytest.mark.bar("B65")
@settings(
    max_examples=800, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    endpoint=st.sampled_from(sorted(BASES)),
    changes=CHANGES,
    styles=st.lists(STYLES, min_size=12, max_size=12),
    split=st.one_of(st.none(), st.integers(0, 8)),
)
def test_what_was_judged_is_what_the_venue_received(
    watched: Watched,
    endpoint: tuple[str, str],
    changes: list[tuple[str, int, str, str]],
    styles: list[str],
    split: int | None,
) -> None:
    pairs = [*BASES[endpoint].items()]
    for kind, at, value, name in changes:
        spot = at % (len(pairs) or 1)
        if kind == "add" or not pairs:
            pairs.append((name, value))
        elif kind == "value":
            pairs[spot] = (pairs[spot][0], value)
        elif kind == "drop":
            del pairs[spot]
        elif kind == "twice":
            pairs.append((pairs[spot][0], value))
        else:
            pairs[spot] = (name, pairs[spot][1])
    pairs.append(("timestamp", str(watched.bot.timestamp())))
    texts = [
        f"{name}={spelled(value, styles[at % len(styles)])}".encode("utf-8", "replace").decode()
        for at, (name, value) in enumerate(pairs)
    ]
    cut = len(texts) if split is None else min(split, len(texts))
    query, body = "&".join(texts[:cut]), "&".join(texts[cut:])
    if not query.isascii() or not body.isascii():
        return
    answer = watched.send(*endpoint, query, body)
    sent: dict[str, str] | None = None
    if len({name for name, _ in pairs}) == len(pairs) and all(style != "twice" for style in styles):
        sent = {name: value for name, value in pairs if name not in CONTROL}
    judged_is_received(watched, answer, sent)


# -- legs of a batch -------------------------------------------------------------------------------------------------
def leg(**changes: str) -> str:
    """A leg as JSON text; values are JSON texts, so that they can be anything."""
    told = {"symbol": f'"{SYMBOL}"', "side": '"BUY"', "type": '"MARKET"', "quantity": '"0.01"'} | changes
    return "{" + ",".join(f'"{name}":{value}' for name, value in told.items()) + "}"


LEGS: dict[str, str] = {
    "plain": f"[{leg()}]",
    "five": f"[{','.join([leg()] * 5)}]",
    "six": f"[{','.join([leg()] * 6)}]",
    "none": "[]",
    "one object": leg(),
    "numbers": f"[{leg(quantity='0.01')}]",
    "a long number": f"[{leg(quantity='0.10000000000000000555')}]",
    "an exponent": f"[{leg(quantity='1e-2')}]",
    "a flag": f"[{leg(reduceOnly='true')}]",
    "a flag as text": f"[{leg(reduceOnly=chr(34) + 'True' + chr(34))}]",
    "a name twice": f'[{leg()[:-1]},"symbol":"ETHUSDT"}}]',
    "a name twice, escaped": f'[{leg()[:-1]},"\\u0073ymbol":"ETHUSDT"}}]',
    "escaped values": f"[{leg(symbol=chr(34) + 'BTC' + chr(92) + 'u0055SDT' + chr(34))}]",
    "null": f"[{leg(quantity='null')}]",
    "NaN": f"[{leg(quantity='NaN')}]",
    "Infinity": f"[{leg(quantity='-Infinity')}]",
    "nested": f"[{leg(quantity='{}')}]",
    "a list": f"[[{leg()}]]",
    "deep": "[" * 20_000,
    "a string": '"x"',
    "trailing text": f"[{leg()}]x",
    "a comma too many": f"[{leg()},]",
    "a comment": f"[{leg()}/**/]",
    "single quotes": "[{'symbol':'BTCUSDT'}]",
    "an unknown name": f"[{leg(leverage='20')}]",
    "another case": f"[{leg(Symbol=chr(34) + 'ETHUSDT' + chr(34))}]",
    "half a character as a name": f'[{leg()[:-1]},"\\ud800":"x"}}]',
    "half a character": f"[{leg(newClientOrderId=chr(34) + chr(92) + 'ud800' + chr(34))}]",
    "an empty name": f'[{leg()[:-1]},"":"x"}}]',
    "a name that turns round": f'[{leg()[:-1]},"\\u202eside":"x"}}]',
    "a name of 60 000 letters": f'[{leg()[:-1]},"{"x" * 60_000}":"1"}}]',
    "not ASCII": f"[{leg(symbol=chr(34) + '这是测试币456' + chr(34))}]",
    "a byte order mark": f"\ufeff[{leg()}]",
    "blanks": f" [ {leg()} ] ",
    "mixed": f"[{leg()},{leg(symbol=chr(34) + 'ETHUSDT' + chr(34), side=chr(34) + 'SELL' + chr(34))}]",
}
PASSES = {
    "plain", "five", "numbers", "a long number", "an exponent", "a flag", "a flag as text", "escaped values",
    "not ASCII", "blanks", "mixed",
}  # fmt: skip


@pytest.mark.bar("B65")
@pytest.mark.bar("B69")
@pytest.mark.parametrize("name", LEGS)
def test_the_legs_that_were_judged_are_the_legs_that_were_received(watched: Watched, name: str) -> None:
    body = f"batchOrders={quote(LEGS[name], safe='')}&timestamp={watched.bot.timestamp()}"
    if len(body) > 60_000:
        body = f"batchOrders={LEGS[name]}&timestamp={watched.bot.timestamp()}"
    answer = watched.send("POST", "/fapi/v1/batchOrders", "", body)
    assert judged_is_received(watched, answer, None) is (name in PASSES), answer
    assert len(answer.body) < 2000 or answer.status == 200


@pytest.mark.bar("B65")
@pytest.mark.bar("B92")
def test_a_refusal_that_quotes_half_a_character_is_still_a_refusal(watched: Watched) -> None:
    for text in ("\\ud800", "\\udfff\\ud800", "\\u0000", "\\u202e"):
        legs = f'[{leg()[:-1]},"{text}":"x"}}]'
        body = f"batchOrders={quote(legs, safe='')}&timestamp={watched.bot.timestamp()}"
        answer = watched.send("POST", "/fapi/v1/batchOrders", "", body)
        assert (answer.status, answer.code) == (400, -1104), answer


# -- twice, and split ------------------------------------------------------------------------------------------------
@pytest.mark.bar("B66")
@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", "symbol=BTCUSDT&leverage=20&leverage=125"),
        ("", "symbol=BTCUSDT&leverage=20&leverage=20"),
        ("leverage=20", "symbol=BTCUSDT&leverage=125"),
        ("symbol=BTCUSDT&leverage=20", "leverage=125"),
        ("symbol=BTCUSDT&leverage=20&leverage=125", ""),
        ("", "symbol=BTCUSDT&leverage=20&Leverage=125"),
        ("", "symbol=BTCUSDT&leverage=20&LEVERAGE=125"),
        ("", "symbol=BTCUSDT&leverage=20&l%65verage=125"),
        ("", "symbol=BTCUSDT&leverage=20&leverage%00=125"),
        ("", "symbol=BTCUSDT&leverage=20%26leverage=125"),
        ("", "symbol=BTCUSDT&leverage=20&timestamp=1"),
        ("", "symbol=BTCUSDT&leverage=20&recvWindow=1&recvWindow=2"),
    ],
)
def test_a_parameter_that_stands_twice_is_refused(watched: Watched, query: str, body: str) -> None:
    stamp = f"timestamp={watched.bot.timestamp()}"
    if body:
        body += f"&{stamp}"
    else:
        query += f"&{stamp}"
    answer = watched.send("POST", "/fapi/v1/leverage", query, body)
    assert answer.status == 400, answer
    assert watched.live.venue.calls() == []
    assert watched.judged == []


@pytest.mark.bar("B67")
def test_a_call_split_over_query_and_body_is_one_call(watched: Watched) -> None:
    texts = ["symbol=BTCUSDT", "leverage=20", f"timestamp={watched.bot.timestamp()}"]
    for cut in range(4):
        texts[2] = f"timestamp={watched.bot.timestamp()}"
        answer = watched.send("POST", "/fapi/v1/leverage", "&".join(texts[:cut]), "&".join(texts[cut:]))
        assert judged_is_received(watched, answer, {"symbol": SYMBOL, "leverage": "20"}), (cut, answer)


@pytest.mark.bar("B67")
def test_the_signed_bytes_of_one_call_are_no_other_call(watched: Watched) -> None:
    """Somebody on the wire who holds a signed request, but not the key, re-cuts it in every way."""
    live, bot = watched.live, watched.bot
    text = f"symbol={SYMBOL}&leverage=20&timestamp={bot.timestamp()}"
    signature = f"signature={signature_of(bot.key, text)}"
    for cut in range(1, len(text)):
        query, body = text[:cut], text[cut:]
        watched.judged.clear()
        live.venue.clear_calls()
        target = f"/fapi/v1/leverage?{query}"
        answer = live.send("POST", target, f"{body}&{signature}".encode(), {"X-MBX-APIKEY": bot.key.api_key})
        if received(live) is not None:
            assert received(live) == {"symbol": SYMBOL, "leverage": "20"}
            assert answer.status == 200
        else:
            assert answer.status in (400, 401), (query, body, answer)


@pytest.mark.bar("B65")
def test_the_code_and_the_clients_signature_are_not_forwarded(watched: Watched) -> None:
    body = f"symbol={SYMBOL}&leverage=20&otp=123456&recvWindow=9000&timestamp={watched.bot.timestamp()}"
    assert watched.send("POST", "/fapi/v1/leverage", "", body).status == 200
    [call] = watched.live.executed()
    told = dict(parse_qsl(call["body"]))
    assert "otp" not in told
    assert "123456" not in json.dumps(call)
    assert told["recvWindow"] == "9000"
    assert told["timestamp"] == str(watched.bot.last)
    assert told["signature"] != signature_of(watched.bot.key, body)
    assert call["headers"]["x-mbx-apikey"] != watched.bot.key.api_key
