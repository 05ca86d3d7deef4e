"""HTTP framing on raw sockets: one strict form; anything else is 400, the end, and never a request."""

import json
import logging
import socket
import time
from collections.abc import Iterator

import pytest

from gateway.recording_server import Recording, exchange, recording_server
from leverlock.gateway.http_protocol import StrictHttpProtocol

HOST = b"Host: gw.example\r\n"
SMUGGLED = b"POST /smuggled HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def server(request: pytest.FixtureRequest) -> Iterator[Recording]:
    with recording_server(loop=request.param) as recording:
        yield recording


@pytest.fixture
def recorded(server: Recording) -> Recording:
    server.begun.clear()
    server.whole.clear()
    return server


def post(headers: bytes, body: bytes = b"", line: bytes = b"POST /order HTTP/1.1") -> bytes:
    return line + b"\r\n" + headers + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


TE = b"Transfer-Encoding: chunked\r\n"
CL5 = b"Content-Length: 5\r\n"
BAD_MESSAGES: dict[str, bytes] = {
    # Two ways to tell where the body ends.
    "CL and TE": post(HOST + CL5 + TE, b"0\r\n\r\n" + SMUGGLED),
    "TE and CL": post(HOST + TE + CL5, b"0\r\n\r\n" + SMUGGLED),
    "CL and TE, hidden by case": post(HOST + CL5 + b"tRANSFER-eNCODING: chunked\r\n", b"0\r\n\r\n" + SMUGGLED),
    "CL and TE identity": post(HOST + CL5 + b"Transfer-Encoding: identity\r\n", b"hello"),
    "CL and TE empty": post(HOST + CL5 + b"Transfer-Encoding:\r\n", b"hello"),
    "TE alone": post(HOST + TE, chunked(b"hello")),
    "TE gzip, chunked": post(HOST + b"Transfer-Encoding: gzip, chunked\r\n", chunked(b"hello")),
    "TE chunked, identity": post(HOST + b"Transfer-Encoding: chunked, identity\r\n", chunked(b"hello")),
    "TE xchunked": post(HOST + b"Transfer-Encoding: xchunked\r\n", chunked(b"hello")),
    "TE twice": post(HOST + TE + b"Transfer-Encoding: identity\r\n", chunked(b"hello")),
    "TE with vertical tab": post(HOST + b"Transfer-Encoding: \x0bchunked\r\n", chunked(b"hello")),
    "TE with blank before colon": post(HOST + b"Transfer-Encoding : chunked\r\n", chunked(b"hello")),
    "TE on a folded line": post(HOST + CL5 + b"X: y\r\n Transfer-Encoding: chunked\r\n", b"hello"),
    "trailer announced": post(HOST + CL5 + b"Trailer: Host\r\n", b"hello"),
    "two equal CL": post(HOST + CL5 + CL5, b"hello"),
    "two different CL": post(HOST + CL5 + b"Content-Length: 6\r\n", b"hello!"),
    "CL list": post(HOST + b"Content-Length: 5, 5\r\n", b"hello"),
    "CL with sign": post(HOST + b"Content-Length: +5\r\n", b"hello"),
    "CL negative": post(HOST + b"Content-Length: -5\r\n", b"hello"),
    "CL hex": post(HOST + b"Content-Length: 0x5\r\n", b"hello"),
    "CL with underscore": post(HOST + b"Content-Length: 1_0\r\n", b"hellohello"),
    "CL with leading zero": post(HOST + b"Content-Length: 05\r\n", b"hello"),
    "CL decimal": post(HOST + b"Content-Length: 5.0\r\n", b"hello"),
    "CL empty": post(HOST + b"Content-Length:\r\n", b"hello"),
    "CL not ASCII digits": post(HOST + "Content-Length: ５\r\n".encode(), b"hello"),
    "CL beyond 64 bits": post(HOST + b"Content-Length: 18446744073709551621\r\n", b"hello"),
    "CL with blank inside": post(HOST + b"Content-Length: 5 5\r\n", b"hello"),
    "CL with blank before colon": post(HOST + b"Content-Length : 5\r\n", b"hello"),
    # Line ends and control characters.
    "bare LF after the request line": b"POST /order HTTP/1.1\n" + HOST + b"\r\n",
    "bare LF after a header": post(b"Host: gw.example\nContent-Length: 0\r\n"),
    "bare LF at the end": b"POST /order HTTP/1.1\r\nHost: gw.example\r\n\n",
    "only LF": b"POST /order HTTP/1.1\nHost: gw.example\n\n",
    "bare CR in a value": post(HOST + b"X: a\rContent-Length: 5\r\n"),
    "bare CR as line end": b"POST /order HTTP/1.1\rHost: gw.example\r\r\n\r\n",
    "NUL in a value": post(HOST + b"X: a\x00b\r\n"),
    "NUL in a name": post(HOST + b"X\x00: a\r\n"),
    "escape character in a value": post(HOST + b"X: a\x1bb\r\n"),
    "DEL in a value": post(HOST + b"X: a\x7fb\r\n"),
    "not ASCII in a value": post(HOST + b"X: \xff\r\n"),
    "folded header, blank": post(HOST + b"X: a\r\n b\r\n"),
    "folded header, tab": post(HOST + b"X: a\r\n\tb\r\n"),
    "folded Host": post(b"Host:\r\n gw.example\r\n"),
    "first header indented": b"POST /order HTTP/1.1\r\n Host: gw.example\r\n\r\n",
    "empty line first": b"\r\n" + post(HOST),
    # Names and Host.
    "empty header name": post(HOST + b": a\r\n"),
    "header without colon": post(HOST + b"X\r\n"),
    "blank in a name": post(HOST + b"X Y: a\r\n"),
    "bracket in a name": post(HOST + b"X[]: a\r\n"),
    "no Host": post(b"X: a\r\n"),
    "no headers at all": b"POST /order HTTP/1.1\r\n\r\n",
    "two Hosts": post(HOST + HOST),
    "two different Hosts": post(HOST + b"host: other.example\r\n"),
    "Host empty": post(b"Host:\r\n"),
    "Host with a path": post(b"Host: gw.example/x\r\n"),
    "Host with a user": post(b"Host: a@gw.example\r\n"),
    "Host list": post(b"Host: gw.example, other\r\n"),
    "two API keys": post(HOST + b"X-MBX-APIKEY: a\r\nx-mbx-apikey: b\r\n"),
    "two Authorization": post(HOST + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"),
    # The request line.
    "absolute form": post(HOST, line=b"POST http://gw.example/order HTTP/1.1"),
    "absolute form, other host": post(HOST, line=b"POST https://venue.example/order HTTP/1.1"),
    "authority form": post(HOST, line=b"CONNECT venue.example:443 HTTP/1.1"),
    "asterisk form": post(HOST, line=b"OPTIONS * HTTP/1.1"),
    "fragment": post(HOST, line=b"POST /order#frag HTTP/1.1"),
    "blank in the target": post(HOST, line=b"POST /order x HTTP/1.1"),
    "two blanks": post(HOST, line=b"POST  /order HTTP/1.1"),
    "tab between": post(HOST, line=b"POST\t/order HTTP/1.1"),
    "not ASCII in the target": post(HOST, line="POST /ördér HTTP/1.1".encode()),
    "control character in the target": post(HOST, line=b"POST /or\x01der HTTP/1.1"),
    "no version": post(HOST, line=b"POST /order"),
    "HTTP/0.9": b"GET /order\r\n\r\n",
    "HTTP/1.0": post(HOST, line=b"POST /order HTTP/1.0"),
    "HTTP/1.2": post(HOST, line=b"POST /order HTTP/1.2"),
    "HTTP/2.0": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "lower-case method": post(HOST, line=b"post /order HTTP/1.1"),
    "unknown method": post(HOST, line=b"TRACE /order HTTP/1.1"),
    "blank before the method": post(HOST, line=b" POST /order HTTP/1.1"),
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    # Leaving HTTP.
    "websocket": post(HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
    "h2c with a body": post(HOST + CL5 + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n", b"hello"),
    "upgrade without connection": post(HOST + b"Upgrade: websocket\r\n"),
    "unknown expectation": post(HOST + CL5 + b"Expect: 200-ok\r\n", b"hello"),
    # Too large.
    "head too large": post(HOST + b"X: " + b"a" * 16 * 1024 + b"\r\n"),
    "head too large, many headers": post(HOST + b"X: a\r\n" * 4000),
    "head without end": b"POST /order HTTP/1.1\r\nX: " + b"a" * 100_000,
    "target too large": post(HOST, line=b"POST /" + b"a" * 17_000 + b" HTTP/1.1"),
    "body too large": post(HOST + b"Content-Length: 65537\r\n", b"a" * 65537),
}


@pytest.mark.bar("B72")
@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_a_message_in_any_other_form_is_400_and_close(recorded: Recording, name: str) -> None:
    message = BAD_MESSAGES[name]
    answer = exchange(recorded.address, message + SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1") == 1
    assert recorded.begun == []


@pytest.mark.bar("B72")
@pytest.mark.parametrize("name", [name for name, message in BAD_MESSAGES.items() if len(message) < 400])
def test_the_same_in_small_pieces(recorded: Recording, name: str) -> None:
    """Where a segment ends must not matter."""
    message = BAD_MESSAGES[name]
    answer = exchange(recorded.address, *[message[start : start + 7] for start in range(0, len(message), 7)])
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.count(b"HTTP/1.1") == 1
    assert recorded.begun == []


@pytest.mark.bar("B72")
@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_a_bad_message_on_a_kept_connection(recorded: Recording, name: str) -> None:
    """After a good request was answered, a bad one gets its own 400, and nothing of it is a request."""
    with socket.create_connection(recorded.address, timeout=5) as connection:
        connection.sendall(post(HOST + CL5, b"hello"))
        first = read_answer(connection)
        assert first.startswith(b"HTTP/1.1 200")
        connection.sendall(BAD_MESSAGES[name] + SMUGGLED)
        rest = b""
        while chunk := connection.recv(65536):
            rest += chunk
    assert rest.startswith(b"HTTP/1.1 400")
    assert rest.count(b"HTTP/1.1") == 1
    assert [target for _, target, _ in recorded.whole] == [b"/order?"]


def read_answer(connection: socket.socket) -> bytes:
    """One answer with a Content-Length."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        chunk = connection.recv(65536)
        assert chunk, answer
        answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


GOOD_MESSAGES: dict[str, tuple[bytes, tuple[str, bytes, bytes]]] = {
    "plain POST": (post(HOST + CL5, b"hello"), ("POST", b"/order?", b"hello")),
    "no body": (post(HOST, line=b"DELETE /order?x=1 HTTP/1.1"), ("DELETE", b"/order?x=1", b"")),
    "length zero": (post(HOST + b"Content-Length: 0\r\n"), ("POST", b"/order?", b"")),
    "GET with a body": (post(HOST + CL5, b"hello", b"GET /o HTTP/1.1"), ("GET", b"/o?", b"hello")),
    "blanks round values": (post(b"Host:gw.example:80 \t\r\nContent-Length:  5 \r\n", b"hello"),
        ("POST", b"/order?", b"hello")),
    "IPv6 host": (post(b"Host: [::1]:8080\r\n"), ("POST", b"/order?", b"")),
    "host with underscore": (post(b"Host: my_gateway:1\r\n"), ("POST", b"/order?", b"")),
    "a body that looks like a request": (
        post(HOST + b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED), ("POST", b"/order?", SMUGGLED)),
    "largest body": (post(HOST + b"Content-Length: 65536\r\n", b"a" * 65536), ("POST", b"/order?", b"a" * 65536)),
    "largest head": (post(HOST + b"X: " + b"a" * (16384 - 47) + b"\r\n"), ("POST", b"/order?", b"")),
    "odd target": (post(HOST, line=b"GET /o?a=[{\"x\":1}]|^`<>%zz&b?? HTTP/1.1"),
        ("GET", b"/o?a=[{\"x\":1}]|^`<>%zz&b??", b"")),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD_MESSAGES)
@pytest.mark.parametrize("size", [100_000, 1000, 9])
def test_a_plain_message_arrives_as_it_was_sent(recorded: Recording, name: str, size: int) -> None:
    message, expected = GOOD_MESSAGES[name]
    if size == 9 and len(message) > 5000:
        size = 500
    with socket.create_connection(recorded.address, timeout=5) as connection:
        for _ in range(2):  # twice: the connection is kept
            for start in range(0, len(message), size):
                connection.sendall(message[start : start + size])
            assert read_answer(connection).startswith(b"HTTP/1.1 200")
    assert recorded.whole == [expected, expected]


def test_the_largest_head_is_exactly_the_limit() -> None:
    message, _ = GOOD_MESSAGES["largest head"]
    assert len(message) == StrictHttpProtocol.head_limit


@pytest.mark.bar("B72")
@pytest.mark.parametrize("extra", [SMUGGLED, b"\r\n", b"x", post(HOST), b"0\r\n\r\n" + SMUGGLED])
@pytest.mark.parametrize("body", [b"hello", b""])
@pytest.mark.parametrize("later", [False, True])
def test_bytes_after_a_request_are_never_another_request(
    recorded: Recording, extra: bytes, body: bytes, later: bool
) -> None:
    """In the same segment, or in a later one that arrives before the answer."""
    message = post(HOST + b"Content-Length: %d\r\n" % len(body), body, b"POST /slow HTTP/1.1")
    recorded.gate.clear()
    with socket.create_connection(recorded.address, timeout=5) as connection:
        connection.sendall(message if later else message + extra)
        while not recorded.begun:
            time.sleep(0.001)
        if later:
            connection.sendall(extra)
            # A second connection is served only after the loop has read what came before it.
            exchange(recorded.address, post(HOST + b"Connection: close\r\n"))
            recorded.whole.clear()
        recorded.gate.set()
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"HTTP/1.1") == 1
    assert recorded.whole == [("POST", b"/slow?", body)]


def test_an_answer_ahead_of_the_body_does_not_move_the_frame(recorded: Recording) -> None:
    """The application answered early; the body that follows is still a body, not the next request."""
    with socket.create_connection(recorded.address, timeout=5) as connection:
        connection.sendall(post(HOST + b"Content-Length: %d\r\n" % len(SMUGGLED), line=b"POST /early HTTP/1.1"))
        assert read_answer(connection).endswith(b"early")
        connection.sendall(SMUGGLED)
        connection.sendall(post(HOST + CL5, b"hello"))
        assert read_answer(connection).startswith(b"HTTP/1.1 200")
    assert [scope["path"] for scope in recorded.begun] == ["/early", "/order"]


def test_a_client_that_expects_is_told_to_continue(recorded: Recording) -> None:
    with socket.create_connection(recorded.address, timeout=5) as connection:
        connection.sendall(post(HOST + CL5 + b"Expect: 100-continue\r\n"))
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hello")
        assert read_answer(connection).startswith(b"HTTP/1.1 200")
    assert recorded.whole == [("POST", b"/order?", b"hello")]


class Impatient(StrictHttpProtocol):
    head_seconds = 0.3
    body_seconds = 0.3
    linger_seconds = 0.2


@pytest.fixture(scope="module")
def impatient_server() -> Iterator[Recording]:
    with recording_server(Impatient) as recording:
        yield recording


@pytest.fixture
def impatient(impatient_server: Recording) -> Recording:
    impatient_server.begun.clear()
    impatient_server.whole.clear()
    return impatient_server


@pytest.mark.bar("B72")
@pytest.mark.parametrize(
    ("start", "status"),
    [
        (b"", b""),
        (b"P", b"HTTP/1.1 408"),
        (b"POST /order HTTP/1.1\r\nHost: gw", b"HTTP/1.1 408"),
        (post(HOST + CL5, b"hel"), b"HTTP/1.1 408"),
        (post(HOST + CL5), b"HTTP/1.1 408"),
        (post(HOST + CL5, line=b"POST /early HTTP/1.1"), b"HTTP/1.1 200"),
    ],
)
def test_a_message_that_does_not_arrive_ends_the_connection(impatient: Recording, start: bytes, status: bytes) -> None:
    answer = exchange(impatient.address, start)
    assert answer[: len(status)] == status
    assert answer.count(b"HTTP/1.1") == (1 if status else 0)
    assert impatient.whole == []


@pytest.mark.bar("B72")
@pytest.mark.parametrize("kept", [False, True])
def test_a_trickle_does_not_extend_the_time(impatient: Recording, kept: bool) -> None:
    """One byte now and then resets nothing: the whole head has one deadline, also on a kept connection."""
    with socket.create_connection(impatient.address, timeout=0.05) as connection:
        if kept:
            connection.sendall(post(HOST))
            connection.settimeout(5)
            read_answer(connection)
            connection.settimeout(0.05)
        answer = b""
        for byte in b"POST /order HTTP/1.1\r\nHost: gw.example\r\n" + b"X: y\r\n" * 200:
            try:
                connection.sendall(bytes([byte]))
                answer = connection.recv(1000)
            except TimeoutError:
                continue
            except ConnectionError:
                pass
            break
    assert answer.startswith(b"HTTP/1.1 408")
    assert len(impatient.whole) == kept


def test_an_oversize_message_reads_its_answer_before_the_reset(recorded: Recording) -> None:
    """Refused bytes are read and dropped for a while, so that the 400 is not lost with the connection."""
    for _ in range(20):
        answer = exchange(recorded.address, BAD_MESSAGES["head without end"], b"a" * 200_000)
        assert answer.startswith(b"HTTP/1.1 400")


ADDRESSES = [
    "a", "", " ", ",", "127.0.0.1", "127.0.0.1:80", "1.2.3.4, 127.0.0.1", "1.2.3.4,", ",1.2.3.4", "::1", "[::1]",
    "[::1]:80", "::ffff:127.0.0.1", "0x7f000001", "2130706433", "017700000001", "127.1", "0", "localhost",
    "999.999.999.999", "1.2.3", "1.2.3.4.5", "1.2.3.4/24", "unknown", "_hidden", '"1.2.3.4"', "'1.2.3.4'", "null",
    "None", "-1", "1.2.3.4;proto=https", "for=1.2.3.4", 'for="[::1]:80";proto=https', "by=1.2.3.4", "%31.2.3.4",
    "1.2.3.4\t5", "10.0.0.1 # x", "http://1.2.3.4", "a" * 4000, "; DROP TABLE", "../../etc/passwd",
]  # fmt: skip
CLAIMS = [
    "X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Host", "X-Forwarded-User", "X_Forwarded_For", "Forwarded",
    "X-User", "X-User-Id", "X-USERNAME", "X-Remote-User", "X-Real-IP", "X-Client-IP", "True-Client-IP", "Client-IP",
    "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL", "X_User",
    "CF-Connecting-IP", "Remote_User", "X-Original-Method", "Proxy-Authorization", "Proxy",
]  # fmt: skip


@pytest.mark.bar("B71")
@pytest.mark.parametrize("address", ADDRESSES, ids=range(len(ADDRESSES)))
def test_what_a_client_claims_about_itself_is_not_seen(recorded: Recording, address: str) -> None:
    claims = "".join(f"{name}: {address}\r\n" for name in (CLAIMS if len(address) < 500 else CLAIMS[:2]))
    answer = exchange(recorded.address, post(HOST + b"X-MBX-APIKEY: k\r\nConnection: close\r\n" + claims.encode()))
    seen = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (seen["client"], seen["scheme"], seen["method"]) == ("127.0.0.1", "http", "POST")
    assert [name for name, _ in seen["headers"]] == ["host", "x-mbx-apikey", "connection"]


@pytest.mark.bar("B71")
@pytest.mark.parametrize("address", ["\x00", "1.2.3.4\x0b", "\xff", "1.2.3.4\n", "\x7f"])
def test_a_claim_that_is_no_header_at_all_denies(recorded: Recording, address: str) -> None:
    message = post(HOST + b"X-Forwarded-For: " + address.encode("latin-1") + b"\r\n")
    assert exchange(recorded.address, message).startswith(b"HTTP/1.1 400")
    assert recorded.begun == []


def test_the_access_log_holds_no_query(recorded: Recording) -> None:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    loggers = [logging.getLogger("uvicorn.access"), logging.getLogger("uvicorn.error")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        exchange(recorded.address, post(HOST + b"Connection: close\r\n", line=b"GET /o?otp=287082 HTTP/1.1"))
        exchange(recorded.address, post(HOST + HOST, line=b"GET /o?otp=287082 HTTP/1.1"))
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
    assert any("Refused a connection" in line for line in lines)
    assert not [line for line in lines if "287082" in line]
