"""Fixtures of the commands' tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from installation import Installation
from venue_process import PaperVenue


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    Installation.make(folder)
    return folder


@pytest.fixture
def installation(_template: Path, tmp_path: Path) -> Installation:
    """A set-up installation of its own. It is a copy, so that hundreds of tests do not each wait for `init`."""
    shutil.copytree(_template, tmp_path, dirs_exist_ok=True)
    made = Installation(tmp_path)
    made.environment = {f"LEVERLOCK__SERVER__{door}_PORT": "0" for door in ("API", "GATEWAY", "METRICS")}
    made.environment["LEVERLOCK_PASSWORD_FILE"] = str(tmp_path / "password")
    return made


@pytest.fixture(scope="session")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperVenue]:
    """A paper venue for the whole session; each test takes an account of its own there."""
    with PaperVenue(tmp_path_factory.mktemp("venue")) as started:
        yield started
