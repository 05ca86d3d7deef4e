"""The client's signature, on raw bytes: one signed text stands for one list of parameters."""

import base64
import hmac
import random
from urllib.parse import quote, quote_plus, unquote_to_bytes, urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from leverlock.gateway.binance.errors import (
    BadSignature,
    BinanceError,
    DuplicateParameter,
    EmptyParameter,
    IllegalCharacters,
    MissingParameter,
    OutsideWindow,
    UnreadParameter,
    WindowTooWide,
)
from leverlock.gateway.binance.keys import Ed25519ClientKey, Ed25519VenueKey, HmacKey
from leverlock.gateway.binance.parameters import unsigned_parameters
from leverlock.gateway.binance.signature import SignedCall, signed_bytes, verified_call

# The worked example of the venue's signing documentation (secret, payload and both signatures).
SECRET = b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
HEAD = b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC"
TAIL = b"quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
WHOLE_SIGNATURE = b"c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
SPLIT_SIGNATURE = b"0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"
TIME = 1499827319559
NAMES = frozenset({"symbol", "side", "type", "timeInForce", "quantity", "price", "newClientOrderId"})
KEY = HmacKey(SECRET)
ORDER = {
    "symbol": "LTCBTC",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "1",
    "price": "0.1",
}


def signature_of(text: bytes) -> bytes:
    """Made without the code under test."""
    return hmac.new(SECRET, text, "sha256").hexdigest().encode()


def with_signature(text: bytes) -> bytes:
    return text + b"&signature=" + signature_of(text)


def verified(query: bytes = b"", body: bytes = b"", *, now: int = TIME) -> SignedCall:
    return verified_call(query, body, KEY, now=now, names=NAMES)


@pytest.mark.bar("B67")
@pytest.mark.parametrize("part", ["query", "body"])
def test_published_vector_in_one_part(part: str) -> None:
    raw = HEAD + b"&" + TAIL + b"&signature=" + WHOLE_SIGNATURE
    call = verified(raw) if part == "query" else verified(b"", raw)
    assert dict(call.parameters) == ORDER
    assert list(call.parameters) == list(ORDER)
    assert (call.query_names if part == "query" else call.body_names) == tuple(ORDER)
    assert (call.timestamp, call.receive_window, call.ends_at) == (TIME, 5000, TIME + 5000)
    assert call.signature == bytes.fromhex(WHOLE_SIGNATURE.decode())
    assert call.otp is None


@pytest.mark.bar("B67")
def test_published_vector_split_over_query_and_body() -> None:
    call = verified(HEAD, TAIL + b"&signature=" + SPLIT_SIGNATURE)
    assert dict(call.parameters) == ORDER
    assert call.query_names == ("symbol", "side", "type", "timeInForce")
    assert call.body_names == ("quantity", "price")
    # The signature may stand at the end of either part; the signed text is the same.
    assert verified(HEAD + b"&signature=" + SPLIT_SIGNATURE, TAIL).parameters == call.parameters


@pytest.mark.bar("B67")
def test_query_and_body_are_joined_with_nothing() -> None:
    with pytest.raises(BadSignature):
        verified(HEAD, TAIL + b"&signature=" + WHOLE_SIGNATURE)


@pytest.mark.bar("B67")
def test_every_other_split_of_a_signed_text_is_refused() -> None:
    """The bytes and the signature stay, only the boundary moves: no boundary but the client's own verifies."""
    for text, own in ((HEAD + b"&" + TAIL, None), (HEAD + TAIL, len(HEAD))):
        signature = b"&signature=" + signature_of(text)
        accepted = []
        for boundary in range(len(text) + 1):
            try:
                accepted.append((boundary, verified(text[:boundary], text[boundary:] + signature).parameters))
            except BinanceError:
                continue
        if own is None:  # all in the query or all in the body is one and the same list
            assert [boundary for boundary, _ in accepted] == [0, len(text)]
        else:
            assert [boundary for boundary, _ in accepted] == [own]
        assert all(dict(parameters) == ORDER for _, parameters in accepted)


@pytest.mark.bar("B67")
def test_a_seam_that_two_names_fit_is_refused() -> None:
    """`xside` | `side=BUY` and `x` | `sideside=BUY`: with both names known, neither reading is taken."""
    query, body = b"timestamp=1499827319559&newClientOrderId=xside", b"side=BUY"
    signature = b"&signature=" + signature_of(query + body)
    names = {"newClientOrderId", "side"}
    assert verified_call(query, body + signature, KEY, now=TIME, names=names).parameters["side"] == "BUY"
    with pytest.raises(BadSignature):
        verified_call(query, body + signature, KEY, now=TIME, names={*names, "sideside"})
    with pytest.raises(BadSignature):  # no names known: nothing to tell the parts apart by
        verified_call(query, body + signature, KEY, now=TIME)


