"""Rows 57 to 68: where events are to be sent."""

from collections.abc import Iterable
from datetime import timedelta

import pytest

from service import settings
from service.core.errors import InvalidRequest
from service.outbound import Outbound, Untold
from service.webhooks.urls import Urls
from tests.wire.bad_input.cases import (
    Case,
    Rows,
    post,
    posted,
    with_fields,
)
from tests.wire.bad_input.house import HOOK, House

LONGEST = f"{HOOK}{'x' * (2048 - len(HOOK))}"
LOOPBACK = (
    *("localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1", "127.0.0.1."),
    *("[::1]", "[::]", "0", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"),
)
METADATA = (
    *("169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "192.0.0.192"),
    *("168.63.129.16", "10.0.0.1", "172.16.0.1", "192.168.1.1", "224.0.0.1"),
    "255.255.255.255",
)
INSIDE_IPV6 = (
    *("[::ffff:10.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", "[fec0::1]"),
    *("[::127.0.0.1]", "[ff02::1]", "[3fff::1]", "[5f00::1]", "[2001:db8::1]"),
)
DISGUISED = (
    *("①②⑦.⓪.⓪.①", "127。0。0。1", "\uff11\uff12\uff17.0.0.1"),
    *("localhost.", "[fe80::1%25lo]"),
)
NO_HOOKS = (
    *("ftp://h.example/", "file:///etc/passwd", "gopher://h.example/"),
    *("javascript:alert(1)", "//h.example", "http:///x", "https:///x", ""),
    *("hooks.example.com", "https://h.example/#part", "https://a..b/"),
    *("https://-a.example/", "https://1.2.3.4.5/", "https://h.example:x/"),
    *("https://[::1/", "https://" + "a" * 64 + ".b/", "https://h.example/ä"),
)
GARBLED = (
    *(f"{LONGEST}x", "https://h.example/\r\nX-A: b", "https://h.example/ x"),
    *("https://h.example/\0", "https://exa mple.com/"),
)


def hooks(urls: Iterable[str]) -> list[Case]:
    """Return cases that want events sent there: of one job, and of all."""
    return [
        case
        for url in urls
        for case in (
            Case(
                request=posted(with_fields(webhook={"url": url})), param="webhook.url"
            ),
            Case(request=post("/v1/endpoints", {"url": url}), param="url"),
        )
    ]


def hosts(names: Iterable[str]) -> list[Case]:
    return hooks(f"https://{name}/" for name in names)


async def name_that_leads_inside(house: House) -> None:
    """Whatever a name leads to when it is called, an inner address is not called."""
    accepted = await house.hear(posted(with_fields(webhook={"url": HOOK})))
    async with Outbound(settings.Outbound()) as outbound:
        with pytest.raises(Untold) as untold:
            await outbound.tell(
                "https://localhost/",
                headers={},
                body=b"{}",
                within=timedelta(seconds=5),
            )

    assert accepted.summary == "202"
    assert untold.value.kind == "blocked_address"


async def ourselves(house: House) -> None:
    """Where the door is reached from outside, no event is sent either."""
    own = house.door.settings.model_copy(
        update={"public_url": "https://images.example"}
    )
    urls = Urls(own.outbound, base_url=own.base_url)

    with pytest.raises(InvalidRequest) as refused:
        urls.checked("https://Images.Example./v1/jobs", param="url")

    assert refused.value.code == "url_not_allowed"


ROWS: Rows = {
    57: hooks(["http://hooks.example.com/"]),
    58: hooks(NO_HOOKS),
    59: hooks(["https://user:pass@h.example/", "https://user@h.example/"]),
    60: hosts(LOOPBACK),
    61: hosts(METADATA),
    62: hosts(INSIDE_IPV6),
    63: hosts(DISGUISED),
    64: hooks(["http://example.com\\@127.0.0.1/", "a@127.0.0.1:80#@example.com"]),
    65: hooks(
        f"https://h.example:{port}/" for port in (0, 22, 6379, 8080, 65_536, 99_999)
    ),
    66: hooks(GARBLED),
    67: [name_that_leads_inside],
    68: [ourselves],
}
