"""Embed links that hold no key: signed by one, which pays for what they show."""

import asyncio
import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from redis.asyncio import Redis

from service.accounts import Scope
from service.core.embeds import Embed
from tests.fakes.door import Answer, FrontDoor, front_door
from tests.fakes.installation import DARKROOM
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker

SIGN = "/v1/embed/sign"
ASK = {"model": "test/test", "prompt": "a fox & a hen"}


async def sign(door: FrontDoor, **fields) -> Answer:
    return await door.post(SIGN, {**ASK, **fields})


async def signed_url(door: FrontDoor, **fields) -> str:
    answer = await sign(door, **fields)
    assert answer.status == 200, answer.raw
    return answer.body["url"]


async def test_link_says_where_until_when_and_at_whose_expense(door: FrontDoor):
    answer = await sign(door, expires_in_s=3600)

    [key] = await door.accounts.list()
    body = answer.body
    assert body["object"] == "embed.link"
    assert body["url"].startswith(f"{door.url}/embed/image:test/test?prompt=a%20fox")
    assert body["expires_at"] == pytest.approx(time.time() + 3600, abs=5)
    assert body["key_id"] == key.id
    assert door.secret not in body["url"]


async def test_link_shows_the_image_to_everybody_until_it_ends(
    door: FrontDoor, worker: FakeWorker
):
    url = await signed_url(door, expires_in_s=3600)

    first = await door.get(url, secret=None)
    again = await door.get(url, secret=None)

    cache, age, _ = first.headers["Cache-Control"].split(", ")
    assert (first.status, first.headers["X-Cache"]) == (200, "MISS")
    assert (again.status, again.headers["X-Cache"]) == (200, "HIT")
    assert cache == "public"
    assert int(age.removeprefix("max-age=")) == pytest.approx(3600, abs=5)


async def test_nothing_is_made_before_somebody_looks(door: FrontDoor, redis: Redis):
    await sign(door)

    assert not [key async for key in redis.scan_iter("darkroom:job:*")]


async def test_image_is_charged_to_the_key_that_signed(
    door: FrontDoor, worker: FakeWorker
):
    _, secret = await door.knows("payer", quota_units=5000)
    urls = [
        (await door.post(SIGN, {**ASK, "prompt": prompt}, secret=secret)).body["url"]
        for prompt in ("a", "b")
    ]

    answers = [await door.get(url, secret=None) for url in urls]

    assert [answer.status for answer in answers] == [200, 429]
    assert worker.seen[0].account == "payer"


async def test_link_dies_with_the_key_that_signed(door: FrontDoor, worker: FakeWorker):
    key, secret = await door.knows("payer")
    url = (await door.post(SIGN, ASK, secret=secret)).body["url"]

    await door.accounts.revoke(key.id)
    answer = await door.get(url, secret=None)

    assert (answer.status, answer.code) == (401, "key_revoked")


async def test_link_may_be_spelled_otherwise(door: FrontDoor, worker: FakeWorker):
    url = await signed_url(door)
    path, _, query = url.partition("?")
    other = "&".join(reversed(query.replace("%20", "+").split("&")))

    answer = await door.call("GET", f"{path}?{other}", secret=None, encoded=True)

    assert answer.status == 200


@pytest.mark.parametrize(
    ("part", "changed", "status", "code"),
    [
        ("a%20fox", "a%20cat", 403, "invalid_signature"),
        ("test/test", "test/slow-1", 403, "invalid_signature"),
        ("&exp=", "&exp=1", 403, "invalid_signature"),
        ("&exp=", "&references=https://x&exp=", 403, "invalid_signature"),
        ("&kid=key_", "&kid=key_0", 403, "invalid_signature"),
        ("&sig=", "&sig=A", 403, "invalid_signature"),
        ("&exp=", "&xpe=", 400, "unknown_param"),
        ("&exp=", "&exp=1&exp=", 400, "duplicate_param"),
        ("prompt=", "key=sk_x&prompt=", 400, "ambiguous_auth"),
    ],
)
async def test_link_that_was_changed_shows_nothing(
    door: FrontDoor, redis: Redis, part: str, changed: str, status: int, code: str
):
    url = await signed_url(door)
    assert part in url

    answer = await door.call(
        "GET", url.replace(part, changed, 1), secret=None, encoded=True
    )

    assert (answer.status, answer.code) == (status, code)
    assert not [key async for key in redis.scan_iter("darkroom:job:*")]


