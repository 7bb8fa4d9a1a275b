"""A caller's address is its connection's, or the one that a trusted proxy saw."""

import pytest

from services.runtime.rpc.addresses import Addresses, host_of, networks_wrong


@pytest.mark.parametrize(
    ("connection", "forwarded", "expected"),
    [
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::/64"),
        ("", "203.0.113.9", ""),
    ],
)
def test_a_forwarded_address_is_believed_of_trusted_proxies_alone(connection: str, forwarded: str, expected: str):
    """The last one that no trusted proxy has."""
    assert expected == Addresses(["10.0.0.0/8"]).of(connection, forwarded)


def test_without_trusted_proxies_nothing_forwarded_is_looked_at():
    """Anybody may write anything there."""
    assert "127.0.0.1" == Addresses().of("127.0.0.1", "203.0.113.9")


def test_a_network_of_ipv6_is_one_address():
    """Its owner has all of them."""
    assert Addresses().of("2001:db8::1") == Addresses().of("2001:db8::ffff") != Addresses().of("2001:db8:1::1")


@pytest.mark.parametrize(
    ("peer", "host"),
    [("ipv4:127.0.0.1:5000", "127.0.0.1"), ("ipv6:%5B::1%5D:5000", "::1"), ("ipv6:[::1]:5000", "::1"), ("unix:", "")],
)
def test_grpcs_peers_have_hosts(peer: str, host: str):
    """As grpc writes them."""
    assert host == host_of(peer)


def test_what_is_no_network_is_refused():
    """At the start."""
    assert networks_wrong(["10.0.0.0/8"]) == ""
    assert networks_wrong(["10.0.0.0/99"])
