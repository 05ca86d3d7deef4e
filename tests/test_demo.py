"""The demo as its users start it: a process of its own, with the real server, the paper venue and ccxt."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import ccxt
import pytest

from venue_process import point_ccxt

SOURCE = Path(__file__).parent.parent / "src"


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEVERLOCK_")}
    return {**kept, "PYTHONPATH": str(SOURCE), "PYTHONUNBUFFERED": "1"}


@pytest.mark.timeout(200)
@pytest.mark.mission("M1")
@pytest.mark.mission("M7")
@pytest.mark.mission("M9")
@pytest.mark.mission("M10")
@pytest.mark.mission("M15")
def test_once_walks_the_story_and_ends_with_0_only_if_every_step_was_as_expected(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "leverlock", "demo", "--once"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = [line for line in done.stdout.splitlines() if line.lstrip().startswith(("✓", "✗"))]
    assert len(steps) >= 35
    told = {line.split(". ", 1)[1].split("  ")[0] for line in steps if ". M" in line}
    assert told >= {f"M{number}" for number in range(1, 24)}
    assert not [line for line in steps if "✗" in line]
    assert "█" in done.stdout, "no QR code"
    assert "all as expected" in done.stdout


@pytest.mark.mission("M15")
def test_it_goes_on_serving_and_says_how_to_go_on(tmp_path: Path) -> None:
    """What it writes down is enough: one's own ccxt, pointed there, is stopped at 75x."""
    with (tmp_path / "out.txt").open("w") as output:
        demo = subprocess.Popen(
            [sys.executable, "-m", "leverlock", "demo"], cwd=tmp_path, env=environment(), stdout=output, stderr=output
        )
    facts_file = tmp_path / ".leverlock" / "demo.json"
    try:
        deadline = time.monotonic() + 60
        while not facts_file.exists():
            assert demo.poll() is None, (tmp_path / "out.txt").read_text()
            assert time.monotonic() < deadline, (tmp_path / "out.txt").read_text()
            time.sleep(0.05)
        facts = json.loads(facts_file.read_text())
        assert stat.S_IMODE(facts_file.stat().st_mode) == 0o600
        wanted = {"api", "gateway", "venue", "username", "password", "api_key", "api_secret", "futures_totp_uri"}
        assert set(facts) == wanted
        assert facts["futures_totp_uri"].startswith("otpauth://totp/Leverlock%20Futures:")
        with urllib.request.urlopen(f"{facts['api']}/readyz", timeout=10) as answer:
            assert answer.status == 200
        x = point_ccxt(ccxt.binanceusdm({"apiKey": facts["api_key"], "secret": facts["api_secret"]}), facts["gateway"])
        x.load_markets()
        x.set_leverage(75, "ETH/USDT:USDT")
        with pytest.raises(ccxt.ExchangeError, match="-40101"):
            x.create_order("ETH/USDT:USDT", "market", "buy", 0.1)
    finally:
        demo.send_signal(signal.SIGINT)
        status = demo.wait(30)
    assert status == 0, (tmp_path / "out.txt").read_text()
    with pytest.raises(OSError):
        urllib.request.urlopen(f"{facts['api']}/healthz", timeout=2)
