"""What is hardly HTTP any more, and what it is answered."""

import asyncio

import orjson
import pytest
from redis.asyncio import Redis

from tests.fakes.door import SECRET, FrontDoor, front_door, raw

GOOD = {"model": "test/test", "prompt": "a fox"}


async def nothing_was_made(redis: Redis) -> bool:
    return not [key async for key in redis.scan_iter("darkroom:job:*")]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1/../etc/passwd", 404, "not_found"),
        ("GET", "//evil.example/v1", 404, "not_found"),
        ("GET", "/..;/admin", 404, "not_found"),
        ("GET", "http://evil.example/healthz", 404, "not_found"),
        ("POST", "http://evil.example/v1/jobs", 404, "not_found"),
        ("OPTIONS", "*", 404, "not_found"),
        ("CONNECT", "evil.example:443", 404, "not_found"),
        ("PUT", "/v1/jobs", 405, "method_not_allowed"),
        ("GET", "/v1/images/generations", 405, "method_not_allowed"),
        ("TRACE", "/v1/jobs", 405, "method_not_allowed"),
    ],
)
async def test_unknown_routes_and_methods_get_the_envelope(
    door: FrontDoor, method: str, path: str, status: int, code: str
):
    request = f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n"

    got, answer = await raw(door.port, request.encode())

    assert got == status
    assert f'"code":"{code}"'.encode() in answer
    assert b"\r\nx-request-id: req_" in answer
    assert (b"\r\nAllow: " in answer) == (status == 405)


def head(*lines: str, route: str = "/v1/jobs") -> bytes:
    always = (
        f"POST {route} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {SECRET}",
        "Content-Type: application/json",
    )
    return "\r\n".join((*always, *lines, "", "")).encode()


@pytest.mark.parametrize(
    "request_",
    [
        head("Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        head("Content-Length: 5", "Content-Length: 6") + b"hello",
        head("Transfer-Encoding: chunked, identity") + b"0\r\n\r\n",
        head("Transfer-Encoding: \x0bchunked") + b"0\r\n\r\n",
        head("Content-Length: +2") + b"{}",
        head("Content-Length: -1") + b"{}",
        b"GET /healthz HTTP/1.1\nHost: x\n\n\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/0.9\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 9000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
async def test_what_is_not_http_gets_the_envelope_and_the_door(
    door: FrontDoor, redis: Redis, request_: bytes
):
    status, answer = await raw(door.port, request_, to_end=True)

    assert status == 400
    assert b'"code":"malformed_request"' in answer
    assert await nothing_was_made(redis)


async def test_url_that_is_too_long_gets_the_envelope_and_the_door(door: FrontDoor):
    request = b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"

    status, answer = await raw(door.port, request, to_end=True)

    assert (status, b'"code":"uri_too_long"' in answer) == (400, True)


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (head("Content-Length: 100") + b"{", 408, "body_timeout"),
        (
            head("Transfer-Encoding: chunked") + b"FFFFFFFFFFFFFFF\r\n{",
            408,
            "body_timeout",
        ),
        (head("Content-Length: 20", "Expect: 100-continue"), 408, "body_timeout"),
        (head("Content-Length: 2", "Expect: foo") + b"{}", 417, "expectation_failed"),
        (
            head("Content-Length: 70000000") + b'{"prompt":"',
            413,
            "body_too_large",
        ),
        (
            head("Transfer-Encoding: chunked") + b"10000\r\n" + b"x" * 65536 + b"\r\n"
            b"40000\r\n" + b"x" * 262144,
            413,
            "body_too_large",
        ),
    ],
)
async def test_body_that_never_ends_is_not_waited_for(
    door: FrontDoor, redis: Redis, request_: bytes, status: int, code: str
):
    got, answer = await raw(door.port, request_, to_end=code != "expectation_failed")

    assert (got, f'"code":"{code}"'.encode() in answer) == (status, True)
    assert await nothing_was_made(redis)


async def test_caller_who_hangs_up_in_the_middle_harms_nobody(
    door: FrontDoor, redis: Redis
):
    _, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(head("Content-Length: 100") + b'{"model"')
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    answer = await door.get("/healthz")

    assert answer.status == 200
    assert await nothing_was_made(redis)


async def test_refusal_leaves_the_connection_usable(door: FrontDoor):
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    bad, good = b"{bad}", orjson.dumps(GOOD)

    statuses = []
    for body in (bad, good):
        writer.write(head(f"Content-Length: {len(body)}") + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        statuses.append(int(answer.split(b" ")[1]))
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r")[0])
        await reader.readexactly(length)
    writer.close()

    assert statuses == [400, 202]


@pytest.mark.parametrize(
    "request_id", ["x" * 10_0, "a b", '{"a":1}', "x" * 129, "\x1b[31m"]
)
async def test_request_id_is_kept_only_when_it_is_sane(
    door: FrontDoor, request_id: str
):
    request = f"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-ID: {request_id}\r\n\r\n"

    _, answer = await raw(door.port, request.encode())

    kept = f"x-request-id: {request_id}\r\n".encode() in answer
    assert kept == (request_id == "x" * 100)


async def test_host_and_forwarded_headers_change_no_link(door: FrontDoor):
    answer = await door.post(
        "/v1/jobs",
        GOOD,
        Host="evil.example",
        X_Forwarded_Host="evil.example",
        X_Forwarded_Proto="gopher",
    )

    assert answer.headers["Location"].startswith(door.url)
    assert b"evil" not in answer.raw


async def test_wild_headers_of_clients_are_no_matter(door: FrontDoor):
    lines = (
        f"Authorization: Bearer {SECRET}",
        "User-Agent: 🦊",
        "Accept-Language: " + "x" * 8000,
    )
    request = "\r\n".join(("GET /v1/jobs HTTP/1.1", "Host: x", *lines, "", ""))

    status, _ = await raw(door.port, request.encode())

    assert status == 200


async def test_silent_connection_is_closed(shared_valkey, redis, tmp_path):
    async with front_door(shared_valkey.url, tmp_path, keep_alive_s=0.3) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        async with asyncio.timeout(3):
            rest = await reader.read()
        writer.close()

    assert rest == b""
