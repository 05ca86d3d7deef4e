"""How a command has something done: by the running server where there is one, else on the store itself.

Both ways end in the same function of `admin/operations.py`. A second process on the database would be correct, but the
server's own writer is quicker, its snapshot learns of the change at once, and a locked-down deployment may give the
socket to somebody who must not read the database.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leverlock.cli.output import CommandError, Exit
from leverlock.domain.errors import Reason, Refused

if TYPE_CHECKING:
    from leverlock.config import Settings

TIMEOUT_SECONDS = 60.0


def perform(settings: Settings, operation: str, **wanted: Any) -> dict[str, Any]:
    """Have an operation of the table done. Raises Refused, StartRefused, CommandError."""
    body = json.dumps(wanted).encode()
    answer = ask_server(settings.admin.socket, "POST", f"/{operation}", body)
    if answer is not None:
        return answer
    from leverlock import logs
    from leverlock.admin.operations import perform as perform_here
    from leverlock.bootstrap import open_services

    logs.configure("warning", settings.logging.format)  # what is worth a line goes beside the answer, not into it
    services = open_services(settings)
    try:
        return asyncio.run(perform_here(services.desk(), operation, body))
    finally:
        services.close()


def ask_server(path: Path, method: str, target: str, body: bytes = b"") -> dict[str, Any] | None:
    """What the server behind the admin socket answers; None when no server is there."""
    connection = _UnixConnection(path)
    try:
        connection.connect()
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except OSError as problem:
        raise CommandError(
            f"the server's admin socket {path} cannot be opened: {problem.strerror}; run this as the server's user",
            exit_code=Exit.UNAVAILABLE,
        ) from None
    try:
        connection.request(method, target, body, {"Host": "admin", "Content-Type": "application/json"})
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError):
        raise CommandError(
            "the server went away before it answered; whether this was done is not known", exit_code=Exit.UNAVAILABLE
        ) from None
    finally:
        connection.close()
    if response.status != 200:
        raise Refused(Reason(answer["refused"]), answer["detail"], field=answer["field"])
    return answer


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over the admin socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("admin", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_SECONDS)
        try:
            self.sock.connect(str(self._path))
        except OSError:
            self.sock.close()
            raise
