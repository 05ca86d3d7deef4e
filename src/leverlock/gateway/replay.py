"""Seen signatures: a signed request is accepted once within its receive window (B68).

A cache is bounded and never forgets early: an entry leaves only after its window has ended, and when no
room is left the next signature is refused instead. Each key has a cache of its own, so that no key can fill
another's, nor can a venue with a wild clock end the windows of keys of other venues. They belong to one
process; what a restart forgets can be at most one receive window old.
"""

from typing import Final

CAPACITY: Final = 32_768  # signatures of one key, 32 or 64 bytes: about 5 MB when full
KEYS: Final = 10_000  # caches; a key whose windows have all ended needs none
_BUCKET_MS: Final = 1000


class ReplayRefused(Exception):
    """The signed bytes cannot be accepted as new."""


class AlreadySeen(ReplayRefused):
    """These signed bytes were accepted before, within their receive window."""


class WindowEnded(ReplayRefused):
    """The window ended before the latest time this cache has been shown: a clock that steps back (a new
    estimate of the venue's offset) must not revive a signature that was already forgotten."""


class CacheFull(ReplayRefused):
    """No room: refusing is safe, forgetting a live signature is not."""


class ReplayCache:
    """Signatures accepted and still within their window.

    A signature fixes its own timestamp and window, so the same bytes always fall into the same bucket of
    end times: one look-up decides, and whole buckets are dropped when their second is over.
    """

    __slots__ = ("_buckets", "_capacity", "_latest", "_size")

    def __init__(self, capacity: int = CAPACITY) -> None:
        if capacity < 1:
            raise ValueError("A replay cache needs room for at least one signature.")
        self._capacity = capacity
        self._buckets: dict[int, set[bytes]] = {}
        self._latest = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def remember(self, fingerprint: bytes, *, ends_at: int, now: int) -> None:
        """Accept a signed request once. `fingerprint` is the decoded signature, after it has verified;
        `ends_at` its last valid millisecond, `now` the venue's clock in milliseconds.

        Raises AlreadySeen, WindowEnded or CacheFull; after each of them nothing has been remembered.
        """
        if now > self._latest:
            if now // _BUCKET_MS > self._latest // _BUCKET_MS:
                self._forget_before(now)
            self._latest = now
        if ends_at < self._latest:
            raise WindowEnded("The receive window of this signature has ended.")
        key = ends_at // _BUCKET_MS
        bucket = self._buckets.get(key)
        if bucket is not None and fingerprint in bucket:
            raise AlreadySeen("This signed request was received before.")
        if self._size >= self._capacity:
            raise CacheFull("Too many signed requests are within their receive window.")
        if bucket is None:
            bucket = self._buckets[key] = set()
        bucket.add(fingerprint)
        self._size += 1

    def ended(self, now: int) -> bool:
        """Whether every window in it has ended: a new cache would do as well."""
        self._forget_before(now)
        return not self._buckets

    def _forget_before(self, now: int) -> None:
        # A bucket ends with its last millisecond; the one that holds `now` may still be live.
        for key in [key for key in self._buckets if key < now // _BUCKET_MS]:
            self._size -= len(self._buckets.pop(key))


class ReplayCaches:
    """A cache for each key that signed something lately. Only keys whose signature verified may come here."""

    __slots__ = ("_caches", "_capacity", "_keys")

    def __init__(self, capacity: int = CAPACITY, keys: int = KEYS) -> None:
        self._capacity = capacity
        self._keys = keys
        self._caches: dict[str, ReplayCache] = {}

    def __len__(self) -> int:
        return len(self._caches)

    def remember(self, key: str, fingerprint: bytes, *, ends_at: int, now: int) -> None:
        """`ReplayCache.remember` in the cache of this key. Raises CacheFull as well when there are too many keys."""
        cache = self._caches.get(key)
        if cache is None:
            if len(self._caches) >= self._keys:
                self._caches = {name: kept for name, kept in self._caches.items() if not kept.ended(now)}
            if len(self._caches) >= self._keys:
                raise CacheFull("Too many keys have signed requests within their receive window.")
            cache = self._caches[key] = ReplayCache(self._capacity)
        cache.remember(fingerprint, ends_at=ends_at, now=now)
