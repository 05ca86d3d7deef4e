"""Who receives messages in these tests: a mail server and an HTTP server on loopback, which keep all they get."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from aiohttp import web
from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

WAIT_SECONDS = 15.0


async def until(condition: Callable[[], bool], *, seconds: float = WAIT_SECONDS) -> float:
    """Wait for a condition; how long it took. Fails when the deadline passes."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not within {seconds} s")
        await asyncio.sleep(0.01)
    return time.monotonic() - began


@dataclass(frozen=True)
class Call:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class HttpReceiver:
    """An HTTP server. `answers` maps a path to what it says; every other path says 204."""

    answers: dict[str, int | Answer] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    port: int = 0
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> HttpReceiver:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._receive)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path: str = "/hook") -> list[Call]:
        return [call for call in self.calls if call.path == path]

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.calls.append(Call(request.path, headers, await request.read()))
        answer = self.answers.get(request.path, 204)
        if isinstance(answer, int):
            return web.Response(status=answer)
        return await answer(request)


@dataclass
class MailReceiver:
    """A mail server in a thread of its own. `replies` maps a recipient to the line that RCPT TO is answered with."""

    replies: dict[str, str] = field(default_factory=dict)
    data_reply: str = "250 OK"
    starttls: ssl.SSLContext | None = None
    implicit: ssl.SSLContext | None = None
    mails: list[EmailMessage] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    envelopes: list[list[str]] = field(default_factory=list)
    sessions_with_tls: list[bool] = field(default_factory=list)
    _controller: Controller | None = None

    def __enter__(self) -> MailReceiver:
        options: dict[str, Any] = {}
        if self.starttls is not None:
            options = {"tls_context": self.starttls, "require_starttls": True}
        # The controller looks for itself at the port it was given, so that cannot be 0.
        port = _free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=port, ssl_context=self.implicit, **options)
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._controller is not None
        self._controller.stop()

    @property
    def port(self) -> int:
        assert self._controller is not None
        return int(self._controller.port)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        reply = self.replies.get(address)
        if reply is not None:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:
        if self.data_reply.startswith("250"):
            self.raw.append(envelope.content)
            self.envelopes.append(list(envelope.rcpt_tos))
            self.sessions_with_tls.append(session.ssl is not None)
            mail = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
        return self.data_reply


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Certificate:
    """A certificate for 127.0.0.1, signed by itself."""

    file: Path
    server: ssl.SSLContext

    @classmethod
    def make(cls, folder: Path) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        file, key_file = folder / "mail.crt", folder / "mail.key"
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(file, key_file)
        return cls(file, server)
