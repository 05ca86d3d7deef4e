"""What the gateway is joined to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from leverlock.gateway.legacy_uses import LegacyUses
from leverlock.gateway.venue import Venues
from leverlock.ports import Clock, Store, World
from leverlock.store.snapshot import Snapshot


class Meter(Protocol):
    """Counts decisions; labels are words of closed lists, never who asked."""

    def decision(self, outcome: str, why: str, action: str) -> None: ...


@dataclass(frozen=True)
class GatewayParts:
    """The parts that `bootstrap` joins. `public_base_urls`: where market data comes from, by the venue's host."""

    store: Store
    world: World
    snapshot: Snapshot
    clock: Clock
    venues: Venues
    meter: Meter
    public_base_urls: Mapping[str, str]
    spared: LegacyUses = field(default_factory=LegacyUses)
