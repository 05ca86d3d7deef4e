"""Programs under measurement: started, watched, ended by their process id, and never left behind."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 60.0
STOP_SECONDS = 15.0
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class NotReady(RuntimeError):
    """A program did not start; the message ends with what it wrote."""


class Program:
    """A program that runs until SIGTERM. What it writes to standard error goes to `log`.

    It is ready when it says so in one line of JSON on standard output, which `ready` then holds; a program that is not
    ours, when `port` answers HTTP. `seconds_to_ready` is the time from its start to that.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        self._command = [str(part) for part in command]
        self._log = log
        self.port = port
        self._environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", **(environment or {})}
        self.ready: dict[str, Any] = {}
        self.seconds_to_ready = 0.0

    @classmethod
    def module(
        cls, name: str, *arguments: str | Path, log: Path, environment: Mapping[str, str] | None = None
    ) -> Program:
        """A Python module of ours."""
        return cls([sys.executable, "-m", name, *arguments], log=log, environment=environment)

    def __enter__(self) -> Self:
        began = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdout=subprocess.PIPE if self.port is None else log,
                stderr=log,
                text=True,
            )
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise
        self.seconds_to_ready = time.monotonic() - began
        return self

    def _await_ready(self) -> None:
        if self.port is not None:
            self._await_answer(self.port)
            return
        assert self._process.stdout is not None
        line = self._process.stdout.readline()  # ends with the process at the latest
        if not line:
            raise self._failed()
        self.ready = json.loads(line)

    def _await_answer(self, port: int) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_SECONDS)
            try:
                connection.request("GET", "/")
                connection.getresponse().read()
                return
            except OSError:
                time.sleep(0.02)
            finally:
                connection.close()
        raise self._failed()

    def _failed(self) -> NotReady:
        written = self._log.read_text(errors="replace")[-2000:]
        return NotReady(f"{' '.join(self._command)} did not start:\n{written}")

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu_seconds(self) -> float:
        """User and system time of the program and what it started, so far."""
        return sum(_stat(pid)[0] for pid in _family(self.pid))

    def resident_megabytes(self) -> float:
        """Resident memory of the program and what it started; pages they share count once for each."""
        return sum(_stat(pid)[1] for pid in _family(self.pid))


def say_ready(**facts: Any) -> None:
    """What a program of ours calls once it answers."""
    print(json.dumps(facts), flush=True)


def free_port() -> int:
    """A port that was free a moment ago, for programs that cannot be told to take any."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _family(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _stat(pid: int) -> tuple[float, float]:
    """(CPU seconds, resident megabytes) of one process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return (int(fields[11]) + int(fields[12])) / TICK, pages * PAGE / 1e6
