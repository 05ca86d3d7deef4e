"""What unmodified clients put on the wire is read and verified: HMAC and Ed25519, query and body."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ccxt
import pytest
from binance.client import Client
from binance.um_futures import UMFutures
from binance_common.configuration import ConfigurationRestAPI
from binance_sdk_derivatives_trading_usds_futures import DerivativesTradingUsdsFutures
from binance_sdk_derivatives_trading_usds_futures.rest_api.models import NewOrderSideEnum
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.recording_server import Recording, recording_server
from leverlock.gateway.binance.errors import BadSignature, DuplicateParameter
from leverlock.gateway.binance.keys import Ed25519ClientKey, HmacKey, VerifyingKey
from leverlock.gateway.binance.signature import SignedCall, verified_call
from leverlock.gateway.target import canonical_path

SECRET = "s" * 64
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PEM = PRIVATE.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
KEYS: dict[str, VerifyingKey] = {"hmac": HmacKey(SECRET.encode()), "ed25519": Ed25519ClientKey(PRIVATE.public_key())}


@pytest.fixture(scope="module")
def server() -> Iterator[Recording]:
    with recording_server() as recording:
        yield recording


@pytest.fixture
def recorded(server: Recording) -> Recording:
    server.whole.clear()
    return server


def base(recorded: Recording) -> str:
    return f"http://127.0.0.1:{recorded.address[1]}"


def ccxt_client(recorded: Recording, kind: str) -> Any:
    client = ccxt.binanceusdm({"apiKey": "k", "secret": SECRET if kind == "hmac" else PEM})
    for name, url in list(client.urls["api"].items()):
        if isinstance(url, str):
            client.urls["api"][name] = base(recorded) + "/" + url.split("/", 3)[3]
    return client


def python_binance(recorded: Recording, kind: str) -> Any:
    options = {"api_secret": SECRET} if kind == "hmac" else {"private_key": PEM}
    client = Client("k", ping=False, **options)
    client.FUTURES_URL, client.MARGIN_API_URL = base(recorded) + "/fapi", base(recorded) + "/sapi"
    return client


def connector(recorded: Recording, _: str) -> Any:
    return UMFutures(key="k", secret=SECRET, base_url=base(recorded))


def sdk(recorded: Recording, kind: str) -> Any:
    options = {"api_secret": SECRET} if kind == "hmac" else {"private_key": PEM}
    configuration = ConfigurationRestAPI(api_key="k", base_path=base(recorded), timeout=10000, **options)
    return DerivativesTradingUsdsFutures(config_rest_api=configuration).rest_api


BATCH = [{"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"}]
LEVERAGE = {"symbol": "BTCUSDT", "leverage": "75"}
ODD = {"symbol": "这是测试币456", "leverage": "75"}
CANCEL = {"symbol": "BTCUSDT", "orderId": "1"}
WITHDRAWAL = {"coin": "USDT", "address": "0x1", "amount": "5"}
BOTH = ("hmac", "ed25519")
HMAC = ("hmac",)


@dataclass(frozen=True)
class Row:
    """A call of a client, and what the gateway must read from it; None: a batch of one order in BTCUSDT."""

    name: str
    make: Callable[[Recording, str], Any]
    kinds: tuple[str, ...]
    call: Callable[[Any], Any]
    expected: dict[str, str] | None
    otp: str | None = None


ROWS = [
    Row("ccxt leverage", ccxt_client, BOTH, lambda x: x.fapiPrivatePostLeverage({**LEVERAGE, "otp": "123456"}),
        LEVERAGE, "123456"),
    Row("ccxt odd symbol", ccxt_client, BOTH, lambda x: x.fapiPrivatePostLeverage(ODD), ODD),
    Row("ccxt cancel", ccxt_client, BOTH, lambda x: x.fapiPrivateDeleteOrder(CANCEL), CANCEL),
    Row("ccxt batch", ccxt_client, BOTH, lambda x: x.fapiPrivatePostBatchOrders({"batchOrders": BATCH}), None),
    Row("ccxt cancel batch", ccxt_client, BOTH,
        lambda x: x.fapiPrivateDeleteBatchOrders({"symbol": "BTCUSDT", "orderidlist": ["1", "2"]}),
        {"symbol": "BTCUSDT", "orderidlist": "[1,2]"}),
    Row("ccxt withdraw", ccxt_client, BOTH, lambda x: x.sapiPostCapitalWithdrawApply(WITHDRAWAL), WITHDRAWAL),
    Row("pb leverage", python_binance, BOTH, lambda x: x.futures_change_leverage(**LEVERAGE, otp="123456"),
        LEVERAGE, "123456"),
    Row("pb odd symbol", python_binance, BOTH, lambda x: x.futures_change_leverage(**ODD), ODD),
    Row("pb cancel", python_binance, BOTH, lambda x: x.futures_cancel_order(**CANCEL), CANCEL),
    Row("pb batch", python_binance, HMAC, lambda x: x.futures_place_batch_order(batchOrders=BATCH), None),
    Row("pb balance", python_binance, BOTH, lambda x: x.futures_account_balance(), {}),
    Row("pb withdraw with a blank", python_binance, HMAC, lambda x: x.withdraw(**WITHDRAWAL, name="my wallet"),
        {**WITHDRAWAL, "name": "my wallet"}),
    Row("conn leverage", connector, HMAC, lambda x: x.change_leverage("BTCUSDT", 75, otp="123456"),
        LEVERAGE, "123456"),
    Row("conn cancel", connector, HMAC, lambda x: x.cancel_order("BTCUSDT", orderId=1), CANCEL),
    Row("conn batch", connector, HMAC, lambda x: x.new_batch_order(BATCH), None),
    Row("SDK leverage", sdk, BOTH, lambda x: x.change_initial_leverage(symbol="BTCUSDT", leverage=75), LEVERAGE),
    Row("SDK order", sdk, BOTH,
        lambda x: x.new_order(symbol="这是测试币456", side=NewOrderSideEnum["BUY"].value, type="MARKET", quantity=0.1),
        {"symbol": "这是测试币456", "side": "BUY", "type": "MARKET", "quantity": "0.1"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "kind"), [pytest.param(row, kind, id=f"{row.name} {kind}") for row in ROWS for kind in row.kinds]
)
def test_an_unmodified_client_is_understood(recorded: Recording, row: Row, kind: str) -> None:
    row.call(row.make(recorded, kind))
    assert len(recorded.whole) == 1
    _, target, body = recorded.whole[0]
    path, _, query = target.partition(b"?")
    assert canonical_path(path)
    signed = understood(query, body, KEYS[kind])
    if row.expected is None:
        assert [order["symbol"] for order in json.loads(signed.parameters["batchOrders"])] == ["BTCUSDT"]
    else:
        assert dict(signed.parameters) == row.expected
    assert signed.otp == row.otp
    altered = [part.replace(b"timestamp=1", b"timestamp=2") for part in (query, body)]
    with pytest.raises(BadSignature):
        understood(*altered, KEYS[kind])


@pytest.mark.bar("B66")
def test_a_client_that_sends_a_parameter_twice_is_refused(recorded: Recording) -> None:
    """python-binance repeats an extra parameter of a batch: its user sends the code in the header instead."""
    python_binance(recorded, "hmac").futures_place_batch_order(batchOrders=BATCH, otp="123456")
    _, target, body = recorded.whole[0]
    with pytest.raises(DuplicateParameter):
        understood(target.partition(b"?")[2], body, KEYS["hmac"])


def understood(query: bytes, body: bytes, key: VerifyingKey) -> SignedCall:
    return verified_call(query, body, key, now=time.time_ns() // 1_000_000)