@pytest.mark.bar("B66")
@pytest.mark.parametrize(
    ("query", "body"),
    [
        (b"leverage=20&leverage=125&timestamp=1499827319559", b""),
        (b"", b"leverage=20&leverage=125&timestamp=1499827319559"),
        (b"leverage=20", b"leverage=125&timestamp=1499827319559"),
        (b"otp=123456&otp=123456&timestamp=1499827319559", b""),
        (b"timestamp=1499827319559&timestamp=1499827319559", b""),
        (b"leverage=20&leverAge=125&timestamp=1499827319559", b""),
    ],
)
def test_a_name_that_occurs_twice_is_refused(query: bytes, body: bytes) -> None:
    signature = b"&signature=" + signature_of(query + body)
    signed = (query, body + signature) if body else (query + signature, body)
    with pytest.raises(DuplicateParameter):
        verified_call(*signed, KEY, now=TIME, names={"leverage"})


@pytest.mark.bar("B66")
@pytest.mark.parametrize(
    ("query", "body"),
    [
        (with_signature(b"timestamp=1&a=2"), with_signature(b"timestamp=1&a=2")),
        (with_signature(b"a=2&timestamp=1") + b"&signature=" + b"0" * 64, b""),
        (b"signature=" + b"0" * 64 + b"&a=2&timestamp=1", b""),
        (with_signature(b"a=2&timestamp=1") + b"&b=3", b""),
        (b"a=2&timestamp=1", b""),
        (b"", b""),
    ],
)
def test_the_signature_stands_once_and_last(query: bytes, body: bytes) -> None:
    with pytest.raises((MissingParameter, BadSignature, UnreadParameter)):
        verified_call(query, body, KEY, now=1)


@pytest.mark.bar("B65")
@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        (b"Leverage=125", UnreadParameter),
        (b"LEVERAGE=125", UnreadParameter),
        (b"%6Ceverage=125", UnreadParameter),
        (b"lever+age=125", UnreadParameter),
        (b"lev%00erage=125", UnreadParameter),
        ("lévérage=125".encode(), UnreadParameter),
        (b"=125", UnreadParameter),
        (b"0leverage=125", UnreadParameter),
        (b"leverage[]=125", UnreadParameter),
        (b"a" * 41 + b"=125", UnreadParameter),
        (b"recvwindow=60000", UnreadParameter),
        (b"OTP=123456", UnreadParameter),
        (b"oTP=123456", UnreadParameter),
        (b"timeStamp=1", DuplicateParameter),  # beside the real one
        (b'{"leverage":125}', IllegalCharacters),
        (b"leverage", IllegalCharacters),
        (b"&leverage=125", IllegalCharacters),
        (b"leverage=125&", IllegalCharacters),
        (b"leverage=20&&symbol=X", IllegalCharacters),
        (b"leverage=20=125", IllegalCharacters),
        (b"leverage=%", IllegalCharacters),
        (b"leverage=%1", IllegalCharacters),
        (b"leverage=%zz", IllegalCharacters),
        (b"leverage=%+1", IllegalCharacters),
        (b"leverage=%u0031", IllegalCharacters),
        (b"leverage=1\n2", IllegalCharacters),
        (b"leverage=1%0a2", IllegalCharacters),
        (b"leverage=1%00", IllegalCharacters),
        (b"leverage=12%7f", IllegalCharacters),
        (b"leverage=1%E2%80%8B2", IllegalCharacters),  # zero width
        (b"leverage=1%E2%80%AE2", IllegalCharacters),  # right-to-left override
        (b"leverage=%ff", IllegalCharacters),
        (b"leverage=%C0%AF", IllegalCharacters),  # overlong
        (b"leverage=%ED%A0%80", IllegalCharacters),  # surrogate
        (b"leverage=\xff", IllegalCharacters),
        (b"leverage=", EmptyParameter),
        (b"otp=", EmptyParameter),
        (b"&".join(b"a%d=1" % i for i in range(65)), DuplicateParameter),
    ],
)
def test_parameters_not_in_canonical_form_are_refused(text: bytes, refusal: type[BinanceError]) -> None:
    for place in ("query", "body"):
        signed = with_signature(text + b"&timestamp=1499827319559")
        with pytest.raises(refusal) as refused:
            verified(signed) if place == "query" else verified(b"", signed)
        assert refused.value.code < 0
        assert refused.value.status == 400
        assert "125" not in refused.value.message


