"""Bad input and what it is answered: never a 5xx, never a hang, never a job."""

import asyncio
import gzip
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from tests.fakes.door import SECRET, FrontDoor, front_door, raw

GOOD: dict[str, Any] = {"model": "test/test", "prompt": "a fox"}
ROUTES = ("/v1/jobs", "/v1/images/generations")


async def nothing_was_made(redis: Redis) -> bool:
    return not [key async for key in redis.scan_iter("darkroom:job:*")]


BODIES: list[tuple[bytes, int, str]] = [
    (b"", 400, "invalid_json"),
    (b"null", 400, "body_not_object"),
    (b"[]", 400, "body_not_object"),
    (b'"x"', 400, "body_not_object"),
    (b"1", 400, "body_not_object"),
    (b'{"model":"test/te', 400, "invalid_json"),
    (b'{"prompt":"\xff\xfe"}', 400, "invalid_encoding"),
    (b'\xef\xbb\xbf{"prompt":"x"}', 400, "invalid_encoding"),
    ('{"prompt":"x"}'.encode("utf-16"), 400, "invalid_encoding"),
    ('{"prompt":"x"}'.encode("utf-16-le"), 400, "invalid_encoding"),
    (b'{"prompt":' + b"[" * 100_000, 400, "json_too_deep"),
    (b'{"prompt":' + b"[" * 900 + b"]" * 900 + b"}", 400, "json_too_deep"),
    (b'{"metadata":' + b'{"a":' * 32 + b"1" + b"}" * 33, 400, "json_too_deep"),
    (b'{"seed":' + b"9" * 5000 + b"}", 400, "invalid_json"),
    (b'{"seed":NaN}', 400, "invalid_json"),
    (b'{"seed":Infinity}', 400, "invalid_json"),
    (b'{"seed":1e400}', 400, "invalid_json"),
    (b'{"model":"a","model":"b","prompt":"x:y"}', 400, "duplicate_key"),
    (b'{"metadata":{"a":"1","a":"2"}}', 400, "duplicate_key"),
    (b'{"prompt":"\\ud800"}', 400, "invalid_text"),
    (orjson.dumps(GOOD) + b" x", 400, "invalid_json"),
    (b'{"prompt":"' + b"x" * 262_144 + b'"}', 413, "body_too_large"),
]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("body", "status", "code"), BODIES)
async def test_body_that_is_no_good_json_is_refused(
    door: FrontDoor, redis: Redis, route: str, body: bytes, status: int, code: str
):
    answer = await door.post(route, data=body, Content_Type="application/json")

    assert (answer.status, answer.code) == (status, code)
    assert await nothing_was_made(redis)


