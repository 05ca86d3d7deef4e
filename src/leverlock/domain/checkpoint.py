"""Checkpoints: a signed line that seals how far every audit chain had come (B90).

Each line holds the Merkle root over the heads of the chains that moved since the line before, and that line's hash.
Who has one line and the public key can tell whether the trail below it, and every line before it, is still what it was.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from leverlock.domain.audit import GENESIS
from leverlock.domain.canonical import canonical_json

CHECKPOINT_VERSION: Final = 1
_SIGNED: Final = b"leverlock-checkpoint-1\0"
_FIELDS: Final = frozenset({"version", "number", "at", "last_event", "previous", "root", "heads", "signature"})


class NotACheckpoint(ValueError):
    """A line that is no checkpoint of this version, or whose signature is not ours."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The checkpoint number `number` (from 1), made at `at_ms`, over all events up to number `last_event`.

    `root` covers the `heads` chains that moved since the checkpoint before, whose line has the hash `previous`.
    """

    number: int
    at_ms: int
    last_event: int
    previous: bytes
    root: bytes
    heads: int
    signature: bytes = b""

    def line(self) -> bytes:
        """The exact bytes of its line, without the newline: canonical JSON (RFC 8785)."""
        return canonical_json({**self._statement(), "signature": self.signature.hex()})

    @property
    def hash(self) -> bytes:
        """What the next line refers to."""
        return hashlib.sha256(self.line()).digest()

    def signed(self, key: Ed25519PrivateKey) -> Checkpoint:
        """The same, with its Ed25519 signature (RFC 8032)."""
        return replace(self, signature=key.sign(_SIGNED + canonical_json(self._statement())))

    def must_be_signed(self, key: Ed25519PublicKey) -> None:
        """Raises NotACheckpoint unless `key`'s owner signed exactly this."""
        try:
            key.verify(self.signature, _SIGNED + canonical_json(self._statement()))
        except InvalidSignature:
            raise NotACheckpoint("the signature does not belong to it") from None

    def _statement(self) -> dict[str, Any]:
        return {
            "version": CHECKPOINT_VERSION,
            "number": self.number,
            "at": self.at_ms,
            "last_event": self.last_event,
            "previous": self.previous.hex(),
            "root": self.root.hex(),
            "heads": self.heads,
        }


def following(before: Checkpoint | None, *, at_ms: int, last_event: int, root: bytes, heads: int) -> Checkpoint:
    """The unsigned checkpoint that comes after `before`, or the first one."""
    number = 1 if before is None else before.number + 1
    return Checkpoint(number, at_ms, last_event, GENESIS if before is None else before.hash, root, heads)


def read(line: bytes, key: Ed25519PublicKey) -> Checkpoint:
    """The checkpoint of a line (without its newline), signature verified. Raises NotACheckpoint."""
    try:
        found = json.loads(line)
        if not isinstance(found, dict) or set(found) != _FIELDS or found["version"] != CHECKPOINT_VERSION:
            raise NotACheckpoint("not a checkpoint of this version")
        numbers = [found[name] for name in ("number", "at", "last_event", "heads")]
        if any(type(number) is not int or number < 0 for number in numbers):
            raise NotACheckpoint("a number is missing")
        number, at_ms, last_event, heads = numbers
        previous, root, signature = (bytes.fromhex(found[name]) for name in ("previous", "root", "signature"))
        checkpoint = Checkpoint(number, at_ms, last_event, previous, root, heads, signature)
        written = checkpoint.line()
    except NotACheckpoint:
        raise
    except (ValueError, TypeError, RecursionError) as error:
        raise NotACheckpoint("not a checkpoint") from error
    if written != line:
        raise NotACheckpoint("not in canonical form")
    checkpoint.must_be_signed(key)
    return checkpoint
