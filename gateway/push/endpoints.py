"""The endpoints that the gateway sends to: those of push services that the operator allows, at public addresses.

A browser says where its messages are sent, so whoever holds a token could have the gateway call any address: it calls
none but allowed hosts, on their port, and of those none whose address is not public.
"""

from collections.abc import Iterable
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

LONGEST_ENDPOINT = 1024
AUTH_BYTES = 16
P256DH_BYTES = 65
HTTPS_PORT = 443
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""Translated to the IPv4 address in its last bytes (NAT64, RFC 6052)."""
_NOT_PUBLIC = [
    ip_network(one) for one in ("192.0.0.0/24", "::/96", "64:ff9b:1::/48", "2002::/16", "3fff::/20", "fec0::/10")
]
"""Python's `is_global` takes these networks for public, always or at times, and they are not: protocols' own addresses
(RFC 6890), IPv4 in the form of IPv6 (RFC 4291), locally translated addresses (RFC 8215), 6to4, which may hold any IPv4
address (RFC 3056), documentation (RFC 9637) and the former site-local ones (RFC 3879)."""


def endpoint_digest(endpoint: str) -> bytes:
    """Returns what names an endpoint in the store: 16 bytes."""
    return blake2b(endpoint.encode(), digest_size=16).digest()


def usable_keys(p256dh: bytes, auth: bytes) -> bool:
    """Tells whether messages can be encrypted for a device (RFC 8291): a point on P-256, and 16 bytes."""
    if len(p256dh) != P256DH_BYTES or len(auth) != AUTH_BYTES:
        return False
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), p256dh)
    except ValueError:
        return False
    return True


class Endpoints:
    """Knows the push services by `hosts`, such as push.example.cn, *.example.cn or push.example.cn:8443, and which of
    the addresses that are not public may be called: those in `networks`."""

    def __init__(self, hosts: Iterable[str], networks: Iterable[str]) -> None:
        self._hosts = [_host(one) for one in hosts]
        self._networks = [ip_network(one) for one in networks]

    def allows(self, endpoint: str) -> bool:
        """Tells whether messages may be sent to a URL."""
        if len(endpoint) > LONGEST_ENDPOINT or not endpoint.isascii() or not endpoint.isprintable():
            return False
        try:
            parts = urlsplit(endpoint)
            host, port = parts.hostname or "", parts.port or HTTPS_PORT
        except ValueError:
            return False
        if parts.scheme != "https" or "@" in parts.netloc or "\\" in endpoint or " " in endpoint:
            return False
        return self._allows_host(host, port) and (not _is_address(host) or self.may_call(host))

    def _allows_host(self, host: str, port: int) -> bool:
        return any(
            port == allowed and (host.endswith(name[1:]) if name.startswith("*.") else host == name)
            for name, allowed in self._hosts
        )

    def may_call(self, address: str) -> bool:
        """Tells whether an address may be connected to: a public one, or one of the networks that were given."""
        ip = ip_address(address)
        return _is_public(ip) or any(ip in network for network in self._networks)


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    if ip in _TRANSLATED:
        return _is_public(IPv4Address(ip.packed[-4:]))
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _NOT_PUBLIC)


def _host(text: str) -> tuple[str, int]:
    name, colon, port = text.rpartition(":")
    return (name, int(port)) if colon else (text, HTTPS_PORT)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
