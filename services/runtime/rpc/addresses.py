"""The address of a caller: that of its connection or, behind proxies that are trusted, the one that they saw."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote

FORWARDED = "x-forwarded-for"

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NETWORK_BITS = 64
"""Of an IPv6 address: a household, or a phone, has all addresses of one such network."""


class Addresses:
    """Tells callers' addresses. `trusted` are the networks of proxies whose X-Forwarded-For is believed; of anybody
    else it is not looked at. Raises ValueError for what is no network."""

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted: tuple[_Network, ...] = tuple(ipaddress.ip_network(network, strict=False) for network in trusted)
        self.forwarded = bool(self._trusted)
        """True when a forwarded address may be believed at all."""
        self._normal = lru_cache(4096)(_normal)

    def of(self, connection: str, forwarded: str | None = None) -> str:
        """Returns the address that calls over a connection count for: of IPv6 its network of 64 bits. Empty where the
        connection has none, as a Unix socket. `forwarded` is X-Forwarded-For: the last in it that no trusted proxy has
        is the caller's."""
        if not self.forwarded or not forwarded or not self._is_trusted(connection):
            return self._normal(connection)
        address = connection
        for hop in reversed(forwarded.split(",")):
            address = hop.strip()
            if not self._is_trusted(address):
                break
        return self._normal(address) or self._normal(connection)

    def _is_trusted(self, address: str) -> bool:
        parsed = _parsed(address)
        return parsed is not None and any(parsed in network for network in self._trusted)


def host_of(peer: str) -> str:
    """Returns the host of what gRPC calls a peer, such as `ipv4:127.0.0.1:5000` or `ipv6:%5B::1%5D:5000`."""
    kind, _, rest = peer.partition(":")
    return unquote(rest).rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else ""


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, ipaddress.IPv6Address) else parsed


def _normal(address: str) -> str:
    parsed = _parsed(address)
    if parsed is None:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, _NETWORK_BITS), strict=False))
    return str(parsed)


def networks_wrong(networks: Iterable[str]) -> str:
    """Returns what is wrong with a list of networks, empty when nothing is."""
    try:
        Addresses(networks)
    except ValueError as error:
        return str(error)
    return ""
