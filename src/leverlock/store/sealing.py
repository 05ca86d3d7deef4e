"""Keys outside the database: the keyring file, and what is sealed and hashed with it (B82, B83).

A copied database alone opens nothing: seeds and key secrets are AES-256-GCM ciphertexts bound to the row they stand in,
recovery codes and grants are keyed hashes. The keyring is one JSON file that only its owner can read.
"""

from __future__ import annotations

import base64
import fcntl
import hmac
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from leverlock.domain.authenticator import SealedSecret
from leverlock.ports import Entropy, SealBroken

KEYRING_VERSION: Final = 1
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12  # NIST SP 800-38D section 8.2.2: random, for at most 2^32 seals under one key


class KeyringError(Exception):
    """The keyring is missing, unreadable, readable by others, or not a keyring. The message says which and where."""


@dataclass(frozen=True)
class Keyring:
    """`current` of the `seal_keys` seals; `mac_key` roots the keyed hashes; `signing_key` signs audit checkpoints."""

    current: int
    seal_keys: dict[int, bytes]
    mac_key: bytes
    signing_key: bytes

    @classmethod
    def create(cls, path: Path, *, entropy: Entropy) -> Keyring:
        """Make a new keyring file, mode 600. Raises KeyringError rather than overwrite one."""
        keyring = cls(1, {1: entropy.bytes(KEY_BYTES)}, entropy.bytes(KEY_BYTES), entropy.bytes(KEY_BYTES))
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise KeyringError(
                f"{path} exists already; a new keyring would make every sealed secret unreadable"
            ) from None
        keyring._write(descriptor)
        return keyring

    def save(self, path: Path) -> None:
        """Put this keyring in the place of the file: the whole of it or nothing. Raises KeyringError."""
        fresh = path.with_name(f"{path.name}.new")
        try:
            self._write(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            fresh.replace(path)
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as problem:
            raise KeyringError(f"the keyring {path} cannot be replaced: {problem.strerror}") from None

    def _write(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(self._document(), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())

    def with_new_key(self, *, entropy: Entropy) -> Keyring:
        """The same with one key more, which seals from now on. Hashes and signatures keep their roots (ADR 0014)."""
        version = max(self.seal_keys) + 1
        return replace(self, current=version, seal_keys={**self.seal_keys, version: entropy.bytes(KEY_BYTES)})

    def with_current_key_alone(self) -> Keyring:
        """The same without the older keys: what is still sealed under one of them can never be opened again."""
        return replace(self, seal_keys={self.current: self.seal_keys[self.current]})

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """Read a keyring. Raises KeyringError when others can read it too."""
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            source = path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as problem:
            raise KeyringError(f"cannot read the keyring {path}: {problem}") from None
        if mode & 0o077:
            raise KeyringError(f"{path} has mode {mode:o}; others could read it: chmod 600 {path}")
        try:
            return cls._parse(json.loads(source))
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise KeyringError(f"{path} is no keyring of version {KEYRING_VERSION}: {problem}") from None

    @classmethod
    def _parse(cls, document: Any) -> Keyring:
        if document["version"] != KEYRING_VERSION:
            raise ValueError(f"version {document['version']!r}")
        keys = {int(version): _key(text) for version, text in document["seal_keys"].items()}
        if document["current"] not in keys:
            raise ValueError("the current key is not among the keys")
        return cls(document["current"], keys, _key(document["mac_key"]), _key(document["signing_key"]))

    def _document(self) -> dict[str, object]:
        return {
            "version": KEYRING_VERSION,
            "current": self.current,
            "seal_keys": {str(version): base64.b64encode(key).decode() for version, key in self.seal_keys.items()},
            "mac_key": base64.b64encode(self.mac_key).decode(),
            "signing_key": base64.b64encode(self.signing_key).decode(),
        }

    @property
    def signer(self) -> Ed25519PrivateKey:
        """The key that signs audit checkpoints."""
        return Ed25519PrivateKey.from_private_bytes(self.signing_key)

    def __repr__(self) -> str:
        return f"Keyring(current={self.current}, versions={sorted(self.seal_keys)})"


class KeyringSealer:
    """`ports.Sealer` over a keyring. Keeps one cipher object per key version; making one costs more than using it.

    With the file's `path` it follows a rotation that another process made: it looks at the file before it seals, and
    when it meets a version that it does not know. Both are rare.
    """

    def __init__(self, keyring: Keyring, *, entropy: Entropy, path: Path | None = None) -> None:
        self._mac_keys: dict[str, bytes] = {}
        self._entropy = entropy
        self._path = path
        self._seen: tuple[int, int, int] | None = None  # the first look reads the file, which may be newer
        self._take(keyring)

    @property
    def current(self) -> int:
        self._follow()
        return self._keyring.current

    @property
    def versions(self) -> list[int]:
        """The versions of the keys it opens with, oldest first."""
        self._follow()
        return sorted(self._keyring.seal_keys)

    def add_key(self) -> int:
        """Make a key of the next version and seal with it from now on. Raises KeyringError."""
        return self._replace(lambda keyring: keyring.with_new_key(entropy=self._entropy))

    def drop_older_keys(self) -> int:
        """Forget every key but the current one. Raises KeyringError."""
        return self._replace(Keyring.with_current_key_alone)

    def seal(self, secret: bytes, *, context: str) -> SealedSecret:
        self._follow()
        version, cipher = self._sealing
        nonce = self._entropy.bytes(NONCE_BYTES)
        return SealedSecret(version, nonce, cipher.encrypt(nonce, secret, _associated(context, version)))

    def open(self, sealed: SealedSecret, *, context: str) -> bytes:
        cipher = self._ciphers.get(sealed.key_version)
        if cipher is None:
            self._follow()
            cipher = self._ciphers.get(sealed.key_version)
        if cipher is None:
            raise SealBroken(f"the keyring has no key of version {sealed.key_version}")
        try:
            return cipher.decrypt(sealed.nonce, sealed.ciphertext, _associated(context, sealed.key_version))
        except (InvalidTag, ValueError) as problem:
            raise SealBroken("a sealed secret does not open in its place") from problem

    def mac(self, purpose: str, message: bytes) -> bytes:
        key = self._mac_keys.get(purpose)
        if key is None:
            # One step of HKDF-Expand (RFC 5869 section 2.3): a key for each purpose, none of them the root.
            key = hmac.digest(self._mac_root, b"leverlock-mac-1|" + purpose.encode() + b"\x01", "sha256")
            self._mac_keys[purpose] = key
        return hmac.digest(key, message, "sha256")

    def _take(self, keyring: Keyring) -> None:
        self._ciphers = {version: AESGCM(key) for version, key in keyring.seal_keys.items()}
        self._sealing = keyring.current, self._ciphers[keyring.current]
        self._mac_root = keyring.mac_key
        self._keyring = keyring

    def _follow(self) -> None:
        """Read the file again where it is another than was read. One that cannot be read is one that did not change."""
        stamp = _stamp(self._path)
        if self._path is None or stamp is None or stamp == self._seen:
            return
        try:
            self._take(Keyring.load(self._path))
        except KeyringError:
            return
        self._seen = stamp

    def _replace(self, change: Callable[[Keyring], Keyring]) -> int:
        """Change the file, one process at a time; the version that seals now."""
        if self._path is None:
            raise KeyringError("this keyring has no file to be changed")
        with _alone(self._path):
            changed = change(Keyring.load(self._path))
            changed.save(self._path)
        self._follow()
        return changed.current


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock beside the keyring; the kernel takes it from a process that ended, however."""
    try:
        descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise KeyringError(f"the keyring {path} cannot be changed here: {problem.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    """What tells one state of the file from another: it is only ever replaced as a whole."""
    try:
        found = None if path is None else path.stat()
    except OSError:
        return None
    return None if found is None else (found.st_ino, found.st_mtime_ns, found.st_size)


def _associated(context: str, version: int) -> bytes:
    return f"leverlock-seal-1|{version}|{context}".encode()


def _key(text: str) -> bytes:
    key = base64.b64decode(text, validate=True)
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes, got {len(key)}")
    return key
