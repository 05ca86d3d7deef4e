"""A rotation to be killed: `python -m crash.rotation FOLDER CLOCK` does what the command does, and prints "done"."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from crash.load import LIMITS, FastClock
from leverlock.admin.desk import Desk
from leverlock.admin.operations import perform
from leverlock.verifiers.password import PasswordHasher
from world import Deployment


async def no_probe(**_: Any) -> Any:
    raise AssertionError("no venue is asked")


async def rotate(desk: Desk) -> None:
    async def do(operation: str, **wanted: Any) -> dict[str, Any]:
        return await perform(desk, operation, json.dumps(wanted).encode())

    await do("keyring.rotate")
    after: str | None = ""
    while after is not None:
        piece = await do("keyring.reseal", after=after)
        after = piece["next"]
    print(json.dumps({"left": piece["left"]}), flush=True)


def main(folder: Path, clock: FastClock) -> None:
    passwords = PasswordHasher()
    with Deployment.open(folder, clock=clock, limits=LIMITS) as deployment:
        desk = Desk(deployment.store, deployment.world, clock, passwords, no_probe, deployment.sealer, "command:test")
        print("ready", flush=True)
        asyncio.run(rotate(desk))
    passwords.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), FastClock.parse(sys.argv[2]))
