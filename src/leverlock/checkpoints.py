"""The checkpoint file: seals the audit trail every minute, and is replayed by `leverlock audit verify` (B90).

One line of JSON per checkpoint (`domain/checkpoint.py`), only ever appended, each synced to the disk before the
database notes its number. Copy it off the machine as it grows: who can write both the database and this file, and has
the signing key, can rewrite what no copy elsewhere holds.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from leverlock.app.history import Lost
from leverlock.app.trail import NOTED, Report, verify
from leverlock.domain.audit import merkle_root
from leverlock.domain.checkpoint import Checkpoint, NotACheckpoint, following, read
from leverlock.ports import Store, Transaction

TAIL_BYTES: Final = 64 * 1024  # enough for a hundred lines and whatever fragments stand between them


class CheckpointBroken(Exception):
    """File and database do not belong together; nothing is sealed over it. `audit verify` says what is wrong."""


async def verify_all(store: Store, *, checkpoint_file: Path, public_key: bytes) -> Report:
    """Check every chain and replay every checkpoint. `public_key`: 32 bytes, see `public_key_of`."""
    key = Ed25519PublicKey.from_public_bytes(public_key)
    file = CheckpointFile(checkpoint_file, key)
    # In this order, because a running server goes on sealing: what is read later is never behind.
    noted = await store.read(lambda tx: tx.setting(NOTED))
    lines = await asyncio.to_thread(lambda: list(file.lines()))
    return await store.read(lambda tx: verify(tx, lines=lines, noted=noted, public_key=key))


def public_key_of(signing_key: bytes) -> bytes:
    """The 32 bytes that verify what the keyring's signing key signs; safe to publish."""
    return Ed25519PrivateKey.from_private_bytes(signing_key).public_key().public_bytes_raw()


class CheckpointMaker:
    """Seals what happened since the last checkpoint. One process at a time."""

    def __init__(self, store: Store, checkpoint_file: Path, *, signing_key: bytes) -> None:
        """`signing_key`: the 32 bytes of the keyring's Ed25519 key."""
        self._store = store
        self._key = Ed25519PrivateKey.from_private_bytes(signing_key)
        self._file = CheckpointFile(checkpoint_file, self._key.public_key())

    async def make(self) -> Checkpoint | None:
        """Append a checkpoint, or None when nothing happened.

        Raises CheckpointBroken when the file or the trail is shorter than it was, OSError when the file cannot be
        written, and what the store raises.
        """
        last = await asyncio.to_thread(self._file.last)
        sealed = 0 if last is None else last.last_event

        def look(tx: Transaction) -> tuple[str | None, int, int, list[tuple[str, int, bytes]]]:
            newest, heads = tx.changed_heads(after=sealed)
            return tx.setting(NOTED), tx.now, newest, heads

        noted, now, newest, heads = await self._store.read(look)
        _must_belong_together(noted, last, newest)
        if last is not None and noted != _note(last):
            await self._note(last)
        if newest == sealed:
            return None
        made = following(last, at_ms=now, last_event=newest, root=merkle_root(heads), heads=len(heads))
        made = made.signed(self._key)
        await asyncio.to_thread(self._file.append, made, after=last)
        await self._note(made)
        return made

    async def lost(self) -> Lost | None:
        """What this file sealed and the database no longer has, if it is older (B96).

        Raises CheckpointBroken where file and database never belonged together.
        """
        last = await asyncio.to_thread(self._file.last)
        noted, newest = await self._store.read(lambda tx: (tx.setting(NOTED), tx.changed_heads(after=0)[0]))
        number = int((noted or "0:").partition(":")[0])
        if last is None or (last.last_event <= newest and last.number <= number + 1):
            return None
        whole = await asyncio.to_thread(self._file.numbered, number)
        if whole is None or _note(whole) != noted:
            raise CheckpointBroken(
                "the checkpoint file does not go on from this database: "
                "put the right one in its place, or move it away where the database is a new one"
            )
        return Lost(whole, last)

    async def _note(self, checkpoint: Checkpoint) -> None:
        await self._store.run(lambda tx: tx.set_setting(NOTED, _note(checkpoint)))


class CheckpointFile:
    """Lines on disk. Those that are not ours are fragments: passed over here, judged by `app/trail.py`."""

    def __init__(self, path: Path, key: Ed25519PublicKey) -> None:
        self._path = path
        self._key = key

    def lines(self) -> Iterator[bytes]:
        """Every line without its newline; none when there is no file yet."""
        if self._path.exists():
            with self._path.open("rb") as file:
                for line in file:
                    yield line.removesuffix(b"\n")

    def last(self) -> Checkpoint | None:
        """The newest checkpoint. Raises CheckpointBroken for a file that holds something, but none of ours."""
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - TAIL_BYTES, 0))
                tail = file.read()
        except FileNotFoundError:
            return None
        for line in reversed(tail.split(b"\n")):
            try:
                return read(line, self._key)
            except NotACheckpoint:
                continue
        if size > TAIL_BYTES:
            raise CheckpointBroken(f"the end of {self._path} holds no checkpoint of ours")
        return None

    def numbered(self, number: int) -> Checkpoint | None:
        """The checkpoint of that number."""
        for line in self.lines():
            try:
                found = read(line, self._key)
            except NotACheckpoint:
                continue
            if found.number == number:
                return found
        return None

    def append(self, checkpoint: Checkpoint, *, after: Checkpoint | None) -> None:
        """Write a line and sync it. Raises CheckpointBroken when `after` is no longer the last one."""
        created = not self._path.exists()
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if self.last() != after:
                raise CheckpointBroken("another process writes this file")
            # A line that an interrupted write left unfinished is closed, never cut away: the file only ever grows.
            size = file.seek(0, os.SEEK_END)
            torn = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
            line = (b"\n" if torn else b"") + checkpoint.line() + b"\n"
            if file.write(line) != len(line):
                raise OSError(f"{self._path} took only a part of a line")
            os.fsync(file.fileno())
        if created:
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _must_belong_together(noted: str | None, last: Checkpoint | None, newest: int) -> None:
    number = 0 if last is None else last.number
    if noted is not None and int(noted.partition(":")[0]) > number:
        raise CheckpointBroken(f"the checkpoint file ends at {number}, but the database has noted {noted}")
    if last is not None and last.last_event > newest:
        raise CheckpointBroken(f"events up to {last.last_event} were sealed, but the trail ends at {newest}")


def _note(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.number}:{checkpoint.hash.hex()}"
