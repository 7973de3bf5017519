"""Which network addresses a URL that somebody else named may lead to.

`ipaddress.is_global` is not enough: it says yes to NAT64, 6to4, multicast and
site-local addresses, behind each of which an inner network can stand.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_DENIED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier NAT; metadata at Alibaba
        "127.0.0.0/8",
        "168.63.129.16/32",  # metadata at Azure
        "169.254.0.0/16",  # link-local; metadata at AWS and Google
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_ALLOWED_V6 = IPv6Network("2000::/3")
_DENIED_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)


def unwrapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv4-mapped one really leads to."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_public(address: Address) -> bool:
    """Whether `address` lies on the public internet, and nowhere behind it."""
    address = unwrapped(address)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _DENIED_V4)
    return address in _ALLOWED_V6 and not any(address in n for n in _DENIED_V6)
