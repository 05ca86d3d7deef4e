"""Destinations: which addresses a webhook may reach, so that nobody uses us to call our own network (B98).

A target is judged twice. Its URL is judged as text: scheme, host name, allow-list. Then every address that its name
resolves to is judged, in the resolver whose answer the connection uses; there is no second look-up that a hostile name
server could answer differently.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL: Final = 2048
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1


class NotAllowed(Exception):
    """A target that will not be called, now or later; the message says why without repeating the target."""


@dataclass(frozen=True, slots=True)
class Destinations:
    """`hosts`: when not empty, the only host names that may be called. `allow_private`: also addresses that are not
    public, and plain HTTP to those; for receivers on the deployment's own network."""

    hosts: frozenset[str] = frozenset()
    allow_private: bool = False

    def judged(self, target: str) -> URL:
        """The URL to call. Raises NotAllowed."""
        if len(target) > MAX_URL or not target.isascii() or not target.isprintable():
            raise NotAllowed("not a webhook address")
        try:
            url = URL(target)
            host, port = url.host, url.port
        except ValueError as error:
            raise NotAllowed("not a webhook address") from error
        if url.scheme not in ("https", "http") or not host or not port or url.user or url.password or url.fragment:
            raise NotAllowed("not a webhook address")
        if url.scheme == "http" and not self.allow_private:
            raise NotAllowed("webhooks are called over https")
        if self.hosts and host.lower().rstrip(".") not in self.hosts:
            raise NotAllowed("host not on the allow-list")
        literal = _literal(host)
        if literal is not None:
            self.must_be_reachable([literal])
        return url

    def must_be_reachable(self, addresses: Iterable[IPAddress]) -> None:
        """Raises NotAllowed when any one of a name's addresses may not be called: a name is good or it is not."""
        if not self.allow_private and not all(is_public(address) for address in addresses):
            raise NotAllowed("private address")


class GuardedResolver(AbstractResolver):
    """Resolves with the system's resolver and refuses names that lead to forbidden addresses."""

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host`, all of them judged. Raises NotAllowed, or OSError when there is no such name."""
        found = await self._resolver.resolve(host, port, family)
        self._destinations.must_be_reachable(ipaddress.ip_address(entry["host"].partition("%")[0]) for entry in found)
        return found

    async def close(self) -> None:
        await self._resolver.close()


def is_public(address: IPAddress) -> bool:
    """Whether an address is on the public internet, an IPv4 address inside an IPv6 one counted as what it is."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