FIELDS: list[tuple[dict[str, Any], int, str, str | None]] = [
    ({"prompt": ...}, 400, "missing_field", "prompt"),
    ({"model": ...}, 400, "missing_field", "model"),
    ({"prompt": ""}, 400, "empty_prompt", "prompt"),
    ({"prompt": " \t\n\u200b\ufeff"}, 400, "empty_prompt", "prompt"),
    ({"prompt": "x" * 32_001}, 400, "prompt_too_long", "prompt"),
    ({"prompt": "a\x00b"}, 400, "invalid_text", "prompt"),
    ({"prompt": "a\x1b[31mb"}, 400, "invalid_text", "prompt"),
    ({"prompt": 5}, 400, "wrong_type", "prompt"),
    ({"prompt": ["a"]}, 400, "wrong_type", "prompt"),
    ({"prompt": {"a": 1}}, 400, "wrong_type", "prompt"),
    ({"prompt": None}, 400, "wrong_type", "prompt"),
    ({"model": "no/such"}, 404, "unknown_model", "model"),
    ({"model": "../x"}, 404, "unknown_model", "model"),
    ({"model": "x" * 5000}, 404, "unknown_model", "model"),
    ({"model": "TEST/TEST"}, 404, "unknown_model", "model"),
    ({"model": "test/tеst"}, 404, "unknown_model", "model"),  # noqa: RUF001
    ({"model": "test/slow-*"}, 404, "unknown_model", "model"),
    *(({"n": n}, 400, "invalid_n", "n") for n in (0, -1, 1.5, "2", True, 10**9)),
    ({"n": 11}, 400, "n_too_large", "n"),
    *(
        ({"size": size}, 400, "invalid_size", "size")
        for size in (
            "0x0",
            "-1x1",
            "1024",
            "1024X1024 ",
            "1e3x1e3",
            "99999x99999",
            "１０２４x1024",  # noqa: RUF001
        )
    ),
    ({"size": 1024}, 400, "wrong_type", "size"),
    ({"aspect_ratio": "wide"}, 400, "invalid_size", "aspect_ratio"),
    ({"image_config": {"image_size": "8K"}}, 400, "invalid_size", "image_size"),
    ({"image_config": {"tier": "4K"}}, 400, "unknown_field", "image_config.tier"),
    ({"quality": "best"}, 400, "invalid_enum", "quality"),
    ({"style": "baroque"}, 400, "invalid_enum", "style"),
    ({"output_format": "gif"}, 400, "invalid_enum", "output_format"),
    ({"output_format": 1}, 400, "wrong_type", "output_format"),
    (
        {"background": "transparent", "output_format": "jpg"},
        400,
        "incompatible_options",
        "background",
    ),
    ({"output_compression": 50}, 400, "incompatible_options", "output_compression"),
    ({"output_compression": 101}, 400, "out_of_range", "output_compression"),
    ({"output_compression": -1}, 400, "out_of_range", "output_compression"),
    *(({"seed": s}, 400, "out_of_range", "seed") for s in (2**63, 2**64, -1, 1.0)),
    ({"seed": "1"}, 400, "wrong_type", "seed"),
    ({"user": "x" * 513}, 400, "out_of_range", "user"),
    ({"negative_prompt": "\x07"}, 400, "invalid_text", "negative_prompt"),
    *(
        ({name: "x"}, 400, "unknown_field", name)
        for name in ("tenant_id", "state", "__proto__", "account", "cost")
    ),
]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("change", "status", "code", "param"), FIELDS)
async def test_field_that_is_wrong_is_named(
    door: FrontDoor,
    redis: Redis,
    route: str,
    change: dict[str, Any],
    status: int,
    code: str,
    param: str | None,
):
    fields = {k: v for k, v in {**GOOD, **change}.items() if v is not ...}

    answer = await door.post(route, fields)

    assert (answer.status, answer.code) == (status, code)
    assert answer.body["error"]["param"] == param
    assert await nothing_was_made(redis)


NATIVE: list[tuple[dict[str, Any], str, str]] = [
    ({"metadata": {str(i): "x" for i in range(17)}}, "invalid_metadata", "metadata"),
    ({"metadata": {"a": "x" * 513}}, "invalid_metadata", "metadata.a"),
    ({"metadata": {"a" * 65: "x"}}, "invalid_metadata", "metadata"),
    ({"metadata": {"a": {"b": "c"}}}, "invalid_metadata", "metadata.a"),
    ({"metadata": {"a": 1}}, "invalid_metadata", "metadata.a"),
    ({"metadata": "a"}, "invalid_metadata", "metadata"),
    ({"priority": "urgent"}, "out_of_range", "priority"),
    ({"deadline_s": 0}, "out_of_range", "deadline_s"),
    ({"deadline_s": -60}, "out_of_range", "deadline_s"),
    ({"deadline_s": 400 * 86_400}, "out_of_range", "deadline_s"),
    ({"operation": "paint"}, "invalid_enum", "operation"),
    ({"operation": "edit"}, "unsupported_field", "operation"),
    ({"webhook": {"url": "https://example.com"}}, "unsupported_field", "webhook"),
    ({"dry_run": True}, "unsupported_field", "dry_run"),
    ({"cache": True}, "unsupported_field", "cache"),
    ({"images": ["https://example.com/a.png"]}, "unsupported_field", "images"),
    ({"response_format": "url"}, "unknown_field", "response_format"),
]


@pytest.mark.parametrize(("change", "code", "param"), NATIVE)
async def test_native_field_that_is_wrong_is_named(
    door: FrontDoor, redis: Redis, change: dict[str, Any], code: str, param: str
):
    answer = await door.post("/v1/jobs", {**GOOD, **change})

    assert (answer.status, answer.code) == (400, code)
    assert answer.body["error"]["param"].startswith(param)
    assert await nothing_was_made(redis)


