"""A real Kannel on loopback: bearerbox, smsbox and the fake SMS centre that comes with kannel-extras.

    with Kannel(folder) as kannel:
        kannel.provider()                       # settings of a provider that sends through it
        kannel.until("+447400123456", 1)        # what that phone has received, read off the SMS centre's own output

Nothing of ours is in the way between the HTTP call and the SMS centre.
"""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote_to_bytes

FAKE_SMSC = "/usr/lib/kannel/test/fakesmsc"
USER, PASSWORD = "leverlock", "kannel-secret"
WAIT_SECONDS = 20

_CONFIG = """
group = core
admin-port = {admin}
admin-password = {password}
admin-interface = 127.0.0.1
smsbox-port = {smsbox}
box-allow-ip = "127.0.0.1"
dlr-storage = internal

group = smsc
smsc = fake
smsc-id = fake
port = {smsc}
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
global-sender = 13013

group = sendsms-user
username = {user}
password = {password}
concatenation = true
max-messages = 8

group = sms-service
keyword = default
text = ""
max-messages = 0
"""

_LINE = re.compile(r"Got message [0-9]+: <(.*)>$")
_HEAD = re.compile(r"\S+ (\+[0-9]+) (text|ucs-2|udh) ?(.*)$", re.DOTALL)


@dataclass(frozen=True)
class Received:
    """One SMS as it came out at the SMS centre. `coding`: text, ucs-2, or udh for several parts, put together here."""

    number: str
    coding: str
    text: str

    @property
    def code(self) -> str:
        """The digits of its origin-bound last line."""
        found = re.fullmatch(r"@\S+ #([0-9]{6,8})", self.text.splitlines()[-1])
        assert found is not None, self.text
        return found[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Kannel:
    """Starts and stops it. `url` is that of sendsms."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = {name: free_port() for name in ("admin", "smsbox", "smsc", "sendsms")}
        self._processes: list[subprocess.Popen[bytes]] = []
        self.url = f"http://127.0.0.1:{self._ports['sendsms']}/cgi-bin/sendsms"

    def __enter__(self) -> Self:
        config = self._folder / "kannel.conf"
        config.write_text(_CONFIG.format(**self._ports, user=USER, password=PASSWORD))
        try:
            self._start("bearerbox", "/usr/sbin/bearerbox", "-v", "4", str(config))
            self._until_listening("smsbox", "smsc")
            self._start("smsbox", "/usr/sbin/smsbox", "-v", "4", str(config))
            self._until_listening("sendsms")
            port = str(self._ports["smsc"])
            # It ends with its input, and wants a message of its own to send.
            self._start("fakesmsc", FAKE_SMSC, "-H", "127.0.0.1", "-r", port, "-m", "1", "100 200 text hello")
            self._until_said("sent message 1")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, the SMS centre first."""
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
            if process.stdin is not None:
                process.stdin.close()
        self._processes.clear()

    def provider(self, **more: Any) -> dict[str, Any]:
        """The `[[sms.providers]]` table of docs/how-to/sms.md, for this Kannel."""
        return {
            "name": "kannel",
            "url": self.url,
            "method": "GET",
            "query": {
                "username": USER,
                "password": "{secret}",
                "to": "{number}",
                "text": "{text}",
                "charset": "UTF-8",
                "dlr-mask": "3",
                "dlr-url": "{receipt_url}?status=%d",
            },
            "unicode": {"coding": "2"},
            "secret": PASSWORD,
            "accepted": "^(0: Accepted|3: Queued)",
            "receipt_field": "status",
            "receipt_delivered": ["1"],
            "receipt_undelivered": ["2"],
            **more,
        }

    # -- what phones received ----------------------------------------------------------------------------------------
    def received(self, number: str = "") -> list[Received]:
        """Every SMS that came out so far, for one number or all; oldest first."""
        found: list[list[Any]] = []  # [number, coding, text or bytes of it]
        parts: dict[tuple[str, str], list[Any]] = {}
        arrived: Counter[tuple[str, str]] = Counter()
        for said in self._lines():
            head = _HEAD.match(said)
            if head is None:
                if found and found[-1][1] == "text":
                    found[-1][2] += "\n" + said  # the SMS centre prints a text as it is, line breaks and all
                continue
            to, coding, rest = head.groups()
            if coding == "text":
                found.append([to, coding, rest])
            elif coding == "ucs-2":
                found.append([to, coding, _bytes(rest).decode("utf-16-be")])
            else:
                header, _, data = rest.split(" ", 2)
                reference, total = (to, _bytes(header)[3:4].hex()), _bytes(header)[4]
                content = _bytes(data)
                text = content.decode("utf-16-be" if b"\0" in content else "utf-8")  # digits and letters have a 0 byte
                whole = parts.setdefault(reference, [to, coding, ""])
                whole[2] += text
                arrived[reference] += 1
                if arrived[reference] == total:
                    found.append(whole)
        return [Received(*one) for one in found if not number or one[0] == number]

    def until(self, number: str, count: int) -> list[Received]:
        """Wait until this phone has received so many; all of them."""
        deadline = time.monotonic() + WAIT_SECONDS
        while len(got := self.received(number)) < count:
            assert time.monotonic() < deadline, f"{number} has received {got}"
            time.sleep(0.05)
        time.sleep(0.1)  # its last line may still be on its way into the file
        return self.received(number)

    def output(self) -> str:
        """All that the SMS centre wrote."""
        return (self._folder / "fakesmsc.log").read_text(errors="replace")

    def _lines(self) -> list[str]:
        return [found[1] for line in self.output().splitlines() if (found := _LINE.search(line))]

    # -- processes ---------------------------------------------------------------------------------------------------
    def _start(self, name: str, *command: str) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(command, cwd=self._folder, stdin=subprocess.PIPE, stdout=log, stderr=log)
            )

    def _until_listening(self, *names: str) -> None:
        for name in names:
            deadline = time.monotonic() + WAIT_SECONDS
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._ports[name]), 1):
                    break
                assert time.monotonic() < deadline, f"{name} does not listen"
                assert self._processes[-1].poll() is None, f"{name}: it ended"
                time.sleep(0.05)

    def _until_said(self, words: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while words not in self.output():
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.05)


def _bytes(quoted: str) -> bytes:
    return unquote_to_bytes(quoted.replace("+", " "))
