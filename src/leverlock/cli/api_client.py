"""The owner's way from a terminal to the running server: its HTTP API, signed in like any other client."""

from __future__ import annotations

import http.client
import json
import ssl
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from leverlock.cli.output import CommandError, Exit

TIMEOUT_SECONDS: Final = 15.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class ApiClient:
    """A session at the API. As a context manager it signs out at the end."""

    def __init__(self, url: str, *, probe: bool = False) -> None:
        """Raises CommandError for an address over which a password must not travel.

        `probe`: only ask whether somebody is there, so the name in the certificate does not matter.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CommandError(f"{url} is no address of an API", exit_code=Exit.USAGE)
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not probe:
            raise CommandError(f"{url}: a password is sent over https only", exit_code=Exit.USAGE)
        self._url: Final = url
        self._host: Final = parts.hostname
        self._port: Final = parts.port
        self._tls: Final = ssl.create_default_context() if parts.scheme == "https" else None
        if self._tls is not None and probe:
            self._tls.check_hostname = False
            self._tls.verify_mode = ssl.CERT_NONE
        self._probe: Final = probe
        self._token: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            try:
                self.call("DELETE", "/v1/sessions/current")
            except CommandError:
                pass  # it ends by itself; what the command did before is worth more than this
            self._token = None

    def sign_in(self, login: str, password: str) -> str:
        """Open a session; its state, `login_challenge` while a login code is wanted first. Raises CommandError."""
        assert not self._probe  # whom it does not know it tells no password
        return self.open_session("/v1/sessions", {"login": login, "password": password})

    def open_session(self, path: str, body: dict[str, Any]) -> str:
        """The same by whatever opens one."""
        opened = self.call("POST", path, body)
        self._token = opened["token"]
        return str(opened["state"])

    def say_lost(self) -> None:
        """Say that the login authenticator is lost: the session can do nothing but recover from then on."""
        self.call("POST", "/v1/sessions/current/recovery")

    def follow_link(self, link: str) -> dict[str, Any]:
        """Open the session at the end of a recovery case. Raises CommandError."""
        assert not self._probe
        opened = self.call("POST", "/v1/recovery-links", {"token": link})
        self._token = opened["token"]
        return opened

    def forget_session(self) -> None:
        """The session has ended by what was done in it: nothing is left to sign out of."""
        self._token = None

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call; its JSON answer. Raises CommandError with what the problem document says."""
        payload = None if body is None else json.dumps(body).encode()
        return _answer(*self.exchange(method, path, payload, "application/json"))

    def fetch(self, method: str, path: str, body: dict[str, Any]) -> bytes:
        """One call whose answer is no JSON. Raises CommandError."""
        status, content = self.exchange(method, path, json.dumps(body).encode(), "application/json")
        return content if status == 200 else json.dumps(_answer(status, content)).encode()

    def send(self, path: str, content: bytes, media: str) -> dict[str, Any]:
        """One call whose body is no JSON. Raises CommandError."""
        return _answer(*self.exchange("POST", path, content, media))

    def exchange(self, method: str, path: str, payload: bytes | None, media: str) -> tuple[int, bytes]:
        """Status and body of an answer, whatever it is. Raises CommandError where there is none."""
        headers = {"Accept": "*/*"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        if payload is not None:
            headers["Content-Type"] = media
        connection = self._connection()
        try:
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            text = response.read()
        except ssl.SSLError as problem:
            raise CommandError(f"{self._url}: {problem.reason}", exit_code=Exit.UNAVAILABLE) from None
        except (OSError, http.client.HTTPException):
            raise CommandError(f"the API at {self._url} does not answer", exit_code=Exit.UNAVAILABLE) from None
        finally:
            connection.close()
        return response.status, text

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_SECONDS, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)


def _answer(status: int, text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text) if text else {}
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise CommandError(f"the API answered {status} and something that is not its own", exit_code=Exit.UNAVAILABLE)
    if 200 <= status < 300:
        return document
    sentence = f"{document.get('title', 'refused')}: {document.get('detail', status)}"
    if "retry_after" in document:
        sentence += f" Try again in {document['retry_after']} s."
    facts = {"status": status, "type": document.get("type")}
    facts.update({name: document[name] for name in ("challenge", "next") if name in document})
    raise CommandError(sentence, exit_code=Exit.UNAVAILABLE if status >= 500 else Exit.REFUSED, facts=facts)