async def test_link_is_no_help_to_who_brings_a_key_of_his_own(door: FrontDoor):
    answer = await door.get(await signed_url(door))

    assert (answer.status, answer.code) == (400, "ambiguous_auth")


async def test_link_expires(door: FrontDoor):
    [key] = await door.accounts.list()
    path = Embed(**ASK).signed(
        key_id=key.id,
        expires_at=datetime.now(UTC) - timedelta(seconds=1),
        secret=await door.accounts.link_secret(),
    )

    answer = await door.get(path, secret=None)

    assert (answer.status, answer.code) == (403, "url_expired")


async def test_all_front_doors_honor_the_same_links(
    door: FrontDoor, worker: FakeWorker, shared_valkey: Valkey, tmp_path: Path
):
    url = await signed_url(door)
    await door.get(url, secret=None)

    async with front_door(shared_valkey.url, tmp_path) as second:
        path = url.removeprefix(door.url)
        answer = await second.get(path, secret=None)

    assert (answer.status, answer.headers["X-Cache"]) == (200, "HIT")


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"model": "openai/dall-e-2"}, 400, "model_not_embeddable"),
        ({"model": "nobody"}, 400, "model_not_embeddable"),
        ({"prompt": ""}, 400, "missing_field"),
        ({"prompt": "\u200b"}, 400, "empty_prompt"),
        ({"prompt": "\u00e4" * 2000}, 400, "uri_too_long"),
        ({"references": ["ftp://x"]}, 400, "invalid_url"),
        ({"references": ["https://x"] * 2}, 400, "invalid_url"),
        ({"references": [f"https://x/{i}" for i in range(17)]}, 400, None),
        ({"expires_in_s": 0}, 400, "out_of_range"),
        ({"expires_in_s": 31_536_001}, 400, "out_of_range"),
        ({"n": 2}, 400, "unknown_field"),
    ],
)
async def test_link_that_would_show_nothing_is_not_signed(
    door: FrontDoor, fields: dict, status: int, code: str | None
):
    answer = await sign(door, **fields)

    assert (answer.status, answer.code) == (status, code or "too_many_references")


@pytest.mark.parametrize(
    ("scopes", "status"), [({"embed"}, 200), ({"generate"}, 200), ({"admin"}, 403)]
)
async def test_key_signs_when_it_may_embed_or_generate(
    door: FrontDoor, scopes: set[str], status: int
):
    granted = frozenset(Scope(scope) for scope in scopes)
    _, secret = await door.knows("default", scopes=granted)

    answer = await door.post(SIGN, ASK, secret=secret)

    assert answer.status == status


async def test_operator_signs_without_any_secret(
    door: FrontDoor, worker: FakeWorker, shared_valkey: Valkey, tmp_path: Path
):
    key, _ = await door.knows("payer")

    ran = await command(
        shared_valkey, tmp_path, "--key", key.id, "--json", url=door.url
    )

    said = json.loads(ran.out)
    assert said["key_id"] == key.id
    assert said["expires_at"] == pytest.approx(time.time() + 30 * 86_400, abs=60)
    assert (await door.get(said["url"], secret=None)).status == 200


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--key", "key_nobody"], "not known"),
        (["--key", "{key}", "--expires", "2020-01-01"], "has passed"),
        (["--key", "{key}", "--expires", "soon"], "no ISO time"),
        (["--key", "{key}", "--reference", "nowhere"], "references must be"),
    ],
)
async def test_operator_is_told_why_a_link_is_not_signed(
    door: FrontDoor, shared_valkey: Valkey, tmp_path: Path, options, complaint: str
):
    key, _ = await door.knows("payer")
    given = [option.format(key=key.id) for option in options]

    ran = await command(shared_valkey, tmp_path, *given)

    assert (ran.code, ran.out) == (2, "")
    assert complaint in ran.errors


class Ran(NamedTuple):
    code: int
    out: str
    errors: str


async def command(
    valkey: Valkey, folder: Path, *options: str, url: str = "http://127.0.0.1:1"
) -> Ran:
    """Run `darkroom embed sign` as an operator would."""
    settings = {
        "DARKROOM_REDIS_URL": valkey.url,
        "DARKROOM_DATA_DIR": str(folder),
        "DARKROOM_PUBLIC_URL": url,
    }
    process = await asyncio.create_subprocess_exec(
        *(DARKROOM, "embed", "sign", *ASK.values(), *options),
        env=os.environ | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    return Ran(process.returncode or 0, out.decode(), errors.decode())
