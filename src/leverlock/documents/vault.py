"""The vault: documents in files beside the database, each encrypted under the key of its case (B38).

The database keeps the sealed key and what belongs to it; the file alone says nothing. Destroying a case's documents
overwrites its key in the database and removes its folder, so neither half is left.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from leverlock.domain.ids import is_id
from leverlock.domain.recovery_case import Document

NONCE_BYTES: Final = 12
_FORM: Final = "leverlock-document-1"


class DocumentGone(Exception):
    """The file is not there, or is not what was stored. It is never shown in part."""


class Vault:
    """A folder with one folder for each case, readable by its owner alone. Blocking: call it off the event loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, document: Document, key: bytes, plain: bytes) -> None:
        """Write a document so that it is there after a power cut. Raises OSError."""
        path = self._path(document.case_id, document.document_id)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".part")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(AESGCM(key).encrypt(document.nonce, plain, _context(document)))
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        for folder in (path.parent, self._folder):
            _sync(folder)

    def read(self, document: Document, key: bytes) -> bytes:
        """The document. Raises DocumentGone."""
        try:
            stored = self._path(document.case_id, document.document_id).read_bytes()
            return AESGCM(key).decrypt(document.nonce, stored, _context(document))
        except (OSError, InvalidTag) as problem:
            raise DocumentGone from problem

    def remove(self, document: Document) -> None:
        """Take back what was put and never noted in the database."""
        self._path(document.case_id, document.document_id).unlink(missing_ok=True)

    def remove_case(self, case_id: str) -> None:
        """Remove every file of a case, for good. Doing it twice is the same as once."""
        if not is_id("case", case_id):
            raise ValueError(f"{case_id[:64]!r} is no case")
        try:
            shutil.rmtree(self._folder / case_id)
        except FileNotFoundError:
            return
        _sync(self._folder)

    def cases(self) -> Iterator[str]:
        """The cases that have a folder here."""
        if self._folder.is_dir():
            yield from sorted(entry.name for entry in self._folder.iterdir() if is_id("case", entry.name))

    def remove_strays(self, case_id: str, *, known: frozenset[str], before_ms: int) -> int:
        """Remove files of a case that the database does not know and that were written before this time; how many."""
        folder, removed = self._folder / case_id, 0
        for entry in list(folder.iterdir()):
            if entry.name not in known and entry.stat().st_mtime_ns // 1_000_000 < before_ms:
                entry.unlink()
                removed += 1
        if removed and not any(folder.iterdir()):
            folder.rmdir()
        return removed

    def _path(self, case_id: str, document_id: str) -> Path:
        """Names are ids of our own making and nothing that anybody sent."""
        if not is_id("case", case_id) or not is_id("doc", document_id):
            raise ValueError("no document of ours")
        return self._folder / case_id / document_id


def _context(document: Document) -> bytes:
    words = (_FORM, document.account_id, document.case_id, document.document_id, document.kind, document.type)
    return "|".join(words).encode()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
