"""Use cases on the real store, with a clock that the test sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from leverlock.domain.environment import Environment
from world import Deployment, Owner


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with Deployment.create(tmp_path) as made:
        yield made


@pytest.fixture
def alice(deployment: Deployment) -> Owner:
    """An owner whose Futures protection is on."""
    return deployment.owner("alice", enrolled=[Environment.FUTURES])
