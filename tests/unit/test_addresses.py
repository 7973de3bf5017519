"""The address table, and the guard that makes no socket to what it denies."""

import socket
from ipaddress import ip_address, ip_network

import pytest

from service.core.addresses import is_public
from service.guard import AddressRefused, Guard

INNER = [
    "0.0.0.0",
    "10.1.2.3",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.169.254",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.19.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.1.1.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "ff02::1",
]
OUTER = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1"]


def found(host: str, port: int = 443):
    """What getaddrinfo finds for `host`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    place = (host, port, 0, 0) if ":" in host else (host, port)
    return (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place)


@pytest.mark.parametrize("text", INNER)
def test_an_inner_address_is_not_public(text):
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", OUTER)
def test_an_outer_address_is_public(text):
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", INNER)
def test_the_guard_makes_no_socket_to_an_inner_address(text):
    with pytest.raises(AddressRefused):
        Guard(())(found(text))


@pytest.mark.parametrize("port", [0, 22, 25, 6379, 9000])
def test_the_guard_makes_no_socket_to_other_than_web_ports(port):
    with pytest.raises(AddressRefused):
        Guard(())(found("1.1.1.1", port))


@pytest.mark.parametrize("port", [80, 443, 8443])
def test_the_guard_lets_through_the_web(port):
    with Guard(())(found("1.1.1.1", port)) as made:
        assert made.family == socket.AF_INET


@pytest.mark.parametrize("host", ["127.0.0.1", "::ffff:127.0.0.1"])
def test_an_allowed_network_is_let_through_on_every_port(host):
    guard = Guard((ip_network("127.0.0.0/8"),))

    with guard(found(host, 6379)) as made:
        assert made.type == socket.SOCK_STREAM


def test_an_allowed_network_opens_no_other():
    guard = Guard((ip_network("127.0.0.0/8"), ip_network("fd00::/8")))

    with pytest.raises(AddressRefused):
        guard(found("10.0.0.1"))
