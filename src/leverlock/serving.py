"""Serving: several doors in one process on one event loop, started together, stopped together.

Nothing here knows what the doors do. Sockets are bound before anything is promised, so that an address already in use
is one sentence at the start; a stop closes the doors, lets calls under way finish, and only then returns.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import gc
import json
import os
import signal
import socket
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn

BACKLOG: Final = 1024
COLLECT_AFTER: Final = 10_000  # objects that can be in circles; Python's 700 comes round every few calls
KEEP_ALIVE_SECONDS: Final = 75


class CannotListen(Exception):
    """An address cannot be listened on, or not with this certificate; the message says which and why."""


@dataclass(frozen=True)
class Listener:
    """One ASGI application on one socket. `protocol` is uvicorn's HTTP protocol class for it.

    `needs`: work beside it without which it may not go on; when that ends, the whole server stops.
    """

    name: str
    app: Any
    socket: socket.socket
    protocol: Any = "httptools"
    needs: asyncio.Task[None] | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None


def listen_tcp(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 takes a free one. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as problem:
        listener.close()
        in_use = "something else listens there already" if problem.errno == errno.EADDRINUSE else problem.strerror
        raise CannotListen(f"cannot listen on {host}:{port}: {in_use}") from None
    listener.setblocking(False)
    return listener


@contextmanager
def listen_unix(path: Path) -> Iterator[socket.socket]:
    """A listening Unix socket that only this user can open, and that one process at a time has. Raises CannotListen."""
    lock = _only_one(path.with_name(path.name + ".lock"))
    try:
        if path.exists() and not stat.S_ISSOCK(path.lstat().st_mode):
            raise CannotListen(f"{path} stands where the admin socket should be, and is no socket")
        path.unlink(missing_ok=True)  # a server that was killed left it; with the lock held nobody answers there
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            # The mask makes it private from its first instant; a chmod afterwards would leave a gap.
            before = os.umask(0o177)
            try:
                listener.bind(str(path))
                listener.listen(BACKLOG)
            except OSError as problem:
                raise CannotListen(f"cannot listen on {path}: {problem.strerror}") from None
            finally:
                os.umask(before)
            listener.setblocking(False)
            try:
                yield listener
            finally:
                path.unlink(missing_ok=True)
    finally:
        os.close(lock)


def _only_one(path: Path) -> int:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise CannotListen(f"{path} cannot be made: {problem.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise CannotListen(f"another server of this deployment is running (it holds {path})") from None
    return lock


class _Server(uvicorn.Server):
    """uvicorn's server without its own signal handlers, telling when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def open_doors(listeners: Sequence[Listener], *, stop_seconds: float) -> AsyncIterator[set[asyncio.Task[None]]]:
    """Serve while inside; on leaving take no new calls, finish what is under way within `stop_seconds`.

    Gives the tasks none of which may end meanwhile, for `StopSignal.wait`.
    """
    servers = [(_Server(_config(listener, stop_seconds)), listener) for listener in listeners]
    tasks = [
        asyncio.create_task(server.serve(sockets=[listener.socket]), name=listener.name) for server, listener in servers
    ]
    try:
        for (server, _), task in zip(servers, tasks, strict=True):
            ready = asyncio.create_task(server.ready.wait())
            await asyncio.wait({ready, task}, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            if task.done():
                await task
                raise RuntimeError(f"the {task.get_name()} door did not open")
        yield {*tasks, *(listener.needs for listener in listeners if listener.needs is not None)}
    finally:
        for server, _ in servers:
            server.should_exit = True
        await asyncio.gather(*tasks, return_exceptions=True)


def _config(listener: Listener, stop_seconds: float) -> uvicorn.Config:
    config = uvicorn.Config(
        listener.app,
        http=listener.protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, int(stop_seconds)),
        ssl_certfile=listener.tls_certificate,
        ssl_keyfile=listener.tls_key,
    )
    try:
        config.load()
    except OSError as problem:  # an unreadable file, or what TLS says of its contents
        raise CannotListen(f"{listener.tls_certificate} and {listener.tls_key} cannot be used: {problem}") from None
    return config


class StopSignal:
    """SIGTERM and SIGINT, caught from the moment this is made: make it before anybody is told that the server is ready.

    A second signal ends the process at once.
    """

    def __init__(self) -> None:
        self._name = ""
        self._came = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)

    def _stop(self, number: signal.Signals) -> None:
        if self._name:
            os._exit(128 + number)
        self._name = number.name
        self._came.set()

    async def wait(self, needed: set[asyncio.Task[None]]) -> str:
        """Wait for one; its name.

        Raises RuntimeError when one of the `needed` tasks ends first: without it decisions would be made from what
        nobody keeps true.
        """
        waiting = asyncio.create_task(self._came.wait())
        await asyncio.wait([waiting, *needed], return_when=asyncio.FIRST_COMPLETED)
        if self._name:
            return self._name
        waiting.cancel()
        broken = next(task for task in needed if task.done())
        cause = None if broken.cancelled() else broken.exception()
        raise RuntimeError(f"a part of the server ended by itself: {broken.get_name()}") from cause


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it is gone, whatever it ends with."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def settle_memory() -> None:
    """Take what the program is made of out of the garbage collector's sight, before the first call.

    It lives as long as the process, and looking at all of it again and again was a tenth of the time of an order.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)


def write_ready_file(path: Path, document: dict[str, Any]) -> None:
    """Tell whoever waits that calls are answered, and where; whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def address(listener: socket.socket) -> tuple[str, int]:
    """Host and port that a TCP socket listens on."""
    host, port = listener.getsockname()[:2]
    return str(host), int(port)
