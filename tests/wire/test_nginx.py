"""A front door behind the nginx of infra/: what is sane comes through, the rest not."""

import asyncio
import os
import shutil
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.fakes.door import SECRET
from tests.wire.bad_input.http import UNENDED

CONF = Path(__file__).parents[2] / "infra" / "nginx" / "darkroom.conf"
KEY = f"Authorization: Bearer {SECRET}\r\n"
BAD = {
    "two lengths": "POST /v1/jobs HTTP/1.1\r\nHost: x\r\n"
    + KEY
    + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length and chunks": "POST /v1/jobs HTTP/1.1\r\nHost: x\r\n"
    + KEY
    + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": "POST /v1/jobs HTTP/1.1\r\nHost: x\r\n"
    + KEY
    + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": "GET /v1/jobs HTTP/1.1\r\nHost : x\r\n\r\n",
    "no host": "GET /v1/jobs HTTP/1.1\r\n\r\n",
    "a header too long": "GET /v1/jobs HTTP/1.1\r\nHost: x\r\n"
    f"A: {'a' * 20_000}\r\n\r\n",
    "a null in the target": "GET /v1/jobs%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no protocol": "hello\r\n\r\n",
    "a body too long": "POST /v1/jobs HTTP/1.1\r\nHost: x\r\n"
    "Content-Length: 99999999\r\n\r\n",
}


@pytest.fixture
async def nginx(door, tmp_path):
    """Run nginx on a unix socket, as the file says, in front of the door."""
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        assert "CI" not in os.environ, "CI needs Debian's nginx"
        pytest.skip("nginx is not installed")
    socket = tmp_path / "nginx.sock"
    own = CONF.read_text()
    own = own.replace("127.0.0.1:8080", f"127.0.0.1:{door.port}")
    own = own.replace("listen 80;", f"listen unix:{socket};")
    temporary = "".join(
        f"{name}_temp_path {tmp_path}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    conf = tmp_path / "nginx.conf"
    conf.write_text(
        f"daemon off; pid {tmp_path}/pid; error_log stderr; worker_processes 1;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{own}}}\n"
    )
    process = await asyncio.create_subprocess_exec(
        program,
        *("-e", "stderr", "-p", str(tmp_path), "-c", str(conf)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(10):
            while not socket.exists():
                assert process.returncode is None
                await asyncio.sleep(0.02)
        yield socket
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def status_of(socket: Path, request: str) -> int:
    """Send bytes; return the status, or 0 where the connection ends without."""
    reader, writer = await asyncio.open_unix_connection(str(socket))
    writer.write(request.encode())
    line = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    return int(line.split()[1]) if line.startswith(b"HTTP/1.1 ") else 0


async def test_malformed_requests_end_at_nginx_or_with_a_400(door, nginx):
    told = {what: await status_of(nginx, request) for what, request in BAD.items()}

    # An answer without a status line is HTTP/0.9's, and none of ours.
    assert {what for what, status in told.items() if status < 400} <= {"no protocol"}
    assert max(told.values()) < 502, told
    listed = await door.get("/v1/jobs")
    assert listed.body["data"] == []


async def test_what_is_hardly_http_breaks_nothing_between_the_two(door, nginx):
    told = [await status_of(nginx, request) for request in UNENDED]
    after = await status_of(nginx, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")

    assert {500, 502, 504}.isdisjoint(told), told
    assert after == 200


async def test_jobs_and_their_links_pass_and_figures_do_not(door, worker, nginx):
    connector = aiohttp.UnixConnector(path=str(nginx))
    key = {"Authorization": f"Bearer {SECRET}"}
    fox = {"model": "test/test", "prompt": "a fox", "size": "64x64"}
    async with aiohttp.ClientSession(connector=connector, headers=key) as http:
        async with http.post("http://proxy/v1/jobs", json=fox) as answer:
            accepted, job = answer.status, await answer.json()
        async with http.get(f"http://proxy/v1/jobs/{job['id']}?wait=10") as answer:
            ended = await answer.json()
        async with http.get("http://proxy/metrics") as answer:
            figures = answer.status
        async with http.get("http://proxy/v1/events") as events:
            streamed = await asyncio.wait_for(events.content.readany(), 20)

    assert (accepted, ended["status"], figures) == (202, "succeeded", 404)
    assert streamed
