"""Identifiers: 128 random bits in a form that survives being copied (B47)."""

from __future__ import annotations

import random

import pytest

from leverlock.domain.ids import ID_BYTES, is_id, make_id, text_of


@pytest.mark.bar("B47")
def test_an_id_keeps_all_of_its_128_bits() -> None:
    chance = random.Random(47)
    ids = {make_id("ch", chance.randbytes(ID_BYTES)) for _ in range(10_000)}
    assert len(ids) == 10_000
    assert all(is_id("ch", one) for one in ids)
    for bit in range(128):
        assert make_id("ch", (1 << bit).to_bytes(16, "big")) != make_id("ch", bytes(16))


def test_the_form_is_pinned() -> None:
    assert make_id("ch", bytes(16)) == "ch_" + "a" * 26
    assert make_id("ac", bytes(range(16))) == "ac_aaaqeayeaudaocajbifqydiob4"
    assert text_of(b"\xff" * 32) == "7" * 51 + "q"


@pytest.mark.bar("B47")
@pytest.mark.parametrize("length", [0, 8, 15, 17, 32])
def test_fewer_or_more_bits_are_no_id(length: int) -> None:
    with pytest.raises(ValueError, match=f"got {length}"):
        make_id("ch", bytes(length))


@pytest.mark.parametrize(
    "text",
    [
        *["", "ch_", "ch_" + "a" * 25, "ch_" + "a" * 27, "ch_" + "A" * 26, "ch_" + "1" * 26, "au_" + "a" * 26],
        *["ch_" + "a" * 26 + "\n", " ch_" + "a" * 26, "ch_" + "ａ" * 26, "ch_ch_" + "a" * 26, "ch_" + "a" * 2**20],
    ],
    ids=lambda text: ascii(text[:40]),
)
def test_what_is_no_id_of_this_kind(text: str) -> None:
    assert is_id("ch", text) is False
