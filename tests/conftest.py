"""The markers of the suite and their rules.

`bar("B5")` and `mission("M15")` name what a test shows; an id that does not exist stops the collection.
`debian("oathtool")` names a program the test drives; without it the test is skipped with the reason, and
failed where CI is set, so that a build machine cannot grow green by lacking a program. `soak` runs only when
asked for.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

# Tests start programs of their own, which find the sources and the test support where this file found them.
HERE = Path(__file__).parent
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(HERE.parent / "src"), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
)

KNOWN_IDS = {
    "bar": frozenset(f"B{n}" for n in range(1, 101)),
    "mission": frozenset(f"M{n}" for n in range(1, 25)),
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for kind, known in KNOWN_IDS.items():
            for mark in item.iter_markers(kind):
                if mark.kwargs or len(mark.args) != 1 or mark.args[0] not in known:
                    written = ", ".join(map(repr, mark.args))
                    raise pytest.UsageError(f"{item.nodeid}: @pytest.mark.{kind}({written}) names no {kind}")
    if "soak" not in (config.option.markexpr or ""):
        long = [item for item in items if item.get_closest_marker("soak")]
        if long:
            config.hook.pytest_deselected(items=long)
            items[:] = [item for item in items if not item.get_closest_marker("soak")]


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("debian"):
        (program,) = mark.args
        if shutil.which(program) is None:
            package = mark.kwargs.get("package", program)
            reason = f"drives the program {program}, which is not installed (apt-get install {package})"
            if os.environ.get("CI", "").lower() not in ("", "0", "false"):
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)
