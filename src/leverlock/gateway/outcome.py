"""What is known of a call to the venue: answered, never sent, or *unknown*."""

from __future__ import annotations

import zlib
from typing import Final

from msgspec import Struct

ANSWER_LIMIT: Final = 8 * 1024 * 1024  # bytes; the venue's exchange information is about 1 MB


class Answered(Struct, frozen=True):
    """The venue's whole answer. `headers` are the ones to pass on, names in lower case; `body` is as it came
    over the wire, still encoded when `content-encoding` is among the headers."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def plain_body(self, limit: int = ANSWER_LIMIT) -> bytes:
        """The body without its content coding (gzip or deflate), at most `limit` bytes.

        Raises UnreadableAnswer for another coding, a broken stream, or one that grows past the limit.
        """
        coding = next((value for name, value in self.headers if name == "content-encoding"), "identity")
        if coding.lower() == "identity":
            return self.body
        if coding.lower() not in ("gzip", "deflate"):
            raise UnreadableAnswer("The venue's answer has an unknown content coding.")
        inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: the header says gzip or zlib
        try:
            plain = inflate.decompress(self.body, limit)
        except zlib.error:
            raise UnreadableAnswer("The venue's answer is not what its content coding says.") from None
        if not inflate.eof or inflate.unused_data:
            raise UnreadableAnswer("The venue's answer is cut, padded, or too large when unpacked.")
        return plain


class NotSent(Struct, frozen=True):
    """No byte of the request left this process: it was not executed, and it is safe to say so."""

    reason: str


class Unknown(Struct, frozen=True):
    """The request was sent, or may have been, and no whole answer came: it may have been executed.

    `status` is the venue's status when the head of an answer did arrive.
    """

    reason: str
    status: int | None = None


Outcome = Answered | NotSent | Unknown


class UnreadableAnswer(ValueError):
    """The venue's answer cannot be unpacked."""
