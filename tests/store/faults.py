"""Connections that fail on demand, given to the store as its `connect`, and a port that raises on demand.

The product holds no switch for any of it: failpoints are wrappers from the tests.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leverlock.domain.authenticator import Authenticator
from leverlock.domain.totp import Match
from leverlock.ports import CodeVerifier
from leverlock.store.connection import open_file


class FaultyFile:
    """`connect` for `SqliteStore`: once armed, the writer's n-th call fails, and all after it while `lasting`.

    `rule` may name the call instead of counting: it sees the SQL and says whether this call fails. `late`: the call
    is carried out and fails then, as when the power returns but the answer was lost.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.seen: list[str] = []
        self._at: int | None = None
        self._rule: Callable[[str], bool] | None = None
        self._lasting = self._late = False
        self.failures = 0
        self.writers: list[sqlite3.Connection] = []

    def __call__(self, path: Path, read_only: bool) -> Any:
        raw = open_file(path, read_only)
        if read_only:
            return raw
        self.writers.append(raw)
        return _FaultyConnection(raw, self)

    def arm(
        self,
        at: int | None = None,
        *,
        rule: Callable[[str], bool] | None = None,
        lasting: bool = False,
        late: bool = False,
    ) -> None:
        self.calls, self.failures, self.seen = 0, 0, []
        self._at, self._rule, self._lasting, self._late = at, rule, lasting, late

    def disarm(self) -> None:
        self._at, self._rule = None, None

    def fails(self, sql: str) -> bool:
        self.calls += 1
        self.seen.append(sql)
        due = self._at is not None and (self.calls == self._at or (self._lasting and self.calls > self._at))
        if not due and (self._rule is None or not self._rule(sql)):
            return False
        self.failures += 1
        return True

    @property
    def late(self) -> bool:
        return self._late


class _FaultyConnection:
    def __init__(self, raw: sqlite3.Connection, file: FaultyFile) -> None:
        self._raw = raw
        self._file = file

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        failing = self._file.fails(sql)
        if failing and not self._file.late:
            raise sqlite3.OperationalError("disk I/O error")
        cursor = self._raw.execute(sql, parameters)
        if failing:
            raise sqlite3.OperationalError("disk I/O error")
        return cursor

    @property
    def in_transaction(self) -> bool:
        return self._raw.in_transaction

    def close(self) -> None:
        self._raw.close()


class Stumble(Exception):
    """What a probe raises."""


class Probe:
    """A transaction whose n-th act after the compare raises, before or after it is carried out.

    `watch` stands in the place of the code verifier and tells the probe that an answer was looked at.
    """

    def __init__(self, tx: Any, at: int, *, late: bool) -> None:
        self._tx = tx
        self._at = at
        self._late = late
        self._compared = False
        self.acts: list[str] = []

    def __getattr__(self, name: str) -> Any:
        act = getattr(self._tx, name)
        if not callable(act):
            return act

        def probed(*args: Any, **kwargs: Any) -> Any:
            if not self._compared:
                return act(*args, **kwargs)
            self.acts.append(name)
            due = len(self.acts) == self._at
            if due and not self._late:
                raise Stumble(name)
            result = act(*args, **kwargs)
            if due:
                raise Stumble(name)
            return result

        return probed

    def watch(self, verifier: CodeVerifier) -> CodeVerifier:
        probe = self

        class Watched:
            def verify(self, authenticator: Authenticator, code: str, *, now_ms: int) -> Match:
                try:
                    return verifier.verify(authenticator, code, now_ms=now_ms)
                finally:
                    probe._compared = True

        return Watched()
