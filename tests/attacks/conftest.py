"""A deployment for the thieves who need no wire."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from world import Deployment


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with Deployment.create(tmp_path) as made:
        yield made
