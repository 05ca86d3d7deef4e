"""P2: one verification over HTTP, all of it durable before the answer, beside its floor and privacyIDEA.

Ours is `POST /v1/challenges/{id}/proof` with a good code: session, strict reading, attempt charged, code checked, step
burned, challenge approved, grant minted, audit record chained. The floor is `bare_verification.py`. All take turns
within each round; medians of the rounds count.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

from bench import peers, privacyidea
from bench.bare_verification import code_of, seed_of
from bench.figures import Figure
from bench.load import Job, Taken, put, request
from bench.population import CODES_AT_ONCE, Deployment, answers, next_step, populate, unambiguous
from bench.processes import Program
from bench.product import port_of, serving

POINTS = {1: 200, 16: 1200, 64: 2400}  # clients: verifications in one turn
QUICK_POINTS = {1: 100, 16: 400, 64: 800}
PEER_POINTS = (1, 16)
PEER_SECONDS = 3.0
ROUNDS = 5
SEED = 20_261_122

FLOOR = "bare prototype"
PEER = "privacyIDEA 3.14"


@dataclass
class Side:
    """One of those that take turns: where it listens, and its endless supply of good answers."""

    program: Program
    port: int
    supply: Iterator[bytes]
    warm: bytes = b""
    kept: bool = True
    seconds: float = 30.0
    taken: dict[int, list[Taken]] = field(default_factory=dict)
    cpu: dict[int, list[float]] = field(default_factory=dict)

    def turn(self, clients: int, count: int) -> None:
        requests = list(islice(self.supply, count))
        if len(requests) < min(count, 10):
            raise RuntimeError("no fresh codes are left; the population is too small for this run")
        before = self.program.cpu_seconds()
        job = Job(self.port, clients, requests, warm=self.warm, kept=self.kept, seconds=self.seconds)
        taken = put(job)
        self.taken.setdefault(clients, []).append(taken)
        spent = (self.program.cpu_seconds() - before) / len(taken.milliseconds) * 1e6
        self.cpu.setdefault(clients, []).append(spent)

    def rate(self, clients: int) -> float:
        return median(taken.rate for taken in self.taken[clients])

    def milliseconds(self, clients: int, share: float) -> float:
        return median(taken.percentile(share) for taken in self.taken[clients])

    def microseconds_of_cpu(self, clients: int) -> float:
        return median(self.cpu[clients])


def prepare(folder: Path, verifications: int) -> Iterator[bytes]:
    """A deployment in `folder` with enough owners for so many answers within a minute or two."""
    Deployment.create(folder)
    return answers(populate(folder, owners=verifications // CODES_AT_ONCE + 50, challenges=CODES_AT_ONCE))


def ours(folder: Path, supply: Iterator[bytes], program: Program) -> Side:
    return Side(program, port_of(program, "api"), supply, warm=request("GET", "/healthz"))


def bare_answers(users: int) -> Iterator[bytes]:
    """The floor's supply: the same kind of request, users in an order of no locality, as ours are."""
    order = random.Random(SEED).sample(range(users), users)
    last = [-1] * users
    moved = True
    while moved:
        moved = False
        for user in order:
            step = next_step(last[user])
            if step is None:
                continue
            moved, last[user] = True, step
            if not unambiguous(partial(code_of, seed_of(user)), step):
                continue
            headers = {"Authorization": f"Bearer {'x' * 72}", "Content-Type": "application/json"}
            yield request("POST", f"/verify/{user}", headers, b'{"code":"%b"}' % code_of(seed_of(user), step).encode())


