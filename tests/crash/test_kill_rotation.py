"""`kill -9` in the middle of a key rotation under load: it goes on, and ends with every factor verifying (B84)."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from crash.load import LIMITS
from crash.yard import Yard, new_yard
from leverlock.domain.environment import Environment
from leverlock.domain.totp import hotp
from leverlock.ports import SealBroken
from leverlock.store.sealing import Keyring
from world import Deployment

FUTURES = Environment.FUTURES


def populate(yard: Yard, count: int) -> dict[str, bytes]:
    """So many more owners, each with an authenticator; its seed by the authenticator's id."""
    with Deployment.open(yard.folder, clock=yard.clock, limits=LIMITS) as deployment:
        seeds = {}
        for number in range(count):
            owner = deployment.owner(f"extra{number}")
            owner.enrol(FUTURES)
            seeds[owner.authenticators[FUTURES]] = owner.seeds[FUTURES]
    return seeds


def sealed_under(yard: Yard) -> dict[int, int]:
    with closing(sqlite3.connect(yard.folder / "leverlock.db")) as raw:
        return dict(raw.execute("SELECT key_version, count(*) FROM authenticator GROUP BY key_version").fetchall())


def start(module: str, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str]) -> str:
    process.kill()
    process.wait()
    assert process.stdout is not None
    told = process.stdout.read()
    process.stdout.close()
    return told


def rotate_with_kills(yard: Yard, seeds: dict[str, bytes], kills: int) -> None:
    """Kill rotations until so many were caught half done, then let one come to its end; the load never stops."""
    load = start("crash.load", str(yard.folder), "load", str(yard.clock))
    half_done = 0
    try:
        while half_done < kills:
            rotation = start("crash.rotation", str(yard.folder), str(yard.clock))
            # Not a wait for something to happen: the random moment is what is tested.
            time.sleep(yard.dice.uniform(0.0, 0.25))
            rotation.send_signal(signal.SIGKILL)
            if '"left"' not in end(rotation):
                half_done += len(sealed_under(yard)) > 1
            assert load.poll() is None
        rotation = start("crash.rotation", str(yard.folder), str(yard.clock))
        assert rotation.wait(120) == 0
        assert json.loads(end(rotation)) == {"left": 0}
    finally:
        end(load)
    must_be_whole(yard, seeds)


def must_be_whole(yard: Yard, seeds: dict[str, bytes]) -> None:
    current = Keyring.load(yard.folder / "keyring.json").current
    assert current > 1
    assert list(sealed_under(yard)) == [current], "no row is left under an older key"
    yard.check()
    with Deployment.open(yard.folder, clock=yard.clock, limits=LIMITS) as deployment:
        for account in deployment.read(lambda tx: tx.accounts(after="", limit=10_000)):
            for factor in deployment.read(lambda tx, a=account: tx.authenticators(a.account_id)):  # type: ignore[misc]
                try:
                    seed = deployment.sealer.open(factor.secret, context=factor.seal_context)
                except SealBroken:
                    pytest.fail(f"{factor.authenticator_id} does not open")
                if factor.authenticator_id in seeds:
                    assert hotp(seed, 1) == hotp(seeds[factor.authenticator_id], 1)
    yard.still_answerable()


@pytest.mark.bar("B84")
@pytest.mark.timeout(300)
def test_a_rotation_survives_kills_under_load(tmp_path: Path) -> None:
    yard = new_yard(tmp_path, seed=84)
    rotate_with_kills(yard, populate(yard, 120), kills=3)


@pytest.mark.bar("B84")
@pytest.mark.soak
def test_a_rotation_of_500_seeds_survives_thirty_kills(tmp_path: Path) -> None:
    yard = new_yard(tmp_path, seed=8484)
    rotate_with_kills(yard, populate(yard, 500), kills=30)
