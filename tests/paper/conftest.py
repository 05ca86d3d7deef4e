"""One paper venue per test module with prices set by hand; an account of its own for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from venue_process import PaperVenue, VenueKey


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperVenue]:
    with PaperVenue(tmp_path_factory.mktemp("paper")) as running:
        yield running


@pytest.fixture(autouse=True)
def first_price(request: pytest.FixtureRequest) -> None:
    """Every test of a module's venue starts from the same price, without faults left over."""
    if "venue" in request.fixturenames:
        running: PaperVenue = request.getfixturevalue("venue")
        running.set_price("BTCUSDT", "60000")
        running.clear_faults()


@pytest.fixture
def account(venue: PaperVenue) -> int:
    return venue.create_account({"futures": {"USDT": "10000"}, "spot": {"USDT": "500"}})


@pytest.fixture
def key(venue: PaperVenue, account: int) -> VenueKey:
    return venue.create_key(account)
