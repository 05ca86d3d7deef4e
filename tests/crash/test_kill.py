"""`kill -9` at random points under load: nothing accepted twice, nothing acknowledged lost, ready in 5 s (B93)."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from crash.yard import Yard, new_yard


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return new_yard(tmp_path, seed=93)


def kill_once(yard: Yard, name: str) -> None:
    """Two processes under load; one is killed a little before the other."""
    command = [sys.executable, "-m", "crash.load", str(yard.folder)]
    processes = [
        subprocess.Popen([*command, f"{name}p{place}", str(yard.clock)], stdout=subprocess.PIPE, text=True)
        for place in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yard.dice.shuffle(processes)
        for process in processes:
            # Not a wait for something to happen: the random moment is what is tested.
            time.sleep(yard.dice.uniform(0.02, 0.5))
            assert process.poll() is None
            process.send_signal(signal.SIGKILL)
    finally:
        for process in processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def kill_and_check(yard: Yard, kills: int) -> None:
    asked: Counter[str] = Counter()
    for number in range(kills):
        kill_once(yard, f"k{number}")
        asked = yard.check()
    yard.still_answerable()
    # The load was a load: approvals, wrong answers and executions were acknowledged, and some answers never came.
    assert min(asked["approve ok"], asked["redeem ok"], asked["guess wrong_code"]) >= kills, asked
    assert sum(count for name, count in asked.items() if name.endswith("unknown")) >= 1, asked


@pytest.mark.bar("B93")
@pytest.mark.timeout(300)
def test_ten_kills(yard: Yard) -> None:
    kill_and_check(yard, 10)


@pytest.mark.bar("B93")
@pytest.mark.soak
def test_a_hundred_kills(yard: Yard) -> None:
    kill_and_check(yard, 100)
