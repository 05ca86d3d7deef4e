"""Only the plain canonical form of a path passes; no odd form is normalised into one."""

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverlock.gateway.target import NonCanonicalTarget, canonical_path


@pytest.mark.parametrize(
    "path",
    [
        "/fapi/v1/order",
        "/fapi/v1/positionSide/dual",
        "/fapi/v3/account",
        "/sapi/v1/sub-account/subAccountApi/ipRestriction",
        "/futures/data/openInterestHist",
        "/sapi/v1/capital/withdraw/apply",
    ],
)
def test_paths_as_the_venue_documents_them_pass(path: str) -> None:
    assert canonical_path(path.encode()) == path


@pytest.mark.bar("B65")
@pytest.mark.parametrize(
    "raw",
    [
        b"", b"/", b"//", b"//fapi/v1/order", b"/fapi//v1/order", b"/fapi/v1/order/", b"/fapi/v1/order//",
        b"/fapi/v1%2forder", b"/fapi/v1%2Forder", b"/fapi/v1/%6frder", b"/fapi/v1/order%00", b"/fapi/v1/order%20",
        b"/fapi/v1/order;x=1", b"/fapi/v1;/order", b"/fapi/v1/order;", b"/fapi/v1/../v1/order", b"/fapi/v1/./order",
        b"/fapi/v1/order/..", b"/fapi/%2e%2e/order", b"/fapi/%2E/order", b"/fapi/v1/order.json", b"/..;/fapi/v1/order",
        b"/FAPI/v1/order", b"/fapi/V1/order", b"/fapi/v1/Order", b"/fapi/v1/ORDER", b"fapi/v1/order", b"*",
        b"http://venue/fapi/v1/order", b"/fapi/v1/order?x=1", b"/fapi/v1/order#x", b"/fapi/v1/order\\", b"\\fapi\\v1",
        b"/fapi/v1/or der", b"/fapi/v1/order\r\n", b"/fapi/v1/order\n", b"/fapi/v1/order\x00", b"/fapi/v1/or\tder",
        "/fapi/v1/ördér".encode(), "/fapi/v1/ｏrder".encode(), b"/fapi/v1/order\xff", b"/fapi/v1/_order",
        b"/fapi/v1/~order", b"/fapi/v1/order:80", b"/fapi/v1/@order", b"/-fapi/v1/order", b"/" + b"a" * 256,
    ],
)  # fmt: skip
def test_every_other_form_is_refused(raw: bytes) -> None:
    with pytest.raises(NonCanonicalTarget):
        canonical_path(raw)


PIECES = st.sampled_from(
    [b"/", b"fapi", b"v1", b"order", b"O", b"..", b".", b"%2e", b"%2F", b"%25", b";", b"?", b"#", b"\\", b"-", b"\xc3"]
)


@pytest.mark.bar("B65")
@settings(max_examples=2000, deadline=None)
@given(st.one_of(st.binary(max_size=40), st.lists(PIECES, max_size=10).map(b"".join)))
def test_what_passes_has_one_reading(raw: bytes) -> None:
    """Decoding, splitting and collapsing change nothing in a path that passed: every reader sees the same."""
    try:
        path = canonical_path(raw)
    except NonCanonicalTarget:
        return
    assert path.encode() == raw == unquote_to_bytes(raw)
    segments = path.split("/")
    assert segments[0] == ""
    assert all(re.fullmatch("[a-z0-9][A-Za-z0-9_-]*", segment) for segment in segments[1:])


@settings(max_examples=500, deadline=None)
@given(st.lists(st.from_regex(r"[a-z0-9][A-Za-z0-9_-]{0,10}", fullmatch=True), min_size=1, max_size=6))
def test_every_plain_path_passes(segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    assert canonical_path(path.encode()) == path
