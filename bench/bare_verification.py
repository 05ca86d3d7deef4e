"""The floor of P2: the least a durable verification over HTTP can be, with nothing of the product in it.

    python -m bench.bare_verification FOLDER USERS

Plain uvicorn, one TOTP check, one conditional UPDATE and one audit row, committed in groups by one writer thread before
the answer. No session, no challenge, no budget, no grant, no chain, no sealed seeds, no strict parsing.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import queue
import socket
import sqlite3
import sys
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from bench.processes import say_ready

SCHEMA = """
CREATE TABLE factor (user INTEGER PRIMARY KEY, seed BLOB NOT NULL, last_step INTEGER NOT NULL);
CREATE TABLE audit (no INTEGER PRIMARY KEY, user INTEGER NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL);
"""
BURN = "UPDATE factor SET last_step = ? WHERE user = ? AND last_step < ?"
RECORD = "INSERT INTO audit (user, at, body) VALUES (?, ?, ?)"

Job = tuple[int, int, "asyncio.Future[bool]"]


def seed_of(user: int) -> bytes:
    """The seed of a user; the load client computes codes from the same rule."""
    return hashlib.sha256(b"bench-%d" % user).digest()[:20]


def code_of(seed: bytes, step: int) -> str:
    mac = hmac.digest(seed, step.to_bytes(8, "big"), "sha1")
    offset = mac[-1] & 15
    return f"{(int.from_bytes(mac[offset : offset + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06d}"


class Bare:
    """The whole application."""

    def __init__(self, path: Path, users: int) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(SCHEMA)
        self._seeds = [seed_of(user) for user in range(users)]
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT INTO factor VALUES (?, ?, -1)", list(enumerate(self._seeds)))
        self._connection.execute("COMMIT")
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        threading.Thread(target=self._write, args=(loop,), daemon=True).start()

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        execute = self._connection.execute
        while True:
            batch = [self._jobs.get()]
            while not self._jobs.empty():
                batch.append(self._jobs.get_nowait())
            execute("BEGIN IMMEDIATE")
            done = []
            for user, step, future in batch:
                burned = execute(BURN, (step, user, step)).rowcount == 1
                if burned:
                    execute(RECORD, (user, step, json.dumps({"user": user, "step": step, "kind": "verified"})))
                done.append((future, burned))
            execute("COMMIT")
            loop.call_soon_threadsafe(_deliver, done)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        user = int(scope["path"].rpartition("/")[2])
        code = json.loads((await receive())["body"])["code"]
        now = int(time.time()) // 30
        given = code.encode()
        matched = -1
        for step in (now - 1, now, now + 1):
            if hmac.compare_digest(code_of(self._seeds[user], step).encode(), given):
                matched = step
        accepted = False
        if matched >= 0:
            future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self._jobs.put((user, matched, future))
            accepted = await future
        body = json.dumps({"accepted": accepted}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200 if accepted else 401, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _deliver(done: list[tuple[asyncio.Future[bool], bool]]) -> None:
    for future, burned in done:
        future.set_result(burned)


async def serve(folder: Path, users: int) -> None:
    app = Bare(folder / "bare.db", users)
    app.start(asyncio.get_running_loop())
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = uvicorn.Config(app, http="httptools", ws="none", lifespan="off", log_level="warning", access_log=False)
    say_ready(port=listener.getsockname()[1])
    await uvicorn.Server(config).serve([listener])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