def measure(folder: Path, *, quick: bool, with_peers: bool, say: Callable[[str], None]) -> list[Figure]:
    """P2's figures. `folder` is scratch and may be removed afterwards."""
    points, rounds = (QUICK_POINTS, 2) if quick else (POINTS, ROUNDS)
    total = sum(points.values()) * rounds
    with ExitStack() as stack:
        peer = _peer(folder, stack, say) if with_peers and peers.program("pi-manage") else None
        say(f"preparing owners for {total} verifications")
        supply = prepare(folder / "product", total)
        users = total // CODES_AT_ONCE + 50
        product = stack.enter_context(serving(folder / "product", log=folder / "product.log"))
        bare = stack.enter_context(
            Program.module("bench.bare_verification", folder, str(users), log=folder / "bare.log")
        )
        product_side = ours(folder, supply, product)
        floor_side = Side(bare, bare.ready["port"], bare_answers(users))
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for clients, count in points.items():
                product_side.turn(clients, count)
                floor_side.turn(clients, count)
                if peer is not None and clients in PEER_POINTS:
                    peer.turn(clients, 150)
        found = _figures(product_side, floor_side, peer)
    shutil.rmtree(folder / "product")
    return found


def _peer(folder: Path, stack: ExitStack, say: Callable[[str], None]) -> Side:
    say("setting up privacyIDEA")
    program = stack.enter_context(privacyidea.start(folder / "privacyidea"))
    peer = privacyidea.enrol(program, folder / "privacyidea")
    return Side(program, peer.port, peer.answers(), kept=False, seconds=PEER_SECONDS)


def _figures(product: Side, floor: Side, peer: Side | None) -> list[Figure]:
    rows = []
    for clients in product.taken:
        value, bare = product.rate(clients), floor.rate(clients)
        beside = {FLOOR: bare}
        if peer is not None and clients in peer.taken:
            beside[PEER] = peer.rate(clients)
        judged = clients == 64
        rows.append(
            Figure(
                "P2",
                f"verifications, {clients} client{'s' * (clients > 1)}",
                value,
                "/s",
                beside,
                f">= 0.4 x the {FLOOR}" if judged else "",
                value >= 0.4 * bare if judged else None,
                value / bare,
            )
        )
    rows += [_latency(product, floor, peer, clients) for clients in product.taken]
    rows += [
        Figure(
            "P2",
            f"CPU of the server per verification, {clients} client{'s' * (clients > 1)}",
            product.microseconds_of_cpu(clients),
            "us",
            {FLOOR: floor.microseconds_of_cpu(clients)},
            ratio=product.microseconds_of_cpu(clients) / floor.microseconds_of_cpu(clients),
        )
        for clients in product.taken
    ]
    return rows + _against_peer(product, peer)


def _latency(product: Side, floor: Side, peer: Side | None, clients: int) -> Figure:
    beside = {f"{FLOOR}, p50": floor.milliseconds(clients, 0.5), "ours, p99": product.milliseconds(clients, 0.99)}
    beside[f"{FLOOR}, p99"] = floor.milliseconds(clients, 0.99)
    if peer is not None and clients in peer.taken:
        beside[f"{PEER}, p50"] = peer.milliseconds(clients, 0.5)
    what = f"p50, {clients} client{'s' * (clients > 1)}"
    return Figure("P2", what, product.milliseconds(clients, 0.5), "ms", beside)


def _against_peer(product: Side, peer: Side | None) -> list[Figure]:
    goals = (f">= 100 x {PEER}", f">= 40 x lower than {PEER}")
    if peer is None:
        nan = float("nan")
        return [
            Figure("P2", f"rate at 16 clients: times that of {PEER}", nan, "x", {}, goals[0]),
            Figure("P2", f"p50 at 1 client: {PEER}'s over ours", nan, "x", {}, goals[1]),
        ]
    faster = product.rate(16) / peer.rate(16)
    sooner = peer.milliseconds(1, 0.5) / product.milliseconds(1, 0.5)
    return [
        Figure("P2", f"rate at 16 clients: times that of {PEER}", faster, "x", {}, goals[0], faster >= 100),
        Figure("P2", f"p50 at 1 client: {PEER}'s over ours", sooner, "x", {}, goals[1], sooner >= 40),
    ]
