"""`make bars` on a small project of its own: what it proves, and what it must refuse to call proved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parent.parent.parent / "tools"
# The small project needs none of the plugins installed here, and starts ten times faster without them.
BARE = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

PROJECT = {
    "pyproject.toml": """
[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["src", "tests"]
markers = ["bar(id)", "mission(id)", "soak"]
""",
    "src/vault/__init__.py": "",
    "src/vault/door.py": """
def open_door(code, used):
    if code in used:
        raise PermissionError("used")
    if code != "4711":
        raise PermissionError("wrong")
    used.add(code)
    return True

def length(code):
    assert len(code) == 4
    return 4

LIMIT = 5
""",
    "tests/test_door.py": """
import subprocess, sys
import pytest
from vault.door import LIMIT, length, open_door

@pytest.mark.bar("B4")
def test_once():
    used = set()
    assert open_door("4711", used)
    with pytest.raises(PermissionError):
        open_door("4711", used)

@pytest.mark.bar("B5")
def test_wrong_code_in_a_process_of_its_own():
    program = "from vault.door import open_door; open_door('0000', set())"
    assert subprocess.run([sys.executable, "-c", program], stderr=subprocess.DEVNULL).returncode != 0

@pytest.mark.bar("B6")
@pytest.mark.mission("M5")
def test_that_sees_nothing():
    assert length("4711") == 4

@pytest.fixture
def limit():
    if LIMIT != 5:
        raise RuntimeError("no set-up without a limit")
    return LIMIT

@pytest.mark.bar("B7")
def test_behind_a_set_up(limit):
    assert limit == 5

@pytest.mark.bar("B8")
def test_that_fails_anyway():
    assert LIMIT == 6

@pytest.mark.bar("B9")
@pytest.mark.soak
def test_long():
    assert LIMIT == 5

@pytest.mark.bar("B10")
@pytest.mark.parametrize("code", ["0000", "1111"])
def test_table(code):
    with pytest.raises(PermissionError):
        open_door(code, set())
""",
    "tests/guards.toml": """
[missing]
B4 = "console half: the page that says so"

[[guard]]
bar = "B4"
file = "src/vault/door.py"
where = "open_door"
old = "if code in used:"
new = "if False:"

[[guard]]
bar = ["B5", "B10"]
file = "src/vault/door.py"
where = "open_door, the compare"
old = 'if code != "4711":'
new = "if False:"

[[guard]]
mission = "M5"
file = "src/vault/door.py"
where = "length"
old = "assert len(code) == 4"
new = "pass"

[[guard]]
bar = "B6"
file = "src/vault/door.py"
where = "length, gone"
old = "assert len(code) == 40"
new = ""

[[guard]]
bar = "B7"
file = "src/vault/door.py"
where = "LIMIT"
old = "LIMIT = 5"
new = "LIMIT = 7"

[[guard]]
bar = "B8"
file = "src/vault/door.py"
where = "LIMIT"
old = "LIMIT = 5"
new = "LIMIT = 7"

[[guard]]
bar = "B9"
file = "src/vault/door.py"
where = "LIMIT"
old = "LIMIT = 5"
new = "LIMIT = 7"

[[guard]]
bar = "B10"
file = "src/vault/door.py"
where = "open_door, broken"
old = "    used.add(code)"
new = "  used.add(code"

[[guard]]
bar = "B11"
file = "src/vault/door.py"
where = "LIMIT"
old = "LIMIT = 5"
new = "LIMIT = 7"
""",
}


def bars(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOLS / "bars.py"), "--root", str(root), *arguments]
    return subprocess.run(command, env=BARE, capture_output=True, text=True, timeout=110, check=False)


def table(root: Path) -> dict[str, dict]:
    done = bars(root, "--json")
    assert done.returncode == 0, done.stderr
    return {line["id"]: line for line in json.loads(done.stdout)}


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_a_label_alone_proves_nothing(project: Path) -> None:
    lines = table(project)
    assert list(lines) == [f"B{n}" for n in range(1, 101)] + [f"M{n}" for n in range(1, 25)]
    assert lines["B4"]["state"] == "labelled"
    assert lines["B4"]["missing"] == "console half: the page that says so"
    assert lines["B1"]["state"] == lines["B11"]["state"] == "none"
    assert lines["B10"]["cases"] == 2
    assert lines["B10"]["tests"] == ["tests/test_door.py::test_table"]


def test_only_what_the_tests_notice_is_proved(project: Path) -> None:
    sources = {name: (project / name).read_text() for name in PROJECT}
    done = bars(project, "--prove", "1")
    assert done.returncode == 1
    assert {name: (project / name).read_text() for name in PROJECT} == sources
    record = json.loads((project / "tests" / "bars-proved.json").read_text())
    states = {(entry["id"], entry["where"]): entry["state"] for entry in record.values()}
    assert states == {
        ("B4", "open_door"): "noticed",
        ("B5", "open_door, the compare"): "noticed",
        ("B6", "length, gone"): "stale",
        ("B7", "LIMIT"): "broken",
        ("B8", "LIMIT"): "failing before",
        ("B9", "LIMIT"): "noticed",
        ("B10", "open_door, the compare"): "noticed",
        ("B10", "open_door, broken"): "broken",
        ("B11", "LIMIT"): "no tests",
        ("M5", "length"): "not noticed",
    }
    assert {entry["commit"] for entry in record.values()} == {git(project, "rev-parse", "--short=12", "HEAD")}
    lines = table(project)
    assert [id_ for id_, line in lines.items() if line["state"] == "proved"] == ["B4", "B5", "B9"]
    printed = bars(project).stdout
    assert "B4    proved" in printed
    assert "M5    labelled" in printed
    assert "length: not noticed 1 tests pass without it" in printed
    assert "100 bars: 3 proved (1 with a half still missing), 4 labelled, 93 none" in printed


def test_a_proof_ends_with_what_it_rested_on(project: Path) -> None:
    assert bars(project, "--prove", "1", "--only", "B4,B5,B9").returncode == 0
    assert table(project)["B4"]["state"] == "proved"
    edit(project / "tests/test_door.py", 'assert open_door("4711", used)', 'open_door("4711", used)')
    edit(project / "tests/guards.toml", 'bar = "B9"', 'bar = "B9"\ncount = 1\ntests = ["tests/x.py::y"]')
    edit(project / "src/vault/door.py", 'if code != "4711":', 'if "4711" != code:')
    lines = table(project)
    assert lines["B4"]["why"] == ["open_door: the test that noticed has changed since"]
    assert lines["B9"]["why"] == ["LIMIT: its removal was not tried in this form"]
    assert "stale: its text stands 0 times" in lines["B5"]["why"][0]
    assert [line["state"] for line in lines.values()].count("proved") == 0
    again = bars(project, "--prove", "stale", "--only", "B4,B9")
    assert "taking out 2 guards" in again.stderr
    assert "B9 LIMIT: no tests" in again.stderr
    assert table(project)["B4"]["state"] == "proved"
    assert table(project)["B4"]["commit"][0].endswith("+")


def test_a_removal_that_hangs_proves_nothing(project: Path) -> None:
    hang = 'old = "if code in used:"\nnew = "while True: continue\\n    if False:"\ntimeout = 3'
    edit(project / "tests/guards.toml", 'old = "if code in used:"\nnew = "if False:"', hang)
    done = bars(project, "--prove", "1", "--only", "B4")
    assert "B4 open_door: timed out; no answer after 3 s" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[guard]]\nbar = "B101"\nfile = "a"\nwhere = "b"\nold = "c"\nnew = ""\n', "no bar and no row"),
        ('[[guard]]\nbar = "B1"\nfile = "a"\nwhere = "b"\nold = "c"\n', "new is missing"),
        ('[[guard]]\nbar = "B1"\nfile = "a"\nwhere = "b"\nold = "c"\nnew = "c"\n', "removes nothing"),
        ('[[guard]]\nbar = "B1"\nskip = 1\n', "unknown key skip"),
        ('[missing]\nM25 = "x"\n', "M25 is neither"),
        ("[[guard]\n", "guards.toml"),
    ],
)  # fmt: skip
def test_a_guard_that_cannot_be_read_is_an_error(project: Path, text: str, complaint: str) -> None:
    (project / "tests/guards.toml").write_text(text)
    done = bars(project)
    assert done.returncode == 2
    assert complaint in done.stderr


def test_tests_that_cannot_be_collected_are_an_error(project: Path) -> None:
    (project / "tests/test_other.py").write_text("import nowhere\n")
    done = bars(project)
    assert done.returncode == 2
    assert "could not be collected" in done.stderr
