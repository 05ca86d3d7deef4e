"""Signed requests: a client's signature is checked on the raw bytes, and ours is made for the venue.

The rule that everything here serves: **one signed text stands for one list of parameters.** Whoever holds a
signed request but not the key can re-encode it, move its parts between query and body, or reorder what the
signature does not cover; none of that may verify as a different list (B66, B67).

Why it holds. The signed text is query and body, each without its signature, joined with nothing, as the
venue does it. Each parameter has exactly one raw `=`, so the text itself tells whether it was split: only a
split leaves one piece with two. Where the split was is then told by the endpoint's parameter names, exactly
one of which may fit at the seam. One client library signs the text before it is form-encoded, so the decoded
bytes are tried as a second candidate; they count only if reading them gives the very list that was read from
the wire, which no escaped `&`, `=`, `%` or `+` survives.
"""

from collections.abc import Collection, Iterable, Mapping
from re import compile as pattern
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from msgspec import Struct

from leverlock.gateway.binance.errors import (
    BadSignature,
    BinanceError,
    MissingParameter,
    OutsideWindow,
    WindowTooWide,
)
from leverlock.gateway.binance.keys import SigningKey, VerifyingKey
from leverlock.gateway.binance.parameters import CONTROL_NAMES, canonical_name, read_parts

FUTURE_LIMIT_MS: Final = 1_000  # how far ahead of the venue's clock a timestamp may stand (exclusive)
DEFAULT_WINDOW_MS: Final = 5_000
WINDOW_LIMIT_MS: Final = 60_000

_SIGNATURE: Final = b"signature="
_PLAIN: Final = pattern(r"[A-Za-z0-9._~-]*+")  # RFC 3986 unreserved: written as it is


class SignedCall(Struct, frozen=True):
    """A client's call whose signature and window hold. It is what the policy judges and what is forwarded.

    `parameters` maps name to decoded value in wire order, query first, without `timestamp`, `recvWindow`,
    `otp` and `signature`; `query_names` and `body_names` say where each of them stood. `timestamp` and
    `receive_window` (None when the client sent none) are milliseconds; `ends_at` is the last millisecond of
    the window on the venue's clock. `signature` is the decoded signature, the key of the replay cache.
    """

    parameters: Mapping[str, str]
    query_names: tuple[str, ...]
    body_names: tuple[str, ...]
    otp: str | None
    timestamp: int
    receive_window: int | None
    ends_at: int
    signature: bytes


def verified_call(query: bytes, body: bytes, key: VerifyingKey, *, now: int, names: Collection[str] = ()) -> SignedCall:
    """Check a signed request on its raw bytes; `now` is the venue's clock in milliseconds.

    `names` are the parameter names the endpoint knows. They are needed only for a call that is split over
    query and body: it is refused unless exactly one of them fits at the seam (B67).

    Raises BadSignature (-1022), OutsideWindow (-1021), WindowTooWide (-1131), MissingParameter (-1102), and
    what `read_parts` raises for parameters that are not canonical.
    """
    signed_query, query_signature = _without_signature(query)
    signed_body, body_signature = _without_signature(body)
    if (query_signature is None) == (body_signature is None):
        raise MissingParameter("signature")
    wire = query_signature if query_signature is not None else body_signature
    values, in_query = read_parts(signed_query, signed_body)
    if "signature" in values:
        raise MissingParameter("signature")
    mixed = 0 < in_query < len(values)
    if mixed and not _one_seam(signed_query, list(values)[in_query], names):
        raise BadSignature("The signed text does not tell query and body apart.")

    signature = key.decoded(wire) if wire is not None else None
    if signature is None:
        raise BadSignature
    text = signed_query + signed_body
    if not key.verifies(text, signature) and (mixed or not _signed_unencoded(text, key, signature, values)):
        raise BadSignature
    return _timed(values, in_query, signature, now)


