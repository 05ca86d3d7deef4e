"""One HTTP exchange with a door of the product, over TCP or the admin socket."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class ApiAnswer:
    """An answer of the HTTP API: status, JSON, headers in lower case."""

    status: int
    json: Any
    headers: dict[str, str]

    @property
    def reason(self) -> str:
        """The word of a problem's type, such as "wrong_code"."""
        return str(self.json["type"]).rpartition("/")[2].replace("-", "_")


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("admin", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(str(self._path))


def exchange(
    connection: http.client.HTTPConnection, method: str, path: str, body: Any, headers: dict[str, str]
) -> ApiAnswer:
    """Send one request with a JSON body or none, and close the connection."""
    payload = None if body is None else json.dumps(body).encode()
    if payload is not None:
        headers = {"Content-Type": "application/json"} | headers
    try:
        connection.request(method, path, payload, headers)
        response = connection.getresponse()
        text = response.read()
        found = {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()
    return ApiAnswer(response.status, json.loads(text) if text else None, found)
