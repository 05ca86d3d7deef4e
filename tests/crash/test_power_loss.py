"""The power goes off under load: nothing acknowledged is lost, nothing is accepted twice, the chains are whole (B94).

The machine is `crash/power.py`; after each cut the files are laid into a new folder and opened by the ordinary
`sqlite3`. That the harness can see a loss is shown with `synchronous=NORMAL`, under which commits may vanish.
"""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import threading
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from crash.load import LIMITS, THREADS, Client, ClientLog, exchanges
from crash.power import Dark, Platter, Power, PowerFile
from crash.yard import Yard, new_yard
from world import Deployment

DATABASE = "leverlock.db"
FUSE = 2_500  # writes and syncs until a cut, at most
BESIDE = ("keyring.json", "accounts.json")


@dataclass
class LiveLog(ClientLog):
    """A client's notes for as long as the power is on; they are on another machine, and need no sync."""

    power: Power = field(kw_only=True)

    def write(self, **entry: Any) -> None:
        with self.power.lock:
            self.power.must_be_on()
            with self.path.open("ab") as file:
                file.write(json.dumps(entry).encode() + b"\n")


class LiveClient(Client):
    """A client that works until the power goes off."""

    def work(self) -> None:
        try:
            super().work()
        except Dark:
            return

    def ask(self, account: dict[str, str], symbol: str) -> str | None:
        assert isinstance(self.log, LiveLog)
        self.log.power.must_be_on()
        return super().ask(account, symbol)

    def guess(self, account: dict[str, str]) -> None:
        if self.dice.random() < 0.2:  # a factor that is blocked all the time would leave little to be lost
            super().guess(account)

    def spend(self, account: dict[str, str]) -> None:
        assert isinstance(self.log, LiveLog)
        self.log.power.must_be_on()
        super().spend(account)


def cut_once(yard: Yard, name: str, **disk: Any) -> tuple[Yard, int]:
    """Work on the yard until the power goes off; the yard as it is found then, and how many writes were not synced."""
    power = Power(yard.dice, fuse=yard.dice.randrange(10, FUSE))
    file = PowerFile(power, **disk)
    deployment = Deployment.open(yard.folder, clock=yard.clock, limits=LIMITS, connect=file)
    logs = [LiveLog(yard.folder / f"{name}-{n}.log", power=power) for n in range(THREADS)]
    clients = [LiveClient(deployment, yard.accounts, log, random.Random(log.path.name)) for log in logs]
    threads = [threading.Thread(target=client.work) for client in clients]
    for thread in threads:
        thread.start()
    assert power.off.wait(60)
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    deployment.close()
    return laid_out(yard, yard.folder.with_name(f"yard.{name}"), power.found), power.unsynced


def laid_out(yard: Yard, folder: Path, found: dict[str, bytes]) -> Yard:
    """A new folder with what the disk held, and what was never on it: keyring and the clients' notes."""
    folder.mkdir()
    for path in [*(yard.folder / name for name in BESIDE), *yard.folder.glob("*.log")]:
        shutil.copy2(path, folder / path.name)
    for name, held in found.items():
        (folder / name).write_bytes(held)
        (folder / name).chmod(0o600)
    assert DATABASE in found
    return replace(yard, folder=folder)


def cut_and_check(yard: Yard, cuts: int) -> None:
    asked: Counter[str] = Counter()
    at_risk = 0
    for number in range(cuts):
        before, (yard, unsynced) = yard, cut_once(yard, f"c{number}")
        shutil.rmtree(before.folder)
        asked = yard.check()
        at_risk += unsynced > 0
    yard.still_answerable()
    assert min(asked["approve ok"], asked["redeem ok"], asked["guess wrong_code"]) >= cuts, asked
    assert sum(count for name, count in asked.items() if name.endswith("unknown")) >= 1, asked
    assert at_risk >= cuts // 3, "hardly ever a write waited for its sync"


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    folder = tmp_path / "yard"
    folder.mkdir()
    return new_yard(folder, seed=94)


@pytest.mark.bar("B94")
@pytest.mark.timeout(300)
def test_thirty_power_cuts(yard: Yard) -> None:
    cut_and_check(yard, 30)


@pytest.mark.bar("B94")
@pytest.mark.soak
def test_three_hundred_power_cuts(yard: Yard) -> None:
    cut_and_check(yard, 300)


@pytest.mark.bar("B94")
@pytest.mark.timeout(300)
def test_the_harness_sees_what_weaker_syncs_lose(yard: Yard) -> None:
    """Under NORMAL the log is not synced at a commit: the file stays whole, and acknowledged approvals are gone."""
    for number in range(20):
        yard, _ = cut_once(yard, f"n{number}", synchronous="NORMAL", checkpoint_pages=4_000)
        with yard.reopen() as deployment, closing(sqlite3.connect(deployment.path)) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            stored = {row[0] for row in raw.execute("SELECT challenge_id FROM challenge WHERE state <> 'pending'")}
        told = [each.request for each in exchanges(yard.folder) if each.answer == "ok"]
        if {request["challenge"] for request in told if request["verb"] == "approve"} - stored:
            return
    pytest.fail("twenty power cuts without syncs lost nothing: this harness proves nothing")


def test_a_page_is_torn_and_writes_are_dropped() -> None:
    """What a cut leaves is now and then neither all nor nothing of what waited."""
    dice, seen = random.Random(1), set()
    for _ in range(200):
        platter = Platter(bytearray(b"s" * 1024))
        for place in range(3):
            platter.waiting.append((place * 1024, bytes([65 + place]) * 1024))
        left = platter.after_a_cut(dice)
        seen.add(bytes(left[place] for place in range(0, len(left), 512)))
    assert {b"ss", b"AABB", b"AABBC", b"A", b"As"} & seen >= {b"ss", b"AABB", b"AABBC"}
    assert len(seen) > 6


def test_the_disk_is_an_sqlite_of_its_own(tmp_path: Path) -> None:
    """A commit is on the platters once it is answered, and an unfinished one is not."""
    with closing(sqlite3.connect(tmp_path / "a.db")) as made:
        made.execute("CREATE TABLE t (n INTEGER)")
    power = Power(random.Random(2), fuse=1_000)
    raw = PowerFile(power)(tmp_path / "a.db", False)
    for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "INSERT INTO t VALUES (1)", "BEGIN"):
        raw.execute(statement)
    assert raw.execute("INSERT INTO t VALUES (2), (3)").rowcount == 2
    power.blow()
    with pytest.raises(sqlite3.OperationalError):
        raw.execute("COMMIT")
    for name, held in power.found.items():
        (tmp_path / f"x{name}").write_bytes(held)
    with closing(sqlite3.connect(tmp_path / "xa.db")) as after:
        assert after.execute("SELECT n FROM t").fetchall() == [(1,)]
