"""A server that dies by `kill -9` where a test wants it to: `python -m messengers.mortal FOLDER WHERE TARGET...`.

`commit`  it changes a factor of an account with these targets, and dies between that commit and the first delivery;
`send`    it does the same and delivers, until the receiver kills it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from leverlock.domain.environment import Environment
from leverlock.domain.messages import Channel
from leverlock.store.host import SystemClock
from world import Deployment

from .delivering import delivering, reach


async def deliver_for_ever(deployment: Deployment) -> None:
    async with delivering(deployment):
        await asyncio.sleep(60)


def main(folder: Path, where: str, targets: list[str]) -> None:
    with Deployment.create(folder, clock=SystemClock()) as deployment:
        alice = deployment.owner("alice")
        for target in targets:
            reach(alice, Channel.WEBHOOK if target.startswith("http") else Channel.EMAIL, target)
        alice.enrol(Environment.FUTURES)
        print("committed", flush=True)
        if where == "commit":
            os.kill(os.getpid(), signal.SIGKILL)
        asyncio.run(deliver_for_ever(deployment))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
