"""Load to be killed: clients that ask, answer and redeem, and write down what they asked and what they were told.

`python -m crash.load FOLDER NAME CLOCK` opens the store, prints "ready", and works until it is killed. Every request
is a line of NAME-<thread>.log that is on disk before the request is made; its answer is one before the next request.
What has a request and no answer is *unknown*: it may have happened or not, and both must be sound.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leverlock.app import decide, prove, redeem
from leverlock.app.proofs import Proof
from leverlock.domain.action import Intent
from leverlock.domain.errors import Refused
from leverlock.domain.limits import Limits
from leverlock.domain.totp import hotp, step_at
from leverlock.ports import Transaction
from world import Deployment, order

SPEED = 300  # the clock runs this much faster, so that a time step passes in a tenth of a second
THREADS = 2
LIMITS = Limits(account_wrong_answers=100, account_window_ms=3_600_000)


@dataclass(frozen=True)
class FastClock:
    """`ports.Clock` that all processes of a test agree on, over kills too: it counts from the machine's uptime."""

    base_ms: int
    started: float

    def now_ms(self) -> int:
        return self.base_ms + int((time.monotonic() - self.started) * 1000 * SPEED)

    def __str__(self) -> str:
        return f"{self.base_ms}:{self.started!r}"

    @classmethod
    def parse(cls, text: str) -> FastClock:
        base, _, started = text.partition(":")
        return cls(int(base), float(started))


@dataclass
class ClientLog:
    """An append-only file that is synced after every line."""

    path: Path
    number: int = 0
    descriptor: int = field(default=-1)

    def __post_init__(self) -> None:
        self.descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, **entry: Any) -> None:
        os.write(self.descriptor, json.dumps(entry).encode() + b"\n")
        os.fsync(self.descriptor)

    def request(self, **entry: Any) -> None:
        self.number += 1
        self.write(id=f"{os.getpid()}.{self.number}", **entry)

    def answer(self, answer: str, **more: Any) -> None:
        self.write(answer=answer, **more)


@dataclass
class Exchange:
    """A request and what was answered; `answer` is "" where nobody knows."""

    request: dict[str, Any]
    answer: str = ""
    told: dict[str, Any] = field(default_factory=dict)


def exchanges(folder: Path) -> Iterator[Exchange]:
    """Everything that all clients have written, kill after kill."""
    for path in sorted(folder.glob("*.log")):
        current: Exchange | None = None
        for line in path.read_bytes().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the line that the kill cut off
            if "id" in entry:
                if current is not None:
                    yield current
                current = Exchange(entry)
            elif current is not None:
                current.answer, current.told = entry["answer"], entry
        if current is not None:
            yield current


@dataclass
class Client:
    """One thread of load on one of the accounts at a time."""

    deployment: Deployment
    accounts: list[dict[str, str]]
    log: ClientLog
    dice: random.Random
    grants: list[tuple[dict[str, str], str, str]] = field(default_factory=list)

    def work(self) -> None:
        while True:
            account = self.dice.choice(self.accounts)
            verb = self.dice.choices([self.approve, self.guess, self.spend, self.again], [5, 2, 4, 1])[0]
            verb(account)

    def intent(self, account: dict[str, str], symbol: str) -> Intent:
        return Intent(account["id"], account["principal"], "up_test", order(symbol=symbol))

    def ask(self, account: dict[str, str], symbol: str) -> str | None:
        try:
            asked = self.deployment.run(
                lambda tx: decide.ask(tx, self.deployment.world, intent=self.intent(account, symbol))
            )
        except Refused:
            return None
        assert isinstance(asked, decide.Asked)
        return asked.challenge.challenge_id

    def answer(self, account: dict[str, str], challenge: str, code: str, **request: Any) -> prove.Approved | None:
        def run(tx: Transaction) -> list[prove.Approved]:
            return prove.prove(
                tx,
                self.deployment.world,
                account_id=account["id"],
                answered_by=account["principal"],
                challenge_ids=[challenge],
                proof=Proof(code),
            )

        self.log.request(account=account["id"], challenge=challenge, **request)
        try:
            [approved] = self.deployment.run(run)
        except Refused as why:
            self.log.answer(why.reason.value)
            return None
        self.log.answer("ok", grant=approved.grant)
        return approved

    def approve(self, account: dict[str, str]) -> None:
        symbol = f"S{self.dice.randrange(8)}"
        challenge = self.ask(account, symbol)
        if challenge is None:
            return
        step = step_at(self.deployment.clock.now_ms())
        code = hotp(bytes.fromhex(account["seed"]), step)
        approved = self.answer(account, challenge, code, verb="approve", step=step)
        if approved is not None:
            self.grants.append((account, symbol, approved.grant))

    def guess(self, account: dict[str, str]) -> None:
        challenge = self.ask(account, "GUESS")
        if challenge is None:
            return
        seed, now = bytes.fromhex(account["seed"]), step_at(self.deployment.clock.now_ms())
        live = {hotp(seed, now + ahead) for ahead in range(-9, 99)}
        wrong = next(code for code in ("000000", "111111", "222222") if code not in live)
        self.answer(account, challenge, wrong, verb="guess")

    def spend(self, _account: dict[str, str]) -> None:
        if self.grants:
            self.redeem(*self.grants[self.dice.randrange(len(self.grants))])

    def again(self, _account: dict[str, str]) -> None:
        """A grant that was spent, or may have been, is presented once more."""
        if self.grants:
            grant = self.grants.pop()
            self.redeem(*grant)
            self.redeem(*grant)

    def redeem(self, account: dict[str, str], symbol: str, grant: str) -> None:
        self.log.request(verb="redeem", account=account["id"], grant=grant)
        try:
            answer = self.deployment.run(
                lambda tx: redeem.redeem(tx, self.deployment.world, intent=self.intent(account, symbol), grant=grant)
            )
        except Refused as why:
            self.log.answer(why.reason.value)
        else:
            self.log.answer("ok" if isinstance(answer, redeem.Redeemed) else "void")


def main(folder: Path, name: str, clock: FastClock) -> None:
    accounts = json.loads((folder / "accounts.json").read_text())
    with Deployment.open(folder, clock=clock, limits=LIMITS) as deployment:
        clients = [
            Client(deployment, accounts, ClientLog(folder / f"{name}-{n}.log"), random.Random(f"{name}-{n}"))
            for n in range(THREADS)
        ]
        threads = [threading.Thread(target=client.work, daemon=True) for client in clients]
        for thread in threads:
            thread.start()
        print("ready", flush=True)
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], FastClock.parse(sys.argv[3]))
