"""The access log: one line of JSON per call, whatever the call was."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from leverlock import access_log


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    logger = logging.getLogger(access_log.NAME)
    before = logger.handlers[:], logger.propagate, logger.level
    stream = io.StringIO()
    access_log.configure(stream)
    logger.setLevel(logging.INFO)
    yield stream
    logger.handlers[:], logger.propagate = before[0], before[1]
    logger.setLevel(before[2])


@pytest.mark.bar("B88")
def test_a_call_is_a_line_that_says_which_row_and_how_it_ended(written: io.StringIO) -> None:
    access_log.note("gateway", "POST", "/fapi/v1/order", 200, seconds=0.00123, who="key_x")
    access_log.note("api", "GET", "/v1/challenges", 401, seconds=1, correlation="ab")
    first, second = [json.loads(line) for line in written.getvalue().splitlines()]
    assert (first["door"], first["method"], first["route"], first["status"]) == (
        "gateway",
        "POST",
        "/fapi/v1/order",
        200,
    )
    assert (first["ms"], first["who"]) == (1.23, "key_x")
    assert (second["correlation"], second["status"]) == ("ab", 401)
    assert "who" not in second


def test_it_is_silent_below_its_level(written: io.StringIO) -> None:
    logging.getLogger(access_log.NAME).setLevel(logging.WARNING)
    access_log.note("gateway", "POST", "/fapi/v1/order", 200, seconds=0)
    assert written.getvalue() == ""
