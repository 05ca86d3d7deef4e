"""ccxt's own structural tests, the ones that ship inside its package, against the reads of the venue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from paper_account import lively_account

from ccxt_structure import READS, check_read
from venue_process import PaperVenue


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A walking market, and an account that has traded, holds a position and has open orders."""
    with PaperVenue(tmp_path_factory.mktemp("structure"), market="walk") as venue:
        exchange = lively_account(venue)
        exchange.has["future"] = False  # perpetuals only: the venue lists no dated contract
        yield exchange


@pytest.mark.parametrize("read", READS)
def test_ccxt_structural_test_of(lively: Any, read: str) -> None:
    check_read(lively, read)
