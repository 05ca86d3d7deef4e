"""Through a real Kannel: the code that approves a 75x order is read off the SMS centre's own output."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ccxt
import pytest

from authenticator_app import oathtool_code
from kannel import Kannel
from leverlock.domain.sms_text import size_of
from stack import Account, Stack, challenge_in
from venue_process import point_ccxt

pytestmark = [
    pytest.mark.debian("/usr/sbin/bearerbox", package="kannel"),
    pytest.mark.debian("/usr/lib/kannel/test/fakesmsc", package="kannel-extras"),
    pytest.mark.debian("oathtool"),
]

NUMBER = "+44 7400 1234{number:02d}"


@pytest.fixture(scope="module")
def stack(kannel: Kannel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {
        "sms.enabled": "true",
        "sms.providers": json.dumps([kannel.provider()]),
        "limits.sms_resend_ms": 1000,
    }
    with Stack(tmp_path_factory.mktemp("sms"), app=oathtool_code, settings=settings) as running:
        running.venue.set_price("BTCUSDT", "60000")
        yield running


def call(stack: Stack, account: Account, method: str, path: str, body: Any = None) -> Any:
    answer = stack.api(method, path, body, token=account.token)
    assert 200 <= answer.status < 300, f"{method} {path}: {answer}"
    return answer.json


def save(stack: Stack, account: Account, *, backup: bool = True) -> dict[str, Any]:
    """*Save Changes*: refused until the primary code was given, then done by the very same call (M14)."""
    path, wanted = "/v1/environments/futures/sms", {"backup": backup}
    refused = stack.api("PUT", path, wanted, token=account.token)
    assert refused.status == 401, refused
    challenge = refused.json["challenge"]
    assert challenge["requires"] == ["totp"]
    proof = {"code": account.next_code()}
    call(stack, account, "POST", f"/v1/challenges/{challenge['id']}/proof", proof)
    done: dict[str, Any] = call(stack, account, "PUT", path, wanted)
    return done


def with_number(stack: Stack, kannel: Kannel, number: str) -> Account:
    """An account with this phone as backup; everything about it was done by the API and read off the phone."""
    account = stack.account()
    entered = call(stack, account, "POST", "/v1/environments/futures/sms", {"number": number})
    assert "SIM" in entered["risk"]
    e164 = number.replace(" ", "")
    code = kannel.until(e164, 1)[0].code
    confirmation = f"/v1/environments/futures/sms/{entered['id']}/confirmation"
    call(stack, account, "POST", confirmation, {"code": code})
    assert save(stack, account)["backup"] is True
    time.sleep(1)  # the pause between two SMS to one number
    return account


@pytest.mark.mission("M11")
@pytest.mark.mission("M12")
@pytest.mark.mission("M13")
@pytest.mark.mission("M14")
@pytest.mark.mission("M15")
@pytest.mark.bar("B15")
def test_the_code_that_approves_a_75x_order_comes_out_at_the_sms_centre(stack: Stack, kannel: Kannel) -> None:
    number = NUMBER.format(number=10)
    account = with_number(stack, kannel, number)
    key = stack.gateway_key(account)
    exchange = point_ccxt(
        ccxt.binanceusdm({"apiKey": key.api_key, "secret": key.secret, "enableRateLimit": False}), stack.url
    )
    try:
        exchange.set_leverage(75, "BTC/USDT:USDT")
        with pytest.raises(ccxt.ExchangeError) as stopped:
            exchange.create_order("BTC/USDT:USDT", "market", "buy", 0.01)
        challenge = challenge_in(str(stopped.value))
        sent = call(stack, account, "POST", f"/v1/challenges/{challenge}/sms")
        assert sent["number"] == "+44********10"
        assert sent["open"] == ["totp"]
        [_, text] = kannel.until(number.replace(" ", ""), 2)
        assert text.text.startswith("Leverlock Futures: BUY 0.01 BTCUSDT market, 75x. Code ")
        assert text.text.splitlines()[-1] == f"@127.0.0.1 #{text.code}"
        proof = {"sms_code": text.code}
        approved = call(stack, account, "POST", f"/v1/challenges/{challenge}/proof", proof)
        assert approved["approved"][0]["state"] == "approved"
        executed = exchange.create_order("BTC/USDT:USDT", "market", "buy", 0.01)
        assert executed["id"]
    finally:
        exchange.session.close()
    assert stack.orders_executed(account) == 1
    kinds = [event["kind"] for event in stack.events(account)]
    assert kinds.count("sms.code_sent") == 2
    assert "sms.handed_over" in kinds


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def waiting(stack: Stack, account: Account, *, quantity: str = "1") -> str:
    """A challenge for a 75x order, asked for by the owner's own session."""
    asked = stack.api(
        "POST",
        "/v1/authorize",
        {
            "action": {
                "type": "futures.order.place",
                "fields": {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": quantity},
                "facts": {"leverage": 75, "margin_mode": "CROSSED"},
            }
        },
        token=account.token,
    )
    assert asked.status == 401, asked
    challenge: str = asked.json["challenge"]["id"]
    return challenge


@pytest.mark.mission("M12")
def test_a_receipt_of_the_network_is_shown_to_the_owner(stack: Stack, kannel: Kannel) -> None:
    account = with_number(stack, kannel, NUMBER.format(number=11))
    path = f"/v1/challenges/{waiting(stack, account)}/sms"
    call(stack, account, "POST", path)
    until(lambda: call(stack, account, "GET", path)["delivery"] == "delivered")
    receipts = [event for event in stack.events(account) if event["kind"] == "sms.receipt"]
    assert receipts[-1]["delivery"] == "delivered"


@pytest.mark.bar("B17")
@pytest.mark.mission("M12")
def test_a_chinese_text_comes_out_as_it_went_in(stack: Stack, kannel: Kannel) -> None:
    number = NUMBER.format(number=12)
    account = with_number(stack, kannel, number)
    assert call(stack, account, "PUT", "/v1/account/language", {"language": "zh"}) == {"language": "zh"}
    call(stack, account, "POST", f"/v1/challenges/{waiting(stack, account)}/sms")
    text = kannel.until(number.replace(" ", ""), 2)[-1]
    assert text.text.startswith("Leverlock合约:买入1 BTCUSDT 市价单,杠杆75倍。")
    assert size_of(text.text).parts == 2
    assert text.coding == "udh"  # two parts, joined by the phone
    assert text.text.splitlines()[-1] == f"@127.0.0.1 #{text.code}"


@pytest.mark.bar("B16")
def test_the_first_code_after_a_resend_is_dead(stack: Stack, kannel: Kannel) -> None:
    number = NUMBER.format(number=13)
    account = with_number(stack, kannel, number)
    challenge = waiting(stack, account)
    call(stack, account, "POST", f"/v1/challenges/{challenge}/sms")
    at_once = stack.api("POST", f"/v1/challenges/{challenge}/sms", token=account.token)
    assert (at_once.status, at_once.reason) == (429, "sms_throttled")
    kannel.until(number.replace(" ", ""), 2)
    time.sleep(1)
    call(stack, account, "POST", f"/v1/challenges/{challenge}/sms")
    [_, first, second] = kannel.until(number.replace(" ", ""), 3)
    path = f"/v1/challenges/{challenge}/proof"
    dead = stack.api("POST", path, {"sms_code": first.code}, token=account.token)
    assert (dead.status, dead.reason) == (403, "wrong_code")
    assert stack.api("POST", path, {"sms_code": second.code}, token=account.token).status == 200


@pytest.mark.bar("B17")
@pytest.mark.bar("B85")
def test_no_code_is_in_database_log_answers_or_metrics(stack: Stack, kannel: Kannel) -> None:
    """Every code that ever came out at the SMS centre is looked for everywhere else."""
    number = NUMBER.format(number=14)
    account = with_number(stack, kannel, number)
    challenge = waiting(stack, account)
    answers = [json.dumps(call(stack, account, "POST", f"/v1/challenges/{challenge}/sms"))]
    code = kannel.until(number.replace(" ", ""), 2)[-1].code
    answers.append(json.dumps(call(stack, account, "GET", f"/v1/challenges/{challenge}/sms")))
    answers.append(json.dumps(call(stack, account, "GET", f"/v1/challenges/{challenge}")))
    wrong = stack.api("POST", f"/v1/challenges/{challenge}/proof", {"sms_code": "00000001"}, token=account.token)
    answers += [json.dumps(wrong.json), json.dumps(call(stack, account, "GET", "/v1/audit?limit=1000"))]
    proof = {"sms_code": code}
    answers.append(json.dumps(call(stack, account, "POST", f"/v1/challenges/{challenge}/proof", proof)))
    with urllib.request.urlopen(f"{stack.metrics_url}/metrics") as page:
        answers.append(page.read().decode())
    places = {str(file): file.read_bytes() for file in Path(stack.folder).rglob("*") if file.is_file()}
    places["log"] = stack.log().encode()
    places |= {f"answer {index}": text.encode() for index, text in enumerate(answers)}
    assert any(name.endswith("leverlock.db") for name in places)
    assert any(name.endswith("-wal") for name in places)
    codes = {text.code for text in kannel.received() if re.search(r"#[0-9]{8}$", text.text)}
    assert len(codes) >= 4
    numbers = {text.number for text in kannel.received()}
    found = [
        (place, wanted)
        for wanted in codes | numbers
        for place, content in places.items()
        if re.search(rb"(?<![0-9])" + re.escape(wanted).encode() + rb"(?![0-9])", content)
    ]
    assert not found
    # The scan itself sees: what may be there is found.
    assert any(account.account_id.encode() in content for content in places.values())
