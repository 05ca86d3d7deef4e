"""P5: API, gateway and metrics in one idle process: how much memory it holds, and how soon it answers.

Time to ready is from starting `leverlock serve` to its word that every door answers, Python's own start included.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench import peers, privacyidea
from bench.figures import Figure
from bench.population import Deployment
from bench.product import serving

STARTS = 5
QUICK_STARTS = 2
IDLE_SECONDS = 2.0
MEGABYTES = 100.0
SECONDS = 1.0


def measure(folder: Path, *, quick: bool, with_peers: bool, say: Callable[[str], None]) -> list[Figure]:
    """P5's figures. `folder` is scratch and may be removed afterwards."""
    Deployment.create(folder / "idle")
    starts, sizes = [], []
    for number in range(QUICK_STARTS if quick else STARTS):
        say(f"start {number + 1}")
        with serving(folder / "idle", log=folder / "idle.log") as program:
            starts.append(program.seconds_to_ready)
            time.sleep(IDLE_SECONDS)
            sizes.append(program.resident_megabytes())
    beside_size, beside_start = {}, {}
    if with_peers and peers.program("pi-manage"):
        say("setting up privacyIDEA")
        with privacyidea.start(folder / "idle-privacyidea") as peer:
            beside_size = {"privacyIDEA 3.14, 2 workers": peer.resident_megabytes()}
            beside_start = {"privacyIDEA 3.14, 2 workers": peer.seconds_to_ready}
    size, start = median(sizes), median(starts)
    return [
        Figure("P5", "resident, idle", size, "MB", beside_size, f"<= {MEGABYTES:g} MB", size <= MEGABYTES),
        Figure("P5", "time to ready", start, "s", beside_start, f"<= {SECONDS} s", start <= SECONDS),
    ]
