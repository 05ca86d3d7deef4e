"""The command `leverlock-paper`: reads its options, binds, says where it listens, serves until stopped."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from leverlock_paper.app import PaperApp, Scope
from leverlock_paper.venue import Settings, Venue

# Client address -> its connection, so that a test can have one cut without an answer.
_connections: dict[tuple[str, int], asyncio.Transport] = {}


class PaperProtocol(HttpToolsProtocol):
    """The usual protocol, which also remembers its transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client:
            _connections[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client:
            _connections.pop(self.client, None)
        super().connection_lost(exc)


def cut_connection(scope: Scope) -> None:
    """Closes the caller's connection at once, without a byte of an answer."""
    transport = _connections.get(tuple(scope.get("client") or ("", 0)))
    if transport is not None:
        transport.abort()


class AnnouncingServer(uvicorn.Server):
    """A server that writes its ready file once it accepts connections."""

    def __init__(self, config: uvicorn.Config, ready_file: Path | None, where: dict[str, Any]) -> None:
        super().__init__(config)
        self._ready_file = ready_file
        self._where = where

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self._ready_file is not None:
            # Written beside and renamed: a reader sees the whole file or none.
            beside = self._ready_file.with_name(self._ready_file.name + ".new")
            beside.write_text(json.dumps(self._where), "utf-8")
            beside.replace(self._ready_file)
        print(f"paper venue listening on {self._where['url']}", flush=True)


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="leverlock-paper",
        description="A small USD-M futures venue with play money, for trials and tests.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: loopback only)")
    parser.add_argument("--port", type=int, default=8089, help="port to bind; 0 takes a free one (default: 8089)")
    parser.add_argument("--database", default=":memory:", help="SQLite file, or :memory: (default)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the price walk; a file keeps its first one")
    parser.add_argument("--market", choices=("walk", "manual"), default="walk", help="prices walk, or are set by hand")
    parser.add_argument("--ready-file", type=Path, help="JSON with url and port, written when listening")
    parser.add_argument(
        "--admin-token",
        default=os.environ.get("LEVERLOCK_PAPER_ADMIN_TOKEN", ""),
        help="opens /paper/v1/; also LEVERLOCK_PAPER_ADMIN_TOKEN; without it that surface is absent",
    )
    parser.add_argument("--weight-limit-1m", type=int, default=100_000, help="request weight per address and minute")
    parser.add_argument("--order-limit-10s", type=int, default=10_000, help="orders per account and ten seconds")
    parser.add_argument("--order-limit-1m", type=int, default=60_000, help="orders per account and minute")
    return parser.parse_args(arguments)


def run(arguments: Sequence[str] | None = None) -> None:
    """Serves until SIGTERM or SIGINT."""
    chosen = options(arguments)
    venue = Venue(
        Settings(
            database=chosen.database,
            seed=chosen.seed,
            market=chosen.market,
            admin_token=chosen.admin_token,
            weight_limit_1m=chosen.weight_limit_1m,
            order_limit_10s=chosen.order_limit_10s,
            order_limit_1m=chosen.order_limit_1m,
        )
    )
    family = socket.AF_INET6 if ":" in chosen.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((chosen.host, chosen.port))
    port = listener.getsockname()[1]
    host = f"[{chosen.host}]" if family == socket.AF_INET6 else chosen.host
    config = uvicorn.Config(
        PaperApp(venue, cut_connection),
        http=PaperProtocol,
        loop="uvloop",
        ws="none",
        access_log=False,
        log_level="warning",
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    # The server restores these and raises the signal again once it has shut down: then it is an ordinary end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    where = {"url": f"http://{host}:{port}", "port": port}
    AnnouncingServer(config, chosen.ready_file, where).run(sockets=[listener])
