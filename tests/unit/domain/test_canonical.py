"""Canonical JSON is RFC 8785 whichever way it is written: the short way must never differ by a byte."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leverlock.domain import canonical
from leverlock.domain.canonical import SAFE_INTEGER, canonical_json


class Word(StrEnum):
    APPROVED = "approved"


TEXT = (
    st.text()
    | st.text(st.characters(max_codepoint=127))
    | st.sampled_from(["", "\x7f", "\u2028", "\ud800", "\U0001f600"])
)
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-SAFE_INTEGER - 2, SAFE_INTEGER + 2)
    | st.floats()
    | st.sampled_from(list(Word))
    | TEXT
)
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(TEXT | st.integers(), inner),
    max_leaves=20,
)


def outcome(write: Any, value: Any) -> bytes | type[BaseException]:
    try:
        return write(value)  # type: ignore[no-any-return]
    except (ValueError, TypeError) as problem:
        return ValueError if isinstance(problem, ValueError) else type(problem)


@settings(max_examples=300, deadline=None)
@given(VALUE)
@example("".join(map(chr, range(128))))
@example({"\ue000": 1, "\U00010000": 2})
@example({"b": 1, "a": {"B": [], "A": ()}, "": None})
@example({"n": SAFE_INTEGER, "m": -SAFE_INTEGER, "t": True})
@example({1: "a"})
def test_it_writes_what_the_rfc_says(value: Any) -> None:
    assert outcome(canonical_json, value) == outcome(rfc8785.dumps, value)


def test_the_short_way_is_taken_for_what_we_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canonical.rfc8785, "dumps", lambda _: pytest.fail("the long way"))
    assert canonical_json({"b": [1, "x"], "a": {"c": None}}) == b'{"a":{"c":null},"b":[1,"x"]}'
