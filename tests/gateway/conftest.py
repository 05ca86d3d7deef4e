"""One paper venue for all tests of the gateway; each test starts with no fault and an empty log there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.live import PRICES, Live
from venue_process import PaperVenue


@pytest.fixture(scope="session")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperVenue]:
    with PaperVenue(tmp_path_factory.mktemp("paper")) as venue:
        for symbol, price in PRICES.items():
            venue.set_price(symbol, price)
        yield venue


@pytest.fixture(scope="module")
def live_module(paper: PaperVenue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with Live(tmp_path_factory.mktemp("gateway"), paper) as live:
        yield live


@pytest.fixture
def venue(paper: PaperVenue) -> Iterator[PaperVenue]:
    paper.clear_faults()
    paper.clear_calls()
    yield paper
    paper.clear_faults()


@pytest.fixture
def live(live_module: Live, venue: PaperVenue) -> Live:
    """The gateway under the `literal` policy, shared by the tests of a file; each takes parties of its own."""
    return live_module
