"""A thief with a key spells a symbol otherwise than the venue does, so that nothing seems to be known of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from leverlock.gateway.venue_answers import exposure

TOLD = [{"symbol": "BTCUSDT", "leverage": 20, "marginType": "CROSSED"}]


@pytest.mark.bar("B70")
@pytest.mark.parametrize("configuration", [[], TOLD], ids=["nothing told", "told under its own name"])
def test_a_spelling_that_the_venue_does_not_tell_is_known_by_nothing(configuration: list[Any]) -> None:
    """A venue that folds letter case when it acts and not when it lists: nothing seems to be open, and something is."""

    async def read(path: str, _parameters: Mapping[str, str]) -> Any:
        return configuration if path == "/fapi/v1/symbolConfig" else []

    assert asyncio.run(exposure(read, "btcusdt")) == {}
