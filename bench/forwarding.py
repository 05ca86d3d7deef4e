"""P3: an ordinary 20x order through the gateway, beside two clients forwarding with no check, and nginx.

Ours is key, signature, receive window, replay, one parse, the leverage known from the venue, the decision, a new
signature with the venue's key, and the answer passed on. The venue behind all of them is `bare_venue.py`.
"""

from __future__ import annotations

import hashlib
import hmac
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median

from bench.figures import Figure
from bench.load import Job, Taken, put, request
from bench.population import Deployment, populate
from bench.processes import Program, free_port
from bench.product import port_of, serving
from leverlock.app.api_keys import connect_upstream, create_key
from leverlock.domain.api_key import KeyAlgorithm
from leverlock.domain.key_terms import KeyTerms, Scope
from leverlock.ports import Transaction, World
from leverlock.store.host import SystemClock

KEYS = 8
POINTS = {1: 500, 32: 4000}  # connections: orders in one turn
_TERMS = KeyTerms("bench", frozenset({Scope.READ, Scope.FUTURES}))
QUICK_POINTS = {1: 200, 32: 1000}
ROUNDS = 5
FLOOR = "uvicorn + our client, no check"
USUAL = "uvicorn + aiohttp, no check"
NGINX = "nginx proxy_pass"
DIRECT = "straight to the venue"
NGINX_CONFIG = """\
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000;
  upstream venue {{ server 127.0.0.1:{venue}; keepalive 128; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{ proxy_pass http://venue; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Key:
    api_key: str
    secret: bytes


@dataclass
class Side:
    """One of those that take turns."""

    port: int
    program: Program | None
    taken: dict[int, list[Taken]] = field(default_factory=dict)
    cpu: dict[int, list[float]] = field(default_factory=dict)

    def turn(self, keys: list[Key], clients: int, orders: int) -> None:
        before = 0.0 if self.program is None else self.program.cpu_seconds()
        taken = put(Job(self.port, clients, [order(keys[n % len(keys)]) for n in range(orders)]))
        self.taken.setdefault(clients, []).append(taken)
        if self.program is not None:
            spent = (self.program.cpu_seconds() - before) / orders * 1e6
            self.cpu.setdefault(clients, []).append(spent)

    def rate(self, clients: int) -> float:
        return median(taken.rate for taken in self.taken[clients])

    def milliseconds(self, clients: int, share: float) -> float:
        return median(taken.percentile(share) for taken in self.taken[clients])


_numbers = count(1)


def order(key: Key) -> bytes:
    """A signed order as ccxt sends it, each its own by the client's order id."""
    text = (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.01&price=50000&timeInForce=GTC&newOrderRespType=RESULT"
        f"&newClientOrderId=x-bench-{next(_numbers)}&timestamp={time.time_ns() // 1_000_000}&recvWindow=10000"
    ).encode()
    signature = hmac.digest(key.secret, text, hashlib.sha256).hex()
    headers = {"X-MBX-APIKEY": key.api_key, "Content-Type": "application/x-www-form-urlencoded", "User-Agent": "bench"}
    return request("POST", "/fapi/v1/order", headers, text + b"&signature=" + signature.encode())


def measure(folder: Path, *, quick: bool, say: Callable[[str], None]) -> list[Figure]:
    """P3's figures. `folder` is scratch and may be removed afterwards."""
    points, rounds = (QUICK_POINTS, 2) if quick else (POINTS, ROUNDS)
    with ExitStack() as stack:
        venue = stack.enter_context(Program.module("bench.bare_venue", log=folder / "venue.log"))
        url = f"http://127.0.0.1:{venue.ready['port']}"
        keys = _keys(folder / "gateway", url)
        product = stack.enter_context(serving(folder / "gateway", log=folder / "gateway.log"))
        sides = {"ours": Side(port_of(product, "gateway"), product)}
        for name, client in {FLOOR: "ours", USUAL: "aiohttp"}.items():
            floor = Program.module("bench.bare_forwarding", url, client, log=folder / f"floor-{client}.log")
            stack.enter_context(floor)
            sides[name] = Side(floor.ready["port"], floor)
        sides[DIRECT] = Side(venue.ready["port"], None)
        nginx = _nginx(folder, venue.ready["port"])
        if nginx is not None:
            stack.enter_context(nginx)
            assert nginx.port is not None
            sides[NGINX] = Side(nginx.port, nginx)
        for side in sides.values():  # connections to the venue opened, its leverage and its clock known
            put(Job(side.port, 8, [order(keys[n % KEYS]) for n in range(200)]))
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for clients, orders in points.items():
                for side in sides.values():
                    side.turn(keys, clients, orders)
        found = _figures(sides)
    shutil.rmtree(folder / "gateway")
    return found


