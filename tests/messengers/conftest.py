"""A deployment whose clock the test sets, and one that lives in real time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from leverlock.store.host import SystemClock
from world import Deployment


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with Deployment.create(tmp_path) as made:
        yield made


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Deployment]:
    with Deployment.create(tmp_path, clock=SystemClock()) as made:
        yield made
