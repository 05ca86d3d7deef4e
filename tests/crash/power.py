"""A machine whose power can be cut: SQLite on a disk that loses what was not synced.

`PowerFile` is a `connect` for `SqliteStore`. Its connections are apsw's, which carry an SQLite of their own, on a VFS
written here: writes reach the file that SQLite reads, and are kept aside until it syncs them. After the
cut the disk holds what was synced, and of the rest any part, in pieces, the last one torn.
"""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from leverlock.store.connection import BUSY_MS, SYNCHRONOUS_FULL

SECTOR = 512
CHECKPOINT_PAGES = 60  # so few that every run holds checkpoints, which are cut short like everything else


class Dark(Exception):
    """The power is off: nothing is done and nobody is told anything any more."""


@dataclass
class Platter:
    """What one file's medium surely holds, and what was written since the last sync, in order."""

    synced: bytearray
    waiting: list[tuple[int, bytes | None]] = field(default_factory=list)  # (offset, bytes), or (size, None): cut

    def apply(self, offset: int, written: bytes | None) -> None:
        if written is None:
            del self.synced[offset:]
            return
        if len(self.synced) < offset:
            self.synced.extend(bytes(offset - len(self.synced)))
        self.synced[offset : offset + len(written)] = written

    def sync(self) -> None:
        for offset, written in self.waiting:
            self.apply(offset, written)
        self.waiting.clear()

    def after_a_cut(self, dice: random.Random) -> bytes:
        """The synced bytes, and of what waited a part: none, the first few, or any; the last one torn in a sector."""
        left = Platter(bytearray(self.synced))
        waiting = self.waiting
        how = dice.choice(["none", "first", "any", "any"])
        if how == "first":
            waiting = waiting[: dice.randint(0, len(waiting))]
        elif how == "any":
            waiting = [one for one in waiting if dice.random() < 0.5]
        for number, (offset, written) in enumerate(() if how == "none" else waiting, start=1):
            if written is not None and number == len(waiting):
                written = written[: dice.randrange(len(written) + 1) // SECTOR * SECTOR]
            left.apply(offset, written)
        return bytes(left.synced)


class Power:
    """One machine's disk. Everything it does is done under one lock; the deed that meets the fuse is not done."""

    def __init__(self, dice: random.Random, *, fuse: int) -> None:
        """`fuse`: how many writes and syncs the disk still does."""
        self.lock = threading.RLock()
        self.off = threading.Event()
        self.found: dict[str, bytes] = {}  # after the cut: the files by name, as the disk holds them
        self.unsynced = 0  # how many writes waited for a sync then
        self._dice = dice
        self._fuse = fuse
        self._platters: dict[str, Platter] = {}

    def must_be_on(self) -> None:
        if self.off.is_set():
            raise Dark

    def deed(self) -> None:
        """Before each write and sync."""
        self.must_be_on()
        self._fuse -= 1
        if self._fuse < 0:
            self.blow()
            raise Dark

    def blow(self) -> None:
        """The power goes off now."""
        with self.lock:
            self.unsynced = sum(len(platter.waiting) for platter in self._platters.values())
            files = sorted(self._platters.items())
            self.found = {Path(path).name: platter.after_a_cut(self._dice) for path, platter in files}
            self.off.set()

    def platter(self, path: str) -> Platter:
        """That of a file, which at its first use is what the file holds."""
        if path not in self._platters:
            file = Path(path)
            self._platters[path] = Platter(bytearray(file.read_bytes() if file.exists() else b""))
        return self._platters[path]

    def forget(self, path: str) -> None:
        self._platters.pop(path, None)


class PowerVFS(apsw.VFS):
    """SQLite's own Unix files, with a `Power` beneath them."""

    def __init__(self, power: Power, name: str) -> None:
        self.power = power
        super().__init__(name, "unix")

    def xOpen(self, name: Any, flags: list[int]) -> PowerFileHandle:
        return PowerFileHandle(self.power, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        with self.power.lock:
            self.power.must_be_on()
            super().xDelete(filename, syncdir)
            self.power.forget(filename)


class PowerFileHandle(apsw.VFSFile):
    def __init__(self, power: Power, name: Any, flags: list[int]) -> None:
        self.power = power
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        with power.lock:
            power.must_be_on()
            self.platter = Platter(bytearray()) if path is None else power.platter(path)
            super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        with self.power.lock:
            self.power.deed()
            super().xWrite(data, offset)
            self.platter.waiting.append((offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        with self.power.lock:
            self.power.deed()
            super().xTruncate(newsize)
            self.platter.waiting.append((newsize, None))

    def xSync(self, flags: int) -> None:
        # The real file needs no sync: what a cut leaves is built from the platters.
        with self.power.lock:
            self.power.deed()
            self.platter.sync()


class PowerFile:
    """`connect` for `SqliteStore`. What every connection gets, whatever it asks for and is told: `synchronous`, and a
    checkpoint after so many pages of log."""

    def __init__(self, power: Power, *, synchronous: str = "FULL", checkpoint_pages: int = CHECKPOINT_PAGES) -> None:
        self._name = f"power-{id(power)}"
        self._vfs = PowerVFS(power, self._name)
        self._pragmas = {"synchronous": synchronous, "wal_autocheckpoint": str(checkpoint_pages)}

    def __call__(self, path: Path, read_only: bool) -> Any:
        access = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE
        raw = apsw.Connection(str(path), flags=access, vfs=self._name)
        raw.set_busy_timeout(BUSY_MS)
        raw.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # nobody shuts this machine down
        return ApswConnection(raw, self._pragmas)


class ApswConnection:
    """The part of `sqlite3.Connection` that the store uses, over apsw: same SQL, rows at once, errors by name."""

    def __init__(self, raw: apsw.Connection, pragmas: Mapping[str, str]) -> None:
        self._raw = raw
        self._pragmas = pragmas

    def execute(self, sql: str, parameters: Mapping[str, Any] | tuple[Any, ...] = ()) -> ApswRows:
        if sql == "PRAGMA synchronous":
            return ApswRows([(SYNCHRONOUS_FULL,)], -1)
        for pragma, value in self._pragmas.items():
            if sql.startswith(f"PRAGMA {pragma} ="):
                sql = f"PRAGMA {pragma} = {value}"
        return _named(lambda: self._execute(sql, parameters))

    def _execute(self, sql: str, parameters: Mapping[str, Any] | tuple[Any, ...]) -> ApswRows:
        before = self._raw.total_changes()
        rows = list(self._raw.execute(sql, parameters))
        changed = self._raw.changes() if self._raw.total_changes() != before else 0
        return ApswRows(rows, changed)

    @property
    def in_transaction(self) -> bool:
        return bool(self._raw.in_transaction)

    def close(self) -> None:
        self._raw.close()


@dataclass
class ApswRows:
    """A cursor whose rows are all there."""

    rows: list[Any]
    rowcount: int

    def fetchone(self) -> Any:
        return self.rows.pop(0) if self.rows else None

    def fetchall(self) -> list[Any]:
        return self.rows


def _named(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except apsw.ConstraintError as problem:
        raise sqlite3.IntegrityError(str(problem)) from problem
    except (apsw.Error, Dark) as problem:
        named = sqlite3.OperationalError(str(problem))
        named.sqlite_errorcode = getattr(problem, "result", apsw.SQLITE_IOERR)
        raise named from problem
