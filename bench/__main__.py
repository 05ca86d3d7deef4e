"""What is fast, measured against peers and floors in the same run.

    python -m bench                     every row
    python -m bench P2 P7 --quick       some rows, fewer and shorter rounds: for looking, not for quoting
    python -m bench --peers             install the peers into .bench-venv first (about 600 MB, minutes)
    python -m bench --write             also write bench/RESULTS.md

Peers are measured where .bench-venv has them; BENCH_PEERS=1 does what --peers does, BENCH_PEERS=0 leaves them out.
Figures go to bench/out/ as JSON. Everything runs on loopback, is bounded, and ends what it started.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench import forwarding, idle, peers, policy, slow_disk, verification
from bench.figures import Figure, markdown, printed

HERE = Path(__file__).resolve().parent
ROWS = {
    "P1": "one decision in process",
    "P2": "one verification over HTTP",
    "P3": "an ordinary order through the gateway",
    "P5": "everything in one idle process",
    "P7": "verifications on a slow disk",
}


def measure(row: str, folder: Path, *, quick: bool, with_peers: bool) -> list[Figure]:
    """The figures of one row."""
    say = _teller(row)
    if row == "P1":
        return policy.figures(policy.medians(rounds=2 if quick else policy.ROUNDS, with_peers=with_peers))
    if row == "P2":
        return verification.measure(folder, quick=quick, with_peers=with_peers, say=say)
    if row == "P3":
        return forwarding.measure(folder, quick=quick, say=say)
    if row == "P5":
        return idle.measure(folder, quick=quick, with_peers=with_peers, say=say)
    return slow_disk.measure(folder, quick=quick, say=say)


def _teller(row: str) -> Callable[[str], None]:
    def say(text: str) -> None:
        print(f"  {row}: {text}", file=sys.stderr, flush=True)

    return say


def machine() -> dict[str, str]:
    """On what this ran, and when."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True)
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    load = os.getloadavg()[0]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{os.cpu_count()} cores, {model}, {platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load average at the start": f"{load:.1f}",
        "commit": commit.stdout.strip() or "unknown",
        "command": f"python -m bench {' '.join(sys.argv[1:])}".strip(),
    }


def wanted(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What is fast, against peers, in one run.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(f"{k}: {v}" for k, v in ROWS.items()))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--peers", action="store_true", help="install the peers first")
    parser.add_argument("--write", action="store_true", help="write bench/RESULTS.md")
    given = parser.parse_args(arguments)
    given.rows = [row.upper() for row in given.rows] or list(ROWS)
    unknown = [row for row in given.rows if row not in ROWS]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(ROWS)}")
    return given


def main(arguments: list[str]) -> int:
    given, where = wanted(arguments), machine()
    asked = os.environ.get("BENCH_PEERS", "")
    if given.peers or asked == "1":
        peers.install()
    with_peers = asked != "0" and peers.program("python") is not None
    notes = [] if with_peers else ["the peers were not run: python -m bench --peers installs and runs them"]
    out = HERE / "out"
    out.mkdir(exist_ok=True)
    found: list[Figure] = []
    for row in given.rows:
        folder = Path(tempfile.mkdtemp(prefix="leverlock-bench-"))
        try:
            figures = measure(row, folder, quick=given.quick, with_peers=with_peers)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        found += figures
        document = {**where, "figures": [asdict(figure) for figure in figures]}
        (out / f"{row}.json").write_text(json.dumps(document, indent=2) + "\n")
        print(printed(figures))
    gaps = [figure for figure in found if figure.reached is False]
    if gaps:
        notes.append(f"{len(gaps)} goals are not reached: {'; '.join(f'{gap.row} {gap.what}' for gap in gaps)}")
    print("\n".join(f"note: {note}" for note in notes))
    if given.write:
        (HERE / "RESULTS.md").write_text(results(where, found, notes))
    return 0


def results(where: dict[str, str], found: list[Figure], notes: list[str]) -> str:
    """`RESULTS.md`: what this run found, gaps included."""
    facts = "\n".join(f"- {name}: {value}" for name, value in where.items())
    told = "\n".join(f"- {note}" for note in notes)
    return (
        "# Results of the last run\n\n"
        "Ratios between things measured in the same run count; absolute rates are those of one machine in one hour. "
        "How to read this: [performance](../docs/explanation/performance.md).\n\n"
        f"{facts}\n\n{markdown(found)}\n\n{told}\n"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
