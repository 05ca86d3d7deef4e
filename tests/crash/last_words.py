"""One answer to one challenge, by a process that kills itself at the commit and so never tells what it knows.

`python -m crash.last_words FOLDER WHEN` with WHEN `before` or `after` the commit, and a job on standard input. Whatever
this process prints, somebody was told.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from leverlock.app import prove
from leverlock.app.proofs import Proof
from leverlock.domain.errors import Refused
from leverlock.store.connection import open_file
from world import Deployment, SettableClock


class Mortal:
    """A connection whose process dies at its first COMMIT after `armed`."""

    armed = False

    def __init__(self, raw: sqlite3.Connection, when: str) -> None:
        self._raw = raw
        self._when = when

    def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
        fatal = Mortal.armed and sql == "COMMIT"
        if fatal and self._when == "before":
            time.sleep(0.3)  # long enough to be told something, if anybody told before the commit
            os.kill(os.getpid(), signal.SIGKILL)
        cursor = self._raw.execute(sql, *rest)
        if fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def main(folder: Path, when: str) -> None:
    job = json.load(sys.stdin)

    def connect(path: Path, read_only: bool) -> Any:
        return Mortal(open_file(path, read_only), when)

    with Deployment.open(folder, clock=SettableClock(job["now"]), connect=connect) as deployment:
        Mortal.armed = True
        try:
            deployment.run(
                lambda tx: prove.prove(
                    tx,
                    deployment.world,
                    account_id=job["account"],
                    answered_by="session:mortal",
                    challenge_ids=[job["challenge"]],
                    proof=Proof(job["code"]),
                )
            )
            print("ok", flush=True)
        except Refused as why:
            print(why.reason.value, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