def signed_bytes(
    parameters: Iterable[tuple[str, str]], *, timestamp: int, receive_window: int | None, key: SigningKey
) -> bytes:
    """The exact query or body to send: percent-encoded first, then signed, the signature last.

    `timestamp` and `receive_window` are the client's own, so a call that waited here too long is still
    refused by the venue. Raises ValueError for a name that is not canonical, occurs twice, or is one of the
    gateway's own (`otp` above all: it must never reach the venue).
    """
    given = list(parameters)
    folded = {name.lower() for name, _ in given}
    if (
        len(folded) != len(given)
        or not folded.isdisjoint(CONTROL_NAMES)
        or not all(map(canonical_name, [name for name, _ in given]))
    ):
        raise ValueError("A parameter to be signed has a reserved, repeated or non-canonical name.")
    if _PLAIN.fullmatch("".join([value for _, value in given])) is not None:
        pairs = [f"{name}={value}" for name, value in given]
    else:
        pairs = [f"{name}={quote(value, safe='')}" for name, value in given]
    if receive_window is not None:
        pairs.append(f"recvWindow={receive_window}")
    pairs.append(f"timestamp={timestamp}")
    text = "&".join(pairs).encode("ascii")
    return text + b"&" + _SIGNATURE + key.signed(text)


def _without_signature(part: bytes) -> tuple[bytes, bytes | None]:
    """The signed bytes of a part, and the raw signature when the part ends with one.

    A signature that is not last leaves `signature` among the parameters, or a `&` in the signature: both
    are refused by the caller.
    """
    text, found, signature = part.rpartition(b"&" + _SIGNATURE)
    if found:
        return text, signature
    if part.startswith(_SIGNATURE):
        return b"", part[len(_SIGNATURE) :]
    return part, None


def _one_seam(signed_query: bytes, first_in_body: str, names: Collection[str]) -> bool:
    # Joined with nothing, the query's last value runs into the body's first name. The boundary could stand
    # before any known name that ends there, so exactly one may.
    seam = signed_query.rpartition(b"=")[2].decode("utf-8") + first_in_body
    known = {*names, *CONTROL_NAMES.values()}
    fitting = [name for name in known if seam.endswith(name) and len(name) < len(seam)]
    return fitting == [first_in_body]


def _signed_unencoded(text: bytes, key: VerifyingKey, signature: bytes, values: dict[str, str]) -> bool:
    if b"%" not in text and b"+" not in text:
        return False
    plain = unquote_to_bytes(text.replace(b"+", b" "))
    if not key.verifies(plain, signature):
        return False
    try:
        again, _ = read_parts(plain, b"")
    except BinanceError:
        return False
    return list(again.items()) == list(values.items())


def _timed(values: dict[str, str], in_query: int, signature: bytes, now: int) -> SignedCall:
    names = list(values)
    timestamp = _milliseconds(values.pop("timestamp", ""), "timestamp")
    sent_window = values.pop("recvWindow", None)
    receive_window = None if sent_window is None else _milliseconds(sent_window, "recvWindow")
    window = DEFAULT_WINDOW_MS if receive_window is None else receive_window
    otp = values.pop("otp", None)

    # The venue's own rule (B68).
    if window > WINDOW_LIMIT_MS:
        raise WindowTooWide(f"recvWindow must be less than {WINDOW_LIMIT_MS}.")
    if timestamp >= now + FUTURE_LIMIT_MS:
        raise OutsideWindow(f"Timestamp for this request was {FUTURE_LIMIT_MS}ms ahead of the server's time.")
    if now - timestamp > window:
        raise OutsideWindow("Timestamp for this request is outside of the recvWindow.")
    return SignedCall(
        parameters=MappingProxyType(values),
        query_names=tuple([name for name in names[:in_query] if name in values]) if in_query else (),
        body_names=tuple([name for name in names[in_query:] if name in values]) if in_query else tuple(values),
        otp=otp,
        timestamp=timestamp,
        receive_window=receive_window,
        ends_at=timestamp + window,
        signature=signature,
    )


def _milliseconds(text: str, name: str) -> int:
    # `int` alone would take "5_000", " 5000", "+5000" and digits of every script.
    if not (text.isascii() and text.isdigit()) or len(text) > 16 or (text[0] == "0" and text != "0"):
        raise MissingParameter(name)
    return int(text)
