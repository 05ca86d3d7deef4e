"""A pytest plugin that writes down, as JSON, which test carries which marker and how each ended.

Loaded with `-p marks_plugin` by tools/bars.py; where to write comes from the environment:
BARS_COLLECTED   every collected test with its bars and rows, before any is deselected
BARS_OUTCOMES    phase by phase how each test that ran ended
BARS_STOP        "1": leave at the first test whose own body failed (set-up errors do not count)
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
from pathlib import Path
from typing import Any

import pytest

_outcomes: list[dict[str, str]] = []
_session: list[pytest.Session] = []


def _source_digest(item: pytest.Item) -> str:
    """Digest of the test's own source: a proof is void once the test that gave it was rewritten.

    Where a library made the function (a state machine's test case), the whole file stands for it.
    """
    function = getattr(item, "function", None)
    function = getattr(getattr(function, "hypothesis", None), "inner_test", function)
    try:
        function = inspect.unwrap(function)
        mine = Path(inspect.getsourcefile(function) or "").resolve() == item.path.resolve()
        text = inspect.getsource(function) if mine else item.path.read_text(encoding="utf-8")
    except (OSError, TypeError):
        text = item.path.read_text(encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _entry(item: pytest.Item) -> dict[str, Any]:
    return {
        "id": item.nodeid,
        "function": item.nodeid.split("[", 1)[0],
        "bars": sorted({mark.args[0] for kind in ("bar", "mission") for mark in item.iter_markers(kind)}),
        "soak": item.get_closest_marker("soak") is not None,
        "digest": _source_digest(item),
    }


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if path := os.environ.get("BARS_COLLECTED"):
        Path(path).write_text(json.dumps([_entry(item) for item in items]), encoding="utf-8")


def pytest_sessionstart(session: pytest.Session) -> None:
    _session[:] = [session]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome != "passed":
        _outcomes.append({"id": report.nodeid, "when": report.when, "outcome": report.outcome})
    if os.environ.get("BARS_STOP") == "1" and report.when == "call" and report.failed:
        _session[0].shouldfail = "the removal was noticed"


def pytest_sessionfinish() -> None:
    if path := os.environ.get("BARS_OUTCOMES"):
        Path(path).write_text(json.dumps(_outcomes), encoding="utf-8")
