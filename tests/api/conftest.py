"""One running deployment for each test module; every test has accounts of its own in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api_deployment import Deployment


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    running = Deployment(tmp_path_factory.mktemp("deployment"))
    try:
        yield running
    finally:
        running.close()
