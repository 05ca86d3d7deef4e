"""Taking a guard out of a copy of the project and seeing whether the bar's tests notice.

The tests first run on an unchanged copy: a test that fails there proves nothing. A removal counts as noticed
only when the body of such a test then fails; a copy that no longer compiles, collects or sets up has broken
something else than the rule.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from guards import Guard

TOOLS = Path(__file__).resolve().parent
AT_ONCE = 2  # the tests start servers of their own; more would make their deadlines the thing measured
BASELINE_SECONDS = 1800
TESTS_FAILED = 1  # pytest's exit code; 2-5 mean that it could not run them


@dataclass(frozen=True)
class Outcome:
    """What became of one removal: `noticed`, or the reason why it is no proof."""

    state: str  # noticed | not noticed | stale | no tests | broken | failing before | timed out
    detail: str = ""
    noticed_by: dict[str, str] = field(default_factory=dict)  # test function -> digest of its source


def collect(root: Path, python: str = sys.executable) -> list[dict[str, Any]]:
    """Every test of the project with its bars. Raises RuntimeError with pytest's words if it cannot."""
    with tempfile.TemporaryDirectory(prefix="leverlock-bars-") as folder:
        target = Path(folder) / "collected.json"
        done = subprocess.run(
            [python, "-m", "pytest", "--collect-only", "-q", "-p", "marks_plugin", "-p", "no:cacheprovider"],
            cwd=root,
            env=_environment(root, BARS_COLLECTED=str(target)),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 5) or (done.returncode == 0 and not target.exists()):
            raise RuntimeError(f"the tests could not be collected:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
        found: list[dict[str, Any]] = json.loads(target.read_text()) if target.exists() else []
        return found


def chosen_tests(guard: Guard, collected: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tests that must notice: the bar's, narrowed by the entry; long ones only if named or alone."""
    tests = [test for test in collected if guard.id in test["bars"]]
    if guard.tests:
        return [t for t in tests if any(t["id"] == n or t["function"] == n for n in guard.tests)]
    return [test for test in tests if not test["soak"]] or tests


def prove(
    root: Path,
    guards: list[Guard],
    collected: list[dict[str, Any]],
    report: Callable[[Guard, Outcome], None],
    python: str = sys.executable,
) -> dict[Guard, Outcome]:
    """Run every removal, two at a time, and tell each outcome as it comes."""
    outcomes: dict[Guard, Outcome] = {}

    def settle(guard: Guard, outcome: Outcome) -> None:
        outcomes[guard] = outcome
        report(guard, outcome)

    waiting = []
    for guard in guards:
        if reason := guard.stale(root):
            settle(guard, Outcome("stale", reason))
        elif not (tests := chosen_tests(guard, collected)):
            settle(guard, Outcome("no tests", f"no test carries {guard.id}" + _narrowed(guard)))
        else:
            waiting.append((guard, tests))
    if not waiting:
        return outcomes
    passing = _baseline(root, sorted({test["function"] for _, tests in waiting for test in tests}), python)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = {pool.submit(_prove_one, root, g, tests, passing, python): g for g, tests in waiting}
        for future in as_completed(running):
            settle(running[future], future.result())
    return outcomes


def _narrowed(guard: Guard) -> str:
    return f" among {', '.join(guard.tests)}" if guard.tests else ""


def _baseline(root: Path, functions: list[str], python: str) -> set[str]:
    """The tests that pass on an unchanged copy."""
    with _copy(root) as copy:
        _imports_come_from(copy, python)
        code, outcomes, output = _run(copy, functions, python, BASELINE_SECONDS, stop=False)
        if code not in (0, TESTS_FAILED):
            raise RuntimeError(f"the tests could not run on an unchanged copy (exit {code}):\n{output[-4000:]}")
    failed = {o["id"] for o in outcomes if o["outcome"] == "failed"}
    return {o["id"] for o in outcomes if o["when"] == "call" and o["outcome"] == "passed"} - failed


def _prove_one(root: Path, guard: Guard, tests: list[dict[str, Any]], passing: set[str], python: str) -> Outcome:
    able = [test for test in tests if test["id"] in passing]
    if not able:
        return Outcome("failing before", "its tests fail or are skipped with the guard in place")
    with _copy(root) as copy:
        try:
            guard.remove(copy)
        except SyntaxError as error:
            return Outcome("broken", f"without the guard {guard.file} does not compile: {error.msg}")
        functions = sorted({test["function"] for test in able})
        code, outcomes, output = _run(copy, functions, python, guard.timeout, stop=True)
    if code is None:
        return Outcome("timed out", f"no answer after {guard.timeout} s")
    if code not in (0, TESTS_FAILED):
        return Outcome("broken", f"pytest could not run (exit {code}): {_last_line(output)}")
    mine = {test["id"]: test for test in able}
    fell = [mine[o["id"]] for o in outcomes if o["outcome"] == "failed" and o["id"] in mine]
    by_body = {
        mine[o["id"]]["function"]: mine[o["id"]]["digest"]
        for o in outcomes
        if o["outcome"] == "failed" and o["when"] == "call" and o["id"] in mine
    }
    if by_body:
        return Outcome("noticed", noticed_by=by_body)
    if fell:
        return Outcome("broken", f"only the set-up of {fell[0]['id']} fails: the removal breaks more than the rule")
    return Outcome("not noticed", f"{len(able)} tests pass without it")


def _last_line(output: str) -> str:
    return next((line for line in reversed(output.splitlines()) if line.strip()), "")


def _run(
    copy: Path, functions: list[str], python: str, seconds: int, *, stop: bool
) -> tuple[int | None, list[dict[str, str]], str]:
    """pytest on these functions in the copy: exit code (None: out of time), outcomes, output."""
    outcomes = copy / ".bars-outcomes.json"
    command = [python, "-m", "pytest", "-q", "-p", "marks_plugin", "-p", "no:cacheprovider"]
    with (copy / ".bars-output").open("w+") as output:
        process = subprocess.Popen(
            [*command, "-m", "soak or not soak", *functions],
            cwd=copy,
            env=_environment(copy, BARS_OUTCOMES=str(outcomes), BARS_STOP="1" if stop else "0"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        code: int | None
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            # What the tests started and left behind is in their session, which is ours alone.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        text = output.read()
    return code, json.loads(outcomes.read_text()) if outcomes.exists() else [], text


def _environment(root: Path, **more: str) -> dict[str, str]:
    """This environment, with the sources below `root` first for pytest and for every process it starts."""
    path = os.pathsep.join(map(str, (root / "src", root / "tests", TOOLS)))
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **more}


def _imports_come_from(copy: Path, python: str) -> None:
    """Raises RuntimeError unless a package of src is imported from the copy: else nothing would be proved."""
    packages = sorted(p.parent.name for p in (copy / "src").glob("*/__init__.py"))
    program = "import importlib, sys\nfor p in sys.argv[1:]: print(importlib.import_module(p).__file__)"
    done = subprocess.run(
        [python, "-c", program, *packages],
        cwd=copy,
        env=_environment(copy),
        capture_output=True,
        text=True,
        check=True,
    )
    for place in done.stdout.split():
        if not Path(place).is_relative_to(copy):
            raise RuntimeError(f"{place} is imported instead of the copy in {copy}")


@contextmanager
def _copy(root: Path) -> Iterator[Path]:
    """A scratch copy of what git tracks or would track, with the same environment beside it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    with tempfile.TemporaryDirectory(prefix="leverlock-bars-") as folder:
        copy = Path(folder).resolve() / "tree"
        for name in filter(None, listed.split("\0")):
            if (root / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, copy / name)
        if (root / ".venv").exists():
            (copy / ".venv").symlink_to((root / ".venv").resolve())
        yield copy
