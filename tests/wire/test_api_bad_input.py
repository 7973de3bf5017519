"""Bad input and what it is answered: never a 5xx, never a hang, never a job."""

import gzip
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from tests.fakes.door import SECRET, FrontDoor

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
    ({"prompt": None}, 400, "missing_field", "prompt"),
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
    ({"max_cost": -1}, 400, "out_of_range", "max_cost"),
    ({"max_cost": "1"}, 400, "wrong_type", "max_cost"),
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


LINK = "https://example.com/a.png"
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
    ({"operation": "edit"}, "missing_field", "image"),
    (
        {"webhook": {"url": "http://example.com"}},
        "webhook_https_required",
        "webhook.url",
    ),
    ({"dry_run": "yes"}, "wrong_type", "dry_run"),
    ({"dry_run": True, "n": 11}, "n_too_large", "n"),
    ({"cache": 1}, "wrong_type", "cache"),
    ({"images": ["ftp://example.com/a.png"]}, "invalid_url", "images[0]"),
    ({"images": [LINK], "operation": "generate"}, "incompatible_options", "operation"),
    ({"mask": LINK}, "missing_field", "image"),
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