def test_values_are_decoded_as_the_venue_decodes_them() -> None:
    text = "symbol=%E8%BF%99%E6%98%AF%E6%B5%8B%E8%AF%95%E5%B8%81456&name=my+wallet%2B1&tag=a%26b%3dc"
    call = verified(with_signature(text.encode() + b"&timestamp=1499827319559"))
    assert dict(call.parameters) == {"symbol": "这是测试币456", "name": "my wallet+1", "tag": "a&b=c"}


def test_a_literal_batch_as_one_client_sends_it() -> None:
    batch = '[{"symbol":"这是测试币456","side":"BUY","quantity":"0.1"}]'
    text = f"timestamp={TIME}&batchOrders={batch}&otp=123456&recvWindow=10000".encode()
    call = verified(b"", with_signature(text))
    assert dict(call.parameters) == {"batchOrders": batch}
    assert (call.otp, call.receive_window) == ("123456", 10000)


def test_a_text_signed_before_it_was_encoded_verifies() -> None:
    """One client signs the plain text and lets its HTTP library form-encode the wire."""
    plain = f"name=my wallet&symbol=这是测试币456&timestamp={TIME}"
    wire = urlencode({"name": "my wallet", "symbol": "这是测试币456", "timestamp": str(TIME)}).encode()
    call = verified(b"", wire + b"&signature=" + signature_of(plain.encode()))
    assert dict(call.parameters) == {"name": "my wallet", "symbol": "这是测试币456"}


@pytest.mark.bar("B67")
@pytest.mark.parametrize("hidden", ["a&quantity=9", "a=b", "my wallet+1", "100%25", "a&b"])
def test_a_plain_text_that_reads_differently_than_its_encoding_is_refused(hidden: str) -> None:
    plain = f"name={hidden}&timestamp={TIME}"
    wire = f"name={quote_plus(hidden)}&timestamp={TIME}".encode()
    with pytest.raises(BadSignature):
        verified(b"", wire + b"&signature=" + signature_of(plain.encode()))


VALUES = st.text(st.sampled_from(list('aZ019.-_&=%+ /[]{}",:@#?;é币😀')), min_size=1, max_size=8)
LISTS = st.dictionaries(st.sampled_from(sorted(NAMES)), VALUES, min_size=1, max_size=5).map(
    lambda pairs: [*pairs.items(), ("timestamp", str(TIME))]
)


def re_encodings(text: bytes, rng: random.Random, count: int) -> list[tuple[bytes, bytes]]:
    """What somebody without the key can make of a signed text: characters escaped in either case, escapes
    undone, blanks as `+`, and the boundary between query and body anywhere."""
    wires = [(text, b""), (b"", text)]
    for _ in range(count):
        source = unquote_to_bytes(text.replace(b"+", b" ")) if rng.random() < 0.5 else text
        rate = rng.choice([0.0, 0.1, 0.5])
        wire = b"".join(
            bytes([byte]) if (byte in b"=&" and rng.random() < 0.8) or rng.random() >= rate
            else (b"%%%02X" if rng.random() < 0.5 else b"%%%02x") % byte
            for byte in source
        )  # fmt: skip
        if rng.random() < 0.3:
            wire = wire.replace(b" ", b"+")
        cut = rng.choice([0, 0, len(wire), rng.randrange(len(wire) + 1)])
        wires.append((wire[:cut], wire[cut:]))
    return wires


@pytest.mark.bar("B65")
@pytest.mark.bar("B67")
@settings(max_examples=300, deadline=None)
@given(LISTS, st.booleans(), st.integers(0, 2**32))
def test_no_re_encoding_verifies_as_another_list(pairs: list[tuple[str, str]], encoded: bool, seed: int) -> None:
    text = "&".join(f"{name}={quote(value, safe='') if encoded else value}" for name, value in pairs).encode()
    signature = b"&signature=" + signature_of(text)
    readings = set()
    for query, body in re_encodings(text, random.Random(seed), 20):
        try:
            readings.add(tuple(verified(query, body + signature).parameters.items()))
        except BinanceError:
            continue
    assert len(readings) <= 1
    if encoded:
        assert readings == {tuple(pairs[:-1])}


