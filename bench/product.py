"""The product as a program for the bench: API and gateway on free ports over a prepared folder.

    python -m bench.product FOLDER [--batch 1]

`--batch` sets how many use cases one commit may carry: P7 compares with one commit for each.
"""

from __future__ import annotations

import argparse
import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvloop

from bench.processes import say_ready
from leverlock.api.app import create_app
from leverlock.api.endpoint import Services
from leverlock.bootstrap import open_services
from leverlock.gateway.app import Door as GatewayParts
from leverlock.gateway.app import Gateway
from leverlock.gateway.http_protocol import StrictHttpProtocol
from leverlock.gateway.venue import Venues
from leverlock.metrics import DECISIONS
from leverlock.serving import Door, address, listen_tcp, open_doors, until_stopped
from leverlock.settings_sources import load_settings
from leverlock.store import sqlite
from leverlock.store.snapshot import Snapshot


class Meter:
    def decision(self, outcome: str, why: str, action: str) -> None:
        DECISIONS.labels(outcome, why, action).inc()


async def serve(folder: Path) -> None:
    settings = load_settings(folder / "config.toml", {}).settings
    services = open_services(settings)
    api, gateway = listen_tcp("127.0.0.1", 0), listen_tcp("127.0.0.1", 0)
    pool = ThreadPoolExecutor(1)
    try:
        snapshot = Snapshot(services.store, services.world.sealer, services.clock, settings.limits)
        await snapshot.refresh()
        following = asyncio.create_task(snapshot.follow())
        async with Venues(services.clock) as venues:
            parts = GatewayParts(services.store, services.world, snapshot, services.clock, venues, Meter(), {})
            app = create_app(Services(services.store, services.world, services.passwords, snapshot, pool))
            doors = [
                Door("api", app, api, StrictHttpProtocol),
                Door("gateway", Gateway(parts), gateway, StrictHttpProtocol),
            ]
            async with open_doors(doors, stop_seconds=2):
                say_ready(api=address(api)[1], gateway=address(gateway)[1])
                await until_stopped()
        following.cancel()
    finally:
        services.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--batch", type=int, default=sqlite.BATCH)
    arguments = parser.parse_args()
    sqlite.BATCH = arguments.batch
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(arguments.folder))


if __name__ == "__main__":
    main()
