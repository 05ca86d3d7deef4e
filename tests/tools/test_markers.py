"""The rules of the markers, on a small suite that borrows this one's conftest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def run(folder: Path, test: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "tests" / "conftest.py", folder / "conftest.py")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    bar\n    mission\n    debian\n    soak\n")
    (folder / "test_it.py").write_text("import pytest\n" + test)
    kept = {key: value for key, value in os.environ.items() if key not in ("CI", "PYTHONPATH")}
    kept["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", *arguments],
        cwd=folder, env={**kept, **environment}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("mark", ['bar("B0")', 'bar("B101")', 'bar("5")', 'mission("M25")', "bar()"])
def test_an_unknown_id_stops_the_collection(tmp_path: Path, mark: str) -> None:
    done = run(tmp_path, f"@pytest.mark.{mark}\ndef test_x(): pass\n")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "names no" in done.stderr


@pytest.mark.parametrize("mark", ['bar("B1")', 'bar("B100")', 'mission("M24")'])
def test_a_known_id_passes(tmp_path: Path, mark: str) -> None:
    assert run(tmp_path, f"@pytest.mark.{mark}\ndef test_x(): pass\n").returncode == 0


ABSENT = '@pytest.mark.debian("no-such-program", package="some-package")\ndef test_x(): pass\n'


def test_a_missing_program_skips_and_says_why(tmp_path: Path) -> None:
    done = run(tmp_path, ABSENT, CI="false")
    assert done.returncode == 0
    assert "1 skipped" in done.stdout
    assert "no-such-program, which is not installed (apt-get install some-package)" in done.stdout


def test_a_missing_program_fails_on_a_build_machine(tmp_path: Path) -> None:
    done = run(tmp_path, ABSENT, CI="true")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "apt-get install some-package" in done.stdout


def test_a_program_that_is_there_runs(tmp_path: Path) -> None:
    done = run(tmp_path, '@pytest.mark.debian("sh")\ndef test_x(): pass\n', CI="true")
    assert "1 passed" in done.stdout


def test_long_tests_run_only_when_asked_for(tmp_path: Path) -> None:
    suite = "@pytest.mark.soak\ndef test_long(): pass\ndef test_short(): pass\n"
    assert "1 passed, 1 deselected" in run(tmp_path, suite).stdout
    assert "1 passed, 1 deselected" in run(tmp_path, suite, "-m", "soak").stdout
    assert "2 passed" in run(tmp_path, suite, "-m", "soak or not soak").stdout
