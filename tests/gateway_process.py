"""The gateway as a process of its own, over a deployment's folder: what `tests/stack.py` starts.

    python -m gateway_process --folder F --venue URL --ready-file R [--policy literal] [--port 0]

It joins the same parts as the server does and nothing of its own, ends on SIGTERM, and holds no secret in its
arguments. The database and the keyring in the folder are shared with the test, which plays the operator.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
from collections import Counter
from pathlib import Path

import uvicorn
import uvloop

from leverlock.domain.limits import Limits
from leverlock.gateway.app import Door, Gateway
from leverlock.gateway.http_protocol import StrictHttpProtocol
from leverlock.gateway.venue import Venues
from leverlock.store.host import SystemClock
from leverlock.store.snapshot import Snapshot
from world import Deployment

HOSTS = ("fapi", "sapi", "api", "futures")


class DecisionCounter:
    """`gateway.app.Meter`: counts, as the metrics port does."""

    def __init__(self) -> None:
        self.decisions: Counter[tuple[str, str, str]] = Counter()

    def decision(self, outcome: str, why: str, action: str) -> None:
        self.decisions[outcome, why, action] += 1


async def serve(arguments: argparse.Namespace) -> None:
    clock = SystemClock()
    limits = Limits(**json.loads(arguments.limits))
    deployment = Deployment.open(arguments.folder, clock=clock, limits=limits, policy=arguments.policy)
    listener = socket.create_server(("127.0.0.1", arguments.port))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        snapshot = Snapshot(deployment.store, deployment.sealer, clock, limits)
        await snapshot.refresh()
        following = asyncio.create_task(snapshot.follow())
        async with Venues(clock) as venues:
            public = dict.fromkeys(HOSTS, arguments.venue)
            door = Door(deployment.store, deployment.world, snapshot, clock, venues, DecisionCounter(), public)
            config = uvicorn.Config(
                Gateway(door),
                http=StrictHttpProtocol,
                loop="uvloop",
                lifespan="off",
                log_level="warning",
                timeout_graceful_shutdown=2,
            )
            half_written = arguments.ready_file.with_suffix(".part")
            half_written.write_text(json.dumps({"url": url, "pid": os.getpid()}))
            half_written.rename(arguments.ready_file)
            await uvicorn.Server(config).serve([listener])
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
    finally:
        deployment.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--venue", required=True)
    parser.add_argument("--ready-file", type=Path, required=True)
    parser.add_argument("--policy", default="literal")
    parser.add_argument("--limits", default="{}")
    parser.add_argument("--port", type=int, default=0)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
