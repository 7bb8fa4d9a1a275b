"""No address is called that is not public, in whatever form it is written."""

import pytest

from gateway.push.endpoints import Endpoints

PUBLIC = ("1.1.1.1", "142.250.1.188", "2001:4860:4860::8888", "2606:4700:4700::1111", "64:ff9b::1.1.1.1")
NOT_PUBLIC = (
    *(
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "192.0.0.8",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.0.1",
        "198.18.0.1",
    ),
    *("224.0.0.1", "255.255.255.255", "::", "::1", "fc00::1", "fd00:ec2::254", "fe80::1", "ff02::1", "2001:db8::1"),
    # An IPv4 address within: as it is, by a translator (NAT64), by a tunnel (6to4, Teredo).
    *(
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::1",
    ),
    *("2002:a00:1::", "2002:808:808::", "2001::1"),
    # Of other purposes, or of former ones.
    *("3fff::1", "fec0::1", "100::1"),
)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_called(address):
    """Also behind a translator, which is how a cluster of IPv6 alone reaches IPv4."""
    assert Endpoints((), ()).may_call(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_no_other_is_called_unless_its_network_is_named(address):
    """It may lead to the mesh itself, to the cluster, or to what a cloud tells its machines."""
    assert not Endpoints((), ()).may_call(address)
    assert Endpoints((), (address,)).may_call(address)