def _keys(folder: Path, venue: str) -> list[Key]:
    """A deployment whose owners have Futures protection on and a gateway key each."""
    Deployment.create(folder, venue=venue)
    owners = populate(folder, owners=KEYS, challenges=0)
    with Deployment.open(folder, SystemClock()) as deployment:
        return [deployment.run(lambda tx, o=owner: _key(tx, deployment.world, o.account_id, venue)) for owner in owners]  # type: ignore[misc]


def _key(tx: Transaction, world: World, account_id: str, venue: str) -> Key:
    upstream = connect_upstream(
        tx,
        world,
        account_id=account_id,
        label="bench",
        dialect="binance-usdm",
        base_urls=dict.fromkeys(("fapi", "sapi", "api", "futures"), venue),
        api_key="bench-venue-key",
        algorithm=KeyAlgorithm.HMAC_SHA256,
        secret=b"bench-venue-secret",
        by="bench:",
    )
    made = create_key(tx, world, account_id=account_id, upstream_id=upstream.upstream_id, terms=_TERMS, by="bench:")
    assert made.secret is not None
    return Key(made.key.api_key, made.secret.encode())


def _nginx(folder: Path, venue: int) -> Program | None:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        return None
    port = free_port()
    (folder / "nginx.conf").write_text(NGINX_CONFIG.format(folder=folder, venue=venue, port=port))
    command: list[str | Path] = [program, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "nginx.log"]
    return Program(command, log=folder / "nginx.log", port=port)


def _figures(sides: dict[str, Side]) -> list[Figure]:
    product = sides["ours"]
    others = {name: side for name, side in sides.items() if name != "ours"}
    rows = [_rate(product, sides[floor], floor, others if floor == FLOOR else {}) for floor in (FLOOR, USUAL)]
    p50 = product.milliseconds(1, 0.5)
    rows.append(
        Figure("P3", "p50, 1 connection", p50, "ms", {name: side.milliseconds(1, 0.5) for name, side in others.items()})
    )
    for floor in (FLOOR, USUAL):
        added = p50 - sides[floor].milliseconds(1, 0.5)
        rows.append(Figure("P3", f"p50, 1 connection: added to {floor}", added, "ms", {}, "<= 0.15 ms", added <= 0.15))
    p99 = {name: side.milliseconds(32, 0.99) for name, side in others.items()}
    rows.append(Figure("P3", "p99, 32 connections", product.milliseconds(32, 0.99), "ms", p99))
    cpu = {name: median(side.cpu[32]) for name, side in others.items() if side.cpu}
    ours = median(product.cpu[32])
    what = "CPU of the server per order, 32 connections"
    rows.append(Figure("P3", what, ours, "us", cpu, ratio=ours / cpu[FLOOR]))
    return rows


def _rate(product: Side, floor: Side, name: str, others: dict[str, Side]) -> Figure:
    rate, bare = product.rate(32), floor.rate(32)
    beside = {other: side.rate(32) for other, side in others.items()}
    what = "orders through the gateway, 32 connections"
    if not others:
        what += f", beside {name}"
    return Figure("P3", what, rate, "/s", beside or {name: bare}, f">= 0.8 x {name}", rate >= 0.8 * bare, rate / bare)
