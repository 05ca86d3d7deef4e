"""What must hold after a process or a machine went down under load, however it went (C1 to C8)."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from crash.load import LIMITS, Exchange, FastClock, exchanges
from leverlock.app.redeem import Redeemed
from leverlock.domain.audit import EventKind
from leverlock.domain.environment import Environment
from trail_state import must_agree, whole
from world import NOW_MS, Deployment, Owner, order

READY_SECONDS = 5  # B93
OWNERS = 4
FUTURES = Environment.FUTURES


@dataclass
class Yard:
    """A folder with a database, its owners, and what clients were told there before it went down."""

    folder: Path
    clock: FastClock
    accounts: list[dict[str, str]]
    dice: random.Random

    def reopen(self) -> Deployment:
        """The restart: ready means that a use case was committed."""
        began = time.monotonic()
        deployment = Deployment.open(self.folder, clock=self.clock, limits=LIMITS)
        deployment.run(lambda tx: tx.lock_account(self.accounts[0]["id"]))
        assert time.monotonic() - began < READY_SECONDS  # C8
        return deployment

    def check(self) -> Counter[str]:
        """C1 to C6 and C8 over everything that was ever asked here; what was asked, by verb and answer."""
        with self.reopen() as deployment:
            with closing(sqlite3.connect(deployment.path)) as raw:
                assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)  # C6
            told = list(exchanges(self.folder))
            for account in self.accounts:
                check_account(deployment, account["id"], [e for e in told if e.request["account"] == account["id"]])
        return Counter(f"{e.request['verb']} {e.answer or 'unknown'}" for e in told)

    def still_answerable(self) -> None:
        """C5: whatever was left behind, every owner can approve with a next code, and what is open can be answered."""
        with Deployment.open(self.folder, clock=FastClock(self.clock.now_ms() + 7_200_000, time.monotonic())) as again:
            for account in self.accounts:
                owner = Owner(again, account["id"], account["login"])
                owner.seeds[FUTURES] = bytes.fromhex(account["seed"])
                owner.sign_in()
                approved = owner.approved(order(symbol="AFTER"))
                assert isinstance(owner.redeem(order(symbol="AFTER"), approved.grant), Redeemed)


def check_account(deployment: Deployment, account_id: str, told: list[Exchange]) -> None:
    trail = deployment.read(lambda tx: tx.events(account_id, after_seq=0, limit=10_000_000))
    state = must_agree(deployment.path, account_id, trail)  # C2, C6: and every step along its machine, once
    records = whole(trail)
    approvals = {
        (challenge, record["details"]["step"])
        for record in records
        if record["kind"] == EventKind.CHALLENGE_APPROVED
        for challenge in record["details"]["challenges"]
    }
    charged = Counter(
        challenge
        for record in records
        if record["kind"] == EventKind.ANSWER_REFUSED and "charged" in record["details"]
        for challenge in record["details"]["challenges"]
    )
    accepted: defaultdict[int, int] = defaultdict(int)
    spent: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    for exchange in told:
        request = exchange.request
        if request["verb"] == "redeem":
            spent[request["grant"]] += exchange.answer == "ok"
        elif exchange.answer == "ok":
            accepted[request["step"]] += 1
            assert (request["challenge"], request["step"]) in approvals  # C1: no acknowledged approval is lost
            assert state.challenges[request["challenge"]][0] != "pending"
        elif exchange.answer in ("wrong_code", "code_already_used"):
            wrong[request["challenge"]] += 1
        elif not exchange.answer or exchange.answer == "store_unavailable":
            unknown[request["challenge"]] += 1
    assert all(count == 1 for count in accepted.values())  # no code was accepted twice
    assert all(count <= 1 for count in spent.values())  # nor any grant
    consumed = sum(found == "consumed" for found, _ in state.challenges.values())
    assert consumed >= sum(spent.values())  # C4: what was told to be spent is spent
    for challenge in wrong | charged:
        assert wrong[challenge] <= charged[challenge] <= wrong[challenge] + unknown[challenge]  # C3


def new_yard(folder: Path, *, seed: int) -> Yard:
    """A database in `folder` with a few owners, each with a Futures authenticator."""
    clock = FastClock(NOW_MS, time.monotonic())
    with Deployment.create(folder, clock=clock, limits=LIMITS) as deployment:
        owners = [deployment.owner(f"owner{number}") for number in range(OWNERS)]
        for owner in owners:
            owner.enrol(FUTURES)
        accounts = [
            {
                "id": owner.account_id,
                "login": owner.login,
                "principal": owner.principal,
                "seed": owner.seeds[FUTURES].hex(),
            }
            for owner in owners
        ]
    (folder / "accounts.json").write_text(json.dumps(accounts))
    return Yard(folder, clock, accounts, random.Random(seed))
