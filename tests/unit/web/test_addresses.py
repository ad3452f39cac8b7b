"""The address guard's rule (hookline/web/addresses.py)."""

from ipaddress import ip_address, ip_network

import pytest

from hookline.web.addresses import is_blocked

BLOCKED = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.127.255.255",
    "100.100.100.200",
    "192.0.0.192",
    "198.18.0.1",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "224.0.1.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "192.88.99.1",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "2001:db8::1",
    "100::1",
    "64:ff9b:1::1",
    "3fff::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "::127.0.0.1",
    "::ffff:0.0.0.0",
    "64:ff9b::127.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b::10.1.2.3",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2002:a9fe:a9fe::1",
    "2001:0:7f00:1::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
]

OPEN = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.167.255.255",
    "198.20.0.1",
    "223.255.255.254",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
]


@pytest.mark.parametrize("text", BLOCKED)
def test_not_public_is_blocked(text: str) -> None:
    assert is_blocked(ip_address(text), ())


@pytest.mark.parametrize("text", OPEN)
def test_public_is_open(text: str) -> None:
    assert not is_blocked(ip_address(text), ())


def test_allowed_networks_are_exempt_and_nothing_else_is() -> None:
    loopback = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    for text in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1"):
        assert not is_blocked(ip_address(text), loopback)
    for text in ("10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "169.254.169.254", "0.0.0.0", "::"):
        assert is_blocked(ip_address(text), loopback)


def test_an_ipv4_network_does_not_allow_everything_of_ipv6() -> None:
    assert is_blocked(ip_address("fd00::1"), (ip_network("0.0.0.0/0"),))
    assert not is_blocked(ip_address("fd00::1"), (ip_network("fd00::/8"),))
