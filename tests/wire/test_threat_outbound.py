"""Whoever names a URL learns nothing of our network by it, whatever the name says.

The spellings of inner addresses stand in `test_outbound.py` and
`test_webhooks_guard.py`; here are names that change their mind, and the clock.
"""

import asyncio
import itertools
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from ipaddress import ip_network

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from service import settings
from service.outbound import Answer, NotAllowed, Outbound, Untold
from tests.fakes.door import FrontDoor

INNER, OUTER = "127.0.0.1", "127.0.0.2"
"""The second plays a server of the world: rules that let it in let in no other."""
TRIES = 1000


class FickleNames(AbstractResolver):
    """Leads every other question outside, and the next one inside."""

    def __init__(self) -> None:
        self.asked = 0
        self._turns = itertools.cycle([OUTER, INNER])

    async def resolve(
        self, host: str, port: int = 0, family: int = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        return [
            {
                "hostname": host,
                "host": next(self._turns),
                "port": port,
                "family": family,
                "proto": 0,
                "flags": 0,
            }
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Listener:
    """One port on both addresses; says who came to which."""

    def __init__(self) -> None:
        self.came = {INNER: 0, OUTER: 0}

    async def open(self) -> "Listener":
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0)
        await self._runner.setup()
        first = web.TCPSite(self._runner, OUTER, 0, backlog=TRIES)
        await first.start()
        self.port = self._runner.addresses[0][1]
        await web.TCPSite(self._runner, INNER, self.port).start()
        return self

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        assert request.transport is not None
        self.came[request.transport.get_extra_info("sockname")[0]] += 1
        response = web.Response(body=b"image")
        response.force_close()  # so that every call asks for the address anew
        return response


def tell(outbound: Outbound, url: str) -> Awaitable[Answer]:
    return outbound.tell(url, headers={}, body=b"{}", within=timedelta(seconds=5))


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    running = await Listener().open()
    yield running
    await running.close()


async def test_a_name_that_changes_its_mind_is_asked_once_and_leads_nowhere_inside(
    listener: Listener,
):
    rules = settings.Outbound(
        allowed_networks=[ip_network(f"{OUTER}/32")], allow_http=True
    )
    names, refused = FickleNames(), 0

    async with Outbound(rules, resolver=names) as outbound:
        for i in range(TRIES):
            url = f"http://h{i}.example:{listener.port}/"
            try:
                await (tell(outbound, url) if i % 4 > 1 else outbound.download(url))
            except (NotAllowed, Untold):
                refused += 1

    assert listener.came == {INNER: 0, OUTER: TRIES // 2}
    assert (refused, names.asked) == (TRIES // 2, TRIES)


@contextmanager
def ports(kind: str, count: int) -> Iterator[list[int]]:
    """Ports of this machine that are open, closed, or take no more callers."""
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in taken:
            each.bind((INNER, 0))
            if kind == "open":
                each.listen()
            elif kind == "filtered":
                each.listen(0)
                for _ in range(3):
                    caller = stack.enter_context(socket.socket())
                    caller.setblocking(False)
                    caller.connect_ex(each.getsockname())
        yield [each.getsockname()[1] for each in taken]


async def test_open_closed_and_filtered_ports_look_the_same(door: FrontDoor):
    answers: dict[str, set[bytes]] = {}
    slowest_s = 0.0
    for kind in ("open", "closed", "filtered"):
        with ports(kind, 20) as numbers:
            for number in numbers:
                link = f"https://{INNER}:{number}/fox.png"
                fields = {"model": "test/test", "prompt": "a hat", "images": [link]}
                begun = time.perf_counter()
                answer = await door.post("/v1/jobs", fields, X_Request_ID="req_of-all")
                slowest_s = max(slowest_s, time.perf_counter() - begun)
                answers.setdefault(kind, set()).add(answer.raw)

    assert answers["open"] == answers["closed"] == answers["filtered"]
    assert [b"reference_unreachable" in a for a in answers["open"]] == [True]
    assert slowest_s < 5, "somebody was waited for: the time limit is fifteen seconds"


async def test_even_a_listener_of_ours_on_both_loopbacks_is_never_called():
    came = []

    async def hear(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer.get_extra_info("peername"))
        writer.close()

    servers = [await asyncio.start_server(hear, host, 0) for host in (INNER, "::1")]
    sockets = [server.sockets[0].getsockname() for server in servers]
    urls = [
        f"https://{host}:{port}/"
        for _, port, *_ in sockets
        for host in (INNER, "[::1]", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0")
    ]

    async with Outbound(settings.Outbound()) as outbound:
        for url in urls:
            with pytest.raises(NotAllowed):
                await outbound.download(url)
            with pytest.raises(Untold):
                await tell(outbound, url)

    for server in servers:
        server.close()
        await server.wait_closed()
    assert came == []
