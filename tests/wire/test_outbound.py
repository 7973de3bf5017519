"""The one way out: what is sent, what is refused, and what a failure tells us."""

import asyncio
import socket
from datetime import timedelta
from ipaddress import ip_network
from typing import Self

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from service import settings
from service.outbound import (
    NoAnswer,
    NotAllowed,
    NotSent,
    Outbound,
    OutboundError,
    WrongAnswer,
)

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
SECOND = timedelta(seconds=1)


class Peer:
    """Somebody else's server; counts the requests that reach it."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.headers: dict[str, str] = {}
        app = web.Application()
        app.router.add_route("*", "/{name:.*}", self._answer)
        self._server = TestServer(app)

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        self.url = str(self._server.make_url("")).rstrip("/")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        name, _, number = request.match_info["name"].partition("/")
        self.seen.append(name)
        self.headers = dict(request.headers)
        if name == "hops":
            target = f"/hops/{int(number) - 1}" if number != "1" else "/image"
            raise web.HTTPFound(target)
        if name == "away":
            return web.Response(status=302, headers={"Location": request.query["to"]})
        if name == "endless":
            return await self._endless(request)
        if name == "gone":
            raise web.HTTPNotFound
        return web.Response(body=b"image", headers={"Set-Cookie": "a=b"})

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 100_000)


@pytest.fixture
async def peer():
    async with Peer() as running:
        yield running


@pytest.fixture
async def outbound():
    """As a deployment has it: nothing inner is allowed."""
    async with Outbound(settings.Outbound()) as opened:
        yield opened


@pytest.fixture
async def lenient():
    rules = settings.Outbound(allowed_networks=LOOPBACK, allow_http=True)
    async with Outbound(rules) as opened:
        yield opened


def post(outbound: Outbound, url: str, **options):
    options = {"headers": {}, "payload": {"a": 1}, "within": 5 * SECOND} | options
    return outbound.send("POST", url, **options)


async def test_a_post_brings_status_headers_and_body(outbound, peer):
    answer = await post(outbound, f"{peer.url}/x", headers={"X-Ours": "1"})

    assert (answer.status, answer.body) == (200, b"image")
    assert peer.headers["X-Ours"] == "1"
    assert peer.headers["Content-Type"] == "application/json"


async def test_cookies_are_not_kept(outbound, peer):
    await post(outbound, f"{peer.url}/x")
    await post(outbound, f"{peer.url}/x")

    assert "Cookie" not in peer.headers


async def test_a_post_follows_no_redirect(outbound, peer):
    answer = await post(outbound, f"{peer.url}/hops/1")

    assert answer.status == 302
    assert peer.seen == ["hops"]


async def test_proxies_of_the_environment_are_ignored(peer, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    async with Outbound(settings.Outbound()) as outbound:
        answer = await post(outbound, f"{peer.url}/x")

    assert answer.status == 200


async def test_hundreds_of_calls_are_in_flight_at_once(outbound):
    all_in, inside = asyncio.Event(), 0

    async def wait_for_all(request: web.Request) -> web.Response:
        nonlocal inside
        inside += 1
        if inside == 300:
            all_in.set()
        await all_in.wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/", wait_for_all)
    async with TestServer(app) as server:
        url = str(server.make_url("/"))
        answers = await asyncio.gather(
            *(post(outbound, url, within=60 * SECOND) for _ in range(300))
        )

    assert {answer.status for answer in answers} == {200}


async def test_a_closed_port_means_that_nothing_was_sent(outbound):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/"

        with pytest.raises(NotSent):
            await post(outbound, url)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 70 + ".invalid"])
async def test_a_name_that_leads_nowhere_means_that_nothing_was_sent(outbound, host):
    with pytest.raises(NotSent):
        await post(outbound, f"http://{host}/")


async def test_a_failed_handshake_means_that_nothing_was_sent(outbound, peer):
    with pytest.raises(NotSent):
        await post(outbound, peer.url.replace("http:", "https:"))

    assert peer.seen == []


async def test_time_that_runs_out_before_the_connection_means_nothing_was_sent(
    outbound,
):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())

        url = f"http://127.0.0.1:{full.getsockname()[1]}/"
        with pytest.raises(NotSent):
            await post(outbound, url, within=0.2 * SECOND)

        for each in waiting:
            each.close()


async def test_silence_after_sending_means_that_nobody_knows(outbound):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"

        with pytest.raises(NoAnswer):
            await post(outbound, url, within=0.2 * SECOND)


async def test_an_answer_that_is_too_long_is_not_read_to_its_end(outbound, peer):
    with pytest.raises(WrongAnswer):
        await post(outbound, f"{peer.url}/endless", max_bytes=1_000_000)


@pytest.mark.parametrize(("limit", "fits"), [(5, True), (4, False)])
async def test_the_limit_is_the_longest_body_that_is_read(outbound, peer, limit, fits):
    if fits:
        answer = await post(outbound, f"{peer.url}/x", max_bytes=limit)
        assert answer.body == b"image"
    else:
        with pytest.raises(WrongAnswer):
            await post(outbound, f"{peer.url}/x", max_bytes=limit)


async def test_what_lies_at_the_operators_own_origin_is_downloaded(outbound, peer):
    data = await outbound.download(f"{peer.url}/x", same_origin_as=f"{peer.url}/v1")

    assert data == b"image"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/x",
        "https://127.0.0.1:{port}/x",
        "https://localhost:{port}/x",
        "https://localhost.:{port}/x",
        "https://[::1]:{port}/x",
        "https://[::ffff:127.0.0.1]:{port}/x",
        "https://2130706433:{port}/x",
        "https://0x7f000001:{port}/x",
        "https://0177.0.0.1:{port}/x",
        "https://127.1:{port}/x",
        "https://0:{port}/x",
        "https://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460:{port}/x",
        "https://127\u30020\u30020\u30021:{port}/x",
        "https://a:b@127.0.0.1:{port}/x",
        "https://example.com\\@127.0.0.1:{port}/x",
        "https://a@127.0.0.1:{port}#@example.com/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "gopher://127.0.0.1:{port}/x",
        "data:image/png;base64,iVBORw0KGgo=",
        "//127.0.0.1:{port}/x",
        "/etc/passwd",
        "http:///x",
        "https://[",
        "",
    ],
)
async def test_no_address_leads_inside(outbound, peer, url):
    port = peer.url.rpartition(":")[2]

    with pytest.raises(OutboundError):
        await outbound.download(url.format(port=port), within=2 * SECOND)

    assert peer.seen == []


async def test_http_to_the_world_needs_leave(outbound):
    with pytest.raises(NotAllowed):
        await outbound.download("http://1.1.1.1/x")


async def test_an_allowed_network_may_be_downloaded_from(lenient, peer):
    assert await lenient.download(f"{peer.url}/x") == b"image"


async def test_three_redirects_are_followed(lenient, peer):
    assert await lenient.download(f"{peer.url}/hops/3") == b"image"


async def test_a_fourth_redirect_is_one_too_many(lenient, peer):
    with pytest.raises(WrongAnswer):
        await lenient.download(f"{peer.url}/hops/4")

    assert peer.seen == ["hops"] * 4


@pytest.mark.parametrize(
    "inside", ["http://10.0.0.1/", "file:///etc/passwd", "https://["]
)
async def test_a_redirect_does_not_lead_inside(lenient, peer, inside):
    with pytest.raises(NotAllowed):
        await lenient.download(f"{peer.url}/away?to={inside}")


async def test_a_redirect_from_a_trusted_origin_is_not_trusted(outbound, peer):
    async with Peer() as other:
        with pytest.raises(NotAllowed):
            await outbound.download(
                f"{peer.url}/away?to={other.url}/x", same_origin_as=peer.url
            )

        assert other.seen == []


async def test_what_is_not_there_is_no_image(lenient, peer):
    with pytest.raises(WrongAnswer):
        await lenient.download(f"{peer.url}/gone")


async def test_a_download_without_an_end_is_cut_off(lenient, peer):
    with pytest.raises(WrongAnswer):
        await lenient.download(f"{peer.url}/endless", max_bytes=1_000_000)
