"""The load: a closed loop over kept HTTP/1.1 connections, in a process of its own, as cheap as Python allows.

Every request is a finished piece of bytes before the clock starts. A connection sends its next one when it has read
the whole answer to the last; answers must have the expected status. Raw sockets and epoll, no event loop: what the
client costs is taken from the server on a machine of few cores.
"""

from __future__ import annotations

import gc
import pickle
import select
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ANSWER_SECONDS = 10.0  # how long one answer may take before the run is given up


@dataclass(frozen=True, slots=True)
class Job:
    """What to send. `warm` is sent once on every connection before the clock starts; no new request after `seconds`.

    `kept` is False for a server that closes the connection after every answer: each request then opens its own.
    """

    port: int
    clients: int
    requests: Sequence[bytes]
    expected: int = 200
    warm: bytes = b""
    seconds: float = 30.0
    kept: bool = True


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of it: seconds on the wall, and of each answer its milliseconds, in the order in which they came."""

    seconds: float
    milliseconds: list[float]
    statuses: dict[int, int]
    unexpected: bytes = b""

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.milliseconds) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency in milliseconds that `share` of the answers did not exceed."""
        ordered = sorted(self.milliseconds)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


class WrongAnswer(RuntimeError):
    """A server under load answered something else than it should: what it was doing is not what is measured."""


def put(job: Job) -> Taken:
    """Run `job` in a process of its own. Raises WrongAnswer for any unexpected status."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        cwd=ROOT,
        input=pickle.dumps(job),
        stdout=subprocess.PIPE,
        check=True,
        timeout=job.seconds + 60,
    )
    taken: Taken = pickle.loads(done.stdout)
    if set(taken.statuses) != {job.expected}:
        raise WrongAnswer(f"expected {job.expected}, got {taken.statuses}: {taken.unexpected[:600]!r}")
    return taken


def request(method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    """One request as bytes."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method in ("POST", "PUT"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


# --- inside the load's own process ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    read: bytes = b""
    sent_at: float = 0.0


@dataclass(slots=True)
class _Tally:
    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    unexpected: bytes = b""


def drive(job: Job) -> Taken:
    connections = [_Connection(_connected(job.port)) for _ in range(job.clients)]
    waiting = select.epoll()
    by_number = {connection.socket.fileno(): connection for connection in connections}
    for number in by_number:
        waiting.register(number, select.EPOLLIN)
    if job.warm:
        _turn(job, waiting, by_number, iter([job.warm] * job.clients), _Tally())
    tally = _Tally()
    gc.collect()
    gc.disable()
    began = time.perf_counter()
    _turn(job, waiting, by_number, iter(job.requests), tally)
    seconds = time.perf_counter() - began
    for connection in connections:
        connection.socket.close()
    return Taken(seconds, tally.milliseconds, dict(tally.statuses), tally.unexpected)


def _connected(port: int) -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def _turn(
    job: Job, waiting: select.epoll, by_number: dict[int, _Connection], requests: Iterator[bytes], tally: _Tally
) -> None:
    """Send until `requests` or the time are used up, and until everything sent is answered."""
    clock, under_way = time.perf_counter, 0
    deadline = clock() + job.seconds
    for connection in by_number.values():
        text = next(requests, None)
        if text is not None:
            under_way += 1
            connection.sent_at = clock()
            connection.socket.sendall(text)
    while under_way:
        ready = waiting.poll(ANSWER_SECONDS)
        if not ready:
            raise TimeoutError(f"{under_way} requests were not answered within {ANSWER_SECONDS} s")
        for number, _ in ready:
            connection = by_number[number]
            read = connection.socket.recv(65536)
            if not read:
                raise ConnectionError("the server closed a connection under load")
            read = connection.read + read
            head = read.find(b"\r\n\r\n")
            if head < 0 or len(read) < head + 4 + _length(read[:head]):
                connection.read = read
                continue
            now = clock()
            connection.read = b""
            tally.milliseconds.append((now - connection.sent_at) * 1000)
            status = int(read[9:12])
            tally.statuses[status] += 1
            if status != job.expected and not tally.unexpected:
                tally.unexpected = read
            text = next(requests, None) if now < deadline else None
            if text is None:
                under_way -= 1
                if not job.kept:  # closed at once: a server may wait for that before it takes the next call
                    waiting.unregister(number)
                    connection.socket.close()
                continue
            connection.sent_at = clock()
            if not job.kept:
                connection = _renewed(job, connection, waiting, by_number)
            connection.socket.sendall(text)


def _renewed(job: Job, old: _Connection, waiting: select.epoll, by_number: dict[int, _Connection]) -> _Connection:
    del by_number[old.socket.fileno()]
    waiting.unregister(old.socket.fileno())
    old.socket.close()
    new = _Connection(_connected(job.port), sent_at=old.sent_at)
    by_number[new.socket.fileno()] = new
    waiting.register(new.socket.fileno(), select.EPOLLIN)
    return new


def _length(head: bytes) -> int:
    folded = head.lower()
    at = folded.find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    return int(folded[at + 17 :].split(b"\r\n", 1)[0])


if __name__ == "__main__":
    from bench import load

    sys.stdout.buffer.write(pickle.dumps(load.drive(pickle.loads(sys.stdin.buffer.read()))))
