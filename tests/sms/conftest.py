"""One Kannel for all tests that send through it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kannel import Kannel


@pytest.fixture(scope="package")
def kannel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kannel]:
    with Kannel(tmp_path_factory.mktemp("kannel")) as running:
        yield running