@pytest.mark.parametrize(
    "change",
    [{"stream": True}, {"partial_images": 2}, {"response_format": "b64_ephemeral"}],
)
async def test_what_is_not_served_yet_is_refused_in_so_many_words(
    door: FrontDoor, change: dict[str, Any]
):
    answer = await door.post("/v1/images/generations", {**GOOD, **change})

    assert (answer.status, answer.code) == (400, "unsupported_field")
    assert "not available yet" in answer.body["error"]["message"]


async def test_harmless_defaults_of_clients_are_taken(door: FrontDoor):
    fields = {
        **GOOD,
        "n": None,
        "size": "auto",
        "quality": "auto",
        "stream": False,
        "partial_images": 0,
        "output_compression": 100,
        "style": None,
        "user": None,
    }

    answer = await door.post("/v1/images/generations", {**fields, "async": True})

    assert answer.status == 202


HEADERS: list[tuple[dict[str, str], int, str]] = [
    ({"Content_Type": "text/plain"}, 415, "unsupported_media_type"),
    ({"Content_Type": ""}, 415, "unsupported_media_type"),
    ({"Content_Type": "application/jsonx"}, 415, "unsupported_media_type"),
    ({"Content_Type": "application/json; charset=utf-7"}, 415, "unsupported_charset"),
    ({"Content_Type": "application/json; charset=bogus"}, 415, "unsupported_charset"),
    ({"Content_Encoding": "zzz"}, 415, "unsupported_encoding"),
    ({"Idempotency_Key": "x" * 256}, 400, "invalid_idempotency_key"),
    ({"Idempotency_Key": ""}, 400, "invalid_idempotency_key"),
    ({"Idempotency_Key": "naïve"}, 400, "invalid_idempotency_key"),
    ({"Authorization": "Basic eDp5"}, 401, "unsupported_auth_scheme"),
    ({"Authorization": SECRET}, 401, "unsupported_auth_scheme"),
    ({"Authorization": "Bearer sk_unknown"}, 401, "invalid_key"),
    ({"Authorization": f"Bearer {SECRET} x"}, 401, "invalid_key"),
    ({"Authorization": "Bearer " + "x" * 8000}, 401, "invalid_key"),
    ({"Authorization": "Bearer ключ"}, 401, "invalid_key"),
    ({"Authorization": "Bearer "}, 401, "missing_key"),
    ({"X_API_Key": SECRET}, 400, "ambiguous_auth"),
]


@pytest.mark.parametrize(("headers", "status", "code"), HEADERS)
async def test_header_that_is_wrong_is_refused(
    door: FrontDoor, redis: Redis, headers: dict[str, str], status: int, code: str
):
    answer = await door.post("/v1/jobs", GOOD, **headers)

    assert (answer.status, answer.code) == (status, code)
    assert await nothing_was_made(redis)


@pytest.mark.parametrize(
    "content_type",
    ["application/json;charset=UTF-8", 'application/json; charset="utf-8"'],
)
async def test_utf_8_may_be_said_in_many_ways(door: FrontDoor, content_type: str):
    answer = await door.post("/v1/jobs", GOOD, Content_Type=content_type)

    assert answer.status == 202


async def test_compressed_body_is_refused_unread(door: FrontDoor):
    body = gzip.compress(orjson.dumps(GOOD))

    answer = await door.post(
        "/v1/jobs",
        data=body,
        Content_Type="application/json",
        Content_Encoding="gzip",
    )

    assert (answer.status, answer.code) == (415, "unsupported_encoding")


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/models", "/v1/jobs/job_x"])
async def test_no_key_is_no_entry(door: FrontDoor, path: str):
    answer = await door.get(path, secret=None)

    assert (answer.status, answer.code) == (401, "missing_key")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_key_in_the_query_is_not_looked_at(door: FrontDoor):
    alone = await door.get(f"/v1/jobs?key={SECRET}", secret=None)
    beside = await door.get(f"/v1/jobs?key={SECRET}")

    assert (alone.status, alone.code) == (401, "missing_key")
    assert (beside.status, beside.code) == (400, "ambiguous_auth")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1/../etc/passwd", 404, "not_found"),
        ("GET", "//evil.example/v1", 404, "not_found"),
        ("GET", "/..;/admin", 404, "not_found"),
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
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 9000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
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
            head("Content-Length: 300000") + b'{"prompt":"',
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
