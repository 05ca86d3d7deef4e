"""A raw asyncio server that answers as a broken or hostile venue would, and records every byte it gets."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Script = Callable[["OddVenue", bytes, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class OddVenue:
    """`requests`: the raw bytes of each request; `connections`: how many were opened."""

    base: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    scripts: list[Script] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Each request takes the next script; when they run out, a plain `{}` is answered."""
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = 0
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                request = head + await reader.readexactly(length)
                self.requests.append(request)
                script = self.scripts.pop(0) if self.scripts else plain
                await script(self, request, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def says(answer: bytes, *, then: str = "keep") -> Script:
    """Write `answer`, then `keep` the connection, `close` it, or `reset` it."""

    async def script(venue: OddVenue, request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        if then == "close":
            await writer.drain()
            writer.close()
        elif then == "reset":
            await writer.drain()
            writer.transport.abort()

    return script


def answer(body: bytes, headers: bytes = b"", status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), headers, body)


plain = says(answer(b"{}"))


@asynccontextmanager
async def odd_venue(*scripts: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[OddVenue]:
    venue = OddVenue(scripts=list(scripts))
    server = await asyncio.start_server(venue.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    venue.base = f"{'https' if tls else 'http'}://{'localhost' if tls else '127.0.0.1'}:{port}"
    try:
        yield venue
    finally:
        server.close()
