"""What a key may do, from where, and whether a code may come with its calls: the terms its owner agreed to (B63).

Nothing is implied: a key has the scopes that were named for it, and a key made without any may only read. Whoever may
move funds must come from an address of its list.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from leverlock.domain.errors import Reason, Refused

MAX_RANGES: Final = 12
# The widest range that still says where a caller is: a site's own network, not a continent's.
MIN_PREFIX: Final = {4: 16, 6: 48}

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Scope(StrEnum):
    """What a key may be for. Each row of the gateway's endpoint table needs one of these."""

    READ = "read"  # balances, positions, orders, the account's own stream
    FUTURES = "futures"  # orders, cancels and settings of the Futures market
    MARGIN = "margin"  # borrow and repay
    TRANSFER = "transfer"  # between the account's wallets
    WITHDRAW = "withdraw"  # out of the venue


READ_ONLY: Final = frozenset({Scope.READ})
MOVES_FUNDS: Final = frozenset({Scope.TRANSFER, Scope.WITHDRAW})


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """`ips`: addresses and networks in canonical form, sorted; empty means from anywhere."""

    label: str
    scopes: frozenset[Scope] = READ_ONLY
    ips: tuple[str, ...] = ()
    otp_allowed: bool = False

    def must_hold_together(self) -> None:
        """Raises Refused(MALFORMED) for terms that no key may have."""
        if not self.scopes:
            raise Refused(Reason.MALFORMED, "a key has at least one scope", field="scopes")
        if self.scopes & MOVES_FUNDS and not self.ips:
            wanted = " and ".join(sorted(self.scopes & MOVES_FUNDS))
            raise Refused(Reason.MALFORMED, f"{wanted} needs a list of addresses", field="ips")


def scopes_of(words: Iterable[str]) -> frozenset[Scope]:
    """The scopes of these words. Raises Refused(MALFORMED) for one that is none, and for one named twice."""
    named = list(words)
    try:
        found = frozenset(Scope(word) for word in named)
    except ValueError:
        raise Refused(Reason.MALFORMED, f"a scope is one of {', '.join(Scope)}", field="scopes") from None
    if len(found) != len(named):
        raise Refused(Reason.MALFORMED, "a scope is named once", field="scopes")
    return found


def ranges_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Addresses and networks in canonical form, sorted. Raises Refused(MALFORMED)."""
    found = [_range(text) for text in texts]
    if len(found) > MAX_RANGES or len(set(found)) != len(found):
        raise Refused(Reason.MALFORMED, f"at most {MAX_RANGES} addresses or networks, each once", field="ips")
    return tuple(str(one) if one.prefixlen < one.max_prefixlen else str(one[0]) for one in sorted(found, key=_order))


def allowed_from(ips: tuple[str, ...], peer: str) -> bool:
    """Whether a caller at this peer address may use a key with this list. What is no address is on no list (B71)."""
    if not ips:
        return True
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            return False  # the same address on another link is another host
        address = address.ipv4_mapped or address
    return any(address in network for network in _networks(ips))


@lru_cache(maxsize=4096)
def _networks(ips: tuple[str, ...]) -> tuple[IpNetwork, ...]:
    return tuple(ipaddress.ip_network(text) for text in ips)


def _range(text: str) -> IpNetwork:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise Refused(
            Reason.MALFORMED, "expected an IP address, or a network such as 192.0.2.0/28", field="ips"
        ) from None
    inside = network.network_address
    if isinstance(inside, ipaddress.IPv6Address) and (inside.ipv4_mapped is not None or inside.scope_id):
        raise Refused(Reason.MALFORMED, "write an IPv4 address as one, and no zone", field="ips")
    if network.prefixlen < MIN_PREFIX[network.version]:
        raise Refused(Reason.MALFORMED, f"a network is at least /{MIN_PREFIX[network.version]} narrow", field="ips")
    return network


def _order(network: IpNetwork) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen
