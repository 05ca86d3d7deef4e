"""Logs: no secret in any form, and no forged line (B85, B91)."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from leverlock import correlation, logs
from leverlock.domain.authenticator import SealedSecret
from leverlock.redaction import LONG, REDACTED, redacted

CANARY = "canary-7f3a9c1e"
SESSION = "acc_" + "a" * 26 + "." + "b2" * 26
INTEGRATOR = "lvi_" + "c" * 52
GRANT = "gr_" + "0123456789abcdef" * 4
RECOVERY = "abcdef-ghijkl-mnopqr-stuvwx"
URI = "otpauth://totp/Acme%20Futures:alice?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Acme%20Futures"
WEBHOOK = "whsec_" + base64.b64encode(bytes(32)).decode()
SHAPED = [SESSION, INTEGRATOR, GRANT, RECOVERY, URI, WEBHOOK]

Log = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Log]:
    """Logging set up as the server sets it up; what it wrote, each line parsed on its own."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("debug", "json", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], root.level = before
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.bar("B85")
@pytest.mark.parametrize(
    "name",
    [
        "password", "master_password", "secret", "api_secret", "client_secret", "seed", "token", "session_token",
        "otp", "code", "codes", "grant", "proof", "authorization", "Authorization", "cookie", "set-cookie", "signature",
        "private_key", "passphrase", "credentials", "recovery_code", "X-MBX-APIKEY", "query_string", "body",
    ],
)  # fmt: skip
def test_what_has_a_secrets_name_is_not_written(lines: Log, name: str) -> None:
    log = structlog.get_logger("test")
    log.info("direct", **{name: CANARY})
    log.info("nested", request={"headers": {name: CANARY}, "list": [{name: [CANARY]}]})
    log.info("number", **{name: 287082})
    logging.getLogger("library").info("extra", extra={name: CANARY})
    assert CANARY not in json.dumps(lines())
    assert "287082" not in json.dumps(lines())
    assert len(lines()) == 4


@pytest.mark.parametrize("name", ["status_code", "exit_code", "grant_id", "otp_allowed", "challenge", "key", "reason"])
def test_what_only_sounds_like_one_is_written(name: str) -> None:
    assert redacted(name, "kept") == "kept" or name == "otp_allowed"
    assert redacted("otp_allowed", True) is True


@dataclass
class Holder:
    api_secret: str
    label: str


@pytest.mark.bar("B85")
@pytest.mark.parametrize(
    "value",
    [
        SecretStr(CANARY),
        CANARY.encode(),
        bytearray(CANARY.encode()),
        SealedSecret(1, CANARY.encode(), CANARY.encode()),
        Holder(CANARY, "shown"),
        [SecretStr(CANARY)],
        {"a": {"b": {"c": {"d": {"e": {"f": {"g": CANARY}}}}}}},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_a_secrets_type_is_not_written(lines: Log, value: object) -> None:
    structlog.get_logger("test").info("event", harmless=value)
    assert CANARY not in json.dumps(lines())
    assert lines()[0]["event"] == "event"


@pytest.mark.bar("B85")
@pytest.mark.parametrize("secret", SHAPED, ids=lambda secret: secret[:8])
def test_what_has_a_secrets_shape_is_not_written(lines: Log, secret: str) -> None:
    log = structlog.get_logger("test")
    log.info(f"in the event {secret} itself")
    log.info("in a value", detail=f"see {secret}, please")
    log.info("in a key", details={f"see {secret}": 1})
    logging.getLogger("library").warning("in an argument: %s", secret)
    try:
        raise ValueError(f"in an exception: {secret}")
    except ValueError:
        log.exception("failed")
        logging.getLogger("library").exception("failed")
    assert len(lines()) == 6
    assert secret not in json.dumps(lines(), ensure_ascii=False)
    assert json.dumps(lines()).count(REDACTED) >= 6


def test_a_secret_in_an_address_is_not_written(lines: Log) -> None:
    log = structlog.get_logger("test")
    log.info("call", url=f"https://user:{CANARY}@venue.example/x?symbol=A&signature={CANARY}&otp={CANARY}")
    log.info("header", line=f"Authorization: Bearer {CANARY}")
    (call, header) = lines()
    assert CANARY not in json.dumps([call, header])
    assert "venue.example/x?symbol=A" in call["url"]


def test_a_secret_across_the_cut_is_not_half_written() -> None:
    text = "x" * (LONG - 10) + GRANT
    assert GRANT[:20] not in redacted("detail", text)
    assert len(redacted("detail", "y" * 10 * LONG)) <= LONG + 1


def test_exceptions_tell_where_and_not_what_variables_held(lines: Log) -> None:
    def inner() -> None:
        held = CANARY
        raise RuntimeError("no such thing") from ValueError(f"{len(held)}")

    try:
        inner()
    except RuntimeError:
        structlog.get_logger("test").exception("failed")
    (line,) = lines()
    assert line["exception"] == "RuntimeError: no such thing"
    assert any("inner" in frame for frame in line["where"])
    assert CANARY not in json.dumps(line)


HOSTILE = [
    'a\n{"event":"forged"}',
    "a\r\nb",
    "\x1b[2Jgone",
    "\u202egnp.exe",
    "\u2028line",
    "x" * 1_000_000,
    "\x00",
    "\ud800",
]


@pytest.mark.bar("B91")
@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_no_value_forges_or_breaks_a_line(lines: Log, value: str) -> None:
    structlog.get_logger("test").info("real", detail=value, name=value)
    logging.getLogger("library").info("real %s", value)
    found = lines()
    assert len(found) == 2
    assert found[0]["event"] == "real"


@pytest.mark.bar("B91")
@pytest.mark.parametrize("value", HOSTILE[:5], ids=range(5))
def test_no_value_moves_the_cursor_of_a_terminal(value: str) -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        logs.configure("info", "console", stream)
        structlog.get_logger("test").info(f"real {value}", detail=value)
    finally:
        root.handlers[:], root.level = before
        structlog.reset_defaults()
    written = stream.getvalue()
    assert written.count("\n") == 1
    assert written.endswith("\n")
    assert all(c.isprintable() for c in written.rstrip("\n"))


def test_what_is_logged_below_a_door_carries_the_id_of_its_call(lines: Log) -> None:
    async def call(number: int) -> str:
        begun = correlation.begin()
        await asyncio.sleep(0)
        structlog.get_logger("test").info("ours", number=number)
        await asyncio.create_task(deeper(number))
        return begun.made

    async def deeper(number: int) -> None:
        await asyncio.sleep(0)
        logging.getLogger("library").info("theirs", extra={"number": number})

    async def calls() -> list[str]:
        return await asyncio.gather(*(call(number) for number in range(3)))

    names = asyncio.run(calls())
    assert len(set(names)) == 3
    found = [line for line in lines() if "number" in line]
    assert [line["correlation"] for line in found] == [names[line["number"]] for line in found]
    assert len(found) == 6
    structlog.get_logger("test").info("of no call")
    assert "correlation" not in lines()[-1]


def test_an_id_that_nobody_asks_for_is_not_drawn() -> None:
    assert correlation.begin().made == ""


def test_the_level_holds_for_libraries_too() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        logs.configure("warning", "json", stream)
        structlog.get_logger("test").info("quiet")
        logging.getLogger("uvicorn.error").info("quiet")
        logging.getLogger("uvicorn.error").warning("loud")
    finally:
        root.handlers[:], root.level = before
        structlog.reset_defaults()
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]