@pytest.mark.bar("B65")
@pytest.mark.bar("B67")
@settings(max_examples=500, deadline=None)
@given(LISTS, LISTS)
def test_escaped_separators_never_split_or_merge(first: list[tuple[str, str]], second: list[tuple[str, str]]) -> None:
    """A list is folded into one value with `%26` and `%3D`, or such a value unfolded: the signature fails."""
    names = [name for name, _ in first]
    extra = [(name, value) for name, value in second if name not in names and name != "timestamp"]
    assume(extra)
    unfolded = "&".join(f"{name}={quote(value, safe='')}" for name, value in [*extra, *first])
    folded = "&".join(f"{name}={quote(value, safe='')}" for name, value in extra)
    folded = f"{folded}%26" + "&".join(f"{name}={quote(value, safe='')}" for name, value in first).replace(
        "=", "%3D", 1
    )
    for signed, sent in ((unfolded, folded), (folded, unfolded)):
        with pytest.raises(BinanceError):
            verified(b"", sent.encode() + b"&signature=" + signature_of(signed.encode()))


@pytest.mark.bar("B68")
@pytest.mark.parametrize(
    ("age", "window", "refusal"),
    [
        (-999, None, None),
        (-1000, None, OutsideWindow),
        (-1001, None, OutsideWindow),
        (0, 0, None),
        (1, 0, OutsideWindow),
        (-1, 0, None),
        (5000, 5000, None),
        (5001, 5000, OutsideWindow),
        (5000, None, None),
        (5001, None, OutsideWindow),
        (60000, 60000, None),
        (60001, 60000, OutsideWindow),
        (0, 60001, WindowTooWide),
        (0, 999_999_999_999, WindowTooWide),
    ],
)
def test_the_window_at_its_edges(age: int, window: int | None, refusal: type[BinanceError] | None) -> None:
    now = 1_700_000_000_000
    text = f"symbol=X&timestamp={now - age}" + (f"&recvWindow={window}" if window is not None else "")
    if refusal is None:
        call = verified(with_signature(text.encode()), now=now)
        assert call.ends_at == now - age + (5000 if window is None else window)
        assert call.receive_window == window
    else:
        with pytest.raises(refusal):
            verified(with_signature(text.encode()), now=now)


@pytest.mark.bar("B68")
@pytest.mark.parametrize("name", ["timestamp", "recvWindow"])
@pytest.mark.parametrize(
    "number",
    ["-1", "%2B5000", "5000.0", "5_000", "+5000", "5000+", "0x1388", "05000", "5e3", "NaN", "null", "9" * 17]
    + [quote(digits) for digits in ("５０００", "٥٠٠٠", "५०००", "²")],
)
def test_times_are_plain_ascii_digits(name: str, number: str) -> None:
    text = f"symbol=X&{name}={number}" + ("&timestamp=5000" if name == "recvWindow" else "")
    with pytest.raises(MissingParameter) as refused:
        verified(with_signature(text.encode()), now=5000)
    assert refused.value.code == -1102
    assert name in refused.value.message


def test_a_missing_timestamp_is_named() -> None:
    with pytest.raises(MissingParameter, match="timestamp"):
        verified(with_signature(b"symbol=X"))


@pytest.mark.bar("B73")
def test_no_damaged_hmac_signature_verifies() -> None:
    rng = random.Random(73)
    text = HEAD + b"&" + TAIL
    for _ in range(1000):
        damaged = bytearray(WHOLE_SIGNATURE)
        if rng.random() < 0.8:
            damaged[rng.randrange(64)] ^= 1 << rng.randrange(8)
        else:
            damaged = damaged[: rng.randrange(64)]
        with pytest.raises(BinanceError):
            verified(text + b"&signature=" + bytes(damaged))
    for other in (WHOLE_SIGNATURE.upper(), WHOLE_SIGNATURE + b"0", b" " + WHOLE_SIGNATURE[1:], b""):
        with pytest.raises(BadSignature):
            verified(text + b"&signature=" + other)


PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CLIENT_KEY = Ed25519ClientKey(PRIVATE.public_key())


