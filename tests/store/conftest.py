"""Every test here runs on a real database file; PostgreSQL joins by adding a way to make one to ENGINES."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from world import Deployment

ENGINES = {"sqlite": Deployment.create}


@pytest.fixture(params=sorted(ENGINES))
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    with ENGINES[request.param](tmp_path) as made:
        yield made
