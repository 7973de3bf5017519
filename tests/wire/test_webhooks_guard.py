"""Events go to the public internet only, whatever a URL looks like when called."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Self

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from service import settings
from service.outbound import Answer, Outbound, Untold
from tests.fakes.certificate import make_certificate, server_context

INNER = (
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "localhost", "LOCALHOST"),
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1"),
    *("169.254.169.254", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    *("192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("[::1]", "[::]", "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]"),
    *("[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2001::1]"),
    *("[fc00::1]", "[fd00:ec2::254]", "[fe80::1]", "[fec0::1]", "[ff02::1]"),
    *("[100::1]", "[5f00::1]", "[3fff::1]", "[2001:db8::1]"),
)
DISGUISED = ("127.1", "0", "2130706433", "0x7f000001", "0177.0.0.1", "localhost.")
"""Some of these the HTTP client does not take for addresses, nor for names."""
ODD = ("http://1.1.1.1/", "ftp://1.1.1.1/", "https://user@1.1.1.1/", "https:///x", "")


class Listener:
    """Whoever listens inside, on both loopback addresses; counts who comes."""

    def __init__(self) -> None:
        self.came = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._hear, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _hear(self, _: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        self.came += 1
        to.close()


@pytest.fixture
async def lenient() -> AsyncIterator[Outbound]:
    rules = settings.Outbound(
        allowed_networks=[ip_network("127.0.0.0/8")], allow_http=True
    )
    async with Outbound(rules) as opened:
        yield opened


async def tell(outbound: Outbound, url: str, *, within_s: float = 5) -> Answer:
    within = timedelta(seconds=within_s)
    return await outbound.tell(url, headers={}, body=b"{}", within=within)


async def kind(outbound: Outbound, url: str) -> str:
    with pytest.raises(Untold) as untold:
        await tell(outbound, url)
    return untold.value.kind


async def test_no_spelling_of_an_inner_address_is_called():
    async with Outbound(settings.Outbound()) as outbound, Listener() as inside:
        kinds = {
            url: await kind(outbound, url)
            for host in (*INNER, *DISGUISED)
            for url in (f"https://{host}:{inside.port}/", f"https://{host}/")
        }
        odd = [await kind(outbound, url) for url in ODD]

    open_ones = {url for url, seen in kinds.items() if seen != "blocked_address"}
    assert {url.split("/")[2].partition(":")[0] for url in open_ones} <= {*DISGUISED}
    assert {kinds[url] for url in open_ones} <= {"connection"}
    assert set(odd) == {"blocked_address"}
    assert inside.came == 0


async def test_only_web_ports_of_the_world_are_called():
    async with Outbound(settings.Outbound()) as outbound:
        kinds = {await kind(outbound, f"https://1.1.1.1:{p}/") for p in (22, 25, 6379)}

    assert kinds == {"blocked_address"}


async def test_a_certificate_that_nobody_knows_is_told_from_a_closed_port(
    lenient: Outbound, tmp_path: Path
):
    async def answer(_: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_post("/", answer)
    context = server_context(make_certificate(tmp_path))
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    port = server.port
    unknown = await kind(lenient, f"https://127.0.0.1:{port}/")
    await server.close()

    closed = await kind(lenient, f"https://127.0.0.1:{port}/")
    nameless = await kind(lenient, "https://hooks.invalid/")

    assert (unknown, closed, nameless) == ("tls", "connection", "connection")


async def test_an_answer_is_read_for_a_kibibyte_and_no_further(lenient: Outbound):
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=503)
        await response.prepare(request)
        while True:
            await response.write(b"x" * 100_000)

    app = web.Application()
    app.router.add_post("/", endless)
    async with TestServer(app) as server:
        answer = await tell(lenient, str(server.make_url("/")))

    assert (answer.status, answer.body) == (503, b"x" * 1024)


async def test_a_receiver_that_goes_on_and_on_has_answered(lenient: Outbound):
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b".")
            await asyncio.sleep(0.01)

    app = web.Application()
    app.router.add_post("/", drip)
    async with TestServer(app) as server:
        answer = await tell(lenient, str(server.make_url("/")), within_s=0.2)

    assert answer.status == 200
    assert 0 < len(answer.body) < 100