def test_ed25519_signatures_verify_encoded_and_literal() -> None:
    text = HEAD + b"&" + TAIL
    signature = base64.b64encode(PRIVATE.sign(text)).decode()
    for wire in (signature, quote(signature, safe=""), quote(signature), quote_plus(signature)):
        call = verified_call(text + b"&signature=" + wire.encode(), b"", CLIENT_KEY, now=TIME)
        assert dict(call.parameters) == ORDER
        assert call.signature == PRIVATE.sign(text)
    with pytest.raises(BadSignature):
        verified_call(text + b"0&signature=" + quote_plus(signature).encode(), b"", CLIENT_KEY, now=TIME)


@pytest.mark.bar("B73")
def test_no_damaged_ed25519_signature_verifies() -> None:
    rng = random.Random(73)
    text = HEAD + b"&" + TAIL
    signature = base64.b64encode(PRIVATE.sign(text))
    for _ in range(1000):
        damaged = bytearray(signature)
        if rng.random() < 0.8:
            damaged[rng.randrange(88)] ^= 1 << rng.randrange(8)
        else:
            damaged = damaged[: rng.randrange(88)]
        with pytest.raises(BinanceError):
            verified_call(text + b"&signature=" + bytes(damaged), b"", CLIENT_KEY, now=TIME)
    # Another base64 spelling of the same 64 bytes would be a second key in the replay cache.
    last = signature[85:86]
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twin = signature[:85] + alphabet[alphabet.index(last) + 1 :][:1] + b"=="
    assert base64.b64decode(twin) == PRIVATE.sign(text)
    with pytest.raises(BadSignature):
        verified_call(text + b"&signature=" + twin, b"", CLIENT_KEY, now=TIME)


def test_our_own_signature_gives_the_published_vector() -> None:
    order = [*ORDER.items()]
    sent = signed_bytes(order, timestamp=TIME, receive_window=5000, key=KEY)
    assert sent == HEAD + b"&" + TAIL + b"&signature=" + WHOLE_SIGNATURE
    without = signed_bytes(order, timestamp=TIME, receive_window=None, key=KEY)
    assert b"recvWindow" not in without


@pytest.mark.bar("B65")
@settings(max_examples=300, deadline=None)
@given(LISTS, st.sampled_from([None, 0, 5000, 60000]), st.booleans())
def test_what_is_signed_reads_back_as_what_was_judged(
    pairs: list[tuple[str, str]], window: int | None, ed25519: bool
) -> None:
    parameters = [(name, value) for name, value in pairs if name != "timestamp"]
    maker = Ed25519VenueKey(PRIVATE) if ed25519 else KEY
    reader = CLIENT_KEY if ed25519 else KEY
    sent = signed_bytes(parameters, timestamp=TIME, receive_window=window, key=maker)
    text, _, _ = sent.partition(b"&signature=")
    assert set(text) <= set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%&=")
    call = verified_call(b"", sent, reader, now=TIME)
    assert list(call.parameters.items()) == parameters
    assert (call.timestamp, call.receive_window) == (TIME, window)


@pytest.mark.parametrize("name", ["otp", "OTP", "signature", "timestamp", "recvwindow", "Symbol", "a&b", "", "a b"])
def test_nothing_reserved_or_odd_is_ever_signed(name: str) -> None:
    with pytest.raises(ValueError):
        signed_bytes([(name, "1")], timestamp=1, receive_window=None, key=KEY)
    with pytest.raises(ValueError):
        signed_bytes([("side", "1"), ("siDe", "2")], timestamp=1, receive_window=None, key=KEY)


def test_a_call_cannot_be_changed_after_it_was_judged() -> None:
    call = verified(HEAD + b"&" + TAIL + b"&signature=" + WHOLE_SIGNATURE)
    with pytest.raises(AttributeError):
        call.otp = "123456"  # type: ignore[misc]
    with pytest.raises(TypeError):
        call.parameters["side"] = "SELL"  # type: ignore[index]


def test_unsigned_calls_are_read_by_the_same_rules() -> None:
    assert dict(unsigned_parameters(b"symbol=BTCUSDT&limit=5", b"")) == {"symbol": "BTCUSDT", "limit": "5"}
    assert dict(unsigned_parameters(b"", b"")) == {}
    with pytest.raises(DuplicateParameter):
        unsigned_parameters(b"symbol=A", b"symbol=B")
    with pytest.raises(UnreadParameter):
        unsigned_parameters(b"symbol=A&signature=00", b"")


def test_keys_keep_their_secret_out_of_their_text() -> None:
    assert "Nhq" not in repr(KEY)
    assert repr(Ed25519VenueKey(PRIVATE)) == "Ed25519VenueKey(...)"
    with pytest.raises(ValueError):
        HmacKey(b"")
